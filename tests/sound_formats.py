"""One small sound in every format that melgan-tf reads, made by libsndfile and FFmpeg."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import soundfile as sf


@dataclass(frozen=True)
class Format:
    """A format: what writes it, and how near to the original its decoding must come (None: only its length counts).

    `slack` is how many seconds longer than the original the sound may be: lossy codecs without a record of what the
    encoder added, like raw AAC, give that too.
    """

    extension: str
    tolerance: float | None
    by: str
    arguments: tuple
    slack: float = 0.0


def _sf(extension, tolerance, container, subtype, endian=None, slack=0.0):
    return Format(extension, tolerance, "libsndfile", (container, subtype, endian), slack)


def _av(extension, tolerance, codec, container, sample_format, slack=0.0):
    return Format(extension, tolerance, "FFmpeg", (codec, container, sample_format), slack)


FORMATS = {
    "WAV 8-bit": _sf("wav", 2**-7, "WAV", "PCM_U8"),
    "WAV 16-bit": _sf("wav", 2**-15, "WAV", "PCM_16"),
    "WAV 24-bit": _sf("wav", 2**-23, "WAV", "PCM_24"),
    "WAV 32-bit": _sf("wav", 1e-7, "WAV", "PCM_32"),
    "WAV float": _sf("wav", 0, "WAV", "FLOAT"),
    "WAV double": _sf("wav", 0, "WAV", "DOUBLE"),
    "WAV A-law": _sf("wav", 0.02, "WAV", "ALAW"),
    "WAV mu-law": _sf("wav", 0.02, "WAV", "ULAW"),
    "WAV big-endian (RIFX)": _sf("wav", 2**-15, "WAV", "PCM_16", "BIG"),
    "WAV EXTENSIBLE 24-bit": _sf("wav", 2**-23, "WAVEX", "PCM_24"),
    "WAV EXTENSIBLE float": _sf("wav", 0, "WAVEX", "FLOAT"),
    "RF64 16-bit": _sf("wav", 2**-15, "RF64", "PCM_16"),
    "WAV of MP3": _av("wav", None, "libmp3lame", "wav", "fltp", slack=0.06),
    "AIFF 8-bit": _sf("aif", 2**-7, "AIFF", "PCM_S8"),
    "AIFF 16-bit": _sf("aiff", 2**-15, "AIFF", "PCM_16"),
    "AIFF 24-bit": _sf("aiff", 2**-23, "AIFF", "PCM_24"),
    "AIFF 32-bit": _sf("aiff", 1e-7, "AIFF", "PCM_32"),
    "AIFC float": _sf("aifc", 0, "AIFF", "FLOAT"),
    "AIFC double": _sf("aifc", 0, "AIFF", "DOUBLE"),
    "AIFC A-law": _sf("aifc", 0.02, "AIFF", "ALAW"),
    "AIFC mu-law": _sf("aifc", 0.02, "AIFF", "ULAW"),
    "AIFC little-endian (sowt)": _sf("aifc", 2**-15, "AIFF", "PCM_16", "LITTLE"),
    "CAF 16-bit": _sf("caf", 2**-15, "CAF", "PCM_16"),
    "CAF 24-bit": _sf("caf", 2**-23, "CAF", "PCM_24"),
    "CAF float": _sf("caf", 0, "CAF", "FLOAT"),
    "CAF ALAC": _sf("caf", 2**-15, "CAF", "ALAC_16"),
    "FLAC 8-bit": _sf("flac", 2**-7, "FLAC", "PCM_S8"),
    "FLAC 12-bit": Format("flac", 2**-11, "hand", (12,)),
    "FLAC 15-bit": Format("flac", 2**-14, "hand", (15,)),
    "FLAC 16-bit": _sf("flac", 2**-15, "FLAC", "PCM_16"),
    "FLAC 20-bit": Format("flac", 2**-19, "hand", (20,)),
    "FLAC 24-bit": _sf("flac", 2**-23, "FLAC", "PCM_24"),
    "FLAC 32-bit": _av("flac", 2e-7, "flac", "flac", "s32"),
    "Ogg Vorbis": _sf("ogg", 0.05, "OGG", "VORBIS"),
    "Ogg Opus": _sf("opus", 0.1, "OGG", "OPUS"),
    "Ogg FLAC": _av("oga", 2**-15, "flac", "ogg", "s16"),
    "MP3": _sf("mp3", 0.1, "MP3", "MPEG_LAYER_III"),
    "M4A AAC": _av("m4a", None, "aac", "ipod", "fltp", slack=0.03),
    "M4A ALAC": _av("m4a", 2**-15, "alac", "ipod", "s16p"),
    "AAC": _av("aac", None, "aac", "adts", "fltp", slack=0.06),
}


def tone(seconds: float = 0.25, hz: float = 997.0, rate: int = 48_000, level: float = 0.5) -> np.ndarray:
    """A sine."""
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def encode(name: str, samples: np.ndarray, rate: int = 48_000) -> bytes:
    """A mono sound in one of `FORMATS`."""
    wanted = FORMATS[name]
    file = io.BytesIO()
    if wanted.by == "libsndfile":
        container, subtype, endian = wanted.arguments
        sf.write(file, samples, rate, format=container, subtype=subtype, endian=endian)
        return file.getvalue()
    if wanted.by == "hand":
        return flac(samples, wanted.arguments[0], rate)
    write_by_ffmpeg(file, samples, *wanted.arguments, rate, {"strict": "experimental"})
    return file.getvalue()


def write_by_ffmpeg(file: io.BytesIO | str, samples: np.ndarray, codec: str, container: str, sample_format: str,
                    rate: int, muxer: dict[str, str]) -> None:
    """Writes a mono sound file."""
    kind = {"s16": np.int16, "s16p": np.int16, "s32": np.int32, "fltp": np.float32}[sample_format]
    values = samples if kind == np.float32 else integers(samples, 8 * np.dtype(kind).itemsize).astype(kind)
    options = {"bits_per_raw_sample": "32"} if kind == np.int32 else {}
    with av.open(file, "w", format=container, options=muxer) as out:
        stream = out.add_stream(codec, rate=rate, options=options)
        stream.codec_context.format, stream.codec_context.layout = sample_format, "mono"
        for start in range(0, len(values), 1024):
            frame = av.AudioFrame.from_ndarray(values[None, start:start + 1024], format=sample_format, layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Samples as integers of that many bits."""
    return np.clip(np.rint(samples * 2.0 ** (bits - 1)), -2 ** (bits - 1), 2 ** (bits - 1) - 1).astype(np.int64)


