"""A batch cut into shards that run side by side, one per core, and their gradients."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import tensorflow as tf

Tensors = list[tf.Tensor]


def step_seed(step: keras.Variable) -> tf.Tensor:
    """The seed of a step, int64: steps are 4096 apart, so that a step can draw as many streams of its own."""
    return tf.convert_to_tensor(step, tf.int64) * 4096


def trainable_tensors(network: keras.Model) -> Tensors:
    """A network's trainable weights, as tensors that a pure function can take."""
    return [tf.convert_to_tensor(variable) for variable in network.trainable_variables]


def sum_shards(shards: Iterable[Tensors]) -> Tensors:
    """Adds up the gradients of all shards, variable by variable."""
    return [tf.add_n(list(parts)) for parts in zip(*shards, strict=True)]


def shard_sizes(batch: int, shards: int) -> list[int]:
    """The sizes of the shards of a batch, as equal as possible."""
    shards = max(1, min(shards, batch))
    return [batch // shards + (1 if index < batch % shards else 0) for index in range(shards)]
