"""Loudness, against the filters and the calibration that ITU-R BS.1770 prints."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from melgan_tf.dsp.loudness import gain_to, loudness

RATE = 48_000


def k_weighted(samples: np.ndarray) -> np.ndarray:
    """The two filters of BS.1770-4, tables 1 and 2, at 48 kHz."""
    shelf = lfilter([1.53512485958697, -2.69169618940638, 1.19839281085285],
                    [1.0, -1.69065929318241, 0.73248077421585], samples)
    return lfilter([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621], shelf)


def block_loudness(samples: np.ndarray) -> float:
    return -0.691 + 10 * math.log10(np.mean(k_weighted(samples) ** 2))


def hit(seconds: float, rate: int = RATE) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return 0.7 * np.exp(-12 * time) * np.sin(2 * np.pi * 180 * time)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_the_tone_of_the_standard(rate):
    tone = 10 ** (-20 / 20) * np.sin(2 * np.pi * 997 * np.arange(5 * rate) / rate)
    assert loudness(tone, rate) == pytest.approx(-23.01, abs=0.05)
    assert loudness(tone, rate, channels=2) == pytest.approx(-20.0, abs=0.05)


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.4])
def test_a_short_sound_is_measured_over_one_block(seconds):
    whole = np.zeros(round(0.4 * RATE))
    whole[:round(seconds * RATE)] = hit(seconds)
    assert loudness(hit(seconds), RATE) == pytest.approx(block_loudness(whole), abs=0.02)


def test_silence_after_a_one_shot_does_not_count():
    sound = hit(0.6)
    assert loudness(np.concatenate([sound, np.zeros(RATE)]), RATE) == pytest.approx(loudness(sound, RATE), abs=1e-3)


def test_a_long_sound_is_gated():
    """Half of it 40 dB lower: the gate leaves that out."""
    noise = np.random.default_rng(0).normal(size=20 * RATE) * 0.1
    both = np.concatenate([noise, 0.01 * noise])
    assert loudness(both, RATE) == pytest.approx(block_loudness(noise), abs=0.05)
    assert loudness(np.array_split(both, 7), RATE) == loudness(both, RATE)


def test_silence():
    assert loudness(np.zeros(RATE), RATE) == -math.inf
    assert gain_to(-18, -math.inf, 0.0) == 1.0


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_gain_reaches_its_target(rate):
    sound = hit(0.5, rate)
    gain = gain_to(-22, loudness(sound, rate), float(np.abs(sound).max()))
    assert loudness(gain * sound, rate) == pytest.approx(-22, abs=0.01)


def test_the_gain_stops_below_full_scale():
    sound = hit(0.5)
    gain = gain_to(-3, loudness(sound, RATE), float(np.abs(sound).max()))
    assert gain * np.abs(sound).max() == pytest.approx(10 ** (-1 / 20))
