"""Mel to waveform: compared with scipy's and librosa's solvers, with the analysis itself, and FFT with matrices."""

from __future__ import annotations

import dataclasses
import inspect

import librosa
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import spectral
from melgan_tf.dsp.griffin_lim import griffin_lim, initial_phase, mel_to_magnitude, mel_to_waveform
from melgan_tf.errors import MelGANError

SEED = AudioConfig()
MELGAN = AudioConfig(sample_rate=22_050, hop_samples=256, mel_bins=80, max_hz=11_025.0, mel_scale="slaney",
                     mel_norm="slaney", power=1.0, padding="half-hop", compression="log10")
MATMUL = pytest.mark.parametrize("use_matmul_dft", [False, True], ids=["fft", "matmul"])
CONFIGS = pytest.mark.parametrize("audio", [SEED, MELGAN], ids=["seed", "melgan"])


def drums(count: int, samples: int = 8_000) -> np.ndarray:
    """Synthetic strokes without leading silence: a falling resonance and filtered noise, decaying, at many levels."""
    rng = np.random.default_rng(0)
    n = np.arange(samples)[None]
    decay = np.exp(-n / rng.uniform(150, 2_500, (count, 1)))
    hz = rng.uniform(40, 2_000, (count, 1))
    sine = np.sin(2 * np.pi * hz / 16_000 * (n + 400 * (1 - np.exp(-n / 300))))
    noise = rng.normal(size=(count, samples))
    noise = np.where(rng.random((count, 1)) < 0.5, noise, np.diff(noise, prepend=0.0)) * np.exp(-n / 800)
    mixed = decay * sine + rng.uniform(0.02, 0.5, (count, 1)) * noise
    return (rng.uniform(0.05, 0.9, (count, 1)) * mixed / np.abs(mixed).max(1, keepdims=True)).astype(np.float32)


def norms(values) -> np.ndarray:
    return np.linalg.norm(np.reshape(values, (len(values), -1)), axis=1)


def convergence(waves, magnitude, audio=SEED) -> float:
    """Mean spectral convergence: the error of the magnitudes over the magnitudes."""
    return np.mean(norms(np.abs(spectral.stft(waves, audio)) - magnitude) / norms(magnitude))


def relative_difference(ours, theirs) -> np.ndarray:
    """Largest difference of each sound, relative to its peak."""
    return np.abs(ours - theirs).max(1) / np.abs(theirs).max(1)


# -- the mel filters -------------------------------------------------------------------------------------------------

@CONFIGS
def test_magnitude_has_the_given_mel(audio):
    mel = spectral.mel_spectrogram(drums(16), audio)
    magnitude = mel_to_magnitude(mel, audio).numpy()
    assert magnitude.min() >= 0
    target = spectral.decompress(mel, audio).numpy()
    present = magnitude ** audio.power @ spectral.mel_filterbank(audio)
    assert np.max(norms(present - target) / norms(target)) < 5e-3
    decibels = spectral.log_mel(spectral.compress(present, audio), audio) - spectral.log_mel(mel, audio)
    assert np.abs(decibels).mean() < 0.1  # the quiet bands as well


def test_magnitude_is_zero_where_there_is_nothing():
    audio = dataclasses.replace(SEED, min_hz=100.0, max_hz=4_000.0, mel_bins=40)
    uncovered = spectral.mel_filterbank(audio).sum(1) == 0
    assert uncovered[[0, -1]].all()
    magnitude = mel_to_magnitude(spectral.mel_spectrogram(drums(4), audio), audio).numpy()
    assert np.all(magnitude[..., uncovered] == 0)
    assert np.all(magnitude[..., ~uncovered].max((0, 1)) > 0)
    assert np.all(mel_to_magnitude(tf.zeros((2, 3, 40)), audio).numpy() == 0)


@CONFIGS
def test_any_generator_output_gives_finite_magnitudes(audio):
    rng = np.random.default_rng(3)
    mel = rng.normal(scale=3.0, size=(2, 16, audio.mel_bins)).astype(np.float32)
    mel[:, :4] *= 1e-20
    assert np.isfinite(mel_to_magnitude(mel, audio)).all()
    if audio.compression == "none":
        np.testing.assert_array_equal(mel_to_magnitude(mel, audio), mel_to_magnitude(np.maximum(mel, 0), audio))
    narrow = dataclasses.replace(audio, mel_bins=400)  # some filters lie between two bins
    assert np.isfinite(mel_to_magnitude(rng.random((1, 2, 400)), narrow)).all()


def test_residual_is_that_of_non_negative_least_squares():
    filters = spectral.mel_filterbank(SEED).astype(np.float64)
    mels = np.random.default_rng(4).random((1, 20, 64))  # rougher than any sound: not all of it can be met
    best = np.array([scipy.optimize.nnls(filters.T, mel)[1] for mel in mels[0]])
    ours = np.linalg.norm(mel_to_magnitude(mels, SEED).numpy()[0] ** 2 @ filters - mels[0], axis=1)
    assert best.max() < 0.3  # that solver has converged
    assert np.linalg.norm(ours) < np.linalg.norm(best) + 0.01 * np.linalg.norm(mels)


