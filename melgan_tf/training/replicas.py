"""Several copies of a model in one step (replicas), on the devices of one machine or of several.

Random numbers are drawn as for one replica alone, and every replica takes its rows: so a step is the same, to rounding,
whatever the number of replicas.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

Tensors = list[tf.Tensor]


def replica_count() -> int:
    """How many replicas share this step."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def replica_slice(draw: Callable[[int], tf.Tensor], count: int) -> tf.Tensor:
    """This replica's rows of what all replicas draw.

    Args:
        draw: draws a number of rows; the same ones in every replica.
        count: rows of one replica.

    Examples:
        >>> replica_slice(lambda rows: tf.range(rows), 3).numpy().tolist()
        [0, 1, 2]
    """
    replicas, context = replica_count(), tf.distribute.get_replica_context()
    drawn = draw(count * replicas)
    if replicas == 1:
        return drawn
    return tf.reshape(drawn, (replicas, count, *drawn.shape[1:]))[context.replica_id_in_sync_group]


def disable_optimizer_all_reduce(*optimizers: keras.optimizers.Optimizer) -> None:
    """For optimizers whose gradients have been summed over replicas already, by `all_reduce_sum`.

    Half precision needs this too: whether gradients overflowed, so that the step is skipped, must be decided from their
    sum, or one replica would skip what another waits for.
    """
    for optimizer in optimizers:
        getattr(optimizer, "inner_optimizer", optimizer)._all_reduce_sum_gradients = lambda pairs: pairs


def all_reduce_sum(*players: Tensors) -> list[Tensors]:
    """The gradients of each player, added up over all replicas in one operation.

    Workers must start such operations in the same order, but TensorFlow may start two independent ones in any order:
    therefore one step's independent gradients go together.
    """
    if replica_count() == 1:
        return list(players)
    flat = tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.SUM, [gradient for player in players for gradient in player])
    ends = [sum(map(len, players[:index + 1])) for index in range(len(players))]
    return [flat[end - len(player):end] for player, end in zip(players, ends, strict=True)]
