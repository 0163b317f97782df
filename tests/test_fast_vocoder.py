"""The fast vocoder with initial weights: properties that hold for any weights."""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.config import presets
from melgan_tf.dsp import spectral
from melgan_tf.evaluation import vocoder_metrics
from melgan_tf.models.fast_vocoder import steady
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.fast_vocoder.network import FastVocoder

AUDIO = {name: presets.get(name).audio for name in ("vocoder-16k", "vocoder-22k")}
SMALL = FastVocoderConfig(channels=32, sub_channels=32, dilations=(1, 2))


class Variant(NamedTuple):
    overlap: int = 2
    subframes: int = 1
    corrections: int = 1
    low_rounds: int = 0
    scatter_frames: int = 0


DEFAULT = Variant()

#: With their mels.
VARIANTS = [("vocoder-16k", DEFAULT), ("vocoder-16k", Variant(2, 4)), ("vocoder-16k", Variant(4, 1, 2)),
            ("vocoder-16k", Variant(2, 4, 1, 0, 3)), ("vocoder-22k", Variant(2, 2, 0)),
            ("vocoder-22k", Variant(4, 2)), ("vocoder-22k", Variant(2, 1, 1, 2)),
            ("vocoder-22k", Variant(2, 1, 0, 0, 2)), ("vocoder-22k", Variant(2, 1, 1, 2, 4))]
VARIANT = pytest.mark.parametrize(("name", "variant"), VARIANTS, ids=str)
PRESETS = pytest.mark.parametrize("name", AUDIO)

_models: dict[tuple, FastVocoder] = {}


def vocoder(name, variant=DEFAULT, seed=0, **changes):
    """Built once: no test changes the weights."""
    config = dataclasses.replace(SMALL, **variant._asdict(), **changes)
    key = (name, config, seed)
    if key not in _models:
        _models[key] = FastVocoder(AUDIO[name], config, seed)
    return _models[key]


def random_mel(audio, frames, batch=1, seed=0):
    """Loud and random: every frame differs from the next."""
    return np.random.default_rng(seed).uniform(-2, 1, (batch, frames, audio.mel_bins)).astype("float32")


def floor_mel(audio, frames):
    return spectral.mel_spectrogram(tf.zeros((1, frames * audio.hop_samples + audio.n_fft)), audio)[:, :frames].numpy()


def render(model, mel, **options):
    return model(tf.constant(mel), **options).numpy()


def close(found, expected, tolerance=1e-5):
    """Relative to the peak."""
    assert found.shape == expected.shape
    peak = np.abs(expected).max()
    assert peak > 1e-3
    assert np.abs(found - expected).max() <= tolerance * peak


def per_frame(samples, hop):
    """The largest absolute sample of every frame of one sound."""
    return np.abs(samples[0]).reshape(-1, hop).max(axis=1)


# -- shape, weights, seed --------------------------------------------------------------------------------------------

@VARIANT
def test_a_hop_of_samples_for_every_frame(name, variant):
    model, audio = vocoder(name, variant), AUDIO[name]
    assert model.hop_samples == audio.hop_samples
    for batch, frames in ((1, 1), (2, 2), (3, 9)):
        rendered = render(model, random_mel(audio, frames, batch))
        assert rendered.shape == (batch, frames * audio.hop_samples)
        assert rendered.dtype == np.float32
        assert np.isfinite(rendered).all()
        assert np.abs(rendered).max() > 1e-2


@VARIANT
def test_weights_are_as_many_as_the_layers_need(name, variant):
    overlap, subframes, corrections, rounds, _ = variant
    audio, width = AUDIO[name], 32
    bins = overlap * audio.hop_samples // subframes // 2 + 1
    low = bins // 4
    block = 3 * width * width + width + width * width + width
    layers = (7 * audio.mel_bins * width + width) + (len(SMALL.dilations) + SMALL.sub_blocks) * block
    layers += width * subframes * width + subframes * width
    heads = (width + 1) * (2 * bins + 2 * SMALL.carriers * low + (bins - low))
    heads += (width + 1) * 56 * bool(rounds)  # 64 decimated bins but for 8
    assert vocoder(name, variant).count_params() == layers + heads + corrections * audio.mel_bins


@PRESETS
def test_weights_follow_the_seed(name):
    here, same, other = (FastVocoder(AUDIO[name], SMALL, seed) for seed in (3, 3, 4))
    mel = random_mel(AUDIO[name], 6)
    for x, y in zip(here.variables, same.variables, strict=True):
        np.testing.assert_array_equal(x, y, err_msg=x.path)
    np.testing.assert_array_equal(render(here, mel), render(same, mel))
    assert np.abs(render(here, mel) - render(other, mel)).max() > 1e-2
    kernels = [variable.numpy() for variable in (*here.variables, *other.variables) if variable.name == "kernel"]
    for x, y in itertools.combinations(kernels, 2):
        assert x.shape != y.shape or np.abs(x - y).max() > 1e-3


# -- what a sample depends on ----------------------------------------------------------------------------------------

