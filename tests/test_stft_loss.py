"""The multi-resolution STFT loss against SciPy, by hand, and at silence."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import tensorflow as tf

from melgan_tf.training.stft_loss import RESOLUTIONS, multi_resolution_stft

FLOOR = 1e-5  # of a full-scale sine


def waves(samples=4_000, batch=3, seed=0):
    decay = np.exp(-np.arange(samples) / (samples / 4))
    return (0.3 * decay * np.random.default_rng(seed).normal(size=(batch, samples))).astype("float32")


def magnitudes(wave, length, hop):
    padded = np.pad(wave.astype(np.float64), length // 2, mode="reflect")
    window = scipy.signal.get_window("hann", length)
    spectrum = scipy.signal.stft(padded, window=window, nperseg=length, noverlap=length - hop, boundary=None,
                                 padded=False)[2]
    spectrum *= window.sum()  # SciPy divides by it
    return np.sqrt(np.abs(spectrum) ** 2 + (FLOOR * length / 4) ** 2)


def expected(fake, real, resolutions):
    """(convergence, logarithmic), each ``(batch,)``."""
    found = []
    for wave, other in zip(fake, real, strict=True):
        pairs = [(magnitudes(wave, *r), magnitudes(other, *r)) for r in resolutions]
        found.append((np.mean([np.linalg.norm(r - f) / np.linalg.norm(r) for f, r in pairs]),
                      np.mean([np.abs(np.log(r / f)).mean() for f, r in pairs])))
    return np.array(found).T


@pytest.mark.parametrize("resolutions", [RESOLUTIONS, RESOLUTIONS[:1], ((128, 128),)])
def test_it_is_scipys(resolutions):
    fake, real = waves(seed=1), waves(seed=2)
    found = multi_resolution_stft(tf.constant(fake), tf.constant(real), resolutions)
    np.testing.assert_allclose(found, expected(fake, real, resolutions), rtol=1e-4)


def test_by_hand_of_half_as_loud():
    """Half of every magnitude: a convergence of 1/2, and ln 2 in every bin; twice: 1, and ln 2."""
    real = 0.3 * np.random.default_rng(0).normal(size=(1, 4_000)).astype("float32")
    for gain, distance in ((0.5, 0.5), (2.0, 1.0), (0.0, 1.0)):
        convergence, logarithmic = multi_resolution_stft(tf.constant(gain * real), tf.constant(real))
        assert float(convergence[0]) == pytest.approx(distance, rel=1e-3)
        if gain:
            assert float(logarithmic[0]) == pytest.approx(np.log(2), rel=1e-3)
        else:
            assert float(logarithmic[0]) > 5


def test_equal_sounds_are_no_distance_apart():
    real = tf.constant(waves())
    convergence, logarithmic = multi_resolution_stft(real, tf.identity(real))
    assert np.abs(convergence).max() <= 1.1e-6  # the root of what keeps its gradient finite
    np.testing.assert_array_equal(logarithmic, 0.0)


def test_neither_sign_nor_neighbours_count():
    fake, real = waves(seed=1), waves(seed=2)
    together = np.array(multi_resolution_stft(tf.constant(fake), tf.constant(real)))
    for i in range(len(real)):
        alone = multi_resolution_stft(tf.constant(-fake[i:i + 1]), tf.constant(real[i:i + 1]))
        np.testing.assert_allclose(np.array(alone)[:, 0], together[:, i], rtol=1e-5)


def test_what_nobody_hears_counts_as_equal():
    real = 1e-8 * waves(seed=1)
    convergence, logarithmic = multi_resolution_stft(tf.zeros_like(real), tf.constant(real))
    assert max(np.abs(convergence).max(), np.abs(logarithmic).max()) < 1e-4


@pytest.mark.parametrize("fake_gain", [0.0, 1.0])
@pytest.mark.parametrize("real_gain", [0.0, 1.0])
def test_gradients_are_finite(fake_gain, real_gain):
    """At silence, and at equality, roots have no derivative."""
    fake, real = (tf.constant(gain * waves(2_048)) for gain in (fake_gain, real_gain))
    with tf.GradientTape() as tape:
        tape.watch(fake)
        total = tf.add_n(multi_resolution_stft(fake, real))
    gradient = tape.gradient(total, fake).numpy()
    assert np.isfinite(total).all()
    assert np.isfinite(gradient).all()


def test_a_step_against_the_gradient_is_nearer():
    fake, real = tf.constant(waves(2_048, seed=1)), tf.constant(waves(2_048, seed=2))
    with tf.GradientTape() as tape:
        tape.watch(fake)
        total = tf.reduce_sum(tf.add_n(multi_resolution_stft(fake, real)))
    gradient = tape.gradient(total, fake)
    step = 1e-4 / float(tf.reduce_max(tf.abs(gradient)))
    after = tf.reduce_sum(tf.add_n(multi_resolution_stft(fake - step * gradient, real)))
    assert float(after) < float(total)


@pytest.mark.parametrize(("samples", "left"), [(256, 1), (511, 1), (512, 2), (1_024, 3), (2_047, 3), (2_048, 4)])
def test_transforms_longer_than_the_clip_are_left_out(samples, left):
    fake, real = waves(samples, seed=1), waves(samples, seed=2)
    found = multi_resolution_stft(tf.constant(fake), tf.constant(real))
    np.testing.assert_allclose(found, expected(fake, real, RESOLUTIONS[:left]), rtol=1e-4)
