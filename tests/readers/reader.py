"""What tests/readers runs to see that mainstay_flags.py answers as the reader in Rust does. Not an example."""

import os
import select
import sys

import mainstay_flags
from mainstay_flags import Board, Kind, Source, position


def answer(board, flag, ask, id, fallback):
    flag.default = fallback
    if ask == "on":
        return "on" if (flag.is_on_for(id) if id else flag.is_on()) else "off"
    if ask == "int":
        return "none" if flag.int() is None else str(flag.int())
    if ask == "text":
        return "none" if flag.text() is None else "=" + flag.text()
    if ask == "stage":
        return "none" if flag.stage() is None else "%d =%s" % (flag.stage(), flag.read().name or "")
    reading = flag.read()
    if ask == "source":
        return reading.source.value
    if ask == "share":
        if reading.kind is None:
            return "none"
        share = reading.value if reading.kind in (Kind.PERCENT, Kind.INSTANCES) else 0
        return str(share) + (" disabled" if reading.disabled else "")
    raise ValueError(ask)


def answers(directory):
    """Questions on the standard input, answers on the standard output."""
    board, handles = Board(directory), {}
    for line in sys.stdin:
        line = line.rstrip("\n")
        if line == "!":
            print("!", flush=True)
            continue
        name, ask, id, fallback = line.split("\t")
        if ask == "position":
            print(position(name, id))
            continue
        if name not in handles:
            handles[name] = board.flag(name)
        print(answer(board, handles[name], ask, id, fallback == "on"))


def agree(cases):
    """A digest of many decisions."""
    mix, golden, mask = mainstay_flags._mix, mainstay_flags._GOLDEN, mainstay_flags._64
    lower, upper = "abcdefghijklmnopqrstuvwxyz012345", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    digest = 0
    for n in range(cases):
        r = mix((n + 1) * golden & mask)
        s = mix(r)
        salt = "flag-%s%d" % (lower[: r >> 8 & 31], r & 255)
        at = position(salt, "%s%x" % (upper[: r >> 16 & 31], s))
        share = (r >> 32) % 100001
        digest = mix(digest ^ (at << 1 | (at < share)))
    print("%016x" % digest)


def torture(directory, flags):
    """Reads for ever; a line on the standard input asks how it goes."""
    board = Board(directory)
    handles = [[board.flag("%s-%d" % (kind, n)) for kind in ("number", "text", "share")] for n in range(flags)]
    newest = [[0, 0] for _ in range(flags)]
    known = [[False] * 3 for _ in range(flags)]
    reads = stale = 0
    while True:
        proven = 0
        for flag in range(flags):
            for kind in range(3):
                reading = handles[flag][kind].read()
                reads += 1
                stale += reading.source is Source.STALE
                proven += reading.source is Source.PROVEN
                assert reading.source is not Source.UNKNOWN, (flag, kind)
                if reading.source is Source.LOST:
                    assert not known[flag][kind], (flag, kind, "forgotten")
                    continue
                known[flag][kind] = True
                if kind == 0:
                    version, of = divmod(reading.value, 65536)
                elif kind == 1:
                    of, version = map(int, reading.value.split(":"))
                else:
                    version, of = 0, (reading.value - 1) % 100
                assert of == flag and not reading.disabled, (flag, reading, "was never set")
                if kind < 2:
                    assert version >= newest[flag][kind], (flag, reading, newest[flag], "went back")
                    newest[flag][kind] = version
        if select.select([sys.stdin], [], [], 0)[0]:
            if not sys.stdin.readline():
                return
            print(proven, reads, stale, *(numbers[0] for numbers in newest), flush=True)


def closed(directory, name):
    """Reads on after every descriptor was closed and its number became another file's."""
    board = Board(directory)
    flag = board.flag(name)
    assert flag.read().source is Source.PROVEN
    os.closerange(3, 64)
    others = [os.open("/dev/null", os.O_WRONLY) for _ in range(8)]
    print(flag.read().source.value, flag.read().source.value)
    for other in others:
        os.write(other, b"still open")


def seen(directory, name):
    """Waits for the second value of a flag, as a service would."""
    board = Board(directory)
    generation = board.generation()
    flag = board.flag(name)
    first = flag.is_on()
    print("on" if first else "off", flush=True)
    while flag.is_on() == first:
        generation = board.wait(generation, 60)
    board.report(True)
    board.report(False)
    print("off" if first else "on", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    verb, rest = sys.argv[1], sys.argv[2:]
    if verb == "agree":
        agree(int(rest[0]))
    elif verb == "answer":
        answers(rest[0])
    elif verb == "torture":
        torture(rest[0], int(rest[1]))
    elif verb == "closed":
        closed(rest[0], rest[1])
    elif verb == "seen":
        seen(rest[0], rest[1])
