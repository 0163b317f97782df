"""What the discriminator sees of a sound: the sound a little higher or lower, later or earlier, louder or softer.

Real and generated sounds are changed alike and at random, so the generator gains nothing by imitating the changes, and
a discriminator that never sees the same picture twice cannot learn a small set by heart.

Reference: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training" (2020).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


class Augmentation:
    """Random changes of spectrograms in [-1, 1], where -1 is silence.

    Args:
        bins, frames: of a spectrogram.
        bin_shift: most mel bins up or down.
        frame_shift: most frames later or earlier.
        gain: most that is added or taken away everywhere.
    """

    #: Random numbers that a sound takes.
    DRAWS = 3

    def __init__(self, bins: int, frames: int, bin_shift: int, frame_shift: int, gain: float) -> None:
        self.gain = gain
        self._bins, self._frames = _shifts(bins, bin_shift), _shifts(frames, frame_shift)

    def __call__(self, x: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Changes every sound in its own way.

        Args:
            x: ``(batch, frames, bins)``.
            draws: ``(batch, DRAWS)``, uniform in [0, 1): they decide the changes.
        """
        along_bins, along_frames = _pick(self._bins, draws[:, 0]), _pick(self._frames, draws[:, 1])
        moved = tf.matmul(x + 1.0, along_bins)
        moved = (tf.matmul(along_frames, moved) if len(self._frames) > 1 else moved) - 1.0  # from outside: silence
        return moved + self.gain * (2.0 * draws[:, 2] - 1.0)[:, None, None]


def _shifts(size: int, most: int) -> np.ndarray:
    """The matrices that shift by -most, ..., most: ``(2 * most + 1, size, size)``."""
    return np.stack([np.eye(size, k=k, dtype="float32") for k in range(-most, most + 1)])


def _pick(matrices: np.ndarray, draws: tf.Tensor) -> tf.Tensor:
    count, size, _ = matrices.shape
    chosen = tf.one_hot(tf.cast(draws * count, tf.int32), count)
    return tf.reshape(tf.matmul(chosen, tf.constant(matrices.reshape(count, -1))), (-1, size, size))
