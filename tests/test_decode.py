"""Decoding, against NumPy, librosa and the properties of a sine; whole folders; fades and onsets.

For every format see test_formats.py, for damaged files test_damaged_sounds.py.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys

import librosa
import numpy as np
import pytest
from encoded_sounds import RATE, chunk, db, encoded, fmt_chunk, noise, tone, wav, with_data_length

from melgan_tf.audio import read as audio
from melgan_tf.errors import UsageError


def test_load_reads_unsigned_bytes_and_many_channels_by_ffmpeg(put):
    """A WAV whose lengths were never filled in goes to FFmpeg whatever is in it."""
    channels = np.stack([tone(hz=hz) for hz in (300, 500, 700)], axis=1)
    for subtype, tolerance in (("PCM_U8", 1 / 128), ("PCM_16", 1e-4), ("PCM_32", 1e-6), ("FLOAT", 1e-6)):
        content = encoded(channels, "WAV", subtype)
        content = b"RIFF\0\0\0\0" + with_data_length(content, 0)[8:]
        loaded = audio.load(put(content), RATE)[:len(channels)]
        np.testing.assert_allclose(loaded, channels.mean(axis=1), atol=tolerance)


def test_load_reads_flac_of_unknown_length(put):
    content = bytearray(encoded(tone(), "FLAC"))
    content[21] &= 0xF0  # the low half and four more bytes of STREAMINFO tell the number of samples
    content[22:26] = bytes(4)
    np.testing.assert_allclose(audio.load(put(bytes(content)), RATE), tone(), atol=1 / 32768)


def test_load_keeps_what_is_above_full_scale(put):
    assert np.abs(audio.load(put(encoded(3 * tone(), subtype="FLOAT")), RATE)).max() == pytest.approx(1.5, abs=1e-3)


# -- load: channels, rates, lengths ----------------------------------------------------------------------------------

@pytest.mark.parametrize("channels", [2, 3, 6])
def test_load_averages_channels(put, channels):
    samples = np.stack([noise(5000, seed) for seed in range(channels)], axis=1)
    loaded = audio.load(put(encoded(samples, subtype="FLOAT")), RATE)
    np.testing.assert_allclose(loaded, samples.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
def test_load_agrees_with_librosa(put, rate):
    path = put(encoded(np.stack([noise(rate // 2), tone(0.5, rate=rate)], axis=1), "FLAC", rate=rate))
    expected, _ = librosa.load(path, sr=16_000, mono=True)
    np.testing.assert_allclose(audio.load(path, 16_000), expected, atol=1e-5)


@pytest.mark.parametrize(("rate", "wanted"), [(44_100, 16_000), (48_000, 44_100), (11_025, 16_000), (192_000, 16_000),
                                              (35_467, 22_050)])
def test_resampling_keeps_a_sine(put, rate, wanted):
    loaded = audio.load(put(encoded(tone(1.0, 3000.0, rate), subtype="FLOAT", rate=rate)), wanted)
    assert len(loaded) == wanted
    inner = slice(wanted // 10, -wanted // 10)  # away from the ends, where the sound starts and stops abruptly
    np.testing.assert_allclose(loaded[inner], tone(1.0, 3000.0, wanted)[inner], atol=1e-4)


def test_resampling_removes_what_the_new_rate_cannot_hold(put):
    loaded = audio.load(put(encoded(tone(1.0, hz=9000.0), subtype="FLOAT")), 16_000)
    assert db(np.std(loaded[1600:-1600]) / np.std(tone())) < -100


def test_short_sounds_keep_at_least_one_sample(put):
    for length in (1, 2, 3, 20):
        loaded = audio.load(put(encoded(np.full(length, 0.5, np.float32))), 16_000)
        assert len(loaded) == max(1, round(length * 16_000 / RATE))
        assert np.abs(loaded).max() > 0.1
    assert audio.load(put(encoded(np.full(1, 0.5, np.float32))), RATE) == pytest.approx([0.5])


@pytest.mark.parametrize(("fmt", "subtype", "rate"), [
    ("WAV", "PCM_16", 44_100), ("FLAC", "PCM_16", 44_100), ("FLAC", "PCM_24", 192_000), ("OGG", "VORBIS", 48_000),
    ("MP3", "MPEG_LAYER_III", 44_100), ("WAV", "FLOAT", 8_000), ("WAV", "PCM_16", 16_000)])
def test_the_first_samples_do_not_depend_on_how_much_is_decoded(put, fmt, subtype, rate):
    path = put(encoded(noise(2 * rate), fmt, subtype, rate))
    whole = audio.load(path, 16_000)
    for count in (1, 100, 7999, 8000, 31_990, 32_000, 50_000):
        part = audio.load(path, 16_000, count)
        assert len(part) == min(count, len(whole))
        np.testing.assert_allclose(part, whole[:count], rtol=0, atol=1e-6)


def test_sounds_longer_than_a_block_have_no_seams(put):
    samples = noise(1_500_000)
    path = put(encoded(np.stack([samples, samples], axis=1), subtype="FLOAT"))
    np.testing.assert_allclose(audio.load(path, RATE), samples, atol=1e-7)
    expected, _ = librosa.load(path, sr=16_000)
    np.testing.assert_allclose(audio.load(path, 16_000), expected, atol=1e-5)


def test_only_the_beginning_of_a_long_file_is_read(put):
    two_hours = 2 * 3600 * RATE * 2
    path = put(wav([fmt_chunk(), b"data" + struct.pack("<I", two_hours)], riff=36 + two_hours))
    os.truncate(path, 44 + two_hours)

    def bytes_read():
        with open("/proc/self/io") as counters:
            return int(counters.readline().split()[1])

    before = bytes_read()
    assert len(audio.load(path, 16_000, 8000)) == 8000
    assert bytes_read() - before < 200_000


@pytest.mark.parametrize(("rate", "count"), [(0, 100), (16_000, 0), (16_000, -1)])
def test_load_refuses_invalid_arguments(put, rate, count):
    with pytest.raises(UsageError, match="give 1 or more"):
        audio.load(put(encoded(tone())), rate, count)


# -- load: headers that are odd but harmless -------------------------------------------------------------------------

@pytest.mark.parametrize(("riff", "data"), [
    (0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0), (36, 0), (0x7FFFFFFF, 0x7FFFFFDB), (0x7FFFF024, 0x7FFFF000),
    (0x80000024, 0x80000000)])
def test_a_streamed_wav_is_read_to_its_end(put, riff, data):
    content = with_data_length(encoded(tone()), data)
    loaded = audio.load(put(content[:4] + struct.pack("<I", riff) + content[8:]), RATE)
    np.testing.assert_allclose(loaded, tone(), atol=1 / 32768)


def test_harmless_oddities(put):
    data = (tone() * 32767).astype("<i2").tobytes()
    latin1 = chunk(b"LIST", b"INFO" + chunk(b"INAM", "Grosse Caisse à l'ancienne".encode("latin-1")))
    for content in (encoded(tone()) + bytes(range(256)) * 2,  # something after the end
                    wav([chunk(b"junk", b"x" * 27), fmt_chunk(), chunk(b"data", data)]),
                    wav([fmt_chunk(), latin1, chunk(b"data", data)]),
                    wav([fmt_chunk(), latin1, b"data\0\0\0\0", data], riff=0),
                    with_data_length(encoded(tone()), 2 * len(tone()) + 44)):  # the whole file's length by mistake
        loaded = audio.load(put(content), RATE)
        np.testing.assert_allclose(loaded, tone(), atol=1 / 16384)


def test_mp3_with_leftovers_at_its_end(put):
    loaded = audio.load(put(encoded(tone(), "MP3", "MPEG_LAYER_III") + b"\xff\xfb\x90\x44" + b"\x55" * 500), RATE)
    assert np.std(loaded[:len(tone())] - tone()) < 0.01


# -- measuring and shaping -------------------------------------------------------------------------------------------

def test_is_silent():
    assert audio.is_silent(np.zeros(100, np.float32))
    assert audio.is_silent(np.zeros(0, np.float32))
    assert audio.is_silent(np.array([0.00009, -0.00009]))
    assert not audio.is_silent(np.array([0.0, -0.0001]))
    assert audio.is_silent(np.array([0.0, -0.0001]), peak=0.001)


def test_onset_is_where_the_sound_begins():
    samples = np.concatenate([np.full(500, 1e-4), -tone()[10:]])
    assert audio.onset_sample(samples) == 500
    assert audio.onset_sample(samples, threshold_db=-90) == 0
    assert audio.onset_sample(np.array([0.1, 0.5, -1.0, 1.0]), threshold_db=0) == 2
    assert audio.onset_sample(np.zeros(10)) == 0
    assert audio.onset_sample(np.zeros(0)) == 0


def test_fade_out_is_half_a_cosine_on_a_copy():
    samples = np.ones((2, 1000), np.float32)
    faded = audio.fade_out(samples, 0.4, 1000)
    assert faded.dtype == np.float32
    assert (samples == 1).all()
    assert (faded[:, :600] == 1).all()
    np.testing.assert_allclose(faded[0, 600:], np.cos(np.pi / 2 * np.arange(1, 401) / 400) ** 2, atol=1e-6)
    assert (faded[:, -1] == 0).all()
    assert (audio.fade_out(samples[0], 0, 1000) == 1).all()
    assert audio.fade_out(samples[0], 10, 1000)[-1] == 0
    assert len(audio.fade_out(np.zeros(0), 1, 1000)) == 0
    for seconds in (-1, float("nan")):
        with pytest.raises(UsageError, match="give 0 or more"):
            audio.fade_out(samples, seconds, 1000)


def test_sounds_need_no_tensorflow():
    program = "import sys, melgan_tf.audio.read; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