@VARIANT
def test_a_sound_does_not_depend_on_its_neighbors(name, variant):
    model, mel = vocoder(name, variant), random_mel(AUDIO[name], 7, batch=3)
    together = render(model, mel)
    for i in range(3):
        close(render(model, mel[i:i + 1]), together[i:i + 1])


@VARIANT
def test_context_is_as_far_as_a_frame_sees_and_not_much_farther(name, variant):
    model, audio = vocoder(name, variant), AUDIO[name]
    context = model.context_frames
    frames, changed = 2 * context + 9, context + 4
    mel = random_mel(audio, frames)
    other = mel.copy()
    other[:, changed] = random_mel(audio, 1, seed=1)[:, 0]
    difference = per_frame(render(model, other) - render(model, mel), audio.hop_samples)
    distance = np.arange(frames) - changed
    assert difference[np.abs(distance) > context].max() <= 1e-6
    reach = np.flatnonzero(difference > 1e-7 * difference.max()) - changed
    assert min(-reach.min(), reach.max()) >= context / 2
    if not variant.corrections:
        assert max(-reach.min(), reach.max()) == context  # only corrections are rounded up


@VARIANT
def test_start_turns_the_clock(name, variant):
    model = vocoder(name, variant)
    mel, period = random_mel(AUDIO[name], 5), model.clock_period_frames
    whole = render(model, mel)
    for start in (0, period, 5 * period):
        np.testing.assert_array_equal(render(model, mel, start=start), whole)
    np.testing.assert_array_equal(render(model, mel, start=tf.constant(period)), whole)
    for start in {1, 2, period // 2, period - 1} - {0, period}:
        assert np.abs(render(model, mel, start=start) - whole).max() > 0.01 * np.abs(whole).max()


@VARIANT
def test_a_start_is_that_of_a_piece(name, variant):
    """Frames from 5 on, rendered with ``start=5``, sound as in the whole beyond the context."""
    model, hop = vocoder(name, variant), AUDIO[name].hop_samples
    context = model.context_frames
    mel = random_mel(AUDIO[name], context + 12)
    piece = render(model, mel[:, 5:], start=5)
    close(piece[:, context * hop:], render(model, mel)[:, (5 + context) * hop:])


# -- padding ---------------------------------------------------------------------------------------

@VARIANT
@pytest.mark.parametrize("padding", ["floor", "loud"])
def test_a_padded_sound_is_the_sound_alone(name, variant, padding):
    """Two sounds of different length in a batch, two frames of padding before them, some after."""
    model, audio = vocoder(name, variant), AUDIO[name]
    hop, mel, first = audio.hop_samples, random_mel(audio, 12, batch=2), 2
    ends, number = (6, 9), np.arange(12)
    mask = ((number >= first) & (number < np.array(ends)[:, None])).astype("float32")
    fill = {"floor": np.log10(audio.floor), "loud": 2.0}[padding]
    filled = np.where(mask[:, :, None] > 0, mel, np.float32(fill))
    rendered = render(model, filled, frame_mask=tf.constant(mask), start=-first)
    for i, end in enumerate(ends):
        close(rendered[i:i + 1, first * hop:end * hop], render(model, mel[i:i + 1, first:end]))
        assert not rendered[i, :first * hop].any()
        assert not rendered[i, end * hop:].any()


@VARIANT
def test_a_mask_of_ones_changes_nothing(name, variant):
    model, mel = vocoder(name, variant), random_mel(AUDIO[name], 8, batch=2)
    close(render(model, mel, frame_mask=tf.ones((2, 8))), render(model, mel))


@VARIANT
def test_matrix_products_equal_ffts(name, variant):
    model, mel = vocoder(name, variant), random_mel(AUDIO[name], 8, batch=2)
    close(render(model, mel, use_matmul_dft=True), render(model, mel))


# -- silence ---------------------------------------------------------------------------------------------------------

@VARIANT
def test_silence_is_zero(name, variant):
    rendered = render(vocoder(name, variant), floor_mel(AUDIO[name], 6))
    assert vocoder_metrics.idle(rendered[0]) == (0.0, 0.0)


@VARIANT
def test_silence_after_a_loud_sound_is_zero_and_before_it(name, variant):
    model, audio = vocoder(name, variant), AUDIO[name]
    context = model.context_frames
    mel = floor_mel(audio, 2 * context + 7)
    mel[:, context + 3] = 1.0
    level = per_frame(render(model, mel), audio.hop_samples)
    distance = np.abs(np.arange(len(level)) - context - 3)
    # the network sees far, but what it says is multiplied: only windows reach beyond their frame
    transforms = (variant.corrections + variant.low_rounds) * audio.n_fft // audio.hop_samples
    windows = max(1, variant.overlap // 2) + 1 + transforms
    assert not level[distance > windows].any()
    assert level[context + 3] > 0.1


@PRESETS
def test_loudness_follows_the_mel(name):
    """A mel a thousand times softer gives a sound about a thousand times softer, whatever the weights."""
    audio = AUDIO[name]
    noise = 0.3 * np.random.default_rng(0).normal(size=(1, 40 * audio.hop_samples)).astype("float32")
    loud, soft = (spectral.mel_spectrogram(tf.constant(gain * noise), dataclasses.replace(audio, floor=1e-10))
                  for gain in (1.0, 1e-3))
    model = FastVocoder(dataclasses.replace(audio, floor=1e-10), dataclasses.replace(SMALL, corrections=0))
    levels = [np.sqrt(np.mean(np.square(render(model, mel)))) for mel in (loud, soft)]
    assert 0.3 < levels[0] / 0.3 < 3
    assert 500 < levels[0] / levels[1] < 2_000


@VARIANT
def test_no_direct_current_and_no_clicks_at_the_ends(name, variant):
    model, audio = vocoder(name, variant), AUDIO[name]
    samples = 24 * audio.hop_samples
    real = 0.3 * np.random.default_rng(0).normal(size=samples) * np.hanning(samples) ** 2
    mel = spectral.mel_spectrogram(tf.constant(real[None], tf.float32), audio)[:, :24]
    rendered = render(model, mel)[0]
    assert np.abs(rendered).max() > 0.1
    assert vocoder_metrics.dc_offset(rendered, real) < 0.01
    assert vocoder_metrics.edge_click(rendered, real) < 0.005


@PRESETS
@pytest.mark.parametrize("variant", [Variant(2, 1, 0), Variant(4), Variant(2, 4), Variant(2, 1, 0, 0, 4),
                                     Variant(2, 4, 1, 0, 4)], ids=str)
def test_a_steady_sound_does_not_repeat_with_the_frames(name, variant):
    """Equal frames without a buzz, thanks to the clock. Random weights use it to different degrees: mean of five."""
    audio, found = AUDIO[name], []
    hop = audio.hop_samples
    for seed in range(5):
        model = vocoder(name, variant, seed)
        context, period = model.context_frames, model.clock_period_frames
        mel = np.full((1, 2 * period + 2 * context, audio.mel_bins), -2.0, "float32")
        mel[:, :, audio.mel_bins // 6:audio.mel_bins // 6 + 3] = (0.5, 1.0, 0.5)
        rendered = render(model, mel)[0, context * hop:-context * hop].astype(np.float64)
        tolerance = 1e-4 * np.abs(rendered).max()
        np.testing.assert_allclose(rendered[period * hop:], rendered[:period * hop], rtol=0, atol=tolerance)
        frames = rendered.reshape(-1, hop) - rendered.reshape(-1, hop).mean(axis=1, keepdims=True)
        frames /= np.sqrt((frames ** 2).mean(axis=1, keepdims=True))
        found.append((frames.mean(axis=0) ** 2).mean())  # energy of the mean frame, 1 if all are equal
    assert np.mean(found) < (0.02 if variant.scatter_frames else 0.55)


def test_an_attack_keeps_its_place():
    """Noise that starts within a frame: what random phases add before it is as soft as without them."""
    audio, energies = AUDIO["vocoder-22k"], []
    mel = np.full((1, 40, audio.mel_bins), -4.0, "float32")
    mel[:, 20:] = 0.0
    for reach in (0, 4):
        rendered = render(vocoder("vocoder-22k", Variant(2, 1, 0, 0, reach)), mel)[0]
        before, after = rendered[:19 * audio.hop_samples], rendered[21 * audio.hop_samples:]
        energies.append((before ** 2).mean() / (after ** 2).mean())
    assert energies[1] < 2 * energies[0] < 1e-6


@pytest.mark.parametrize(("period", "subframes"), [(32, 1), (32, 4), (64, 3), (32, 32)])
def test_phases_add_up_to_zero_at_every_position_in_a_frame(period, subframes):
    cosine, sine = steady._phasors(9, period, subframes)
    np.testing.assert_allclose(cosine ** 2 + sine ** 2, 1, atol=1e-6)
    if subframes < period:
        for table in (cosine, sine):
            for position in range(subframes):
                ticks = (position + subframes * np.arange(period)) % period
                np.testing.assert_allclose(table[ticks].mean(axis=0), 0, atol=1e-6)


# -- gradients -------------------------------------------------------------------------------------------------------

@VARIANT
@pytest.mark.parametrize("sound", ["silent", "loud"])
def test_gradients_are_finite(name, variant, sound):
    model, audio = vocoder(name, variant), AUDIO[name]
    mel = tf.constant(floor_mel(audio, 6) if sound == "silent" else random_mel(audio, 6))
    with tf.GradientTape() as tape:
        tape.watch(mel)
        rendered = model(mel)
        total = tf.reduce_mean(tf.abs(spectral.mel_spectrogram(rendered, audio))) + tf.reduce_sum(tf.square(rendered))
    gradients = tape.gradient(total, [mel, *(variable.value for variable in model.trainable_variables)])
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    if sound == "loud":
        assert all(np.any(gradient) for gradient in gradients)
