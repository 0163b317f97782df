"""Products with matrices that are zero away from a diagonal, as those between bins and mel bands are: for phones."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

#: Blocks of a matrix: LiteRT's fast kernels join five or fewer.
_BLOCKS = 4


def product(rows: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    """``(batch, rows, inputs)`` times a constant ``(inputs, outputs)``.

    Four blocks of columns are multiplied by the inputs that they use: of a banded matrix a quarter of the numbers and
    of the work.
    """
    parts = []
    for columns in np.array_split(np.arange(matrix.shape[1]), _BLOCKS):
        block = matrix[:, columns]
        used = np.flatnonzero(block.any(axis=1))
        first, end = (used[0], used[-1] + 1) if len(used) else (0, 1)
        parts.append(tf.tensordot(rows[:, :, first:end], tf.constant(block[first:end]), 1))
    return tf.concat(parts, axis=2)