# -- the phases ------------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_converges_as_librosa_does():
    waves = drums(24)
    magnitude = np.abs(spectral.stft(waves, SEED))
    ours, theirs = [], []
    for seed in range(3):
        ours.append(convergence(griffin_lim(magnitude, SEED, seed=seed, length=8_000), magnitude))
        name = "rng" if "rng" in inspect.signature(librosa.griffinlim).parameters else "random_state"  # renamed in 1.0
        rendered = librosa.griffinlim(magnitude.transpose(0, 2, 1), n_iter=32, hop_length=512, n_fft=1024,
                                      pad_mode="reflect", length=8_000, **{name: seed})
        theirs.append(convergence(rendered, magnitude))
    assert np.mean(ours) < 1.05 * np.mean(theirs)


def test_momentum_and_iterations_help():
    waves = drums(8)
    magnitude = np.abs(spectral.stft(waves, SEED))
    error = {key: convergence(griffin_lim(magnitude, SEED, *key, length=8_000), magnitude)
             for key in ((0, 0.99), (32, 0.0), (32, 0.99))}
    assert error[32, 0.99] < error[32, 0.0] < 0.7 * error[0, 0.99]


@pytest.mark.slow
@CONFIGS
@MATMUL
def test_the_mel_of_the_sound_is_the_given_mel(audio, use_matmul_dft):
    samples = 8_000 if audio is SEED else 31 * 256
    waves = drums(16, samples)
    mel = spectral.mel_spectrogram(waves, audio)
    rendered = mel_to_waveform(mel, audio, length=samples, use_matmul_dft=use_matmul_dft).numpy()
    assert rendered.shape == waves.shape
    target = spectral.log_mel(mel, audio).numpy()
    decibels = spectral.log_mel(spectral.mel_spectrogram(rendered, audio), audio).numpy() - target
    audible = target > target.max((1, 2), keepdims=True) - 60
    assert np.abs(decibels[audible]).mean() < 1.2
    assert np.abs(decibels[audible].mean()) < 0.4  # no bias in level
    energy = 10 * np.log10(np.sum(rendered**2, 1) / np.sum(waves**2, 1))
    assert np.abs(energy).max() < 2.0


