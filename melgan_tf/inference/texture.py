"""Detail that a generator leaves out: the levels of a mel rise and fall at random, in bands and for a while.

What is made of few numbers is smoother than real sounds. The detail is a smooth function of the noise, so the same
noise still makes the same sound, and sounds near each other have a texture alike.

Reference: Perlin, "An Image Synthesizer" (1985) for octaves of noise; Rahimi & Recht, "Random Features for Large-Scale
Kernel Machines" (2007) for sines of random projections.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp.whole_vectors import VECTOR

_TURNS = 3.0  # standard deviation of the phases, radians: less, and noise nearby would have the same texture
_AUDIBLE_DB = 2.5, 10.0  # above the mel's floor: no detail below the first, all of it above the second
_SEED = 20, 0


class Texture:
    """Adds detail to mels. It wraps: the end of a mel leads into its beginning, as a loop must.

    Args:
        audio: the mel configuration.
        frames: of a mel, or of each of its sections.
        noise_dim: length of the noise.
        decibels: standard deviation of the levels.
        octaves: frames and mel bins from one random number to the next, of each octave.
    """

    def __init__(self, audio: AudioConfig, frames: int, noise_dim: int, decibels: float,
                 octaves: Sequence[tuple[int, int]]) -> None:
        self._octaves = octaves
        self._grids = [(math.ceil(frames / time), math.ceil(audio.mel_bins / band)) for time, band in octaves]
        points = sum(times * bands for times, bands in self._grids)
        points += -points % VECTOR  # so that sounds are the same in a batch of any size
        self._phases = tf.random.stateless_normal((noise_dim, points), _SEED).numpy() * _TURNS / math.sqrt(noise_dim)
        self._first = np.pi * tf.random.stateless_uniform((points,), _SEED, -1, 1).numpy()
        per_decibel = audio.power / 20.0  # of log10
        self._amplitude = decibels * per_decibel * math.sqrt(2.0 / len(octaves))  # a sine's variance is 1/2
        self._least, self._whole = (math.log10(audio.floor) + level * per_decibel for level in _AUDIBLE_DB)

    def __call__(self, mel: tf.Tensor, *sections: tf.Tensor) -> tf.Tensor:
        """Log mel ``(batch, frames, mel_bins)`` -> the mel with detail.

        Args:
            mel: one section or several, one after another; it may end in the middle of the last one.
            sections: the noise ``(batch, noise_dim)`` of each.
        """
        numbers = [tf.sin(tf.matmul(noise, self._phases) + self._first) for noise in sections]
        detail, start = 0.0, 0
        for (times, bands), (time, band) in zip(self._grids, self._octaves, strict=True):
            grids = [tf.reshape(section[:, start:start + times * bands], (-1, times, bands)) for section in numbers]
            in_time, in_band = _interpolation(mel.shape[1], time), _interpolation(mel.shape[2], band)
            grid = tf.concat(grids, axis=1)[:, :in_time.shape[1]]
            detail += tf.matmul(in_time, tf.matmul(grid, in_band.T))
            start += times * bands
        audible = tf.clip_by_value((mel - self._least) / (self._whole - self._least), 0.0, 1.0)
        return mel + self._amplitude * audible * detail


def _interpolation(size: int, step: int) -> np.ndarray:
    """Linear interpolation on a ring, of numbers ``step`` apart: ``(size, numbers)``. Variance 1 stays 1 everywhere."""
    numbers = math.ceil(size / step)
    distance = ((np.arange(size) + 0.5) / step)[:, None] - (np.arange(numbers) + 0.5)
    distance = np.abs((distance + numbers / 2) % numbers - numbers / 2)
    weights = np.maximum(1.0 - distance, 0.0)
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)
