"""The training loop: many steps a call, from any step to any other."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.errors import MelGANError

#: Steps in one call into TensorFlow: few enough to react to Ctrl-C within a second or two.
STEPS_PER_CALL = 32


class Stop(Exception):  # noqa: N818  not an error
    """Raised by a callback to end training after this call; what was trained is kept."""


def train(model: keras.Model, dataset: tf.data.Dataset, start: int, end: int, per_epoch: int,
          callbacks: keras.callbacks.CallbackList, strategy: tf.distribute.Strategy,
          advance: Callable[[int], None] = lambda count: None) -> None:
    """Takes the steps from ``start`` to ``end``.

    `keras.Model.fit` begins and ends with whole epochs and would average a resumed one wrongly; this does not.
    Callbacks see what ``fit`` would show them: ``on_epoch_end(epoch, logs)`` once an epoch, with its mean figures.

    Args:
        model: a compiled model with a ``train_step``.
        dataset: endless; its first batch is that of step ``start``.
        start, end: numbers of the first step and of the first not to take.
        per_epoch: steps per epoch.
        callbacks: Keras callbacks.
        strategy: where to run.
        advance: told how many more steps are done.

    Raises:
        MelGANError: a loss became infinite or not a number.
        Stop: a callback asked for it.
    """
    iterator = iter(strategy.experimental_distribute_dataset(dataset))

    @tf.function
    def steps(count: tf.Tensor) -> None:
        for _ in tf.range(count):
            strategy.run(model.train_step, args=(next(iterator),))

    callbacks.on_train_begin()
    step = start
    while step < end:
        epoch = step // per_epoch
        epoch_end = min((epoch + 1) * per_epoch, end)
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        stopped = False
        while step < epoch_end and not stopped:
            count = min(STEPS_PER_CALL, epoch_end - step)
            steps(tf.constant(count))
            step += count
            advance(count)
            try:
                callbacks.on_train_batch_end(step)
            except Stop:  # what was trained so far is checked first, and an epoch that is complete counts
                stopped = True
        logs = {metric.name: float(metric.result()) for metric in model.metrics}
        if not np.all(np.isfinite(list(logs.values()))):
            bad = next(name for name, value in logs.items() if not np.isfinite(value))
            raise MelGANError(f"{bad} became {logs[bad]} in epoch {epoch + 1}: stopped; lower the learning rates")
        if step == epoch_end:
            callbacks.on_epoch_end(epoch, logs)
        if stopped:
            raise Stop
    callbacks.on_train_end()
