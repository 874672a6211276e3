"""Hash what a disk or a server holds, not what the page cache remembers."""

import ctypes
import hashlib
import mmap
import os

from .destination import ProofMethod
from .jobs import Watch

CHUNK_BYTES = 256 * 1024
"""Stays in the processor's cache between reading and hashing."""

_libc = ctypes.CDLL(None, use_errno=True)


def read_back(fd: int, watch: Watch) -> tuple[str, int, ProofMethod]:
    """Return SHA-256, size and method of an open file, whose bytes were made durable before.

    The system is asked to drop the file's pages and then asked whether it did; file systems that live in memory do not. Raises ``OSError``.
    """
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    method = ProofMethod.READ_BACK_CACHED if in_cache(fd) else ProofMethod.READ_BACK
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED)  # fetched while the first chunks are hashed
    digest, size = hash_file(fd, watch)
    return digest, size, method


def hash_file(fd: int, watch: Watch) -> tuple[str, int]:
    """Return SHA-256 and size of an open file from its start to its end. Raises ``OSError``."""
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    digest = hashlib.sha256()
    offset = 0
    while count := os.preadv(fd, [buffer], offset):
        watch.step()
        digest.update(view[:count])
        offset += count
    return digest.hexdigest(), offset


def in_cache(fd: int) -> bool:
    """Tell whether any page of an open file is in the page cache; True also when the system will not tell."""
    size = os.fstat(fd).st_size
    if not size:
        return False
    try:
        # private and writable, for ctypes takes the address of writable memory only; it is never written to
        pages = mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    except OSError:  # some network file systems cannot map files
        return True
    with pages:
        resident = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        start = ctypes.c_char.from_buffer(pages)
        failed = _libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), resident)
        del start  # or the map could not be closed
        return bool(failed) or any(page & 1 for page in resident)
