"""Features of loops, measured in their mels so that gradients pass."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from melgan_tf.config import Config
from melgan_tf.dsp.mel_filters import band_centers
from melgan_tf.models.layers.mel_scale import MelScale
from melgan_tf.models.loop_gan.config import FEATURES, SIXTEENTH_FRAMES

_BANDS = 4
_RISE, _RISE_WIDTH = 0.9, 0.14  # nepers over two frames: a hit; in between it counts in part
_RANGE = math.log(10.0) * 4.0  # below the loudest value, that is heard: 80 dB
_ONSET, _ONSET_WIDTH = 0.15, 0.04  # of the clearest onset
_BEFORE = 3  # frames before a sixteenth whose rises are its own: humans and windows are early
#: How weak the sixteenths of a bar are: 0 where it begins, 1/4 in its middle, then other quarters, eighths, sixteenths.
_WEAKNESS = np.array([0, 4, 3, 4, 2, 4, 3, 4, 1, 4, 3, 4, 2, 4, 3, 4], np.float32) / 4


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
    and as amplitudes. Complexity is the mean metrical weakness of the sixteenths, weighted by how far their spectral
    flux stands out: 0 if all of it is where bars begin, 1 if it is on sixteenths between eighths only.

    Args:
        config: the mel configuration and the scale.

    Reference: Toussaint, "A Mathematical Analysis of African, Brazilian, and Cuban Clave Rhythms" (2002); weights of
    Lerdahl and Jackendoff, "A Generative Theory of Tonal Music" (1983).
    """

    names = (*FEATURES, "complexity")

    def __call__(self, mel: keras.KerasTensor) -> keras.KerasTensor:
        """Log mel of whole bars ``(batch, frames, mel_bins)`` -> ``(batch, 4)``."""
        magnitude = self.magnitude(self.scale.from_mel(mel))
        clear = _clear_flux(magnitude)
        share = clear / (ops.max(clear, axis=1, keepdims=True) + 1e-6)
        onsets = ops.sigmoid((share - _ONSET) / _ONSET_WIDTH)
        weakness = np.tile(_WEAKNESS, clear.shape[1] // len(_WEAKNESS))
        power = ops.square(magnitude) * self.width
        level = ops.sum(power, axis=-1)
        amplitude = ops.sum(ops.sqrt(power + 1e-12), axis=-1)
        peak = ops.max(level, axis=1) * ops.square(ops.max(amplitude, axis=1))
        return ops.stack([ops.log(ops.mean(onsets, axis=1) + 0.01), self.brightness(magnitude),
                          0.5 * ops.log(ops.mean(level, axis=1)) - 0.25 * ops.log(peak),
                          ops.sum(clear * weakness, axis=1) / (ops.sum(clear, axis=1) + 1e-3)], axis=-1)


def _clear_flux(magnitude: keras.KerasTensor) -> keras.KerasTensor:
    """By how much the spectral flux at each sixteenth stands out from its surroundings: ``(batch, sixteenths)``."""
    level = ops.log(magnitude)
    level = ops.maximum(level, ops.max(level, axis=(1, 2), keepdims=True) - _RANGE)
    flux = ops.mean(ops.relu(ops.roll(level, -1, axis=1) - ops.roll(level, 1, axis=1)), axis=2)
    around = ops.reshape(ops.roll(flux, _BEFORE, axis=1), (-1, flux.shape[1] // SIXTEENTH_FRAMES, SIXTEENTH_FRAMES))
    return ops.max(around, axis=2) - ops.mean(around, axis=2)
