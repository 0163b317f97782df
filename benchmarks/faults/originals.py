"""The whole sounds that are damaged: every format that melgan-tf reads, in the forms that programs write them in.

`tests/sound_formats.py` has the formats; here are longer sounds, so that there are several pages and frames to damage,
and what recorders, taggers and streaming encoders make of them.
"""

from __future__ import annotations

import io
import struct
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile as sf
from sound_formats import FORMATS, encode

RATE = 48_000
_LOSSY = ("Ogg Vorbis", "Ogg Opus", "Ogg FLAC", "MP3", "AAC", "M4A AAC", "M4A ALAC", "WAV of MP3", "FLAC 16-bit",
          "FLAC 24-bit", "CAF ALAC")
_LIST = b"LIST" + struct.pack("<I", 27) + b"INFOISFT" + struct.pack("<I", 15) + b"a recorder 1.0\0" + b"\0"


@dataclass(frozen=True)
class Original:
    """A whole file.

    Attributes:
        name: of the format, and how long or in what form.
        extension: of its name.
        content: its bytes.
    """

    name: str
    extension: str
    content: bytes


def originals() -> list[Original]:
    """All of them; the same bytes for the same libraries."""
    short, stereo = _strokes(0.1), np.stack([_strokes(0.3, 1), _strokes(0.3, 2)], axis=1)
    long = _strokes(1.5, 3)
    found = [Original(name, form.extension, encode(name, short, RATE)) for name, form in FORMATS.items()]
    found += [Original(f"{name}, longer", FORMATS[name].extension, encode(name, long, RATE)) for name in _LOSSY]
    found += [Original(f"{name}, stereo", form.extension, encode(name, stereo, RATE))
              for name, form in FORMATS.items() if form.by == "libsndfile"]
    wav = encode("WAV 16-bit", stereo, RATE)
    found += [Original(name, extension, content) for name, extension, content in (
        ("WAV with tags", "wav", _outer(wav[:12] + _LIST + wav[12:] + _LIST)),
        ("WAV without lengths", "wav", wav[:4] + b"\xff" * 4 + wav[8:40] + b"\xff" * 4 + wav[44:]),
        ("WAV behind ID3", "wav", _ID3 + wav), ("AIFF behind ID3", "aif", _ID3 + encode("AIFF 16-bit", stereo, RATE)),
        ("WAV IMA ADPCM", "wav", _sndfile(long, "WAV", "IMA_ADPCM")),
        ("WAV MS ADPCM", "wav", _sndfile(long, "WAV", "MS_ADPCM")),
        ("Wave64 16-bit", "wav", _sndfile(stereo, "W64", "PCM_16")),
        ("CAF A-law", "caf", _sndfile(stereo, "CAF", "ALAW")),
        ("MP3 without Xing", "mp3", _ffmpeg(long, "libmp3lame", "mp3", write_xing="0", id3v2_version="0")),
        ("MP3 with ID3", "mp3", _ID3 + _ffmpeg(long, "libmp3lame", "mp3", write_id3v1="1", id3v2_version="0")),
        ("M4A for streaming", "m4a", _ffmpeg(long, "aac", "ipod", movflags="faststart")),
        ("M4A in fragments", "m4a", _ffmpeg(long, "aac", "mp4", movflags="frag_keyframe+empty_moov")),
        ("Ogg Opus by FFmpeg", "opus", _ffmpeg(long, "libopus", "ogg", page_duration="200000")),
        ("Ogg FLAC by FFmpeg", "oga", _ffmpeg(long, "flac", "ogg", "s16", page_duration="200000")),
    )]
    return found


def _strokes(seconds: float, seed: int = 0) -> np.ndarray:
    """A tone with an attack every 0.3 s, and noise: no part is silent, none is like another."""
    at = np.arange(round(seconds * RATE)) / RATE
    tone = 0.5 * np.sin(2 * np.pi * (997 + 211 * seed) * at + 3 * at**2) * np.exp(-8 * (at % 0.3))
    return (tone + 0.02 * np.random.default_rng(seed).standard_normal(len(at))).astype(np.float32)


_ID3 = b"ID3\x03\0\0\0\0\x02\0" + b"TIT2" + struct.pack(">IH", 6, 0) + b"\0stick" + bytes(240)


def _outer(content: bytes) -> bytes:
    return content[:4] + struct.pack("<I", len(content) - 8) + content[8:]


def _sndfile(samples: np.ndarray, container: str, subtype: str) -> bytes:
    file = io.BytesIO()
    sf.write(file, samples, RATE, format=container, subtype=subtype)
    return file.getvalue()


def _ffmpeg(samples: np.ndarray, codec: str, container: str, form: str = "", **muxer: str) -> bytes:
    form = form or {"libmp3lame": "fltp", "aac": "fltp", "libopus": "flt"}[codec]
    values = (samples * 32767).astype(np.int16) if form == "s16" else samples
    with tempfile.NamedTemporaryFile() as file:  # "faststart" reads it again
        with av.open(file.name, "w", format=container, options=muxer) as out:
            stream = out.add_stream(codec, rate=RATE)
            stream.codec_context.format, stream.codec_context.layout = form, "mono"
            for start in range(0, len(values), 960):
                frame = av.AudioFrame.from_ndarray(values[None, start:start + 960], format=form, layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return Path(file.name).read_bytes()
