"""Checks of the headers of WAV, AIFF and CAF files, before `melgan_tf.audio.decode` reads them.

libsndfile silently reads less of a truncated file, and misreads some. So the chunks are parsed here, up to the sound.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from io import FileIO

from melgan_tf.errors import DecodeError

MIN_RATE, MAX_RATE = 1_000, 1_536_000  # Hz; other values are signs of a damaged header

_CHUNK_MAGIC = {  # first bytes: (format of a chunk's length, position of the first chunk)
    b"RIFF": ("<I", 12), b"RF64": ("<I", 12), b"RIFX": (">I", 12), b"FORM": (">I", 12), b"caff": (">q", 8)}
_MAX_CHUNKS = 1000
_PCM, _FLOAT, _EXTENSIBLE = 0x1, 0x3, 0xFFFE  # formats of WAV
_PLAIN = {(_PCM, 16), (_PCM, 24), (_FLOAT, 32)}  # format and bits of samples that need no decoder
_MAX_CHANNELS = 1024  # libsndfile's limit, too
_MPEG_IN_WAV = (0x50, 0x55)  # WAVE_FORMAT_MPEG, WAVE_FORMAT_MPEGLAYER3
_PLACEHOLDER_LENGTHS = range(0x7FFF0000, 1 << 32)  # written by programs that cannot seek back to fill in the length
_MAX_MISSING_BYTES = 256  # careless programs declare a little more sound than they write
_GUID = bytes.fromhex("000000001000800000aa00389b71")  # the common part of the GUIDs of the older formats


@dataclass(frozen=True)
class Layout:
    """The position and format of little-endian samples in a file, channels interleaved.

    Attributes:
        rate: Hz.
        channels: 1 or more.
        bits: per sample: 16, 24, or 32 for floating point.
        position: of the first byte.
        frames: samples per channel.
    """

    rate: int
    channels: int
    bits: int
    position: int
    frames: int


@dataclass(frozen=True)
class Headers:
    """The result of `parse`.

    Attributes:
        needs_ffmpeg: libsndfile would misread the file: MPEG in WAV, or a WAV whose length was never filled in.
        pcm: the samples of a plain, complete WAV.
    """

    needs_ffmpeg: bool = False
    pcm: Layout | None = None


def parse(file: FileIO, head: bytes) -> Headers:
    """Parse the chunks up to the sound.

    Args:
        file: its position does not change.
        head: its first bytes.

    Raises:
        DecodeError: samples are missing, or the sample rate is invalid.
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
            plain = plain and not form  # of two formats libsndfile uses the first
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
            if _has_placeholder_length(file, head, length if wide is None else wide, position, size - position):
                return Headers(needs_ffmpeg=True)
            plain = plain and length <= size - position and not _more_sound(file, position + length + (length & 1))
            return Headers(pcm=_plain(form, position, length) if plain else None)
        position += length + (length & 1 if head[:4] != b"caff" else 0)
        if length < 0 or position >= size or kind == b"\0\0\0\0":
            return Headers()
    return Headers()


def _more_sound(file: FileIO, position: int) -> bool:
    """Whether another ``data`` chunk follows in a WAV, which libsndfile would use instead."""
    for _ in range(_MAX_CHUNKS):
        header = os.pread(file.fileno(), 8, position)
        if len(header) < 8 or header[:4] == b"data":
            return len(header) == 8
        position += 8 + (length := struct.unpack("<I", header[4:])[0]) + (length & 1)
    return True


def _has_placeholder_length(file: FileIO, head: bytes, declared: int, position: int, present: int) -> bool:
    """Compare the declared and present bytes of sound; returns whether a WAV has only a placeholder for its length."""
    if declared == 0 and head[:4] == b"RIFF":  # empty, unless the outer length ends before the sound, too
        outer = struct.unpack("<I", head[4:8])[0]
        return present > 0 and (outer + 8 <= position or outer in _PLACEHOLDER_LENGTHS)
    if declared > 0 and declared not in _PLACEHOLDER_LENGTHS and declared - present > _MAX_MISSING_BYTES:
        raise DecodeError(file.name, f"truncated: only {max(present, 0)} of {declared} bytes of sound")
    return False


def _plain(form: bytes, position: int, length: int) -> Layout | None:
    """Return the layout of the samples if a WAV's ``fmt`` chunk is valid and declares plain samples."""
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
    """Return the sample rate, Hz.

    Raises:
        DecodeError: it is out of range.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise DecodeError(file.name, f"damaged: its header declares a sample rate of {rate} Hz")
    return rate
