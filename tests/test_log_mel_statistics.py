"""The training-free embedding: what each of its numbers measures."""

import numpy as np
import pytest

from melgan_tf.evaluation.embeddings import log_mel as statistics

FRAMES, BINS = 16, 64


def drum_like(n, seed, kinds=8, grain_db=1.5):
    """Mels in dB of n made-up strokes: a resonance that decays, of one of several kinds, over faint noise."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, kinds, n)[:, None, None]
    level = 30 + rng.normal(0, 4, (n, 1, 1))
    center = 4 + 7 * kind + rng.normal(0, 1.5, (n, 1, 1))
    decay = 1.5 + 0.6 * kind + rng.exponential(0.5, (n, 1, 1))
    time, band = np.arange(FRAMES)[:, None], np.arange(BINS)
    mel_db = level - decay * time - 1.5 * np.abs(band - center) + rng.normal(0, grain_db, (n, FRAMES, BINS))
    return np.maximum(mel_db, -100.0)


def test_embedding_is_level_in_db_and_nothing_else_for_a_constant_sound():
    points = statistics.embed(np.full((2, FRAMES, BINS), -30.0))
    expected = np.zeros((2, 28))
    expected[:, 0] = -30
    np.testing.assert_allclose(points, expected, atol=1e-12)


def test_a_softer_sound_moves_the_level_alone():
    mel_db = drum_like(5, seed=3)
    difference = statistics.embed(mel_db - 6) - statistics.embed(mel_db)
    np.testing.assert_allclose(difference[:, 0], -6, atol=1e-9)
    np.testing.assert_allclose(difference[:, 1:], 0, atol=1e-9)


def test_cosines_keep_the_mean_square():
    curve = np.random.default_rng(0).normal(size=BINS)
    assert np.sum((curve @ statistics.cosines(BINS)) ** 2) == pytest.approx(np.mean(curve ** 2))


def test_embedding_barely_depends_on_the_number_of_bands():
    mel_db = drum_like(20, seed=4, grain_db=0.0)
    coarse = mel_db.reshape(20, FRAMES, BINS // 2, 2).mean(axis=3)
    np.testing.assert_allclose(statistics.embed(coarse)[:, :24], statistics.embed(mel_db)[:, :24], atol=0.2)


def test_roughness_measures_independent_noise_and_ignores_an_exponential_decay():
    noise = np.random.default_rng(0).normal(0, 3, (4, 200, BINS))
    np.testing.assert_allclose(statistics.embed(noise)[:, 24:], 10 * np.log10(1 + 3), atol=0.15)
    decay = np.broadcast_to(-5.0 * np.arange(FRAMES)[:, None], (1, FRAMES, BINS))
    np.testing.assert_allclose(statistics.embed(decay)[:, 24:], 0, atol=1e-9)


def test_roughness_tells_stripes_from_clicks_and_low_bands_from_high():
    stripes = np.zeros((1, FRAMES, BINS))
    stripes[:, :, 40::2] = 10  # along frequency, in the upper half
    found = statistics.embed(stripes)[0, 24:]
    assert found[1] > 5
    np.testing.assert_allclose(found[[0, 2, 3]], 0, atol=1e-9)
    clicks = np.zeros((1, FRAMES, BINS))
    clicks[:, ::2, :20] = 10  # along time, in the lower half
    found = statistics.embed(clicks)[0, 24:]
    assert found[2] > 5
    np.testing.assert_allclose(found[[1, 3]], 0, atol=1e-9)


@pytest.mark.parametrize(("frames", "bins"), [(1, 64), (2, 64), (16, 1), (16, 3), (400, 80)])
def test_embedding_takes_any_size(frames, bins):
    points = statistics.embed(np.random.default_rng(0).normal(size=(3, frames, bins)))
    assert points.shape[0] == 3
    assert points.shape[1] <= 28
    assert np.isfinite(points).all()


def test_standardize_uses_the_real_set_for_both():
    real, other = statistics.standardize(np.array([[0.0, 5.0], [4.0, 5.0]]), np.array([[6.0, 6.0]]))
    np.testing.assert_allclose(real, [[-1, 0], [1, 0]])
    np.testing.assert_allclose(other, [[2, 1 / statistics.MIN_DEVIATION_DB]])


# -- its front end ---------------------------------------------------------------------------------------------------

def sine(hz, rate, seconds=0.5, peak=1.0):
    return peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)[None]


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
def test_a_sine_is_near_0_db_in_its_band_whatever_its_level_and_rate(rate):
    found = statistics.log_mels(np.concatenate([sine(500, rate), sine(500, rate, peak=0.01)]), rate)
    assert found.shape == (2, round(0.5 / 0.008) + 1, 64)
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
    middle = found[0, 20:40]
    assert np.abs(middle.max(axis=1)).max() < 3
    assert np.quantile(middle, 0.5) == -80  # far from the line there is nothing but the floor


def test_silence_is_the_floor_and_stays_silence():
    assert (statistics.log_mels(np.full((1, 8_000), 1e-5), 16_000) == -80).all()


def test_bands_reach_up_to_half_of_the_rate():
    found = statistics.log_mels(sine(20_000, 44_100), 44_100)[0, 20]
    assert found.argmax() >= 60
    assert found.max() > -3
