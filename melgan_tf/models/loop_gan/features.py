"""Features of loops, measured in their mels so that gradients pass."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from melgan_tf.config import Config
from melgan_tf.dsp import spectral
from melgan_tf.models.layers.mel_scale import MelScale
from melgan_tf.models.loop_gan.config import BEAT_FRAMES, FEATURES

_BANDS = 4
_RISE, _RISE_WIDTH = 0.9, 0.14  # nepers over two frames: a hit; in between it counts in part
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
        weights = spectral.mel_filterbank(config.audio)
        hz = np.linspace(0.0, config.audio.sample_rate / 2, len(weights))[:, None]
        area = np.maximum(weights.sum(axis=0), 1e-12)
        self.hz, self.width = ((weights * hz).sum(axis=0) / area).astype("float32"), (1.0 / area).astype("float32")

    def __call__(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """``(batch, frames, mel_bins)`` in [-1, 1] -> ``(batch, 3)``, in the order of `FEATURES`."""
        magnitude = self.magnitude(x)
        density = ops.log(ops.mean(_hits(ops.max(_rises(magnitude), axis=-1)), axis=1) + 1e-3)
        spectrum = ops.mean(magnitude, axis=1) * self.width
        brightness = ops.log(ops.sum(spectrum * self.hz, axis=-1) / ops.sum(spectrum, axis=-1))
        loudness = ops.log(ops.mean(ops.square(magnitude) * self.width, axis=(1, 2)))
        return ops.stack([density, brightness, loudness], axis=-1)

    def magnitude(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """``(batch, frames, mel_bins)`` in [-1, 1] -> the same, linear."""
        return ops.exp(self.scale.to_mel(x) * math.log(10.0))


class Heard(Features):
    """Measures what is heard in a loop at any level: density and brightness as `Features`, loudness and complexity.

    Loudness is the logarithm of the mean level at one peak. The peak of a mel is the geometric mean of two: bands that
    add as powers, and as amplitudes.

    Complexity is the logarithm of the syncopation of hits in four bands: a hit counts if nothing follows it up to the
    next stronger place in the bar, by how much stronger that is. Hits count in part.

    Args:
        config: the mel configuration and the scale.

    Reference: Longuet-Higgins and Lee, "The Rhythmic Interpretation of Monophonic Music" (1984).
    """

    names = (*FEATURES, "complexity")

    def __call__(self, mel: keras.KerasTensor) -> keras.KerasTensor:
        """Log mel of whole bars ``(batch, frames, mel_bins)`` -> ``(batch, 4)``."""
        x = self.scale.from_mel(mel)
        magnitude = self.magnitude(x)
        power = ops.square(magnitude) * self.width
        amplitude = ops.sum(ops.sqrt(power + 1e-12), axis=-1)
        peak = ops.max(ops.sum(power, axis=-1), axis=1) * ops.square(ops.max(amplitude, axis=1))
        loudness = 0.5 * ops.log(ops.mean(ops.sum(power, axis=-1), axis=1)) - 0.25 * ops.log(peak)
        complexity = ops.log(_syncopation(_hits(_rises(magnitude))) + 0.1)
        return ops.concatenate([super().__call__(x)[:, :2], ops.stack([loudness, complexity], axis=-1)], axis=-1)


def _rises(magnitude: keras.KerasTensor) -> keras.KerasTensor:
    """Rises of level over two frames, nepers: ``(batch, frames, 4)``."""
    parts = ops.reshape(magnitude, (-1, magnitude.shape[1], _BANDS, magnitude.shape[2] // _BANDS))
    bands = ops.log(ops.mean(parts, axis=-1) + 1e-3)
    return ops.roll(bands, -1, axis=1) - ops.roll(bands, 1, axis=1)


def _hits(rises: keras.KerasTensor) -> keras.KerasTensor:
    """How much of a hit rises are, 0 to 1."""
    return ops.sigmoid((rises - _RISE) / _RISE_WIDTH)


def _syncopation(hits: keras.KerasTensor) -> keras.KerasTensor:
    """Hits ``(batch, frames, bands)`` -> syncopation of a bar ``(batch,)``, mean of the bands."""
    early = ops.reshape(ops.roll(hits, _BEFORE, axis=1), (-1, hits.shape[1] // _SIXTEENTH, _SIXTEENTH, _BANDS))
    onsets = ops.max(early, axis=2)
    rests, total = [ops.roll(1.0 - onsets, -step, axis=1) for step in range(1, _BAR + 1)], 0.0
    for place in range(1, _BAR):
        step = place & -place  # to the next stronger place
        alone = onsets
        for rest in rests[:step]:
            alone = alone * rest
        stronger = (place + step) % _BAR
        total = total + (_level(stronger) - _level(place)) * ops.mean(alone[:, place::_BAR], axis=(1, 2))
    return total


def _level(place: int) -> int:
    """How strong a sixteenth of a bar is: 0 where it begins, -1 in the middle, to -4."""
    return -4 + min(4, (place & -place).bit_length() - 1) if place else 0