@MATMUL
@pytest.mark.parametrize(("padding", "hop"), [("centre", 512), ("half-hop", 512), ("half-hop", 256)])
def test_the_ends_do_not_blow_up(padding, hop, use_matmul_dft):
    audio = dataclasses.replace(SEED, padding=padding, hop_samples=hop)
    noise = 0.1 * np.random.default_rng(5).normal(size=(8, 8_192)).astype(np.float32)  # as loud at the ends as inside
    magnitude = np.abs(spectral.stft(noise, audio))[:, :8_192 // hop]
    rendered = griffin_lim(magnitude, audio, use_matmul_dft=use_matmul_dft).numpy()
    inside = np.sqrt(np.mean(rendered[:, 1_000:-1_000] ** 2))
    for end in (rendered[:, :64], rendered[:, -512:-448], rendered[:, -64:]):
        assert np.sqrt(np.mean(end**2)) < 1.5 * inside


@CONFIGS
@MATMUL
def test_silence_gives_exact_silence(audio, use_matmul_dft):
    silence = spectral.mel_spectrogram(tf.zeros((2, 8_192)), audio)
    assert np.all(mel_to_waveform(silence, audio, iterations=4, use_matmul_dft=use_matmul_dft).numpy() == 0)


@MATMUL
@pytest.mark.parametrize(("hop", "padding"), [(300, "centre"), (700, "half-hop"), (1_024, "centre")])
def test_any_hop_renders(hop, padding, use_matmul_dft):
    audio = dataclasses.replace(SEED, hop_samples=hop, padding=padding)
    waves = drums(4)
    magnitude = np.abs(spectral.stft(waves, audio))
    rendered = griffin_lim(magnitude, audio, length=8_000, use_matmul_dft=use_matmul_dft).numpy()
    samples = min(8_000, spectral.samples_for(magnitude.shape[1], audio))
    assert np.abs(rendered).max() < 3 * np.abs(waves).max()  # (frames of 1024 do not overlap at all)
    assert convergence(rendered[:, :samples], magnitude[:, :audio.frames(samples)], audio) < 0.4


# -- repeatability ---------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_a_sound_depends_on_its_mel_and_the_seed_only():
    magnitude = np.abs(spectral.stft(drums(6), SEED))
    together = griffin_lim(magnitude, SEED, seed=7).numpy()
    np.testing.assert_array_equal(griffin_lim(magnitude, SEED, seed=7), together)
    np.testing.assert_allclose(griffin_lim(magnitude[4:5], SEED, seed=7), together[4:5], atol=1e-3)
    np.testing.assert_allclose(griffin_lim(magnitude[::-1], SEED, seed=7)[::-1], together, atol=1e-3)
    assert np.abs(griffin_lim(magnitude, SEED, seed=8) - together).max() > 0.05


def test_phases_are_random_and_stable_in_their_first_frames():
    phase = initial_phase(200, SEED, 0).numpy()
    assert phase.min() >= 0
    assert phase.max() < 2 * np.pi + 1e-6
    np.testing.assert_array_equal(initial_phase(16, SEED, 0), phase[:16])
    for other in (phase[1:, 1:], initial_phase(200, SEED, 1).numpy()[1:, 1:], np.zeros(())):
        assert np.abs(np.mean(np.exp(1j * (phase[:-1, :-1] - other)))) < 0.01  # no correlation


@pytest.mark.slow
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_unknown_sizes_render_the_same_sound(jit):
    mel = spectral.mel_spectrogram(drums(4), SEED)
    dynamic = tf.function(lambda mel: mel_to_waveform(mel, SEED, 8), jit_compile=jit,
                          input_signature=[tf.TensorSpec((None, None, 64), tf.float32)])
    for part in (mel, mel[:2, :5]):
        static = mel_to_waveform(part, SEED, 8).numpy()
        assert static.shape == dynamic(part).shape
        assert np.median(relative_difference(dynamic(part).numpy(), static)) < 1e-3


def test_saved_model_renders_any_batch(tmp_path):
    module = tf.Module()
    module.render = tf.function(lambda mel: mel_to_waveform(mel, SEED, 8, length=8_000),
                                input_signature=[tf.TensorSpec((None, 16, 64), tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "render"))
    render = tf.saved_model.load(str(tmp_path / "render")).render
    for count in (1, 3):
        mel = spectral.mel_spectrogram(drums(count), SEED)
        np.testing.assert_allclose(render(mel), mel_to_waveform(mel, SEED, 8, length=8_000), atol=1e-3)


# -- without an FFT --------------------------------------------------------------------------------------------------

@pytest.mark.slow
@CONFIGS
def test_fft_and_matrices_agree(audio):
    samples = 8_000 if audio is SEED else 31 * 256
    magnitude = np.abs(spectral.stft(drums(16, samples), audio))
    for iterations, usual, tail in ((1, 1e-5, 1e-4), (32, 1e-3, 2e-2)):
        ours, theirs = (griffin_lim(magnitude, audio, iterations, length=samples, use_matmul_dft=matmul).numpy()
                        for matmul in (True, False))
        difference = relative_difference(ours, theirs)
        assert np.median(difference) < usual
        assert np.quantile(difference, 0.9) < tail


@pytest.mark.slow
def test_tflite_renders_with_builtin_operations(tmp_path):
    module = tf.Module()
    module.render = tf.function(lambda mel: mel_to_waveform(mel, SEED, length=8_000, use_matmul_dft=True),
                                input_signature=[tf.TensorSpec((1, 16, 64), tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "render"), signatures=module.render)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "render"))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]  # anything else fails to convert
    model = converter.convert()
    assert len(model) < 3_000_000
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    mels = spectral.mel_spectrogram(drums(12), SEED).numpy()
    rendered = []
    for mel in mels:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], mel[None])
        interpreter.invoke()
        rendered.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    difference = relative_difference(np.array(rendered), mel_to_waveform(mels, SEED, length=8_000).numpy())
    assert np.median(difference) < 1e-3
    assert np.quantile(difference, 0.9) < 2e-2


# -- sizes and messages ----------------------------------------------------------------------------------------------

@MATMUL
@pytest.mark.parametrize("length", [None, 100, 7_000, 8_000, 9_000])
def test_length_is_what_was_asked_for(use_matmul_dft, length):
    rendered = griffin_lim(np.abs(spectral.stft(drums(2), SEED)), SEED, 2, length=length,
                           use_matmul_dft=use_matmul_dft).numpy()
    assert rendered.shape == (2, length or 8_192)
    assert np.all(rendered[:, 8_192:] == 0)
    assert np.abs(rendered[:, :100]).max() > 0.01


def test_messages_name_what_was_given():
    good = np.ones((1, 16, 513), np.float32)
    with pytest.raises(MelGANError, match=r"shape \(16, 513\): give \(batch, frames, 513\)"):
        griffin_lim(good[0], SEED)
    with pytest.raises(MelGANError, match="iterations is -1"):
        griffin_lim(good, SEED, iterations=-1)
    with pytest.raises(MelGANError, match="1 frames of 512 samples are too few"):
        griffin_lim(good[:, :1], SEED)
    with pytest.raises(MelGANError, match=r"mels have shape \(1, 16, 80\): give \(batch, frames, 64\)"):
        mel_to_magnitude(np.ones((1, 16, 80)), SEED)
    with pytest.raises(MelGANError, match="number of frames is unknown"):
        tf.function(lambda magnitude: griffin_lim(magnitude, SEED, use_matmul_dft=True), autograph=False,
                    input_signature=[tf.TensorSpec((1, None, 513), tf.float32)]).get_concrete_function()
