"""Mel analysis, compared with librosa and a plain NumPy transform."""

from __future__ import annotations

import dataclasses

import librosa
import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import spectral
from melgan_tf.errors import MelGANError

SEED = AudioConfig()
MELGAN = AudioConfig(sample_rate=22_050, hop_samples=256, mel_bins=80, max_hz=11_025.0, mel_scale="slaney",
                     mel_norm="slaney", power=1.0, padding="half-hop", compression="log10")


@pytest.fixture(scope="module")
def drums() -> np.ndarray:
    """Four decaying mixtures of sine and noise ``(4, 8000)``; the third is a thousand times quieter."""
    rng = np.random.default_rng(0)
    n = np.arange(8_000)[None]
    decay = np.exp(-n / np.array([[300.0], [900.0], [2_000.0], [5_000.0]]))
    sine = np.sin(2 * np.pi * np.array([[60.0], [220.0], [1_000.0], [3_000.0]]) * n / 16_000)
    waves = (0.6 * sine + 0.1 * rng.normal(size=(4, 8_000))) * decay
    waves[2] *= 1e-3
    return waves.astype(np.float32)


def numpy_stft(wave: np.ndarray, audio: AudioConfig) -> np.ndarray:
    """One waveform to ``(frames, bins)``, frame by frame in double precision."""
    before, after = spectral.padding_samples(audio)
    padded = np.pad(wave.astype(np.float64), (before, after), mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(audio.n_fft) / audio.n_fft)
    starts = range(0, len(padded) - audio.n_fft + 1, audio.hop_samples)
    return np.stack([np.fft.rfft(padded[i:i + audio.n_fft] * window) for i in starts])


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", ["none", "slaney"])
@pytest.mark.parametrize(("rate", "n_fft", "bins", "low", "high"),
                         [(16_000, 1024, 64, 0.0, 8_000.0), (22_050, 1024, 80, 50.0, 8_000.0),
                          (44_100, 2048, 128, 20.0, 22_050.0)])
def test_filterbank_is_librosas(scale, norm, rate, n_fft, bins, low, high):
    audio = AudioConfig(sample_rate=rate, n_fft=n_fft, mel_bins=bins, min_hz=low, max_hz=high, mel_scale=scale,
                        mel_norm=norm)
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bins, fmin=low, fmax=high, htk=scale == "htk",
                                   norm=None if norm == "none" else norm).T
    ours = spectral.mel_filterbank(audio)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6 * expected.max())


def test_filterbank_is_read_only():
    with pytest.raises(ValueError, match="read-only"):
        spectral.mel_filterbank(SEED)[0, 0] = 1.0


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_mel_is_librosas(drums, power):
    audio = dataclasses.replace(SEED, power=power)
    expected = librosa.feature.melspectrogram(y=drums, sr=16_000, n_fft=1024, hop_length=512, power=power, n_mels=64,
                                              center=True, pad_mode="reflect", htk=True, norm=None)
    ours = spectral.mel_spectrogram(drums, audio).numpy()
    assert ours.shape == (4, 16, 64)
    for mine, theirs in zip(ours, expected.transpose(0, 2, 1), strict=True):  # each on its own scale
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-6 * theirs.max())


@pytest.mark.parametrize("audio", [
    SEED, MELGAN, dataclasses.replace(SEED, hop_samples=333, padding="half-hop"),
    dataclasses.replace(SEED, n_fft=1000, hop_samples=300)], ids=["seed", "melgan", "odd hop", "no power of two"])
