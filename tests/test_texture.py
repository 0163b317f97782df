"""Detail of mels: as strong as was asked for, where something is heard, and decided by the noise alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.config import presets
from melgan_tf.config.audio import FULL_BAND_MELS, SEED_LOG_MELS
from melgan_tf.data.labels import Classes
from melgan_tf.inference.renderer import GriffinLim
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.texture import Texture
from melgan_tf.models.frame_gan.networks import build

FRAMES, SOUNDS, NOISE_DIM = 64, 400, 32
OCTAVES = (16, 4), (4, 2)


def noise(sounds: int = SOUNDS, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(sounds, NOISE_DIM)).astype("float32")


def detail(values: np.ndarray, audio=FULL_BAND_MELS, frames: int = FRAMES, decibels: float = 2.0) -> np.ndarray:
    """In dB, on mels at half of full scale."""
    mel = np.zeros((len(values), frames, audio.mel_bins), np.float32)
    return np.asarray(Texture(audio, frames, NOISE_DIM, decibels, OCTAVES)(mel, values)) * 20.0 / audio.power


@pytest.mark.parametrize("audio", [FULL_BAND_MELS, SEED_LOG_MELS], ids=["magnitudes", "powers"])
@pytest.mark.parametrize(("frames", "decibels"), [(FRAMES, 2.0), (4, 0.5)])
def test_levels_have_the_standard_deviation_that_was_asked_for_everywhere(audio, frames, decibels):
    found = detail(noise(), audio, frames, decibels)
    assert found.std() == pytest.approx(decibels, rel=0.05)
    np.testing.assert_allclose(found.std(axis=0), decibels, rtol=0.25)  # of 400 sounds
    assert np.abs(found.mean(axis=0)).max() < 5 * decibels / np.sqrt(SOUNDS)


def test_detail_lasts_for_some_frames_and_spans_some_bands():
    found = detail(noise())

    def correlation(axis: int, distance: int) -> float:
        first, second = (np.take(found, range(start, found.shape[axis] - distance + start), axis) for start in
                         (0, distance))
        return float((first * second).mean() / found.var())

    assert correlation(1, 1) > 0.8
    assert 0.25 < correlation(1, 6) < 0.55  # of the octave of 16 frames
    assert abs(correlation(1, 32)) < 0.05
    assert correlation(2, 1) > 0.5
    assert abs(correlation(2, 12)) < 0.05


def test_the_end_leads_into_the_beginning():
    found = detail(noise())
    at_the_ends, inside = (float((found[:, first] * found[:, second]).mean() / found.var())
                           for first, second in ((-1, 0), (31, 32)))
    assert at_the_ends == pytest.approx(inside, abs=0.05)
    assert inside > 0.8


def test_sections_have_textures_of_their_own_and_join():
    texture, (first, second) = Texture(FULL_BAND_MELS, FRAMES, NOISE_DIM, 2.0, OCTAVES), (noise(), noise(seed=1))
    mel = np.zeros((SOUNDS, 3 * FRAMES // 2, FULL_BAND_MELS.mel_bins), np.float32)  # the second ends in its middle
    found = np.asarray(texture(mel, first, second)) * 20
    alone = [np.asarray(texture(mel[:, :FRAMES], values)) * 20 for values in (first, second)]
    np.testing.assert_allclose(found[:, 8:FRAMES - 8], alone[0][:, 8:-8], atol=1e-4)
    np.testing.assert_allclose(found[:, FRAMES + 8:-8], alone[1][:, 8:FRAMES // 2 - 8], atol=1e-4)
    steps = np.abs(np.diff(found, axis=1)).mean(axis=(0, 2))
    assert steps[FRAMES - 1] < 1.3 * np.median(steps)


def test_noise_decides_it():
    values = noise()
    near = detail(values + 0.02 * noise(seed=1))
    found = detail(values)
    np.testing.assert_array_equal(detail(values[:3]), found[:3])  # in a batch of any size
    assert np.corrcoef(found.ravel(), near.ravel())[0, 1] > 0.95
    between = np.corrcoef(found[:64].reshape(64, -1))[~np.eye(64, dtype=bool)]
    assert np.abs(between).mean() < 0.1


def test_what_is_not_heard_stays():
    texture, values = Texture(FULL_BAND_MELS, FRAMES, NOISE_DIM, 2.0, OCTAVES), noise(8)
    floor = np.log10(FULL_BAND_MELS.floor)
    silence = np.full((8, FRAMES, FULL_BAND_MELS.mel_bins), floor, np.float32)
    np.testing.assert_array_equal(texture(silence, values), silence)
    soft = np.float32(silence + 5.0 / 20)  # 5 dB above
    ratio = np.asarray(texture(soft, values) - soft).std() * 20 / 2.0
    assert 0.25 < ratio < 0.42  # a third: from 2.5 to 10 dB it comes in


def test_samplers_add_it_to_what_is_heard_and_search_without_it():
    preset = presets.get("drums-44k")
    model = dataclasses.replace(preset.model, channels=8, texture=2.0)
    config = dataclasses.replace(preset, model=model, data=dataclasses.replace(preset.data, clip_samples=4_096))
    classes = Classes({"kick": 3, "snare": 1})
    generator = build(config, classes)
    with_it = Sampler(generator, config, GriffinLim(1), classes)
    without = Sampler(generator, dataclasses.replace(config, model=dataclasses.replace(model, texture=0.0)),
                      GriffinLim(1), classes)
    values, label = tf.constant(noise(2)), tf.one_hot([0, 1], 2)
    np.testing.assert_array_equal(with_it.pattern(values, label), without.mel(values, label))
    added = (with_it.mel(values, label) - without.mel(values, label)).numpy() * 20
    assert added.std() == pytest.approx(2.0, rel=0.3)
    np.testing.assert_array_equal(with_it(values, label)["mel"], with_it.mel(values, label))
