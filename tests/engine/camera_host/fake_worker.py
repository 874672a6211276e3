"""A worker that does what the test says, good and bad. It runs in a process of its own; ``source`` gives its text."""

import json

_PROGRAM = r"""
import json, os, signal, struct, sys, threading, time, zlib
OUT = os.dup(1)
os.dup2(2, 1)
lock = threading.Lock()

def emit(data):
    while data:
        data = data[os.write(OUT, data):]

def pack(header, blob=b"", lie=0):
    head = json.dumps(header).encode()
    return struct.pack(">4sIII", b"SKY1", len(head), len(blob), zlib.crc32(blob, zlib.crc32(head)) ^ lie) + head + blob

def send(header, blob=b""):
    with lock:
        emit(pack(header, blob))

def take(count):
    data = b""
    while len(data) < count:
        more = os.read(0, count - len(data))
        if not more:
            if BEHAVIOUR.get("deaf"):
                time.sleep(3600)
            os._exit(0)
        data += more
    return data

def fault(what, number):
    if what == "die":
        sys.stderr.write("\x1b[31mERROR\x1b[0m the sky fell down\n")
        sys.stderr.flush()
        os._exit(7)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "hang":
        time.sleep(3600)
    if what == "babble":
        emit(b"Hello, I am a shell's greeting\n" * 9)
    if what == "yell":
        emit(b"and on and on " * 20000)
    if what == "last":
        emit(pack({"id": number, "ok": True, "result": {"last": True}}) + b"Goodbye, and thanks for all the light")
    if what == "crc":
        emit(pack({"id": number, "ok": True, "result": {}}, b"x" * 1000, lie=1))
    if what == "half":
        emit(pack({"id": number, "ok": True, "result": {}}, b"x" * 100000)[:50000])
        os._exit(0)
    if what == "long":
        emit(struct.pack(">4sIII", b"SKY1", 2, (128 << 20) + 1, 0))
    if what == "raw":
        head = BEHAVIOUR["raw"].encode("latin-1")
        emit(struct.pack(">4sIII", b"SKY1", len(head), 0, zlib.crc32(head)) + head)
    if what == "shut":
        os.close(OUT)
        time.sleep(3600)
    if what == "flood":
        line = b"flood " * 20 + b"\n"
        until = time.time() + 0.5
        while time.time() < until:
            os.write(2, line * 500)
        os.write(2, b"the last line\n")
    if what == "drip":
        frame = pack({"id": number, "ok": True, "result": {}}, b"x" * 40)
        with lock:
            for at in range(len(frame)):
                emit(frame[at:at + 1])
                time.sleep(0.02)
    if what == "scream":
        os.write(2, b"aargh " * 100000 + b"\nthe very last\n")
        os._exit(7)
    if what == "mute":
        lock.acquire()
        time.sleep(3600)

def answer(request):
    number, op, args = request["id"], request["op"], request["args"]
    note(op)
    if op == "bye":
        if not BEHAVIOUR.get("deaf"):
            time.sleep(BEHAVIOUR.get("bye_s", 0))
            os._exit(0)
        return
    if args.get("sleep_s"):
        time.sleep(args["sleep_s"])
    first = True
    if args.get("once"):
        try:
            open(args["once"], "x").close()
        except FileExistsError:
            first = False
    if first and args.get("fault"):
        fault(args["fault"], number)
        if args["fault"] in ("drip", "last"):
            return
    error = args.get("error") if first else None
    if op == "configure":
        error = BEHAVIOUR.get("configure_error")
    if error is not None:
        send({"id": number, "ok": False, "error": error})
        return
    result = {"op": op, "pid": os.getpid(), "args": args, "deadline_s": request["deadline_s"]}
    result.update(BEHAVIOUR.get("results", {}).get(op, {}))
    blob = b"" if not args.get("bytes") else (b"%08d" % number) * (args["bytes"] // 8)
    send({"id": number, "ok": True, "result": result}, blob)

def note(text):
    if "journal" in BEHAVIOUR:
        with open(BEHAVIOUR["journal"], "a") as file:
            file.write("%s %d\n" % (text, os.getpid()))

if BEHAVIOUR.get("deaf"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
note("start")
if BEHAVIOUR.get("at_start"):
    fault(BEHAVIOUR["at_start"], 0)
hello = {"protocol": 1, "source": SOURCE_SHA256[:12], "python": "%d.%d.%d" % sys.version_info[:3], "pid": os.getpid()}
hello.update(BEHAVIOUR.get("hello", {}))
send({"hello": hello})
while True:
    magic, head, blob, crc = struct.unpack(">4sIII", take(16))
    header = json.loads(take(head))
    take(blob)
    threading.Thread(target=answer, args=(header,), daemon=True).start()
"""


def source(**behaviour: object) -> bytes:
    """Return the source of a worker that behaves so.

    ``deaf``: ignores bye, SIGTERM and the end of its input; ``at_start``: a fault before it says hello; ``hello``: what it says differently;
    ``bye_s``: how long it takes to leave; ``configure_error``; ``results``: by operation; ``journal``: a file that gets a line for each thing it is asked; ``raw``: see the fault.
    """
    return f"BEHAVIOUR = __import__('json').loads({json.dumps(behaviour)!r})\n{_PROGRAM}".encode()
