"""The two signal processing stages of the fast vocoder: phases of low frequencies, and matching the mel."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.config import presets
from melgan_tf.dsp import spectral
from melgan_tf.dsp.mel_correction import match_mel
from melgan_tf.evaluation import vocoder_metrics
from melgan_tf.models.fast_vocoder import low_band

AUDIO = {name: presets.get(name).audio for name in ("vocoder-16k", "vocoder-22k")}
PRESETS = pytest.mark.parametrize("name", AUDIO)


def floor_mel(audio, frames):
    return spectral.mel_spectrogram(tf.zeros((1, frames * audio.hop_samples + audio.n_fft)), audio)[:, :frames].numpy()


def close(found, expected):
    """To 1e-5 of the peak."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def noise(audio, frames=40, seed=0):
    return 0.2 * np.random.default_rng(seed).normal(size=(1, frames * audio.hop_samples)).astype("float32")


def mel_of(wave, audio):
    frames = wave.shape[1] // audio.hop_samples
    return spectral.mel_spectrogram(tf.constant(wave), audio)[:, :frames]


# -- low frequencies -------------------------------------------------------------------------------------------------

def booming(audio, hertz, seconds=0.8):
    """A decaying low note with a little hiss, and the same with random phases of the note in every hop."""
    hop, rate = audio.hop_samples, audio.sample_rate
    samples = round(seconds * rate) // hop * hop
    time, rng = np.arange(samples) / rate, np.random.default_rng(0)
    hiss, envelope = 0.01 * rng.normal(size=samples), 0.7 * np.exp(-3 * time)
    phases = np.repeat(rng.uniform(-2, 2, samples // hop), hop)
    return tuple((envelope * np.sin(2 * np.pi * hertz * time + p) + hiss).astype("float32")[None] for p in (0, phases))


@pytest.mark.parametrize("hertz", [200.0, 600.0])
def test_low_notes_become_coherent(hertz):
    """Where windows overlap by three quarters; half, as at 16 kHz, is too little."""
    audio = AUDIO["vocoder-22k"]
    real, wrong = booming(audio, hertz)
    mel = mel_of(real, audio)
    log_gain = tf.zeros((1, mel.shape[1], low_band.bins(audio)))
    right = low_band.refine(tf.constant(wrong), mel, log_gain, audio, 8).numpy()
    before, after = (vocoder_metrics.stft_distance(wave[0], real[0]).convergence for wave in (wrong, right))
    assert before > 0.4
    assert after < 0.7 * before


@PRESETS
def test_high_frequencies_stay_as_they_are(name):
    audio = AUDIO[name]
    wave = noise(audio)
    log_gain = tf.constant(np.random.default_rng(0).normal(size=(1, 40, low_band.bins(audio))), tf.float32)
    refined = low_band.refine(tf.constant(wave), mel_of(wave, audio), log_gain, audio, 2)
    change = np.abs(np.fft.rfft(refined[0] - wave[0]))
    highest = round(len(change) / low_band.DECIMATION)  # of the decimated signal
    assert change[:highest].mean() > 0.5
    assert change[round(1.25 * highest):].mean() < 3e-3 * change[:highest].mean()


# -- correction ------------------------------------------------------------------------------------------------------

def equalized(wave):
    """12 dB up and down, sinusoidal over the spectrum."""
    spectrum = np.fft.rfft(wave)
    decibels = 12 * np.sin(np.linspace(0, 6 * np.pi, spectrum.shape[1]))
    return np.fft.irfft(spectrum * 10 ** (decibels / 20), wave.shape[1]).astype("float32")


@PRESETS
@pytest.mark.parametrize("exponent", [1.0, 1.2])
def test_correction_halves_the_distance_of_a_wrongly_equalized_sound(name, exponent):
    audio = AUDIO[name]
    real = noise(audio)
    wrong = equalized(real)
    right = match_mel(tf.constant(wrong), mel_of(real, audio), audio, exponent).numpy()
    assert right.shape == wrong.shape
    before, after = (vocoder_metrics.log_mel_l1(wave[0], real[0], audio) for wave in (wrong, right))
    assert before > 4
    assert after < before / 2


def spectra(wave, audio):
    """Of the part one transform away from the ends; without the outermost bins, which no band covers."""
    inner = wave[0, audio.n_fft:-audio.n_fft]
    margin = 4 * len(inner) // audio.n_fft
    return np.fft.rfft(inner * np.hanning(len(inner)))[margin:-margin]


@PRESETS
def test_correction_leaves_a_right_sound_alone(name):
    """Except near its ends, where the mel includes a mirror image and the correction zeros."""
    audio = AUDIO[name]
    real = noise(audio)
    made = match_mel(tf.constant(real), mel_of(real, audio), audio).numpy()
    assert np.linalg.norm(spectra(made - real, audio)) < 3e-3 * np.linalg.norm(spectra(real, audio))
    assert np.sqrt(np.mean((made - real) ** 2)) < 0.1 * np.sqrt(np.mean(real ** 2))
    ends = np.concatenate([(made - real)[:, :audio.n_fft], (made - real)[:, -audio.n_fft:]], axis=1)
    assert np.sqrt(np.mean(ends ** 2)) < 0.15 * np.sqrt(np.mean(real ** 2))


@PRESETS
def test_correction_of_silence_is_silence(name):
    audio = AUDIO[name]
    mel = tf.ones((2, 9, audio.mel_bins))
    assert not np.any(match_mel(tf.zeros((2, 9 * audio.hop_samples)), mel, audio))
    wave = np.repeat(noise(audio, 20), 2, axis=0)
    wave[:, 5 * audio.hop_samples:] = 0.0
    made = match_mel(tf.constant(wave), tf.ones((2, 20, audio.mel_bins)), audio).numpy()
    assert made[:, :4 * audio.hop_samples].any()
    assert not made[:, 5 * audio.hop_samples + audio.n_fft:].any()


@PRESETS
def test_correction_silences_what_should_be_silent(name):
    """Except in the last hop with frames centered on hop starts: it has no whole window."""
    audio = AUDIO[name]
    wave = noise(audio)
    made = match_mel(tf.constant(wave), tf.constant(floor_mel(audio, 40)), audio).numpy()
    made = made[:, :-audio.hop_samples] if audio.padding == "centre" else made
    assert np.abs(made).max() < 1e-3 * np.abs(wave).max()


@PRESETS
def test_correction_raises_by_no_more_than_eight(name):
    audio = AUDIO[name]
    wave = 1e-2 * noise(audio)
    made = match_mel(tf.constant(wave), mel_of(noise(audio), audio), audio).numpy()
    expected = 8 * spectra(wave, audio)
    assert np.linalg.norm(spectra(made, audio) - expected) < 3e-3 * np.linalg.norm(expected)


@PRESETS
@pytest.mark.parametrize("use_matmul_dft", [False, True])
def test_correction_of_a_padded_sound(name, use_matmul_dft):
    audio = AUDIO[name]
    hop, wave, mel = audio.hop_samples, equalized(noise(audio, 12)), mel_of(noise(audio, 12), audio)
    mask = (np.arange(12) < 7).astype("float32")[None, :, None]
    filled = np.where(np.repeat(mask[:, :, 0], hop, axis=1) > 0, wave, np.float32(0))
    made = match_mel(tf.constant(filled), mel, audio, 1.2, tf.constant(mask), use_matmul_dft).numpy()
    alone = match_mel(tf.constant(wave[:, :7 * hop]), mel[:, :7], audio, 1.2).numpy()
    close(made[:, :7 * hop], alone)
    assert not made[:, 7 * hop:].any()


@PRESETS
@pytest.mark.parametrize("gain", [0.0, 1e-12, 1.0])
@pytest.mark.parametrize("target", ["floor", "loud"])
def test_gradients_of_a_correction_are_finite(name, gain, target):
    audio = AUDIO[name]
    wave = tf.constant(gain * noise(audio, 6))
    mel = tf.constant(floor_mel(audio, 6) if target == "floor" else np.ones((1, 6, audio.mel_bins), "float32"))
    exponent = tf.fill((audio.mel_bins,), 1.2)
    with tf.GradientTape() as tape:
        tape.watch([wave, mel, exponent])
        total = tf.reduce_sum(tf.abs(match_mel(wave, mel, audio, exponent)))
    for gradient in tape.gradient(total, [wave, mel, exponent]):
        assert np.isfinite(gradient).all()
