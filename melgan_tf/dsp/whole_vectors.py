"""Functions of every number of a tensor that are the same in a batch of any size.

What is left over of a tensor after whole vectors of the processor is rounded otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

#: Numbers of float32 in the longest vectors of processors.
VECTOR = 16


def by_whole_vectors(function: Callable, x: keras.KerasTensor) -> keras.KerasTensor:
    """A function of every number of ``(batch, size)``, the same in a batch of any size."""
    size = x.shape[-1]
    return function(ops.pad(x, ((0, 0), (0, -size % VECTOR))))[:, :size]
