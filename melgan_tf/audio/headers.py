"""The headers of WAV, AIFF and CAF files -> position and format of plain samples, for `melgan_tf.audio.pcm`.

Decoders trust one field of a header and ignore those that contradict it; then noise or another pitch is the result.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from dataclasses import dataclass, field
from io import FileIO

from melgan_tf.audio import chunks
from melgan_tf.audio.window import Window
from melgan_tf.errors import DecodeError

MIN_RATE, MAX_RATE = 1_000, 1_536_000  # Hz; other values are signs of a damaged header

_MAX_CHANNELS = 1024  # libsndfile's limit, too
_PCM, _FLOAT, _ALAW, _ULAW, _EXTENSIBLE = 0x1, 0x3, 0x6, 0x7, 0xFFFE  # formats of WAV
_WAVE_CODES = {_PCM: "i", _FLOAT: "f", _ALAW: "a", _ULAW: "m"}
_MPEG_IN_WAV = (0x50, 0x55)  # WAVE_FORMAT_MPEG, WAVE_FORMAT_MPEGLAYER3
_GUID = bytes.fromhex("000000001000800000aa00389b71")  # the common part of the GUIDs of the older formats
_AIFC = {  # kind, bytes (0: those that the bits need) and byte order
    b"NONE": ("i", 0, ">"), b"twos": ("i", 0, ">"), b"in16": ("i", 2, ">"), b"in24": ("i", 3, ">"),
    b"in32": ("i", 4, ">"), b"sowt": ("i", 0, "<"), b"42ni": ("i", 3, "<"), b"23ni": ("i", 4, "<"),
    b"fl32": ("f", 4, ">"), b"FL32": ("f", 4, ">"), b"fl64": ("f", 8, ">"), b"FL64": ("f", 8, ">"),
    b"alaw": ("a", 1, ">"), b"ALAW": ("a", 1, ">"), b"ulaw": ("m", 1, ">"), b"ULAW": ("m", 1, ">"),
    b"raw ": ("u", 1, ">")}
_MAX_OTHER_FRAMES = 8  # between the number of samples in a header and what the sound has bytes for
_MAX_MISSING_FRAMES = 2304  # of lossy codecs, whose encoders add and trim a few frames at either end
NOT_FILLED_IN = "its header does not say how long it is: read to its end"
UNPADDED = "a chunk of odd length without a pad byte"
DOUBTFUL = "a number in its header contradicts the others: read by those that agree"
CONTRADICTION = "its header contradicts itself"


@dataclass(frozen=True)
class Layout:
    """The position and format of samples in a file, channels interleaved.

    Attributes:
        rate: Hz.
        channels: 1 or more.
        kind: "i" for integers, "u" for unsigned ones, "f" for floating point, "a" for A-law, "m" for mu-law.
        width: bytes of a sample.
        order: "<" or ">".
        bits: of its bytes' bits, those in use.
        position: of the first byte.
        frames: samples per channel.
        doubtful: whether a field contradicts the others, which agree.
    """

    rate: int
    channels: int
    kind: str
    width: int
    order: str
    bits: int
    position: int
    frames: int
    doubtful: bool = False


@dataclass(frozen=True)
class Headers:
    """The result of `parse`.

    Attributes:
        pcm: the layout of plain samples.
        needs_ffmpeg: libsndfile would misread the file.
        mpeg: start and end of MPEG audio in a WAV.
        notes: what is odd about the file, though its sound can be read.
    """

    pcm: Layout | None = None
    needs_ffmpeg: bool = False
    mpeg: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)


def parse(file: FileIO, window: Window, start: int) -> Headers:
    """Parse the chunks of a file in one of the containers of `chunks.KINDS`.

    Args:
        file: for its name.
        window: its bytes.
        start: behind the ID3v2 tags at its start.

    Raises:
        DecodeError: samples are missing, or numbers are invalid or contradict each other.
    """
    if not chunks.is_chunked_sound(window.read(start, 16)):
        return Headers()
    sound = chunks.find_sound(window, start, file.name)
    try:
        layout = _LAYOUTS[sound.kind.sound if sound.magic != b"caff" else b"caff"](sound, window)
    except (struct.error, OverflowError):
        raise DecodeError(file.name, "damaged: its header is incomplete") from None
    except ValueError as error:
        raise DecodeError(file.name, str(error)) from None
    notes = [] if sound.filled_in else [NOT_FILLED_IN]
    notes += [] if sound.padded else [UNPADDED]
    if isinstance(layout, Layout):
        check_rate(file, layout.rate)
        notes += [DOUBTFUL] if layout.doubtful or not sound.agrees and sound.filled_in else []
        return Headers(layout, notes=notes)
    mpeg = (sound.position, sound.position + sound.length) if layout in _MPEG_IN_WAV else None
    odd = not sound.filled_in or not sound.padded or sound.magic == b"BW64"
    return Headers(needs_ffmpeg=odd or mpeg is not None, mpeg=mpeg, notes=notes)


def _wave(sound: chunks.Sound, window: Window) -> Layout | int | None:
    form, order = sound.bodies.get(b"fmt ", b""), sound.kind.order
    if not form:
        return None
    code, channels, rate, second, block, bits = struct.unpack(order + "HHIIHH", form[:16])
    _check_rate(rate)
    if code == _EXTENSIBLE:
        if len(form) < 40 or form[26:40] != _GUID:
            return None
        code, = struct.unpack(order + "H", form[24:26])
    if code not in _WAVE_CODES:
        return code
    kind = _WAVE_CODES[code]
    width, doubtful = _width(channels, rate, second, block, bits, wide=kind == "i")
    if width not in {"i": (1, 2, 3, 4), "f": (4, 8)}.get(kind, (1,)):
        raise ValueError(f"of an unknown encoding: samples of {bits} bits in {width} bytes")
    if kind == "i" and width == 1:
        kind = "u"
    return _layout(sound, rate, channels, kind, width, order, bits, doubtful)


def _width(channels: int, rate: int, second: int, block: int, bits: int, wide: bool) -> tuple[int, bool]:
    """Return the bytes of a sample that most fields of a ``fmt`` chunk agree on, and whether one does not.

    Raises:
        ValueError: they contradict each other.
    """
    declared = -(-bits // 8)
    own = channels * declared
    if not 1 <= channels <= _MAX_CHANNELS or not 1 <= bits <= 64:
        raise ValueError(f"damaged: {channels} channels of {bits} bits")
    if block == own and (second == rate * block % 2**32 or second % rate == 0):
        return declared, second != rate * block % 2**32
    if second == rate * own % 2**32 or second % rate == 0 and block == 0:
        return declared, True  # only the block is wrong
    if wide and second == rate * block and block > own and block % channels == 0:
        return block // channels, True
    raise ValueError(f"damaged: {CONTRADICTION}: {channels} channels of {bits} bits at {rate} Hz in blocks of {block} "
                     f"bytes, {second} a second")


def _aiff(sound: chunks.Sound, window: Window) -> Layout | None:
    form = sound.bodies.get(b"COMM", b"")
    if not form:
        return None
    channels, frames, bits, exponent, mantissa = struct.unpack(">hIhHQ", form[:18])
    rate = _check_rate(math.ldexp(mantissa, exponent - 16383 - 63) if exponent < 17000 else math.inf)
    encoding = _AIFC.get(form[18:22] if sound.form == b"AIFC" else b"NONE")
    if encoding is None:
        return None
    kind, width, order = encoding
    if not 1 <= channels <= _MAX_CHANNELS or not 1 <= bits <= 64:
        raise ValueError(f"damaged: {channels} channels of {bits} bits")
    width = width or -(-bits // 8)
    if kind == "u" and bits > 8 or kind == "i" and width > 4:
        raise ValueError(f"of an unknown encoding: {form[18:22].decode('latin-1').strip()!r} samples of {bits} bits")
    bits = bits if kind == "i" and bits <= 8 * width else 8 * width
    agreed = sound.agrees
    layout = _layout(sound, rate, channels, kind, width, order, bits)
    if not chunks.is_placeholder(frames) and frames != layout.frames:
        if abs(frames - layout.frames) > _MAX_OTHER_FRAMES:
            raise ValueError(f"damaged: {CONTRADICTION}: {frames} samples in {sound.length} bytes of {layout.frames}")
        if sound.filled_in:
            layout = dataclasses.replace(layout, frames=min(frames, layout.frames))
    padding = sound.length - layout.frames * channels * width  # some programs count the byte behind an odd length
    sound.agrees = agreed and padding <= 1 and (frames == layout.frames or not sound.filled_in)
    return layout


def _caf(sound: chunks.Sound, window: Window) -> Layout | None:
    form = sound.bodies.get(b"desc", b"")
    if not form:
        return None
    hertz, codec, flags, packet, per, channels, bits = struct.unpack(">d4sIIIII", form[:32])
    rate = _check_rate(hertz)
    if codec not in (b"lpcm", b"alaw", b"ulaw"):
        if not packet:
            _check_packets(sound, window)
        return None
    kind = {b"alaw": "a", b"ulaw": "m"}.get(codec, "f" if flags & 1 else "i")
    width = packet // channels if channels else 0
    if (not 1 <= channels <= _MAX_CHANNELS or packet % channels or per != 1 or not 8 * width >= bits > 0
            or width not in {"i": (1, 2, 3, 4), "f": (4, 8)}.get(kind, (1,))):
        raise ValueError(f"damaged: {CONTRADICTION}: {channels} channels of {bits} bits in packets of {packet} bytes")
    return _layout(sound, rate, channels, kind, width, "<" if flags & 2 else ">", bits, 8 * width - bits >= 8)


def _check_packets(sound: chunks.Sound, window: Window) -> None:
    """Raise a `ValueError` if the lengths of a CAF file's packets are missing, or not those of its sound."""
    position, length = sound.places.get(b"pakt", (0, 0))
    if length < 24:
        raise ValueError("damaged: the table of its packets is missing")
    declared, = struct.unpack(">q", window.read(position, 8))
    packets = total = value = 0
    for byte in window.read(position + 24, length - 24):
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            total, packets, value = total + value, packets + 1, 0
            if packets == declared:
                break
    if packets != declared or total != sound.length:
        raise ValueError(f"damaged: {CONTRADICTION}: {total} bytes in {packets} of {declared} packets, "
                         f"{sound.length} bytes of sound")


def _layout(sound: chunks.Sound, rate: int, channels: int, kind: str, width: int, order: str, bits: int,
            doubtful: bool = False) -> Layout:
    frames, rest = divmod(sound.length, channels * width)
    sound.agrees = sound.agrees and not rest
    return Layout(rate, channels, kind, width, order, bits, sound.position, frames, doubtful)


_LAYOUTS = {b"data": _wave, b"SSND": _aiff, b"caff": _caf}


def _check_rate(rate: float) -> int:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ValueError(f"damaged: its header declares a sample rate of {rate:.0f} Hz")
    return round(rate)


def check_rate(file: FileIO, rate: int) -> int:
    """Return the sample rate, Hz.

    Raises:
        DecodeError: it is out of range.
    """
    try:
        return _check_rate(rate)
    except ValueError as error:
        raise DecodeError(file.name, str(error)) from None


def check_count(file: FileIO, done: int, declared: int, exact: bool) -> None:
    """Raise a `DecodeError` if fewer samples were decoded than declared; ``exact``: of a lossless codec."""
    if declared - done > (0 if exact else _MAX_MISSING_FRAMES):
        raise DecodeError(file.name, f"damaged or truncated: only {done} of {declared} samples")
