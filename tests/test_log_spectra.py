"""The untrained embedding, against SciPy and against what it must and must not hear."""

import librosa
import numpy as np
import pytest
import scipy.signal

from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.evaluation.embeddings.spectra import SAMPLE_RATE, log_spectra
from melgan_tf.evaluation.embeddings.whitening import FEATURES, Whitening
from melgan_tf.evaluation.metrics import frechet_distance


def hits(count, seed=0, rate=SAMPLE_RATE, samples=22_050):
    """Decaying tones in noise, each with its own pitch, decay and brightness."""
    rng, time = np.random.default_rng(seed), np.arange(samples) / rate
    return np.stack([np.sin(2 * np.pi * 10 ** rng.uniform(1.8, 3.5) * time) * np.exp(-time * rng.uniform(3, 40))
                     + 10 ** rng.uniform(-3, -1) * rng.standard_normal(samples) * np.exp(-time * rng.uniform(3, 40))
                     for _ in range(count)]).astype(np.float32)


def test_long_window_agrees_with_scipy():
    sound = hits(1)
    sound /= np.abs(sound).max()
    found = log_spectra(sound, SAMPLE_RATE)[0, -3 * 96:].reshape(3, 96) * np.sqrt(3 * 96)
    padded = np.pad(sound[0], 2048)
    _, _, spectrum = scipy.signal.stft(padded, SAMPLE_RATE, "hann", 4096, 4096 - 1024, boundary=None, padded=False)
    power = (2 * np.abs(spectrum)) ** 2  # a full-scale sine is 1
    bands = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=4096, n_mels=96, norm=None) @ power
    expected = 10 * np.log10(np.maximum(bands, 1e-8)).T
    np.testing.assert_allclose(found, [expected[:3].mean(0), expected[3:8].mean(0), expected[8:].mean(0)], atol=0.02)


def test_reference_has_unit_covariance():
    levels = log_spectra(hits(120), SAMPLE_RATE)
    features = Whitening(levels)(levels)
    assert features.shape == (120, FEATURES)
    np.testing.assert_allclose(features.T @ features / 120, np.eye(FEATURES), atol=1e-6)


def test_neither_level_nor_rate_matters():
    sounds = hits(16)
    np.testing.assert_allclose(log_spectra(sounds * 0.01, SAMPLE_RATE), log_spectra(sounds, SAMPLE_RATE), atol=1e-3)
    upsampled = scipy.signal.resample_poly(sounds, 2, 1, axis=1)
    assert np.abs(log_spectra(upsampled, 2 * SAMPLE_RATE) - log_spectra(sounds, SAMPLE_RATE)).max() < 0.5


@pytest.mark.parametrize("harm", ["softened attack", "treble above 8 kHz gone", "noise", "one pitch"])
def test_hears(harm):
    real, others = hits(96), hits(96, seed=1)
    harmed = {"softened attack": lambda: others * np.minimum(np.arange(22_050) / 900, 1),
              "treble above 8 kHz gone": lambda: scipy.signal.sosfilt(
                  scipy.signal.butter(8, 8_000, output="sos", fs=SAMPLE_RATE), others, axis=1),
              "noise": lambda: others + 0.01 * np.random.default_rng(2).standard_normal(others.shape),
              "one pitch": lambda: np.repeat(others[:6], 16, axis=0)}[harm]()
    levels = [log_spectra(sounds, SAMPLE_RATE) for sounds in (real, others, harmed)]
    features = list(map(Whitening(levels[0]), levels))
    assert frechet_distance(features[0], features[2]) > 2 * frechet_distance(features[0], features[1])


def test_few_short_or_silent_sounds():
    few = hits(9, samples=600)
    levels = log_spectra(few, SAMPLE_RATE)
    assert Whitening(levels)(levels).shape == (9, 2)
    silence = log_spectra(np.zeros((6, 100)), 16_000)
    assert np.isfinite(Whitening(silence)(log_spectra(few[:, :100], 16_000))).all()


def test_bad_input():
    with pytest.raises(UsageError, match="sample_rate is 0: give a positive number"):
        log_spectra(hits(2), 0)
    with pytest.raises(MelGANError, match="not finite"):
        log_spectra(np.full((2, 100), np.nan), SAMPLE_RATE)
