"""Conversion between mel configurations: exact where possible, close for noise where not, otherwise refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.config import AudioConfig, presets
from melgan_tf.dsp import spectral
from melgan_tf.errors import UsageError

SEED = presets.get("seed").audio
LOG = presets.get("vocoder-16k").audio
MELGAN = presets.get("melgan").audio
SMALL = AudioConfig(n_fft=512, hop_samples=128, mel_bins=32)

#: For every field that must not differ, another valid value for the seed preset.
OTHERS = {"sample_rate": 22_050, "n_fft": 2048, "hop_samples": 256, "mel_bins": 80, "min_hz": 30.0, "max_hz": 7_600.0,
          "mel_scale": "slaney", "padding": "half-hop"}


def like(audio, **changes):
    return dataclasses.replace(audio, **changes)


@pytest.fixture(scope="module")
def sounds() -> tf.Tensor:
    """White noise that decays by 100 dB, and one of constant level."""
    noise = 0.2 * np.random.default_rng(0).normal(size=(2, 16_000))
    noise[0] *= 10 ** np.linspace(0, -5, 16_000)
    return tf.constant(noise, tf.float32)


# -- exact -----------------------------------------------------------------------------------------------------------

def test_the_seed_presets_mel_becomes_the_logarithm_that_the_vocoder_was_trained_on(sounds):
    assert spectral.differences_beyond_compression(SEED, LOG) == []
    converted = spectral.convert(spectral.mel_spectrogram(sounds, SEED), SEED, LOG)
    np.testing.assert_allclose(converted, spectral.mel_spectrogram(sounds, LOG), rtol=0, atol=2e-6)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("compression", ["none", "log10"])
@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize(("norm", "target"), [("none", "slaney"), ("slaney", "none")])
def test_between_heights_and_areas_of_filters(sounds, power, compression, scale, norm, target):
    audio = like(SMALL, power=power, compression=compression, mel_scale=scale, mel_norm=norm, floor=1e-14)
    other = like(audio, mel_norm=target)
    converted = spectral.convert(spectral.mel_spectrogram(sounds, audio), audio, other).numpy()
    direct = spectral.mel_spectrogram(sounds, other).numpy()
    assert np.abs(direct - spectral.mel_spectrogram(sounds, audio)).max() > 1e-3  # the configurations differ
    if compression == "none":
        np.testing.assert_allclose(converted, direct, rtol=1e-4, atol=1e-9)
    else:  # values at the floor are unknown
        known = spectral.mel_spectrogram(sounds, audio).numpy() > np.log10(audio.floor)
        assert known.mean() > 0.5
        np.testing.assert_allclose(converted[known], direct[known], rtol=0, atol=1e-4)


def test_to_a_higher_floor(sounds):
    other = like(LOG, floor=1e-2)
    converted = spectral.convert(spectral.mel_spectrogram(sounds, LOG), LOG, other).numpy()
    np.testing.assert_allclose(converted, spectral.mel_spectrogram(sounds, other), rtol=0, atol=1e-5)
    assert converted.min() == pytest.approx(-2.0)


def test_silence_becomes_the_target_floor():
    """A mel at the floor counts as silence, however low the other floor."""
    for power in (1.0, 2.0):
        for norm in ("none", "slaney"):
            other = like(LOG, power=power, mel_norm=norm, floor=1e-8)
            for audio in (SEED, LOG):
                converted = spectral.convert(spectral.mel_spectrogram(tf.zeros((1, 4_096)), audio), audio, other)
                np.testing.assert_allclose(converted, -8.0, rtol=1e-6)
            assert not np.any(spectral.convert(converted, other, SEED))


def test_the_same_configuration_changes_nothing(sounds):
    mel = spectral.mel_spectrogram(sounds, LOG)
    np.testing.assert_array_equal(spectral.convert(mel, LOG, LOG), mel)


# -- close ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("audio", [SEED, MELGAN], ids=["seed", "melgan"])
@pytest.mark.parametrize(("power", "target"), [(2.0, 1.0), (1.0, 2.0)])
def test_between_magnitude_and_power_noise_is_close(sounds, audio, power, target):
    audio, other = like(audio, power=power, compression="none"), like(audio, power=target, compression="none")
    converted = spectral.convert(spectral.mel_spectrogram(sounds[1:], audio), audio, other).numpy()
    direct = spectral.mel_spectrogram(sounds[1:], other).numpy()
    decibels = 20 / target * np.log10(np.maximum(converted, 1e-9) / np.maximum(direct, 1e-9))
    assert np.abs(decibels).mean() < 1.5
    assert abs(decibels.mean()) < 0.4  # no bias in level


# -- there and back --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("other", [
    LOG, like(SEED, mel_norm="slaney"), like(SEED, power=1.0),
    like(SEED, power=1.0, mel_norm="slaney", compression="log10", floor=1e-12)], ids=["log10", "area", "power", "all"])
def test_there_and_back(sounds, other):
    other = like(other, floor=1e-12)
    mel = spectral.mel_spectrogram(sounds, SEED)
    back = spectral.convert(spectral.convert(mel, SEED, other), other, SEED)
    np.testing.assert_allclose(back, mel, rtol=2e-4, atol=1e-7)


# -- refused ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("name", "value"), OTHERS.items())
def test_every_other_difference_is_refused_by_name(name, value):
    other = like(SEED, **{name: value})
    line = f"{name}: {getattr(SEED, name)} / {value}"
    assert spectral.differences_beyond_compression(SEED, other) == [line]
    with pytest.raises(UsageError, match="cannot be converted") as caught:
        spectral.convert(tf.zeros((1, 2, 64)), SEED, other)
    assert line in str(caught.value)


def test_all_differing_fields_are_named_and_no_others():
    with pytest.raises(UsageError) as caught:
        spectral.convert(tf.zeros((1, 2, 64)), SEED, MELGAN)
    message = str(caught.value)
    for name in ("sample_rate", "hop_samples", "mel_bins", "max_hz", "mel_scale", "padding"):
        assert f"{name}: {getattr(SEED, name)} / {getattr(MELGAN, name)}" in message
    for name in ("n_fft", "min_hz", "power", "mel_norm", "compression", "floor"):
        assert f"{name}:" not in message


def test_every_field_is_either_converted_or_refused():
    compression = {"power", "mel_norm", "compression", "floor"}
    fields = {field.name for field in dataclasses.fields(AudioConfig)} - {"window"}  # there is only one window
    assert fields == compression | set(OTHERS)
    for name, value in (("power", 1.0), ("mel_norm", "slaney"), ("compression", "log10"), ("floor", 1e-3)):
        assert spectral.differences_beyond_compression(SEED, like(SEED, **{name: value})) == []


# -- already padded --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("audio", [SEED, LOG, MELGAN, like(SMALL, hop_samples=127, padding="half-hop")],
                         ids=["seed", "vocoder-16k", "melgan", "odd hop"])
def test_mel_of_a_reflected_waveform_is_the_waveforms(sounds, audio):
    before, after = spectral.padding_samples(audio)
    reflected = np.pad(sounds.numpy(), ((0, 0), (before, after)), mode="reflect")
    mel = spectral.mel_of_padded(tf.constant(reflected), audio)
    assert mel.shape == (2, audio.frames(16_000), audio.mel_bins)
    np.testing.assert_allclose(mel, spectral.mel_spectrogram(sounds, audio), rtol=1e-6, atol=1e-6)


def test_its_frames_start_at_multiples_of_the_hop(sounds):
    mel = spectral.mel_of_padded(sounds, SMALL).numpy()
    for i in (0, 3):
        frame = spectral.mel_of_padded(sounds[:, i * 128:i * 128 + 512], SMALL)
        np.testing.assert_allclose(frame[:, 0], mel[:, i], rtol=1e-5)
