"""How samples become files: lengths, levels, rates, and what is refused; against NumPy, SciPy and libsndfile."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from scipy.signal import resample

from melgan_tf.audio.delivery import Delivery, deliver
from melgan_tf.dsp.loudness import loudness
from melgan_tf.errors import UsageError

RATE = 16_000


def hit(seconds: float = 0.5, decay: float = 12.0, peak: float = 0.6) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (peak * np.exp(-decay * time) * np.cos(2 * np.pi * 200 * time)).astype(np.float32)


@pytest.fixture
def delivered(tmp_path):
    """What libsndfile reads of a delivered sound."""
    def read(sound: np.ndarray, loop: bool = False, **options):
        delivery = Delivery(**options)
        path = tmp_path / f"x.{delivery.format}"
        made = deliver(path, sound, RATE, delivery, loop=loop)
        samples, rate = soundfile.read(path)
        assert len(samples) == made.samples
        return samples, rate, made
    return read


def test_by_default_a_sound_is_turned_up_and_otherwise_as_it_is(delivered):
    samples, rate, _ = delivered(hit())
    wanted = np.rint(hit() * np.float32(10 ** (-1 / 20) / 0.6) * 32768) / 32768
    np.testing.assert_array_equal(samples, wanted)
    assert rate == RATE


@pytest.mark.parametrize("channels", [1, 2])
def test_equally_loud(delivered, channels):
    for decay in (8.0, 30.0):
        samples, rate, _ = delivered(hit(decay=decay), normalize="lufs", lufs=-24, channels=channels, bit_depth="24")
        one = samples if channels == 1 else samples[:, 0]
        assert loudness(one, rate, channels) == pytest.approx(-24, abs=0.02)


def test_loudness_ends_at_the_peak(delivered):
    samples, rate, made = delivered(hit(decay=60.0), normalize="lufs", lufs=-3)
    assert np.abs(samples).max() == pytest.approx(0.891, abs=1e-3)
    assert loudness(samples, rate) == pytest.approx(-3 - made.below_lufs, abs=0.02)


def test_what_would_clip_is_turned_down_and_said(delivered):
    samples, _, made = delivered(hit(peak=1.5), normalize="none")
    assert np.abs(samples).max() == pytest.approx(1, abs=1e-4)
    assert made.turned_down_db == pytest.approx(3.52, abs=0.01)
    samples, _, made = delivered(hit(peak=1.5), normalize="none", bit_depth="32f")
    assert (np.abs(samples).max(), made.turned_down_db) == (1.5, 0)


def test_silence_stays_silence(delivered):
    for level in ("peak", "lufs", "none"):
        assert not delivered(np.zeros(800, np.float32), normalize=level)[0].any()


@pytest.mark.parametrize("rate", [44_100, 48_000, 8_000])
def test_another_rate(delivered, rate):
    """Against resampling by Fourier transform, away from the ends."""
    time = np.arange(RATE) / RATE
    tone = (0.5 * np.sin(2 * np.pi * 440 * time) * np.hanning(RATE)).astype(np.float32)
    samples, found, _ = delivered(tone, sample_rate=rate, normalize="none", bit_depth="32f")
    assert (len(samples), found) == (rate, rate)
    np.testing.assert_allclose(samples, resample(tone, rate), atol=1e-4)


@pytest.mark.parametrize("length", [1_600, 16_000])
def test_a_loop_at_another_rate_has_no_seam(delivered, length):
    tone = (0.5 * np.sin(2 * np.pi * 4 * np.arange(length) / length)).astype(np.float32)
    samples, _, _ = delivered(tone, loop=True, sample_rate=48_000, normalize="none", bit_depth="32f")
    wanted = 0.5 * np.sin(2 * np.pi * 4 * np.arange(3 * length) / (3 * length))
    np.testing.assert_allclose(samples, wanted, atol=1e-3)


def test_trim_ends_where_the_sound_has_ended(delivered):
    sound = np.concatenate([hit(0.6, decay=23.0), np.zeros(RATE, np.float32)])  # 60 dB down after 0.3 s
    samples, _, _ = delivered(sound, trim=True, bit_depth="32f", normalize="none")
    assert 0.29 * RATE < len(samples) < 0.33 * RATE
    assert samples[-1] == 0
    np.testing.assert_array_equal(samples[:4_000], sound[:4_000])


def test_what_is_cut_off_is_faded_out_unless_it_is_a_loop(delivered):
    for options in ({}, {"trim": True}):
        samples, _, made = delivered(hit(decay=1.0), **options)
        assert len(samples) == len(hit())
        assert np.abs(samples[-400:]).max() < 0.04
        assert made.cut_off
    for options in ({"tail": 0.0}, {"loop": True}):
        samples, _, made = delivered(hit(decay=1.0), **options)
        assert np.abs(samples[-400:]).max() > 0.2
        assert not made.cut_off
    assert not delivered(hit(decay=30.0))[2].cut_off


def test_tail_and_seconds(delivered):
    samples, _, _ = delivered(hit(decay=0.0), tail=0.25, normalize="none", bit_depth="32f")
    middle = samples[5_600:6_400]  # 0.35 to 0.4 s: halfway down the cosine
    assert np.abs(middle).max() / 0.6 == pytest.approx(0.65, abs=0.05)
    samples, _, _ = delivered(hit(decay=0.0), seconds=0.2)
    assert (len(samples), samples[-1]) == (3_200, 0)


def test_blocks_make_no_difference(delivered, monkeypatch):
    options = {"trim": True, "sample_rate": 22_050, "normalize": "lufs", "bit_depth": "24"}
    whole = delivered(hit(decay=3.0), **options)[0]
    monkeypatch.setattr("melgan_tf.audio.delivery.BLOCK_SAMPLES", 1_000)
    np.testing.assert_allclose(delivered(hit(decay=3.0), **options)[0], whole, atol=2**-22)


@pytest.mark.parametrize(("values", "part"), [
    ({"format": "mp3"}, "give wav, flac, aiff, ogg"), ({"format": "flac", "bit_depth": "32f"}, "give 16 or 24"),
    ({"bit_depth": "8"}, "give 16 or 24 or 32f"), ({"sample_rate": 10}, "8000 to 192000"), ({"channels": 3}, "1, 2"),
    ({"normalize": "rms"}, "peak, lufs, none"), ({"lufs": 3}, "-70 to 0"), ({"tail": -1}, "tail is -1"),
    ({"date": "yesterday"}, "YYYY-MM-DD"), ({"seconds": float("nan")}, "seconds is nan")])
def test_what_cannot_be(values, part):
    with pytest.raises(UsageError, match=part):
        Delivery(**values)


def test_a_delivery_survives_as_json():
    delivery = Delivery(format="aiff", bit_depth="32f", sample_rate=48_000, trim=True, tail=0.1, date="2026-11-29")
    assert Delivery.from_json(json.loads(json.dumps(delivery.to_json()))) == delivery
    assert Delivery().to_json() == {}
    for wrong in ({"trim": "yes"}, {"colour": 1}, {"sample_rate": "x"}):
        with pytest.raises(TypeError):
            Delivery.from_json(wrong)
    with pytest.raises(UsageError, match="no 'colour'"):
        Delivery().changed({"colour": 1})