def flac(samples: np.ndarray, bits: int, rate: int = 48_000, block: int = 4096) -> bytes:
    """A FLAC file of any bit depth, its frames verbatim (RFC 9639): neither libsndfile nor FFmpeg write all of them."""
    values = integers(samples, bits)
    information = (rate << 44 | (bits - 1) << 36 | len(values)).to_bytes(8, "big")
    content = b"fLaC" + bytes((0x80, 0, 0, 34)) + struct.pack(">HH", block, block) + bytes(6) + information + bytes(16)
    size = {8: 1, 12: 2, 16: 4, 20: 5, 24: 6, 32: 7}.get(bits, 0)  # 0: see STREAMINFO
    for number, start in enumerate(range(0, len(values), block)):
        piece = values[start:start + block]
        header = bytes((0xFF, 0xF8, 0x70, size << 1, number)) + struct.pack(">H", len(piece) - 1)
        header += bytes((crc(header, 8, 0x07),))
        digits = "".join(format(int(value) & (1 << bits) - 1, f"0{bits}b") for value in piece)
        digits += "0" * (-len(digits) % 8)
        frame = header + bytes((2,)) + int(digits, 2).to_bytes(len(digits) // 8, "big")
        content += frame + crc(frame, 16, 0x8005).to_bytes(2, "big")
    return content


def crc(content: bytes, width: int, polynomial: int) -> int:
    """A cyclic redundancy check, most significant bit first."""
    value = 0
    for byte in content:
        value ^= byte << (width - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> (width - 1) & 1 else 0)) & (1 << width) - 1
    return value
