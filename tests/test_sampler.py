"""The Sampler: the same noise and the same sound for a seed, whatever else is asked for; no clicks, no clipping."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.config import AudioConfig, Config, DataConfig, presets
from melgan_tf.dsp import spectral
from melgan_tf.inference.renderer import GriffinLim
from melgan_tf.inference.sampler import BATCH, Sampler
from melgan_tf.models.spectrogram_gan.networks import Generator

SEED = presets.get("seed")
FADE = 80  # samples in 5 ms at 16 kHz
RISE = 8  # samples: half a millisecond at 16 kHz


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    """An untrained generator, with weights large enough that noise decides what is heard."""
    return Sampler(Generator(weight_std=0.1, seed=3), SEED)


@pytest.fixture(scope="module")
def sounds(sampler) -> dict[str, np.ndarray]:
    return sampler.generate(seed=7, count=20)


def scaled(sampler: Sampler, gain: float) -> Sampler:
    """The same generator, ``gain`` times as loud in amplitude."""
    return Sampler(SimpleNamespace(mel=lambda noise: sampler.generator.mel(noise) * gain**2), SEED)


# -- noise -----------------------------------------------------------------------------------------------------------

def test_noise_of_a_sound_depends_on_seed_and_index_alone(sampler):
    noise = sampler.noise(7, 40).numpy()
    assert noise.shape == (40, 20)
    np.testing.assert_array_equal(sampler.noise(7, 3), noise[:3])
    np.testing.assert_array_equal(sampler.noise(7, 5, start=30), noise[30:35])
    np.testing.assert_array_equal(sampler.noise(tf.constant(7, tf.int64), tf.constant(40)), noise)


def test_noise_is_standard_normal_and_differs_between_sounds_and_seeds(sampler):
    noise = np.concatenate([sampler.noise(seed, 100).numpy() for seed in range(5)])
    assert len(np.unique(noise)) > 0.99 * noise.size
    assert abs(noise.mean()) < 0.04  # four standard errors
    assert abs(noise.std() - 1) < 0.03


def test_noise_of_neighbouring_seeds_is_not_shifted(sampler):
    """Seed s, sound i + 1 must not be seed s + 1, sound i: a listener would hear one set twice."""
    here, there = sampler.noise(1, 8).numpy(), sampler.noise(2, 8).numpy()
    assert not any(np.array_equal(a, b) for a in here for b in there)


@pytest.mark.parametrize("seed", [0, 2**31 - 1, 2**63 - 1])
def test_every_seed_that_is_allowed_works(sampler, seed):
    assert np.isfinite(sampler.noise(seed, 2).numpy()).all()


def test_noise_length_is_that_of_the_configuration():
    config = dataclasses.replace(SEED, model=dataclasses.replace(SEED.model, noise_dim=5))
    assert Sampler(Generator(noise_dim=5), config).noise(0, 3).shape == (3, 5)


# -- generating ------------------------------------------------------------------------------------------------------

def test_shapes_and_types(sounds):
    assert {name: value.shape for name, value in sounds.items()} == {
        "audio": (20, 8_000), "mel": (20, 16, 64), "noise": (20, 20)}
    assert all(value.dtype == np.float32 for value in sounds.values())


def test_sounds_of_a_seed_differ(sounds):
    audio = sounds["audio"] / np.abs(sounds["audio"]).max(axis=1, keepdims=True)
    assert all(np.abs(audio[i] - audio[j]).max() > 0.05 for i in range(20) for j in range(i))


@pytest.mark.parametrize("count", [1, 3, BATCH])
def test_a_sound_does_not_depend_on_how_many_are_asked_for(sampler, sounds, count):
    for name, value in sampler.generate(seed=7, count=count).items():
        np.testing.assert_array_equal(value, sounds[name][:count], err_msg=name)


def test_a_second_sampler_makes_the_same_bits(sampler, sounds):
    again = Sampler(sampler.generator, SEED).generate(seed=7, count=20)
    for name, value in again.items():
        np.testing.assert_array_equal(value, sounds[name], err_msg=name)


def test_start_goes_on_where_an_earlier_call_ended(sampler, sounds):
    later = sampler.generate(seed=7, count=4, start=BATCH)
    for name, value in later.items():
        np.testing.assert_array_equal(value, sounds[name][BATCH:], err_msg=name)


def test_neighbours_in_the_batch_do_not_matter(sampler, sounds):
    """At another place of the batch only rounding may differ."""
    later = sampler.generate(seed=7, count=4, start=5)
    np.testing.assert_array_equal(later["noise"], sounds["noise"][5:9])
    np.testing.assert_allclose(later["mel"], sounds["mel"][5:9], rtol=1e-4, atol=1e-6 * sounds["mel"].max())
    peak = np.abs(sounds["audio"][5:9]).max(axis=1, keepdims=True)
    assert (np.abs(later["audio"] - sounds["audio"][5:9]) / peak).max() < 0.05  # phase retrieval magnifies rounding


def test_a_call_and_a_request_agree_with_generate(sampler, sounds):
    asked = sampler.inputs_of(tf.fill([3], np.int64(7)), tf.range(3, dtype=tf.int64))
    for made in (sampler(tf.constant(sounds["noise"][:3])), sampler(**asked)):
        np.testing.assert_allclose(made["mel"], sounds["mel"][:3], rtol=1e-4, atol=1e-6 * sounds["mel"].max())
        peak = np.abs(sounds["audio"][:3]).max(axis=1, keepdims=True)
        assert (np.abs(made["audio"] - sounds["audio"][:3]) / peak).max() < 0.05  # phase retrieval magnifies rounding


def test_parts_of_a_batch_come_in_order(sampler, sounds):
    expected = sampler.mel(tf.constant(sounds["noise"])).numpy()
    np.testing.assert_allclose(sounds["mel"], expected, rtol=1e-4, atol=1e-6 * expected.max())


def test_advance_is_told_of_every_sound(sampler):
    told = []
    sampler.generate(seed=0, count=BATCH + 3, advance=told.append)
    assert told == [BATCH, 3]


def test_mel_has_time_first_and_is_the_generators_image(sampler, sounds):
    image = sampler.generator(tf.constant(sounds["noise"])).numpy()
    np.testing.assert_allclose(sampler.mel(tf.constant(sounds["noise"])), image[..., 0].transpose(0, 2, 1), rtol=1e-6)


# -- from mel to something one may listen to -------------------------------------------------------------------------

def test_every_sound_ends_in_silence(sounds):
    assert np.abs(sounds["audio"][:, -1]).max() == 0
    peak = np.abs(sounds["audio"]).max(axis=1)
    assert (np.abs(sounds["audio"][:, -8:]).max(axis=1) < 0.03 * peak).all()


def test_fades_are_half_cosines_over_half_a_millisecond_and_five(sampler):
    finished = sampler.finish(tf.fill((1, 8_000), 0.5)).numpy()[0]
    np.testing.assert_allclose(finished[:RISE], 0.25 - 0.25 * np.cos(np.pi * np.arange(RISE) / RISE), atol=1e-6)
    np.testing.assert_array_equal(finished[RISE:-FADE], 0.5)
    np.testing.assert_allclose(finished[-FADE:], 0.25 + 0.25 * np.cos(np.pi * np.arange(1, FADE + 1) / FADE), atol=1e-6)


def test_only_what_would_clip_is_turned_down_and_keeps_its_shape(sampler):
    waves = np.random.default_rng(0).standard_normal((2, 8_000)).astype(np.float32)
    waves *= np.array([[4.0], [0.9]]) / np.abs(waves).max(axis=1, keepdims=True)
    finished = sampler.finish(tf.constant(waves)).numpy()
    np.testing.assert_allclose(finished[:, RISE:-FADE], waves[:, RISE:-FADE] * [[0.25], [1.0]], rtol=1e-5, atol=1e-7)


def test_no_sound_exceeds_full_scale_however_loud_the_mel(sampler):
    made = scaled(sampler, 1_000.0).generate(seed=7, count=4)
    assert made["mel"].max() > 1e4
    np.testing.assert_allclose(np.abs(made["audio"]).max(axis=1), 1.0, atol=1e-3)
    assert np.abs(made["audio"]).max() <= 1.0


def test_silence_stays_silence(sampler):
    for mel in (np.zeros((2, 16, 64), np.float32), np.full((2, 16, 64), -1.5, np.float32)):  # SELU goes below zero
        audio = sampler.render(tf.constant(mel)).numpy()
        assert audio.shape == (2, 8_000)
        assert np.abs(audio).max() < 1e-4  # what `is_silent` calls silent
        assert np.isfinite(audio).all()


def test_one_silent_sound_does_not_touch_its_neighbour(sampler, sounds):
    both = np.stack([np.zeros((16, 64), np.float32), sounds["mel"][0]])
    audio = sampler.render(tf.constant(both)).numpy()
    assert np.abs(audio[0]).max() < 1e-4
    assert np.abs(audio[1]).max() == pytest.approx(np.abs(sounds["audio"][0]).max(), rel=0.01)


def test_rendering_is_deterministic(sampler, sounds):
    mel = tf.constant(sounds["mel"][:3])
    np.testing.assert_array_equal(sampler.render(mel), sampler.render(mel))


def test_what_is_heard_has_the_mel_that_was_asked_for(sampler):
    """A sine's own mel, rendered, sounds at the sine's pitch and level."""
    seconds = np.arange(8_000) / 16_000
    sine = (0.5 * np.sin(2 * np.pi * 1_000 * seconds) * np.exp(-6 * seconds)).astype(np.float32)[None]
    heard = sampler.render(sampler.analyze(tf.constant(sine))).numpy()[0]
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * 2 == pytest.approx(1_000, abs=40)  # bins of 2 Hz; a mel band is about 80 Hz wide
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(np.sqrt(np.mean(sine**2)), rel=0.3)


def test_analyze_is_the_training_datas_mel(sampler, sounds):
    np.testing.assert_array_equal(sampler.analyze(tf.constant(sounds["audio"][:2])),
                                  spectral.mel_spectrogram(tf.constant(sounds["audio"][:2]), SEED.audio))


def test_length_and_fade_follow_the_configuration():
    config = Config(audio=AudioConfig(sample_rate=8_000, n_fft=512, hop_samples=256, max_hz=4_000.0),
                    data=DataConfig(clip_samples=3_900))
    sampler = Sampler(SimpleNamespace(mel=lambda noise: tf.ones((tf.shape(noise)[0], 16, 64))), config, GriffinLim(2))
    audio = sampler(tf.zeros((1, 20)))["audio"].numpy()
    assert audio.shape == (1, 3_900)
    finished = sampler.finish(tf.ones((1, 3_900))).numpy()[0]
    np.testing.assert_array_equal(np.flatnonzero(finished != 1), [*range(4), *range(3_860, 3_900)])  # at 8 kHz


def test_a_clip_shorter_than_the_fades_is_all_fade():
    config = Config(audio=AudioConfig(sample_rate=96_000, n_fft=64, hop_samples=32, mel_bins=16, max_hz=48_000.0),
                    data=DataConfig(clip_samples=100))
    finished = Sampler(SimpleNamespace(mel=None), config).finish(tf.ones((1, 100))).numpy()[0]
    assert (np.diff(finished[48:]) < 0).all()
    assert finished[0] == finished[-1] == 0
