"""Detail that a generator leaves out: the levels of a mel rise and fall at random, in bands and for a while.

What is made of few numbers is smoother than real sounds. The detail is a smooth function of the noise, so the same
noise still makes the same sound, and sounds near each other have a texture alike.

Reference: Perlin, "An Image Synthesizer" (1985) for octaves of noise; Rahimi & Recht, "Random Features for Large-Scale
Kernel Machines" (2007) for sines of random projections.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp.whole_vectors import VECTOR

#: Frames and mel bins from one random number to the next, of each octave.
_OCTAVES = ((16, 4), (4, 2))
_TURNS = 3.0  # standard deviation of the phases, radians: less, and noise nearby would have the same texture
_AUDIBLE_DB = 2.5, 10.0  # above the mel's floor: no detail below the first, all of it above the second
_SEED = 20, 0


class Texture:
    """Adds detail to mels.

    Args:
        audio: the mel configuration.
        frames: of a mel.
        noise_dim: length of the noise.
        decibels: standard deviation of the levels.
    """

    def __init__(self, audio: AudioConfig, frames: int, noise_dim: int, decibels: float) -> None:
        steps = [(_interpolation(frames, time), _interpolation(audio.mel_bins, band)) for time, band in _OCTAVES]
        self._grids = [(in_time.shape[1], in_band.shape[1]) for in_time, in_band in steps]
        self._steps = [(in_time, in_band.T) for in_time, in_band in steps]
        points = sum(times * bands for times, bands in self._grids)
        points += -points % VECTOR  # so that sounds are the same in a batch of any size
        self._phases = tf.random.stateless_normal((noise_dim, points), _SEED).numpy() * _TURNS / math.sqrt(noise_dim)
        self._first = np.pi * tf.random.stateless_uniform((points,), _SEED, -1, 1).numpy()
        per_decibel = audio.power / 20.0  # of log10
        self._amplitude = decibels * per_decibel * math.sqrt(2.0 / len(_OCTAVES))  # a sine's variance is 1/2
        self._least, self._whole = (math.log10(audio.floor) + level * per_decibel for level in _AUDIBLE_DB)

    def __call__(self, mel: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Log mel ``(batch, frames, mel_bins)`` and its noise ``(batch, noise_dim)`` -> the mel with detail."""
        numbers = tf.sin(tf.matmul(noise, self._phases) + self._first)
        detail, start = 0.0, 0
        for (times, bands), (in_time, in_band) in zip(self._grids, self._steps, strict=True):
            grid = tf.reshape(numbers[:, start:start + times * bands], (-1, times, bands))
            detail, start = detail + tf.matmul(in_time, tf.matmul(grid, in_band)), start + times * bands
        audible = tf.clip_by_value((mel - self._least) / (self._whole - self._least), 0.0, 1.0)
        return mel + self._amplitude * audible * detail


def _interpolation(size: int, step: int) -> np.ndarray:
    """Linear interpolation of numbers ``step`` apart, ``(size, numbers)``: variance 1 becomes variance 1 everywhere."""
    place = (np.arange(size) + 0.5) / step + 0.5
    near = 1.0 - np.abs(place[:, None] - np.arange(math.ceil(size / step) + 2))
    weights = np.maximum(near, 0.0)
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)
