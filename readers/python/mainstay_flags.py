"""Reads mainstay's feature flags from Python: one file, nothing beyond the standard library (3.8 or later, Linux).

    from mainstay_flags import Board

    board = Board()                            # the directory of $MAINSTAY_BOARD, or Board("/run/shop")
    checkout = board.flag("new-checkout")
    if checkout.is_on_for("user:1"):
        ...

A read never blocks, never raises and never crashes, whatever happens to the file or to mainstay: it answers with a
proven value; else with the last value that this handle has proven; else with the caller's default. A handle stays good
for ever, whether its flag exists yet or not.

Everything is read by pread(2), a copy: a mapping of a file that somebody truncates would kill the interpreter by SIGBUS.
A read is one or two system calls, a few microseconds. Boards and handles may be shared by threads, and used after a fork.

The format is described in docs/board.md and docs/blackbox.md.
"""

import ctypes
import enum
import fcntl
import mmap
import os
import platform
import stat
import struct
import threading
import time
from typing import NamedTuple, Optional, Union

__all__ = ["Board", "Flag", "Kind", "Reading", "Source", "position"]

NAME_MAX = 128  # bytes of a name, a salt, a text, the name of a stage
ID_MAX = 1024  # bytes of an id
WHOLE = 100_000


class Source(enum.Enum):
    """How good an answer is."""

    PROVEN = "proven"  # from a live board
    STALE = "stale"  # the last that was proven: the board is damaged or gone, and being mended
    UNKNOWN = "unknown"  # proven: no such flag is declared
    LOST = "lost"  # nothing is known, and nothing ever was


class Kind(enum.IntEnum):
    """What kind of value a flag has."""

    BOOL = 1
    PERCENT = 2  # a share of ids
    STAGE = 3  # of a migration
    INT = 4
    TEXT = 5
    INSTANCES = 6  # a share that counts instances


class Reading(NamedTuple):
    """What a flag is set to. Without a value (UNKNOWN, LOST) everything but the source is None or False."""

    source: Source
    kind: Optional[Kind] = None
    disabled: bool = False  # no opinion: the caller's default holds
    value: Union[bool, int, str, None] = None  # BOOL, INT and TEXT; the share of 100,000; the number of the stage
    name: Optional[str] = None  # of the stage, when it is known; that of stage 0 is empty


# --- seals, checks and hashes ---------------------------------------------------------------------------------

_32 = 0xFFFF_FFFF
_64 = 0xFFFF_FFFF_FFFF_FFFF
_GOLDEN = 0x9E37_79B9_7F4A_7C15


def _mix(x):
    x = ((x ^ x >> 30) * 0xBF58_476D_1CE4_E5B9) & _64
    x = ((x ^ x >> 27) * 0x94D0_49BB_1331_11EB) & _64
    return x ^ x >> 31


