"""WAV files that are read without a decoder: bit for bit what libsndfile reads, and nothing that is odd."""

import numpy as np
import pytest
import soundfile as sf

from melgan_tf.audio import decode, headers
from melgan_tf.audio.window import Window
from melgan_tf.errors import DecodeError

RATE = 22_050
DTYPES = {"PCM_S8": np.int16, "PCM_U8": np.int16, "PCM_16": np.int16, "PCM_24": np.int32, "PCM_32": np.int32,
          "FLOAT": np.float32, "DOUBLE": np.float64, "ALAW": np.int16, "ULAW": np.int16}
FORMS = {"WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"),
         "WAVEX": ("PCM_16", "PCM_24", "FLOAT"), "RF64": ("PCM_16", "PCM_24"), "W64": ("PCM_16", "PCM_24", "FLOAT"),
         "AIFF": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"),
         "CAF": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW")}
CASES = [(form, subtype, endian) for form, subtypes in FORMS.items() for subtype in subtypes
         for endian in (("FILE", "BIG") if form == "WAV" else ("FILE", "LITTLE") if form in ("AIFF", "CAF") and
                        subtype in ("PCM_16", "PCM_24") else ("FILE",))
         if (form, subtype, endian) != ("AIFF", "PCM_24", "LITTLE")]


def write(path, subtype, channels, frames=3001, form="WAV", endian=None):
    """Every bit of a sample is set in some and clear in others; the extremes are among them."""
    rng = np.random.default_rng(frames)
    if subtype in ("FLOAT", "DOUBLE"):
        samples = rng.normal(0, 0.5, (frames, channels)).astype(DTYPES[subtype])
    else:
        limits = np.iinfo(DTYPES[subtype])
        samples = rng.integers(limits.min, limits.max, (frames, channels), DTYPES[subtype], endpoint=True)
        samples[:2] = [[limits.min] * channels, [limits.max] * channels]
    sf.write(path, samples, RATE, subtype, format=form, endian=endian)
    return path


def layout(path):
    with open(path, "rb", buffering=0) as file:
        return headers.parse(file, Window(file.fileno()), 0).pcm


@pytest.mark.parametrize(("form", "subtype", "endian"), CASES)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_samples_are_those_that_libsndfile_reads(tmp_path, form, subtype, endian, channels):
    path = write(tmp_path / "a.wav", subtype, channels, form=form, endian=endian)
    wanted, rate = sf.read(path, dtype="float32", always_2d=True)
    found = layout(path)
    assert (found.frames, found.channels, found.rate) == (len(wanted), channels, rate)
    blocks = list(decode.decode(path))
    assert {rate for rate, _ in blocks} == {RATE}
    mono = wanted[:, 0] if channels == 1 else wanted @ np.full(channels, 1 / channels, np.float32)
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), mono)


@pytest.mark.parametrize("subtype", FORMS["WAV"])
def test_no_decoder_is_asked(tmp_path, monkeypatch, subtype):
    path = write(tmp_path / "a.wav", subtype, 2)
    monkeypatch.setattr(decode, "_Stream", None)
    monkeypatch.setattr(decode, "ffmpeg", None)
    assert sum(len(block) for _, block in decode.decode(path)) == 3001


def test_blocks_joined_are_the_whole(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", "PCM_24", 2, frames=10_000)
    whole = np.concatenate([block for _, block in decode.decode(path)])
    monkeypatch.setattr(decode, "_BLOCK_VALUES", 1234)
    parts = [block for _, block in decode.decode(path)]
    assert len(parts) == 17
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", "PCM_16", 1, frames=20_000)
    monkeypatch.setattr(decode, "_BLOCK_VALUES", 5_000)
    blocks = decode.decode(path)
    next(blocks)
    with open(path, "r+b") as file:
        file.truncate(20_000)
    with pytest.raises(DecodeError, match=r"only \d+ of 20000 samples$"):
        list(blocks)


def test_numbers_that_are_none_are_refused(tmp_path):
    path = tmp_path / "a.wav"
    samples = np.zeros(500, np.float32)
    samples[77] = np.nan
    sf.write(path, samples, RATE, "FLOAT")
    with pytest.raises(DecodeError, match="NaN"):
        list(decode.decode(path))
