"""Stands between a worker and its client, and spoils what the worker says. Run as a program: ``evil_relay.py CONTROL PROGRAM ...``.

The control file holds ``WORD [FRAMES]``: when so many frames have gone by unharmed, the next one is spoilt, and the file emptied.
"""

import ctypes
import os
from pathlib import Path
import signal
import struct
import subprocess
import sys
from typing import IO

PREFIX = struct.Struct(">4sIII")
WORDS = {
    "garbage": "something that is no frame comes before it",
    "half": "it ends in the middle, and so does the stream",
    "checksum": "one byte of it is wrong",
    "magic": "it begins with another word",
    "length": "it claims to be 4 GB long",
    "twice": "it comes twice",
    "stranger": "before it comes a reply to a request that nobody made",
    "mute": "neither it nor any that follows is passed on",
    "noise": "the worker writes 8 MB to its standard error before it",
    "crumbs": "it comes in pieces of a few bytes",
}


def main(control: Path, command: list[str]) -> int:
    """Run the command with its own standard input and error, and pass its output on."""
    libc = ctypes.CDLL(None)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))  # noqa: PLW1509
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    assert child.stdout
    muted = False
    while frame := _frame(child.stdout):
        word = "mute" if muted else _order(control)
        muted = word == "mute"
        for piece in _spoilt(word, frame):
            _write(1, piece)
        if word == "half":
            child.kill()
            break
    code = child.wait()
    return code if code >= 0 else 128 - code


def _frame(source: IO[bytes]) -> bytes:
    """Read the next frame; empty at the end."""
    prefix = source.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return b""
    _, header, blob, _ = PREFIX.unpack(prefix)
    body = source.read(header + blob)
    return prefix + body if len(body) == header + blob else b""


def _order(control: Path) -> str:
    """Return what is to be done to the frame that just came."""
    try:
        word, _, left = control.read_text().strip().partition(" ")
    except OSError:
        return ""
    if word and int(left or 0) > 0:
        control.write_text(f"{word} {int(left) - 1}")
        return ""
    if word:
        control.write_text("")
    return word


def _spoilt(word: str, frame: bytes) -> list[bytes]:
    """Return what to pass on instead of a frame."""
    prefix, body = frame[: PREFIX.size], frame[PREFIX.size :]
    magic, header, _, checksum = PREFIX.unpack(prefix)
    match word:
        case "garbage":
            return [b"libcamera: something went wrong\n", frame]
        case "half":
            return [frame[: len(frame) // 2]]
        case "checksum":
            return [prefix, bytes([body[0] ^ 1]), body[1:]]
        case "magic":
            return [b"SKY0", frame[4:]]
        case "length":
            return [PREFIX.pack(magic, header, 0xFFFFFFFF, checksum), body]
        case "twice":
            return [frame, frame]
        case "stranger":
            import zlib

            text = b'{"id": 987654321, "ok": true, "result": {}}'
            return [PREFIX.pack(magic, len(text), 0, zlib.crc32(text)), text, frame]
        case "mute":
            return []
        case "noise":
            _write(2, b"WARN something is odd\n" * 400_000)
            return [frame]
        case "crumbs":
            step = max(7, len(frame) // 2000)
            return [frame[start : start + step] for start in range(0, len(frame), step)]
        case _:
            return [frame]


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