_FACTORS = [_mix((at + 1) * _GOLDEN & _64) | 1 for at in range(3 + ID_MAX // 8)]


def _prove(start, cells):
    """"Checks" in docs/board.md."""
    for at in range(0, len(cells) - 1, 2):
        product = (cells[at] ^ _FACTORS[at + 1]) * (cells[at + 1] ^ _FACTORS[at + 2])
        start += product & _64 ^ product >> 64
    if len(cells) % 2:
        start += _mix(cells[-1] ^ _FACTORS[len(cells)])
    start = (start & _64) ^ len(cells)
    return (start ^ start >> 32) * 0x94D0_49BB_1331_11EB & _64


def _key(incarnation, cell):
    return _mix((incarnation + (cell + 1) * _GOLDEN) & _64)


def _close(key, body):
    x = body ^ key & _32
    x = ((x ^ x >> 16) * 0x7FEB_352D) & _32
    return ((x ^ x >> 15) ^ key >> 32) << 32 | body


def _cells(data):
    return struct.unpack("<%dQ" % (len(data) // 8), data)


def _padded(data):
    return data + bytes(-len(data) % 16)


def _name_hash(name):
    return _prove(len(name), _cells(_padded(name)))


def _cbor_text(data):
    n = len(data)
    if n < 24:
        return bytes((0x60 + n,)) + data
    if n < 256:
        return bytes((0x78, n)) + data
    return bytes((0x79, n >> 8, n & 0xFF)) + data


def _murmur(data):
    """MurmurHash3 x86 32-bit, seed 0."""
    h = 0
    whole = len(data) & ~3
    for k in struct.unpack("<%dI" % (whole // 4), data[:whole]):
        k = (k * 0xCC9E_2D51) & _32
        h ^= ((k << 15 | k >> 17) * 0x1B87_3593) & _32
        h = ((h << 13 | h >> 19) & _32) * 5 + 0xE654_6B64 & _32
    k = int.from_bytes(data[whole:], "little") * 0xCC9E_2D51 & _32
    h ^= ((k << 15 | k >> 17) * 0x1B87_3593) & _32
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EB_CA6B & _32
    h = (h ^ h >> 13) * 0xC2B2_AE35 & _32
    return h ^ h >> 16


def _prefix(salt):
    """What is hashed before an id."""
    return b"\x82" + _cbor_text(salt)


def _hashed(prefix, id):
    """The hash of an id; None when it has not 1 to 1024 bytes."""
    return _murmur(prefix + _cbor_text(id)) if 0 < len(id) <= ID_MAX else None


def _bytes(text):
    """As UTF-8; what is none becomes what no writer writes."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def position(salt, id):
    """Bucketing version 1: the position of an id under a salt, 0 to 99,999; None when one of them is too long, or the id is
    empty. A share is on for an id when its position is below it."""
    salt = _bytes(salt)
    hashed = _hashed(_prefix(salt), _bytes(id)) if len(salt) <= NAME_MAX else None
    return None if hashed is None else hashed * WHOLE >> 32


# --- a board ------------------------------------------------------------------------------------------------------

_STATE, _GENERATION, _FUTEX, _WORDS = 16, 25, 32, 512
_LIVE = 0x4556_494C
_NAME_RECORD = 36
_PROBES = 256
_INT, _TEXT, _INSTANCES, _LISTS, _STAGES, _STRING = 4, 5, 6, 7, 8, 9
_DISABLED = 1 << 18
_HAS_LISTS = 1 << 20
_REMOVED = 14 << 28


class _Lost(Exception):
    """Something that is needed does not prove itself."""


class _Absent(Exception):
    """Proven: no such flag is declared."""


class _View:
    """One board file, opened and found right. Never changes; its descriptor is closed with the last user."""

    def __init__(self, directory, path):
        """OSError, or _Lost: it is no live board."""
        self.fd = -1
        folder = os.stat(directory)
        if not stat.S_ISDIR(folder.st_mode) or folder.st_mode & 0o022:
            raise _Lost
        self.fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        look = os.fstat(self.fd)
        if not stat.S_ISREG(look.st_mode) or look.st_uid not in (0, folder.st_uid):
            raise _Lost
        self.identity = (look.st_dev, look.st_ino)
        self.cells = 16
        head = self.load(0, 16)
        slots = head[4]
        if not 64 <= slots <= 131_072 or slots & (slots - 1) or not head[2] or head[12] > _32:
            raise _Lost
        index = 4096 + 8 * slots
        names = index + 16 * slots
        arena = names + 288 * slots
        if head[10] % 8 or head[10] > 64 << 20 or arena + head[10] > 64 << 20 or look.st_size != arena + head[10]:
            raise _Lost
        right = [int.from_bytes(b"mainstay", "little"), 0x0102_0304_0000_0004, head[2], arena + head[10], slots]
        right += [2 * slots, 4096, index, names, arena, head[10], 0, head[12], look.st_ino, 0]
        right.append(_prove(_key(head[2], 0), right))
        if list(head) != right:
            raise _Lost
        self.incarnation, self.slots, self.generation_high = head[2], slots, head[12]
        self.index, self.names, self.arena = index // 8, names // 8, arena // 8
        self.cells = head[3] // 8
        self.live = _close(_key(self.incarnation, _STATE), _LIVE)
        self.check_live()

    def __del__(self):
        # Another file may have got the number, when somebody closed it behind our back.
        try:
            look = os.fstat(self.fd)
            if (look.st_dev, look.st_ino) == getattr(self, "identity", (look.st_dev, look.st_ino)):
                os.close(self.fd)
        except (AttributeError, OSError):
            pass

    def load(self, cell, count):
        """A copy of some cells. Every place is bounded here, once for all."""
        if cell < 0 or count < 0 or cell + count > self.cells:
            raise _Lost
        try:
            data = os.pread(self.fd, 8 * count, 8 * cell)
        except OSError:
            raise _Lost from None
        if len(data) != 8 * count:
            raise _Lost
        return _cells(data)

    def open(self, cell):
        """The body of a sealed cell."""
        word = self.load(cell, 1)[0]
        body = word & _32
        if _close(_key(self.incarnation, cell), body) != word:
            raise _Lost
        return body

    def check_live(self):
        """What is loaded after this is of a live board, or does not prove itself."""
        if self.load(_STATE, 1)[0] != self.live:
            raise _Lost

    def generation(self):
        self.check_live()
        return self.generation_high << 32 | self.open(_GENERATION)

    def find(self, name, hash):
        """Where a flag is."""
        self.check_live()
        for probe in range(_PROBES):
            body = self.open(self.index + (hash + probe & 2 * self.slots - 1))
            if body == 0:
                raise _Absent
            slot = (body & 0xF_FFFF) - 1
            if body >> 20 != hash >> 52 or slot < 0:
                continue
            if slot >= self.slots:
                raise _Lost
            found, salt, reference = self.name_record(slot)
            if found == name:
                return _Place(self, slot, _prefix(salt or name), reference)
        raise _Lost

    def name_record(self, slot):
        cell = self.names + _NAME_RECORD * slot
        cells = list(self.load(cell, _NAME_RECORD))
        lengths = cells[1] & _32
        name, salt = lengths & 0xFF, lengths >> 8 & 0xFF
        sealed = _close(_key(self.incarnation, cell + 1), lengths) == cells[1]
        if not sealed or name > NAME_MAX or salt > NAME_MAX or lengths >> 16 != 1:
            raise _Lost
        for start, length in ((2, name), (18, salt)):
            for at in range(start + (length + 7) // 8, start + 16):
                cells[at] = 0  # cells that hold no byte count as zeros, whatever they are
        if cells[35] != _prove(_key(self.incarnation, cell), cells[:35]):
            raise _Lost
        reference = cells[34] & _32
        if _close(_key(self.incarnation, cell + 34), reference) != cells[34]:
            raise _Lost
        data = struct.pack("<32Q", *cells[2:34])
        return data[:name], data[128 : 128 + salt], reference

    # Records in the arena.

    def head(self, cell, type, extra):
        """The lower 28 bits in the head of a record that has `extra(them)` cells after its head."""
        if cell < self.arena:
            raise _Lost
        body = self.open(cell)
        if body >> 28 != type or cell + 1 + extra(body & 0xFFF_FFFF) > self.cells:
            raise _Lost
        return body & 0xFFF_FFFF

    def bytes(self, cell, type, most):
        length = self.head(cell, type, lambda length: 1 + (length + 7) // 8)
        if length > most:
            raise _Lost
        count = 1 + (length + 7) // 8
        cells = self.load(cell, count + 1)
        key = _key(self.incarnation, cell)
        if cells[0] != _close(key, type << 28 | length) or cells[count] != _prove(key, cells[:count]):
            raise _Lost
        return struct.pack("<%dQ" % (count - 1), *cells[1:count])[:length]

    def int(self, cell):
        data = self.bytes(cell, _INT, 8)
        if len(data) != 8:
            raise _Lost
        return int.from_bytes(data, "little", signed=True)

    def text(self, cell, type):
        try:
            return self.bytes(cell, type, NAME_MAX).decode()
        except UnicodeDecodeError:
            raise _Lost from None

    def stage_name(self, reference, stage):
        count = self.head(reference, _STAGES, lambda count: count)
        if not 0 < stage <= count:
            raise _Lost
        return self.text(self.open(reference + stage), _STRING)

    def share(self, cell):
        self.head(cell, _INSTANCES, lambda count: 1 + count)
        share = self.open(cell + 1)
        if not 0 < share < WHOLE:
            raise _Lost
        return share

    def has_instance(self, cell, hash):
        count = self.head(cell, _INSTANCES, lambda count: 1 + count)
        at = self.first_not_below(hash, cell + 2, 1, count)
        return at < count and self.open(cell + 2 + at) == hash

    def listed(self, cell, id, hash):
        """Is the id denied (False), allowed (True), or in no list (None)?"""
        counts = self.head(cell, _LISTS, lambda counts: 2 * ((counts & 0xFF) + (counts >> 8)))
        allowed, denied = counts & 0xFF, counts >> 8
        if denied > 0xFF:
            raise _Lost
        for meaning, start, count in ((False, cell + 1, denied), (True, cell + 1 + 2 * denied, allowed)):
            at = self.first_not_below(hash, start, 2, count)
            while at < count and self.open(start + 2 * at) == hash:
                if self.bytes(self.open(start + 2 * at + 1), _STRING, ID_MAX) == id:
                    return meaning
                at += 1
        return None

    def first_not_below(self, hash, start, step, count):
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if self.open(start + step * middle) < hash:
                low = middle + 1
            else:
                high = middle
        return low


class _Place(NamedTuple):
    """Where a flag is on one board."""

    view: _View
    slot: int
    prefix: bytes
    reference: int


class _Last(NamedTuple):
    """What was proven last: the word, where, and what belongs to it."""

    place: _Place
    word: int
    value: Union[bool, int, str, None]
    name: Optional[str]
    own: Optional[bool]  # of a share by instances, for the reader's own
    noted: bool


def _is_flag(body):
    """Is this what a writer of this version writes for a flag? Another kind is not for this reader."""
    kind, rest = body >> 28, body & 0xFFF_FFFF & ~_DISABLED
    if kind == Kind.BOOL:
        return rest == 0 or rest & ~_HAS_LISTS == 1 << 17
    if kind == Kind.PERCENT:
        return 0 < rest & ~_HAS_LISTS < WHOLE
    if kind == Kind.STAGE:
        return rest < 1 << 17
    return kind in (Kind.INT, Kind.TEXT, Kind.INSTANCES)


def _record(body):
    return body & 0x3_FFFF | (body >> 19 & 0x1FF) << 18


class Board:
    """The flags of one runtime directory. It need not exist yet. `directory`: by default that of $MAINSTAY_BOARD."""

    def __init__(self, directory=None):
        if directory is None:
            directory = os.path.dirname(os.environ.get("MAINSTAY_BOARD", ""))
            if not directory:
                raise ValueError("no directory is given, and MAINSTAY_BOARD does not name a board")
        self._directory = os.fspath(directory)
        self._paths = [os.path.join(self._directory, name) for name in ("board", ".kept/board")]
        self._instance = os.fsencode(os.environ.get("MAINSTAY_INSTANCE", ""))
        self._view = None
        self._pause = 0.001
        self._next_look = self._next_try = 0.0
        self._box = _BlackBox.inherited()
        self._attach()

    def flag(self, name, default=False):
        """A handle. Where the flag has no opinion, it answers `default`: when it is disabled, unknown, a share without an
        id, or nobody can say."""
        return Flag(self, name, default)

    def generation(self):
        """The number of the last change; None when no board can be read."""
        now = time.monotonic()
        self._look(now)
        for again in (False, True):
            if again and not self._recover(now):
                return None
            try:
                if self._view is not None:
                    return self._view.generation()
            except _Lost:
                pass
        return None

    def wait(self, seen, timeout=None):
        """Waits until the generation is another one than `seen`, and returns it; None after `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            view, value = self._view, None
            try:
                value = None if view is None else view.load(_FUTEX, 1)[0] & _32
            except _Lost:
                pass
            generation = self.generation()
            if generation is not None and generation != seen:
                return generation
            left = 0.1 if until is None else min(0.1, until - time.monotonic())
            if left <= 0:
                return None
            if generation is None or value is None:
                time.sleep(min(left, 0.002))
            elif view is self._view and not _futex_wait(view.fd, value, left):
                time.sleep(min(left, 0.005))

    def report(self, ok):
        """Tells the guard how the work goes: one success or one error. Nothing happens outside of mainstay."""
        if self._box is not None:
            self._box.count(ok)

    def _attach(self):
        """Shows the board that the name leads to, or else the second link. True when that is a change."""
        for path in self._paths:
            try:
                view = _View(self._directory, path)
            except (_Lost, OSError, ValueError):
                continue
            old = self._view
            if old is not None and (old.identity, old.incarnation) == (view.identity, view.incarnation):
                try:
                    old.check_live()
                    return False
                except _Lost:
                    pass  # somebody closed our descriptor
            self._view = view
            return True
        return False

    def _look(self, now):
        """At most each 10 ms: does the name still lead to the board that is shown?"""
        if now < self._next_look:
            return
        self._next_look = now + 0.01
        try:
            look = os.lstat(self._paths[0])
        except (OSError, ValueError):
            return
        if self._view is None or self._view.identity != (look.st_dev, look.st_ino):
            self._attach()

    def _recover(self, now):
        """Something was lost: opens the board again, after 1 ms, doubling to 100 ms. True when another one is shown."""
        if now < self._next_try:
            return False
        if now - self._next_try > 4 * self._pause:
            self._pause = 0.001  # another trouble, not the same again
        self._next_try = now + self._pause
        self._pause = min(2 * self._pause, 0.1)
        if not self._attach():
            return False
        self._next_try = now
        return True


class Flag:
    """A flag of a board, good for ever."""

    def __init__(self, board, name, default=False):
        self._board = board
        self._name = _bytes(name)
        self._hash = _name_hash(self._name) if 0 < len(self._name) <= NAME_MAX else None
        self.default = default
        self._place = None
        self._last = None
        self._settle()

    def is_on(self):
        """Is it on for everybody? A share by instances is decided for $MAINSTAY_INSTANCE. Lists are not looked at."""
        on = self._decide(None)
        return self.default if on is None else on

    def is_on_for(self, id):
        """Is it on for this id, of 1 to 1024 bytes? For a share by instances the id is the name of an instance."""
        on = self._decide(_bytes(id))
        return self.default if on is None else on

    def int(self):
        """The number that it is set to; None where it has no opinion, or is none."""
        return self._value(Kind.INT)

    def text(self):
        """The text that it is set to; None where it has no opinion, or is none."""
        return self._value(Kind.TEXT)

    def stage(self):
        """The stage of a migration; None where it has no opinion, or is none."""
        return self._value(Kind.STAGE)

    def read(self):
        """What it is set to, and how good that answer is."""
        source, last = self._settle()
        if last is None:
            return Reading(source)
        body = last.word & _32
        return Reading(source, Kind(body >> 28), bool(body & _DISABLED), last.value, last.name)

    def _value(self, kind):
        _, last = self._settle()
        if last is None or (last.word & _32) >> 28 != kind or last.word & _DISABLED:
            return None
        return last.value

    def _decide(self, id):
        _, last = self._settle()
        if last is None:
            return None
        body = last.word & _32
        kind, (view, _, prefix, reference) = body >> 28, last.place
        if body & _DISABLED:
            return None
        try:
            if kind in (Kind.BOOL, Kind.PERCENT):
                everybody = kind == Kind.BOOL
                if everybody and not last.value:
                    return False
                hash = None if id is None else _hashed(prefix, id)
                if hash is None:
                    return True if everybody else None
                listed = view.listed(reference, id, hash) if body & _HAS_LISTS else None
                return listed if listed is not None else everybody or hash * WHOLE >> 32 < last.value
            if kind == Kind.INSTANCES:
                if id is None:
                    return last.own
                hash = _hashed(prefix, id)
                return None if hash is None else view.has_instance(_record(body), hash)
        except _Lost:
            pass
        return None

    def _settle(self):
        """However it comes: the source, and what was proven last, unless that does not count."""
        board, now = self._board, time.monotonic()
        board._look(now)
        place, view, last = self._place, board._view, self._last
        if last is not None and last.noted and last.place.view is view:
            try:
                # Bit for bit the word that was proven on this board: a retired board has none of its words any more.
                if view.load(_WORDS + last.place.slot, 1)[0] == last.word:
                    return Source.PROVEN, last
            except _Lost:
                pass
        if self._hash is None:
            return Source.UNKNOWN, None
        for attempt in range(3):
            if attempt == 2 and not board._recover(now):
                break
            view = board._view
            if view is None or attempt == 0 and (place is None or place.view is not view):
                continue
            try:
                if attempt > 0:
                    place = view.find(self._name, self._hash)
                last = self._prove(place)
            except _Absent:
                if attempt > 0:
                    return Source.UNKNOWN, None
            except _Lost:
                pass
            else:
                self._place, self._last = place, last
                return Source.PROVEN, last
        return (Source.LOST, None) if self._last is None else (Source.STALE, self._last)

    def _prove(self, place):
        """The word that is there now, if it and the record behind it prove themselves."""
        board, view, at = self._board, place.view, time.monotonic_ns()
        # Before the word, so that what is noted is at least as new as its number; and the state first: a board that is live
        # now has every value that was published before now.
        generation = view.generation() if board._box is not None else 0
        view.check_live()
        cell = _WORDS + place.slot
        body = view.open(cell)
        if body == _REMOVED:
            raise _Absent
        if not _is_flag(body):
            raise _Lost
        kind, name, own, record = body >> 28, None, None, _record(body)
        if kind == Kind.BOOL:
            value = bool(body >> 17 & 1)
        elif kind == Kind.INT:
            value = view.int(record)
        elif kind == Kind.TEXT:
            value = view.text(record, _TEXT)
        elif kind == Kind.INSTANCES:
            value = view.share(record)
            hash = _hashed(place.prefix, board._instance)
            own = None if hash is None else view.has_instance(record, hash)
        else:
            value = body & 0x1_FFFF
        if kind == Kind.STAGE:
            try:
                name = view.stage_name(place.reference, value) if value else ""
            except _Lost:
                pass  # the number is what counts
        noted = board._box is None or board._box.note(self._hash, body, generation, at)
        return _Last(place, _close(_key(view.incarnation, cell), body), value, name, own, noted)


# --- the black box: which value this process has seen -------------------------------------------------------------

_BOX_VERSION = 0x0102_0304_0000_0003
_BOX_BYTES = 524288


def _box_proof(place, cells):
    """"What proves a record" in docs/blackbox.md."""
    return _prove(_BOX_VERSION + place * _FACTORS[0], cells)


def _box_check(entry, key, value, at, high):
    high &= 0xFFFF
    return high << 48 | _box_proof(512 + 4 * entry, (key, value, at, high)) >> 16


class _BlackBox:
    """Python has no compare-and-exchange: its writers exclude one another, without ever waiting, and each cell is one store."""

    HEAD = [int.from_bytes(b"mainbox", "little"), _BOX_VERSION, _BOX_BYTES, 4096, 1024, 1024, 16]
    HEAD += [36864, 64, 233472, 64, 258048, 1024, 389120, 512]
    HEAD.append(_box_proof(0, [*HEAD, 0]))

    @staticmethod
    def inherited():
        """The one that $MAINSTAY_BLACKBOX_FD names; None when there is none, or something else has that number."""
        number = os.environ.get("MAINSTAY_BLACKBOX_FD", "")
        try:
            fd = int(number) if number.isdecimal() else 0
            fixed = 0x0002 | 0x0004  # F_SEAL_SHRINK, F_SEAL_GROW
            if fd < 3 or fcntl.fcntl(fd, 1034) & fixed != fixed or os.fstat(fd).st_size != _BOX_BYTES:
                return None
            if list(_cells(os.pread(fd, 128, 0))) != _BlackBox.HEAD:
                return None
            return _BlackBox(fd)
        except (OSError, OverflowError, ValueError, struct.error):
            return None

    def __init__(self, fd):
        self._fd = fd
        self._mapping = mmap.mmap(fd, _BOX_BYTES)  # cannot shrink, so it cannot fail
        self._cells = memoryview(self._mapping).cast("Q")
        self._mine = threading.Lock()

    def note(self, hash, body, generation, at):
        """False: somebody else writes just now, and it has to be tried again."""
        if not self._mine.acquire(blocking=False):
            return False
        try:
            return self._note(hash or 1, body, generation, at)
        finally:
            self._mine.release()

    def _note(self, key, body, generation, at):
        cells, entry = self._cells, self._find(key)
        value, high = generation << 32 & _64 | body, generation >> 32
        if entry is not None:
            start = 512 + 4 * entry
            standing, when, check = cells[start + 1], cells[start + 2], cells[start + 3]
            if standing & _32 == body and check == _box_check(entry, key, standing, when, check >> 48):
                return True
        # Between processes that were forked: whoever is killed gives it back.
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 8, 136)
        except OSError:
            return False
        try:
            if entry is None:
                entry = self._claim(key)
            if entry is None:
                cells[16] = cells[16] + 1 & _64
                return True
            start = 512 + 4 * entry
            standing, when = cells[start + 1], cells[start + 2]
            older = (value >> 32) - (standing >> 32) & 0x8000_0000
            if standing & _32 not in (0, body) and (when > at or older and at - when < 1_000_000_000):
                return True
            at = max(at, when + 1)
            cells[start + 1] = value
            cells[start + 2] = at
            cells[start + 3] = _box_check(entry, key, value, at, high)
            return True
        finally:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_UN, 8, 136)
            except OSError:
                pass

    def _entries(self, key):
        for probe in range(128):
            page = probe // 16
            yield 128 * page + ((key >> 7 * page) + probe % 16 & 127)

    def _find(self, key):
        for entry in self._entries(key):
            met = self._cells[512 + 4 * entry]
            if met in (0, key):
                return entry if met else None
        return None

    def _claim(self, key):
        for entry in self._entries(key):
            if self._cells[512 + 4 * entry] in (0, key):
                self._cells[512 + 4 * entry] = key
                return entry
        return None

    def count(self, ok):
        # One atomic addition by the kernel, to the lower half of the cell; nobody waits there to be woken.
        cell = 128 + 8 * (threading.get_ident() >> 12 & 15) + (0 if ok else 1)
        self._address = getattr(self, "_address", None) or ctypes.addressof(ctypes.c_char.from_buffer(self._mapping))
        add_one = 1 << 28 | 1 << 12  # FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)
        if not _futex(self._address, 5, 0, 0, self._address + 8 * cell, add_one):
            self._cells[cell] = self._cells[cell] + 1 & _64


# --- the kernel's futex -----------------------------------------------------------------------------------------------

_libc = ctypes.CDLL(None, use_errno=True)
_SYS_FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}.get(platform.machine())
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def _futex(address, operation, value, fourth, second, third):
    """False when there is no such thing here, or nothing at that address."""
    if _SYS_FUTEX is None:
        return False
    done = _libc.syscall(
        ctypes.c_long(_SYS_FUTEX),
        ctypes.c_void_p(address),
        ctypes.c_int(operation),
        ctypes.c_uint(value),
        ctypes.c_void_p(fourth),
        ctypes.c_void_p(second),
        ctypes.c_uint(third),
    )
    return done >= 0 or ctypes.get_errno() in (4, 11, 110)  # EINTR, EAGAIN, ETIMEDOUT


def _futex_wait(fd, value, seconds):
    """Sleeps while the board's futex word is `value`. The page is mapped for the kernel's eyes only, which gets an error where
    a load of ours would kill. False: it could not be waited for."""
    page = _libc.mmap(None, 4096, 1, 1, fd, 0)
    if page in (None, ctypes.c_void_p(-1).value):
        return False
    try:
        limit = (ctypes.c_long * 2)(int(seconds), int(seconds % 1 * 1_000_000_000))
        return _futex(page + 8 * _FUTEX, 0, value, ctypes.addressof(limit), 0, 0)
    finally:
        _libc.munmap(page, 4096)
