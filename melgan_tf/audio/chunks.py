"""The chunks of WAV (RIFF, RIFX, RF64, BW64, W64), AIFF and CAF files: where the sound is, and whether all of it is.

Decoders read less of a truncated file without a word, and what is no sound of a damaged one. So lengths are compared:
of the chunk with the sound, of the form around it, of the file; and chunks must follow the sound, or nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from melgan_tf.audio.window import Window
from melgan_tf.errors import DecodeError

_MAX_CHUNKS = 1000
_MAX_MISSING = 256  # bytes; careless programs declare a little more sound than they write
_MAX_OVER = 8  # bytes by which lengths of forms and last chunks are too large
_ROUND = 4096  # how far from a round number a placeholder may be: lengths of headers are subtracted
_WIDE = {b"RF64", b"BW64"}  # with lengths of 64 bits in a chunk of their own


@dataclass(frozen=True)
class Kind:
    """What differs between the containers.

    Attributes:
        length: format of a chunk's length.
        first: position of the first chunk.
        align: chunks start at multiples of this.
        sound: name of the chunk with the sound.
        name: bytes of a chunk's name.
    """

    length: str
    first: int
    align: int
    sound: bytes
    name: int = 4

    @property
    def order(self) -> str:
        """The byte order, as in the module `struct`."""
        return self.length[0]


KINDS = {b"RIFF": Kind("<I", 12, 2, b"data"), b"RF64": Kind("<I", 12, 2, b"data"), b"BW64": Kind("<I", 12, 2, b"data"),
         b"RIFX": Kind(">I", 12, 2, b"data"), b"FORM": Kind(">I", 12, 2, b"SSND"), b"caff": Kind(">q", 8, 1, b"data"),
         b"riff": Kind("<q", 40, 8, b"data", 16)}
_FORMS = {b"RIFF": (b"WAVE",), b"RIFX": (b"WAVE",), b"RF64": (b"WAVE",), b"BW64": (b"WAVE",),
          b"FORM": (b"AIFF", b"AIFC")}  # containers that images and videos use as well
_KNOWN = {b"fmt ", b"fact", b"data", b"LIST", b"bext", b"cue ", b"smpl", b"inst", b"PEAK", b"JUNK", b"junk", b"id3 ",
          b"ID3 ", b"iXML", b"axml", b"FVER", b"COMM", b"SSND", b"MARK", b"INST", b"COMT", b"NAME", b"AUTH", b"ANNO",
          b"(c) ", b"APPL", b"CHAN", b"MIDI", b"AESD"}  # common names, where only these can tell


def is_chunked_sound(head: bytes) -> bool:
    """Whether the first bytes are those of one of these formats."""
    if head[:4] in _FORMS:
        return head[8:12] in _FORMS[head[:4]]
    return head[:4] == b"caff" or head[:4] == b"riff" and head[4:16] == bytes.fromhex("2e91cf11a5d628db04c10000")


def is_placeholder(length: int) -> bool:
    """Whether a length is what programs write that cannot seek back to fill it in: 0, or a huge round number."""
    return (length <= 0 or 0x7F000000 <= length <= 0x80010000 or 0xFFFF0000 <= length <= 1 << 32 or length >= 1 << 62
            or length >= 10**9 - _ROUND and any(-_ROUND <= (length + step // 2) % step - step // 2 <= _ROUND
                                                for step in (10**9, 1 << 30)))


@dataclass
class Sound:
    """What `find_sound` finds.

    Attributes:
        kind: of the container.
        magic: its first four bytes.
        form: its type, as ``AIFC``.
        bodies: the first bytes of the chunks before the sound, by name.
        position: of the first byte of sound.
        length: bytes of sound that are there.
        filled_in: whether the file says so itself.
        padded: whether every chunk of odd length has its pad byte.
        agrees: whether all lengths agree exactly.
        places: position and length of the contents of every chunk, by name.
    """

    kind: Kind
    magic: bytes
    form: bytes
    bodies: dict[bytes, bytes] = field(default_factory=dict)
    position: int = 0
    length: int = 0
    filled_in: bool = True
    padded: bool = True
    agrees: bool = True
    places: dict[bytes, tuple[int, int]] = field(default_factory=dict)


def find_sound(window: Window, start: int, name: str) -> Sound:
    """Find the chunk with the sound, and compare the lengths.

    Args:
        window: the file.
        start: of the container.
        name: of the file, for errors.

    Raises:
        DecodeError: sound is missing, or lengths contradict each other.
    """
    head = window.read(start, 24)
    sound = Sound(KINDS[head[:4]], head[:4], head[8:12])
    walk = _Walk(window, start, sound)
    sound.places = walk.places
    for chunk, length, body in walk.chunks(start + sound.kind.first, window.size, any_name=True):
        if chunk == sound.kind.sound:
            try:
                walk.measure(length, body)
            except ValueError as error:
                raise DecodeError(name, str(error)) from None
            sound.padded = walk.padded
            return sound
        if chunk in sound.bodies and chunk in (b"fmt ", b"COMM", b"desc"):
            raise DecodeError(name, "damaged: two formats of its samples")
        sound.bodies.setdefault(chunk, window.read(body, max(0, min(length, 1 << 16))))
    raise DecodeError(name, "damaged: no chunk of sound")


class _Walk:
    def __init__(self, window: Window, start: int, sound: Sound) -> None:
        self.window, self.start, self.sound, self.kind = window, start, sound, sound.kind
        self.padded = True
        self.places: dict[bytes, tuple[int, int]] = {}

    def _chunk(self, position: int, any_name: bool = False) -> tuple[bytes, int, int] | None:
        """Return name, length and position of the contents of a chunk; None if there is none."""
        width = self.kind.name + struct.calcsize(self.kind.length)
        header = self.window.read(position, width)
        if len(header) < width or not any(header[:4]):
            return None
        if not any_name and not all(32 <= byte < 127 for byte in header[:4]):
            return None
        length, = struct.unpack(self.kind.length, header[self.kind.name:])
        if self.kind.name == 16:  # the length is that of the whole chunk
            length -= width
        return header[:4], length, position + width

    def chunks(self, position: int, end: int, any_name: bool = False) -> Iterator[tuple[bytes, int, int]]:
        """Yield name, length and position of the chunks from a position on; `reached` is where they stop."""
        self.reached = position
        for _ in range(_MAX_CHUNKS):
            chunk = self._chunk(position, any_name)
            if chunk is None or position >= end:
                return
            name, length, body = chunk
            self.places.setdefault(name, (body, length))
            yield chunk
            if length < 0:
                return
            position = self._behind(body, length, end)
            self.reached = position

    def _behind(self, body: int, length: int, end: int) -> int:
        """Return where the next chunk starts; some programs forget the byte behind an odd length."""
        unpadded = body + length
        padded = self.start + -(-(unpadded - self.start) // self.kind.align) * self.kind.align
        if padded - unpadded == 1 and padded < end:
            names = [self.window.read(position, 4) for position in (padded, unpadded)]
            if names[1] in _KNOWN and names[0] not in _KNOWN:
                self.padded = False
                return unpadded
        return padded

    def _outer_end(self) -> int | None:
        """Return where the form ends by its own length; None if this was not filled in."""
        if self.sound.magic == b"caff":
            return self.window.size
        if self.sound.magic == b"riff":
            length, = struct.unpack("<q", self.window.read(self.start + 16, 8))
            return None if is_placeholder(length) else self.start + length
        length, = struct.unpack(self.kind.length, self.window.read(self.start + 4, 4))
        wide = self.sound.bodies.get(b"ds64", b"")
        if self.sound.magic in _WIDE and len(wide) >= 16 and length == 0xFFFFFFFF:
            length, = struct.unpack("<Q", wide[:8])
        if is_placeholder(length) and self.start + 8 + length != self.window.size:
            return None
        return self.start + 8 + length

    def measure(self, declared: int, position: int) -> None:
        """Set position and length of the sound.

        Raises:
            ValueError: the lengths contradict each other.
        """
        sound, outer = self.sound, self._outer_end()
        wide = sound.bodies.get(b"ds64", b"")
        if sound.magic in _WIDE and not wide and declared == 0xFFFFFFFF:
            raise ValueError("damaged: its lengths (ds64) are missing")
        if sound.magic in _WIDE and len(wide) >= 16 and declared == 0xFFFFFFFF:
            declared, = struct.unpack("<Q", wide[8:16])
        chunk_end = position + declared
        if sound.magic == b"FORM":
            extra = 8 + int.from_bytes(self.window.read(position, 4), "big")
        else:
            extra = 4 if sound.magic == b"caff" else 0
        if self.kind.length[1] == "q" and declared < -1 - 24 or extra > max(8, declared) > 8:
            raise ValueError("damaged: its header contradicts itself: its sound has "
                             f"{declared} bytes and starts at {extra}")
        position, declared = position + extra, declared - extra
        present = max(0, self.window.size - position)
        sound.position = position
        if outer is not None and outer <= position:
            outer = None
        if outer is not None and declared <= 0 and 2 * (outer - position) < present:
            outer = None  # most of the sound is behind it
        end = outer if outer is not None and outer <= self.window.size else self.window.size
        if is_placeholder(declared) and (declared <= 0 or declared > present):
            if declared == 0 and self._rest(chunk_end, end):  # really empty
                return
            if outer is not None and outer - self.window.size > _MAX_MISSING:
                raise ValueError(f"truncated: only {self.window.size - self.start} of {outer - self.start} bytes")
            if outer is not None and end < self.window.size and not self.window.ends_harmlessly(end):
                raise ValueError(f"damaged: {self.window.size - end} bytes are behind its declared end")
            sound.length, sound.filled_in = end - position, False
            return
        whole = sound.magic != b"caff" and (outer is None or outer <= self.window.size)
        if declared - present > (_MAX_MISSING if whole else 0):
            raise ValueError(f"truncated: only {present} of {declared} bytes of sound")
        sound.length, sound.agrees = min(declared, present), declared <= present
        if outer is not None and declared <= present:
            self._compare(chunk_end, outer, end)

    def _compare(self, chunk_end: int, outer: int, end: int) -> None:
        """Raise a `ValueError` unless what follows the sound are chunks, up to the end of the form."""
        size = self.window.size
        if chunk_end > outer + _MAX_MISSING and abs(chunk_end - size) > _MAX_MISSING:
            raise ValueError(f"damaged: {chunk_end - outer} bytes of its sound are behind its declared end")
        if not self._rest(chunk_end, end):
            rest = self.window.read(chunk_end, min(end - chunk_end, 1 << 20))
            if any(rest) or not any(self.window.read(chunk_end - 64, 64)):
                raise ValueError(f"damaged: what follows its sound at byte {chunk_end} is no chunk")
            self.sound.agrees = False
            return
        over = self.reached - end
        if over > _MAX_OVER and not (outer > size and abs(self.reached - outer) <= _MAX_OVER):
            raise ValueError(f"damaged: the last chunk ends {over} bytes behind the end")
        if outer - size > _MAX_OVER and self.reached < outer - 8:
            raise ValueError(f"truncated: only {size - self.start} of {outer - self.start} bytes")

    def _rest(self, position: int, end: int) -> bool:
        """Whether chunks lead from a position, with or without a pad byte, to the end."""
        odd = (position - self.start) % self.kind.align
        candidates = [position + (-odd % self.kind.align), *([position] if odd and self.kind.align == 2 else [])]
        for candidate in candidates:
            self.reached = candidate
            for name, length, _ in self.chunks(candidate, end):
                if name == self.kind.sound and length > 0:
                    raise ValueError("damaged: two chunks of sound")
            if self.reached + 4 + struct.calcsize(self.kind.length) > end:
                return True
        return False
