"""Features of loops, measured in their mels so that gradients pass."""

from __future__ import annotations

import math

import keras
from keras import ops

from melgan_tf.config import Config
from melgan_tf.dsp.mel_filters import band_centers
from melgan_tf.models.layers.mel_scale import MelScale
from melgan_tf.models.loop_gan.config import BEAT_FRAMES, FEATURES

_BANDS = 4
_RISE, _RISE_WIDTH = 0.9, 0.14  # nepers over two frames: a hit; in between it counts in part
_RANGE = math.log(10.0) * 4.0  # below the loudest value, that is heard: 80 dB
_ONSET, _ONSET_WIDTH = 0.15, 0.04  # of the clearest onset
_SIXTEENTH = BEAT_FRAMES // 4
_BEFORE = 3  # frames before a sixteenth whose rises are its own: humans and windows are early
_BAR = 16


class Features:
    """Measures density, brightness and loudness of mels on the grid, by which the networks learn.

    Density is the logarithm of the number of rises by 8 dB in any of four bands, however loud; brightness that of the
    spectral centroid; loudness that of the power.

    Args:
        config: the mel configuration and the scale.
    """

    def __init__(self, config: Config) -> None:
        self.scale = MelScale(config.audio, config.model.ceiling)
        centers, self.width = band_centers(config.audio)
        self.hz = centers.astype("float32")

    def __call__(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """``(batch, frames, mel_bins)`` in [-1, 1] -> ``(batch, 3)``, in the order of `FEATURES`."""
        magnitude = self.magnitude(x)
        parts = ops.reshape(magnitude, (-1, x.shape[1], _BANDS, x.shape[2] // _BANDS))
        bands = ops.log(ops.mean(parts, axis=-1) + 1e-3)
        rise = ops.max(ops.roll(bands, -1, axis=1) - ops.roll(bands, 1, axis=1), axis=-1)
        density = ops.log(ops.mean(ops.sigmoid((rise - _RISE) / _RISE_WIDTH), axis=1) + 1e-3)
        loudness = ops.log(ops.mean(ops.square(magnitude) * self.width, axis=(1, 2)))
        return ops.stack([density, self.brightness(magnitude), loudness], axis=-1)

    def brightness(self, magnitude: keras.KerasTensor) -> keras.KerasTensor:
        """Magnitudes ``(batch, frames, mel_bins)`` -> logarithm of the spectral centroid ``(batch,)``."""
        spectrum = ops.mean(magnitude, axis=1) * self.width
        return ops.log(ops.sum(spectrum * self.hz, axis=-1) / ops.sum(spectrum, axis=-1))

    def magnitude(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """``(batch, frames, mel_bins)`` in [-1, 1] -> the same, linear."""
        return ops.exp(self.scale.to_mel(x) * math.log(10.0))


class Heard(Features):
    """Measures what is heard in a loop at any level.

    Density is the logarithm of the share of sixteenths with an onset: where the spectral flux stands out from its
    surroundings by 0.15 of the clearest onset. Onsets count in part. Brightness is that of `Features`. Loudness is the
    logarithm of the mean level at one peak; the peak of a mel is the geometric mean of two, of bands that add as powers
    and as amplitudes. Complexity is the logarithm of the syncopation of the onsets: one counts if none follows up to
    the next stronger place of the bar, by how much stronger that is.

    Args:
        config: the mel configuration and the scale.

    Reference: Longuet-Higgins and Lee, "The Rhythmic Interpretation of Monophonic Music" (1984).
    """

    names = (*FEATURES, "complexity")

    def __call__(self, mel: keras.KerasTensor) -> keras.KerasTensor:
        """Log mel of whole bars ``(batch, frames, mel_bins)`` -> ``(batch, 4)``."""
        magnitude = self.magnitude(self.scale.from_mel(mel))
        onsets = _onsets(magnitude)
        power = ops.square(magnitude) * self.width
        level = ops.sum(power, axis=-1)
        amplitude = ops.sum(ops.sqrt(power + 1e-12), axis=-1)
        peak = ops.max(level, axis=1) * ops.square(ops.max(amplitude, axis=1))
        return ops.stack([ops.log(ops.mean(onsets, axis=1) + 0.01), self.brightness(magnitude),
                          0.5 * ops.log(ops.mean(level, axis=1)) - 0.25 * ops.log(peak),
                          ops.log(_syncopation(onsets) + 0.1)], axis=-1)


def _onsets(magnitude: keras.KerasTensor) -> keras.KerasTensor:
    """How much of an onset is at each sixteenth, 0 to 1: ``(batch, sixteenths)``."""
    level = ops.log(magnitude)
    level = ops.maximum(level, ops.max(level, axis=(1, 2), keepdims=True) - _RANGE)
    flux = ops.mean(ops.relu(ops.roll(level, -1, axis=1) - ops.roll(level, 1, axis=1)), axis=2)
    around = ops.reshape(ops.roll(flux, _BEFORE, axis=1), (-1, flux.shape[1] // _SIXTEENTH, _SIXTEENTH))
    clear = ops.max(around, axis=2) - ops.mean(around, axis=2)
    share = clear / (ops.max(clear, axis=1, keepdims=True) + 1e-6)
    return ops.sigmoid((share - _ONSET) / _ONSET_WIDTH)


def _syncopation(onsets: keras.KerasTensor) -> keras.KerasTensor:
    """Onsets ``(batch, sixteenths)`` -> syncopation of a bar ``(batch,)``."""
    rests, total = [ops.roll(1.0 - onsets, -step, axis=1) for step in range(1, _BAR // 2 + 1)], 0.0
    for place in range(1, _BAR):
        step = place & -place  # to the next stronger place
        alone = onsets
        for rest in rests[:step]:
            alone = alone * rest
        rise = _level((place + step) % _BAR) - _level(place)
        total = total + rise * ops.mean(alone[:, place::_BAR], axis=1)
    return total


def _level(place: int) -> int:
    """How strong a sixteenth of a bar is: 0 where it begins, -1 in the middle, to -4."""
    return (place & -place).bit_length() - 5 if place else 0
