"""WAV files that are read without a decoder: bit for bit what libsndfile reads, and nothing that is odd."""

import struct

import numpy as np
import pytest
import soundfile as sf

from melgan_tf.audio import decode, headers
from melgan_tf.errors import DecodeError

RATE = 22_050
SUBTYPES = {"PCM_16": np.int16, "PCM_24": np.int32, "FLOAT": np.float32}


def write(path, subtype, channels, frames=3001, form="WAV"):
    """Every bit of a sample is set in some and clear in others; the extremes are among them."""
    rng = np.random.default_rng(frames)
    if subtype == "FLOAT":
        samples = rng.normal(0, 0.5, (frames, channels)).astype(np.float32)
    else:
        limits = np.iinfo(SUBTYPES[subtype])
        samples = rng.integers(limits.min, limits.max, (frames, channels), SUBTYPES[subtype], endpoint=True)
        samples[:2] = [[limits.min] * channels, [limits.max] * channels]
    sf.write(path, samples, RATE, subtype, format=form)
    return path


def layout(path):
    with open(path, "rb", buffering=0) as file:
        return headers.parse(file, file.read(4096)).pcm


@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_samples_are_those_that_libsndfile_reads(tmp_path, monkeypatch, subtype, form, channels):
    path = write(tmp_path / "a.wav", subtype, channels, form=form)
    wanted, rate = sf.read(path, dtype="float32", always_2d=True)
    found = layout(path)
    assert (found.frames, found.channels, found.rate) == (3001, channels, rate)
    blocks = list(decode.decode(path))
    assert {rate for rate, _ in blocks} == {RATE}
    mono = wanted[:, 0] if channels == 1 else wanted @ np.full(channels, 1 / channels, np.float32)
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), mono)
    monkeypatch.setattr(headers, "_PLAIN", set())  # by libsndfile itself
    np.testing.assert_array_equal(np.concatenate([block for _, block in decode.decode(path)]), mono)


@pytest.mark.parametrize("subtype", SUBTYPES)
def test_no_decoder_is_asked(tmp_path, monkeypatch, subtype):
    path = write(tmp_path / "a.wav", subtype, 2)
    monkeypatch.setattr(decode, "_Stream", None)
    monkeypatch.setattr(decode, "_open_by_ffmpeg", None)
    assert sum(len(block) for _, block in decode.decode(path)) == 3001


def test_blocks_joined_are_the_whole(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", "PCM_24", 2, frames=10_000)
    whole = np.concatenate([block for _, block in decode.decode(path)])
    monkeypatch.setattr(decode, "_BLOCK_VALUES", 1234)
    parts = [block for _, block in decode.decode(path)]
    assert len(parts) == 17
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def fmt(code=1, channels=1, bits=16, block=None, tail=b""):
    block = channels * bits // 8 if block is None else block
    body = struct.pack("<HHIIHH", code, channels, RATE, RATE * block, block, bits) + tail
    return b"fmt " + struct.pack("<I", len(body)) + body


DATA = np.random.default_rng(0).bytes(4000)


def riff(*chunks, data=DATA, declared=None):
    body = b"".join(chunks) + b"data" + struct.pack("<I", len(data) if declared is None else declared) + data
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def extensible(guid=headers._GUID, valid=16, code=1):
    return struct.pack("<HHI", 22, valid, 4) + struct.pack("<H", code) + guid


FILES = {
    "plain": (riff(fmt()), True),
    "chunks before": (riff(b"junk" + struct.pack("<I", 3) + b"abc\0", fmt()), True),
    "two formats": (riff(fmt(), fmt(channels=2)), False),
    "more sound behind": (riff(fmt()) + b"data" + struct.pack("<I", 100) + DATA[:100], False),
    "more sound behind others": (riff(fmt()) + b"LIST" + struct.pack("<I", 3) + b"INF\0data" + struct.pack("<I", 100)
                                 + DATA[:100], False),
    "chunks behind": (riff(fmt()) + b"LIST" + struct.pack("<I", 4) + b"INFO", True),
    "extensible": (riff(fmt(0xFFFE, tail=extensible())), True),
    "extensible, another format": (riff(fmt(0xFFFE, tail=extensible(code=6))), False),
    "extensible, a foreign GUID": (riff(fmt(0xFFFE, tail=extensible(guid=bytes(14)))), False),
    "extensible, 12 of 16 bits": (riff(fmt(0xFFFE, tail=extensible(valid=12))), False),
    "extensible, cut short": (riff(fmt(0xFFFE, tail=extensible()[:20])), False),
    "8 bits": (riff(fmt(bits=8)), False),
    "24 bits in 4 bytes": (riff(fmt(bits=24, block=4)), False),
    "A-law": (riff(fmt(code=6, bits=8)), False),
    "16 bits of floating point": (riff(fmt(code=3)), False),
    "no channels": (riff(fmt(channels=0, block=2)), False),
    "half a frame": (riff(fmt(channels=2), data=DATA + b"ab"), False),
    "a few bytes less than declared": (riff(fmt(), declared=4100), False),
    "no sound": (riff(fmt(), data=b""), False),
    "no format": (riff(), False),
    "a short format": (riff(b"fmt " + struct.pack("<I", 14) + fmt()[8:22]), False),
}


@pytest.mark.parametrize("name", FILES)
def test_only_plain_files_are_read_so(tmp_path, monkeypatch, name):
    content, plain = FILES[name]
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert (layout(path) is not None) == plain

    def outcome():
        try:
            return [(rate, block.tolist()) for rate, block in decode.decode(path)]
        except DecodeError as error:
            return str(error)

    ours = outcome()
    monkeypatch.setattr(headers, "_PLAIN", set())
    assert ours == outcome()  # with a decoder the result is the same


def test_a_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", "PCM_16", 1, frames=20_000)
    monkeypatch.setattr(decode, "_BLOCK_VALUES", 5_000)
    blocks = decode.decode(path)
    next(blocks)
    with open(path, "r+b") as file:
        file.truncate(20_000)
    with pytest.raises(DecodeError, match="some of its 20000 samples are missing"):
        list(blocks)


def test_numbers_that_are_none_are_refused(tmp_path):
    path = tmp_path / "a.wav"
    samples = np.zeros(500, np.float32)
    samples[77] = np.nan
    sf.write(path, samples, RATE, "FLOAT")
    with pytest.raises(DecodeError, match="NaN"):
        list(decode.decode(path))
