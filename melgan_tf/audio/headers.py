"""What the headers of WAV, AIFF and CAF files say, held against what is there, before `melgan_tf.audio.decode` reads
them.

libsndfile reads less of a torn file without a word, and misreads some. So the chunks are walked through, up to the
sound.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from io import FileIO

from melgan_tf.errors import DecodeError

LOWEST_RATE, HIGHEST_RATE = 1_000, 1_536_000  # Hz that a file may claim; beyond lie damaged headers

_CHUNK_MAGIC = {  # first bytes: (layout of a chunk's length, where the first chunk begins)
    b"RIFF": ("<I", 12), b"RF64": ("<I", 12), b"RIFX": (">I", 12), b"FORM": (">I", 12), b"caff": (">q", 8)}
_MAX_CHUNKS = 1000
_PCM, _FLOAT, _EXTENSIBLE = 0x1, 0x3, 0xFFFE  # formats of WAV
_PLAIN = {(_PCM, 16), (_PCM, 24), (_FLOAT, 32)}  # format and bits of samples that lie in the file as they are
_MAX_CHANNELS = 1024  # libsndfile's limit, too
_MPEG_IN_WAV = (0x50, 0x55)  # WAVE_FORMAT_MPEG, WAVE_FORMAT_MPEGLAYER3
_OPEN_LENGTHS = range(0x7FFF0000, 1 << 32)  # what programs write that cannot go back to fill in the length
_TORN_BYTES = 256  # headers that promise a little more sound than there is come from careless programs, not from damage
_GUID = bytes.fromhex("000000001000800000aa00389b71")  # of the formats that EXTENSIBLE took over


@dataclass(frozen=True)
class Layout:
    """Little-endian samples of a file, channels interleaved.

    Attributes:
        rate: Hz.
        channels: 1 or more.
        bits: of a sample: 16, 24, or 32 for floating point.
        position: of the first byte.
        frames: samples of each channel.
    """

    rate: int
    channels: int
    bits: int
    position: int
    frames: int


@dataclass(frozen=True)
class Headers:
    """What was found.

    Attributes:
        needs_ffmpeg: libsndfile would misread the file: MPEG in WAV, or a WAV whose length was never filled in.
        pcm: where the samples of a plain and whole WAV lie.
    """

    needs_ffmpeg: bool = False
    pcm: Layout | None = None


def look(file: FileIO, head: bytes) -> Headers:
    """Walks through the chunks up to the sound.

    Args:
        file: at any position, which is kept.
        head: its first bytes.

    Raises:
        DecodeError: sound is missing, or the sample rate is none.
    """
    if head[:4] not in _CHUNK_MAGIC:
        return Headers()
    layout, position = _CHUNK_MAGIC[head[:4]]
    size, wide, form, plain = os.fstat(file.fileno()).st_size, None, b"", head[:4] == b"RIFF" and head[8:12] == b"WAVE"
    for _ in range(_MAX_CHUNKS):
        header = os.pread(file.fileno(), 4 + struct.calcsize(layout), position)
        if len(header) < 4 + struct.calcsize(layout):
            return Headers()
        kind, length, position = header[:4], struct.unpack(layout, header[4:])[0], position + len(header)
        if kind == b"fmt ":
            plain = plain and not form  # of two formats libsndfile takes the first
            body = os.pread(file.fileno(), 40, position)
            form = body[:max(0, length)]
            if len(body) >= 8:
                codec, _, rate = struct.unpack(layout[0] + "HHI", body[:8])
                check_rate(file, rate)
                if codec in _MPEG_IN_WAV:
                    return Headers(needs_ffmpeg=True)
        elif kind == b"ds64":  # the 64-bit lengths of RF64
            lengths = os.pread(file.fileno(), 16, position)
            wide = struct.unpack("<Q", lengths[8:])[0] if len(lengths) == 16 else wide
        elif kind in (b"data", b"SSND"):
            if _is_open(file, head, length if wide is None else wide, position, size - position):
                return Headers(needs_ffmpeg=True)
            plain = plain and length <= size - position and not _more_sound(file, position + length + (length & 1))
            return Headers(pcm=_plain(form, position, length) if plain else None)
        position += length + (length & 1 if head[:4] != b"caff" else 0)
        if length < 0 or position >= size or kind == b"\0\0\0\0":
            return Headers()
    return Headers()


def _more_sound(file: FileIO, position: int) -> bool:
    """Whether another ``data`` chunk follows in a WAV, which libsndfile takes for the sound."""
    for _ in range(_MAX_CHUNKS):
        header = os.pread(file.fileno(), 8, position)
        if len(header) < 8 or header[:4] == b"data":
            return len(header) == 8
        position += 8 + (length := struct.unpack("<I", header[4:])[0]) + (length & 1)
    return True


def _is_open(file: FileIO, head: bytes, declared: int, position: int, present: int) -> bool:
    """Holds the declared bytes of sound against those present; tells whether a WAV was left with its lengths open."""
    if declared == 0 and head[:4] == b"RIFF":  # nothing in it, unless the outer length ends before the sound, too
        outer = struct.unpack("<I", head[4:8])[0]
        return present > 0 and (outer + 8 <= position or outer in _OPEN_LENGTHS)
    if declared > 0 and declared not in _OPEN_LENGTHS and declared - present > _TORN_BYTES:
        raise DecodeError(file.name, f"truncated: {max(present, 0)} of {declared} bytes of sound are there")
    return False


def _plain(form: bytes, position: int, length: int) -> Layout | None:
    """Where the samples lie, if a WAV's ``fmt`` chunk says that they are plain and nothing is odd about it."""
    if len(form) < 16:
        return None
    codec, channels, rate, _, block, bits = struct.unpack("<HHIIHH", form[:16])
    if codec == _EXTENSIBLE and len(form) == 40 and form[18:20] == form[14:16] and form[26:] == _GUID:
        codec = struct.unpack("<H", form[24:26])[0]
    if ((codec, bits) not in _PLAIN or not 1 <= channels <= _MAX_CHANNELS or block != channels * bits // 8
            or length % block or not length):
        return None
    return Layout(rate, channels, bits, position, length // block)


def check_rate(file: FileIO, rate: int) -> int:
    """The sample rate, Hz, if a sound may have it.

    Raises:
        DecodeError: else.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise DecodeError(file.name, f"damaged: its header says a sample rate of {rate} Hz")
    return rate
