"""TODO."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import tensorflow as tf

Tensors = list[tf.Tensor]


def draw_number(step: keras.Variable) -> tf.Tensor:
    """A number of the step's own, int64, to draw by."""
    return tf.convert_to_tensor(step, tf.int64) * 4096


def values_of(player: keras.Model) -> Tensors:
    """A model's trainable weights, as tensors that a pure function can take."""
    return [tf.convert_to_tensor(variable) for variable in player.trainable_variables]


def sum_shards(shards: Iterable[Tensors]) -> Tensors:
    """Adds up the gradients of all shards, variable by variable."""
    return [tf.add_n(list(parts)) for parts in zip(*shards, strict=True)]


def shard_sizes(batch: int, shards: int) -> list[int]:
    """The sizes of so many pieces of a batch, as equal as can be."""
    shards = max(1, min(shards, batch))
    return [batch // shards + (1 if index < batch % shards else 0) for index in range(shards)]