def test_stft_is_numpys_and_has_the_configured_frames(drums, audio):
    for samples in (8_000, 7_992, 7_681):  # 7992 is 24 odd hops
        ours = spectral.stft(drums[:, :samples], audio).numpy()
        assert ours.shape == (4, audio.frames(samples), audio.n_fft // 2 + 1)
        for mine, wave in zip(ours, drums[:, :samples], strict=True):
            theirs = numpy_stft(wave, audio)
            np.testing.assert_allclose(mine, theirs, atol=1e-6 * np.abs(theirs).max())


def test_logarithm_is_of_ten_and_stops_at_the_floor(drums):
    linear = spectral.mel_spectrogram(drums, dataclasses.replace(MELGAN, compression="none")).numpy()
    ours = spectral.mel_spectrogram(drums, MELGAN).numpy()
    np.testing.assert_allclose(ours, np.log10(np.maximum(linear, 1e-5)), atol=1e-4)
    assert spectral.mel_spectrogram(np.zeros((1, 8_000)), MELGAN).numpy().max() == pytest.approx(-5.0)


@pytest.mark.parametrize("audio", [SEED, MELGAN], ids=["linear", "log10"])
def test_decompression_inverts_compression_and_is_never_negative(audio):
    linear = tf.constant([[[0.0, 1e-3, 1.0, 250.0]]])
    np.testing.assert_allclose(spectral.decompress(spectral.compress(linear, audio), audio), linear, rtol=1e-5)
    assert np.all(spectral.decompress(tf.constant([-1.76, -9.0, -0.5]), audio).numpy() >= 0)
    assert spectral.decompress(spectral.compress(tf.zeros(3), audio), audio).numpy().tolist() == [0, 0, 0]


def test_decibels_are_of_power_in_any_configuration(drums):
    magnitudes = dataclasses.replace(SEED, power=1.0, compression="log10")
    for audio in (SEED, magnitudes):
        loud, soft = (spectral.log_mel(spectral.mel_spectrogram(gain * drums[:2], audio), audio).numpy()
                      for gain in (1.0, 0.1))
        audible = soft > -60
        assert audible.mean() > 0.3
        np.testing.assert_allclose((loud - soft)[audible], 20.0, atol=0.05)
    assert spectral.log_mel(tf.zeros((1, 1, 64)), SEED).numpy().min() == pytest.approx(-100.0)


def test_a_loud_neighbor_changes_nothing(drums):
    alone = spectral.log_mel(spectral.mel_spectrogram(drums[2:3], SEED), SEED).numpy()
    together = spectral.log_mel(spectral.mel_spectrogram(drums, SEED), SEED).numpy()[2:3]
    np.testing.assert_allclose(together, alone, atol=1e-3)


@pytest.mark.parametrize("audio", [SEED, MELGAN, dataclasses.replace(MELGAN, compression="none")],
                         ids=["power", "log magnitude", "magnitude"])
def test_gradient_is_finite_at_silence_and_true_elsewhere(drums, audio):
    wave = tf.Variable(np.concatenate([np.zeros((1, 4_000), np.float32), drums[1:2, :4_000]], 1))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(spectral.mel_spectrogram(wave, audio))
    gradient = tape.gradient(total, wave).numpy()
    assert np.all(gradient[:, :2_900] == 0)  # no frame here sees the sound
    louder, softer = (np.sum(spectral.mel_spectrogram(gain * wave, audio), dtype=np.float64) for gain in (1.01, 0.99))
    assert np.sum(gradient * wave.numpy()) == pytest.approx((louder - softer) / 0.02, rel=0.01)


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("audio", [SEED, MELGAN], ids=["seed", "melgan"])
def test_graph_and_xla_agree_with_eager(drums, audio, jit):
    compiled = tf.function(lambda wave: spectral.log_mel(spectral.mel_spectrogram(wave, audio), audio),
                           jit_compile=jit)
    eager = spectral.log_mel(spectral.mel_spectrogram(drums[:2], audio), audio)
    np.testing.assert_allclose(compiled(drums[:2]), eager, atol=0.02)


def test_saved_model_takes_any_batch_and_length(drums, tmp_path):
    module = tf.Module()
    module.analyze = tf.function(lambda wave: spectral.mel_spectrogram(wave, SEED),
                                 input_signature=[tf.TensorSpec((None, None), tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "mel"))
    analyze = tf.saved_model.load(str(tmp_path / "mel")).analyze
    for waves in (drums, drums[:1, :5_000]):
        np.testing.assert_allclose(analyze(waves), spectral.mel_spectrogram(waves, SEED), rtol=1e-4, atol=1e-5)


def test_rendered_length_is_whole_hops():
    assert spectral.samples_for(SEED.frames(8_000), SEED) == 8_192
    assert spectral.samples_for(MELGAN.frames(22_016), MELGAN) == 22_016


def test_messages_name_what_was_given():
    with pytest.raises(MelGANError, match="512 samples is too short.*at least 513"):
        spectral.stft(np.zeros((1, 512), np.float32), SEED)
    with pytest.raises(MelGANError, match=r"shape \(8000,\): give \(batch, samples\)"):
        spectral.mel_spectrogram(np.zeros(8_000, np.float32), SEED)
