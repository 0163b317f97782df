"""Steady sounds without a buzz: what a network would repeat in every frame gets another phase in each.

The factor without a carrier serves attacks: its phase says where in a frame they are. In a steady sound it is the same
in every frame, and what is the same in every frame is a line spectrum at the frame rate: in steady noise, 22 dB above
Griffin-Lim's. The mean over a few frames is that part::

    factor = mean + rest      rest: attacks and other changes, as they are
                              mean: times a phasor of random phase for each bin and tick of the clock

The phases of a bin add up to zero over the period of the clock, at every position within a frame, so nothing is left at
multiples of the frame rate. Where there is an attack, the mean is small and the bins around it keep their magnitudes.
"""

from __future__ import annotations

import functools
import math
import operator

import numpy as np
import tensorflow as tf

from melgan_tf.dsp.stft import Spectrum

#: Iterations that make the phasors of unit length and of mean zero.
_BALANCING_ROUNDS = 200


def scatter(spectrum: Spectrum, reach: int, subframes: int, ticks: tf.Tensor, period: int,
            mask: tf.Tensor | None = None) -> Spectrum:
    """Gives what repeats in every frame random phases.

    Args:
        spectrum: factors of the bins ``(batch, frames * subframes, bins)``.
        reach: frames on either side that the mean is taken over.
        subframes: sub-frames in a frame; each repeats on its own.
        ticks: the time of each sub-frame on the clock, ``(frames * subframes,)`` or ``(batch, frames * subframes)``.
        period: of the clock, ticks.
        mask: ``(batch, frames, 1)``, 0 for frames that do not count; None: all count.

    Returns:
        Factors of the same shape.
    """
    real, imaginary = spectrum
    bins, count = real.shape[2], tf.shape(real)[1] // subframes
    weight = tf.ones((1, count, 1)) if mask is None else mask
    frames = tf.maximum(_moving_sum(weight, reach, count), 1.0)

    def mean(part: tf.Tensor) -> tf.Tensor:
        rows = tf.reshape(part, (-1, count, subframes * bins))
        total = _moving_sum(rows if mask is None else rows * mask, reach, count)
        return tf.reshape(total / frames, (-1, count * subframes, bins))

    mean_real, mean_imaginary = mean(real), mean(imaginary)
    cosine, sine = (tf.gather(tf.constant(table), ticks) for table in _phasors(bins, period, subframes))
    return (real + mean_real * (cosine - 1.0) - mean_imaginary * sine,
            imaginary + mean_real * sine + mean_imaginary * (cosine - 1.0))


def _moving_sum(x: tf.Tensor, reach: int, count: tf.Tensor) -> tf.Tensor:
    """The sum over `reach` frames on either side; beyond the ends nothing is added."""
    padded = tf.pad(x, ((0, 0), (reach, reach), (0, 0)))
    return functools.reduce(operator.add, (padded[:, i:i + count] for i in range(2 * reach + 1)))


@functools.lru_cache(maxsize=32)
def _phasors(bins: int, period: int, subframes: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines ``(period, bins)`` of random phases.

    Each bin's add up to zero over all ticks that fall on the same sub-frame, unless that is a single one.
    """
    positions = math.gcd(period, subframes)
    phasors = np.exp(2j * np.pi * np.random.default_rng(1).random((period // positions, positions, bins)))
    for _ in range(_BALANCING_ROUNDS if period > positions else 0):
        phasors -= phasors.mean(axis=0)
        phasors /= np.abs(phasors)
    phasors = phasors.reshape(period, bins)
    return phasors.real.astype(np.float32), phasors.imag.astype(np.float32)
