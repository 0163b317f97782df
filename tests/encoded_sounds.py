"""Sound files as bytes, whole or damaged, for the tests of decoding."""

from __future__ import annotations

import io
import re
import struct

import numpy as np
import pytest
import soundfile as sf
from sound_formats import write_by_ffmpeg

from melgan_tf.audio import read as audio
from melgan_tf.errors import DecodeError

RATE = 44_100


def tone(seconds=0.5, hz=440.0, rate=RATE, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(samples, seed=0, level=0.1):
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def encoded(samples, fmt="WAV", subtype="PCM_16", rate=RATE, endian=None):
    """The bytes of a sound file, by libsndfile."""
    file = io.BytesIO()
    sf.write(file, samples, rate, format=fmt, subtype=subtype, endian=endian)
    return file.getvalue()


def by_ffmpeg(path, samples, codec, container, sample_format, rate=RATE, muxer=None):
    """Writes a mono sound file by FFmpeg and returns its bytes."""
    write_by_ffmpeg(str(path), samples, codec, container, sample_format, rate, muxer or {})
    return path.read_bytes()


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def wav(chunks, riff=None):
    """A WAV file from its chunks, with a truthful outer length unless another is given."""
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def fmt_chunk(rate=RATE, code=1, bits=16, channels=1):
    width = bits // 8 * channels
    return chunk(b"fmt ", struct.pack("<HHIIHH", code, channels, rate, rate * width % 2**32, width, bits))


def with_data_length(content, length):
    """The WAV file with another length in the header of its data chunk."""
    at = content.index(b"data") + 4
    return content[:at] + struct.pack("<I", length) + content[at + 4:]


def strongest_hz(samples, rate):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * rate / len(samples)


def db(ratio):
    return 20 * np.log10(ratio)


def refused(path, reason, function=lambda path: audio.load(path, 16_000)):
    """Checks that the file is refused for that reason, in one line that names it."""
    with pytest.raises(DecodeError) as caught:
        function(path)
    assert re.search(reason, caught.value.reason)
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
