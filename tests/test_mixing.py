"""Several channels become one: their mean, bit for bit; or the loudest one, where the mean would be lost."""

from __future__ import annotations

import numpy as np
import pytest
from encoded_sounds import RATE, by_ffmpeg, encoded, noise, tone

from melgan_tf.audio import decode as decoding
from melgan_tf.audio.decode import About, decode

CANCELED = "its channels cancel each other: the loudest one is read"
LONG = tone(12.0) * np.exp(-np.arange(12 * RATE) % RATE / 5000).astype(np.float32)


def heard(path):
    about = About()
    return np.concatenate([samples for _, samples in decode(path, about=about)]), about.notes


def columns(*channels):
    return np.stack(channels, axis=1).astype(np.float32)


CANCELING = {
    "antiphase": columns(0.9 * LONG[:RATE], -0.9 * LONG[:RATE]),
    "a little louder on one side": columns(0.8 * LONG[:RATE], -0.85 * LONG[:RATE]),
    "behind silence": columns(*(np.pad(sign * LONG[:RATE], (RATE, 0)) for sign in (1, -1))),
    "behind quiet noise": columns(*(np.concatenate([noise(RATE, seed, 1e-3), sign * LONG[:RATE]])
                                    for seed, sign in ((1, 1), (2, -1)))),
    "short": columns(LONG[:100], -LONG[:100]),
    "longer than what decides": columns(LONG, -LONG),
    "four channels": columns(LONG[:RATE], -LONG[:RATE], LONG[:RATE] / 2, -LONG[:RATE] / 2)}


@pytest.mark.parametrize("name", CANCELING)
def test_channels_that_cancel(put, monkeypatch, name):
    channels = CANCELING[name]
    path = put(encoded(channels, subtype="FLOAT"))
    samples, notes = heard(path)
    energies = (channels.astype(np.float64)**2).sum(0)
    chosen, = [number for number in range(channels.shape[1]) if np.array_equal(samples, channels[:, number])]
    assert energies[chosen] >= 0.999 * energies.max()
    assert notes == [CANCELED]
    monkeypatch.setattr(decoding, "_BLOCK_VALUES", 3000)
    np.testing.assert_array_equal(heard(path)[0], samples)  # whatever the size of blocks


ORDINARY = {
    "equal": columns(LONG[:RATE], LONG[:RATE]), "independent": columns(noise(RATE, 1), noise(RATE, 2)),
    "on one side": columns(LONG[:RATE], 0 * LONG[:RATE]), "silent": np.zeros((RATE, 2), np.float32),
    "wide": columns(LONG[:RATE], -0.6 * LONG[:RATE]), "many": columns(*(noise(RATE, seed) for seed in range(60))),
    "later": columns(*(np.concatenate([LONG[:RATE], sign * LONG[:RATE]]) for sign in (1, -1)))}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_channels_are_averaged(put, name):
    channels = ORDINARY[name]
    samples, notes = heard(put(encoded(channels, subtype="FLOAT")))
    mean = channels @ np.full(channels.shape[1], 1 / channels.shape[1], np.float32)
    np.testing.assert_allclose(samples, mean, rtol=0, atol=0 if channels.shape[1] == 2 else 1e-8)
    assert notes == []


def test_channels_that_cancel_through_ffmpeg(put, tmp_path):
    one = by_ffmpeg(tmp_path / "x.m4a", tone(1.0), "alac", "ipod", "s16p")
    assert heard(put(one))[1] == []
    channels = columns(tone(1.0), -tone(1.0))
    for container, subtype in (("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")):
        samples, notes = heard(put(encoded(channels, container, subtype)))
        assert notes == [CANCELED]
        assert np.std(samples) == pytest.approx(np.std(tone()), rel=0.05)


def test_only_what_is_needed_is_held_back(put):
    blocks = decode(put(encoded(columns(LONG, LONG), "FLAC")), 0.1)
    assert len(next(blocks)[1]) < RATE
