"""The training loop: many steps a call, from any step to any other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.errors import MelGANError

#: Most steps in one call into TensorFlow.
STEPS_PER_CALL = 32
#: And no more than take about this long, so that Ctrl-C takes effect within a second or two.
SECONDS_PER_CALL = 1.0


class Stop(Exception):  # noqa: N818  not an error
    """Raised by a callback to end training after this call; what was trained is kept."""


class NonFiniteError(MelGANError):
    """A loss became infinite or not a number: nothing that was trained since the last checkpoint is of use."""


def train(model: keras.Model, dataset: tf.data.Dataset, start: int, end: int, per_epoch: int,
          callbacks: keras.callbacks.CallbackList, strategy: tf.distribute.Strategy,
          advance: Callable[[int], None] = lambda count: None,
          agree: Callable[[int], int] = lambda count: count) -> None:
    """Takes the steps from ``start`` to ``end``.

    `keras.Model.fit` starts and ends with whole epochs and would average a resumed one wrongly; this does not.
    Callbacks see what ``fit`` would show them: ``on_epoch_end(epoch, logs)`` once an epoch, with its mean metrics.

    Args:
        model: a compiled model with a ``train_step``. If it has ``switches``, steps at which its way of learning
            changes, ``train_step`` takes what `phase` says of a step as a second argument.
        dataset: endless, of whole batches; its first one is that of step ``start``.
        start, end: numbers of the first step and of the first not to take.
        per_epoch: steps per epoch.
        callbacks: Keras callbacks.
        strategy: where to run.
        advance: takes the number of steps that were just done.
        agree: takes the number of steps that suits this process, returns the one that suits all workers.

    Raises:
        NonFiniteError: a loss became infinite or not a number.
        Stop: a callback asked for it.
    """
    iterator = iter(_parts(dataset, strategy))
    step_once = tf.autograph.experimental.do_not_convert(model.train_step)  # it takes seconds to look for loops there

    @tf.function
    def steps(count: tf.Tensor, *how: bool) -> None:
        for _ in tf.range(count):
            strategy.run(step_once, args=(next(iterator), *how))

    callbacks.on_train_begin()
    step, pace = start, _Pace()
    while step < end:
        epoch = step // per_epoch
        epoch_end = min((epoch + 1) * per_epoch, end)
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        stopped = False
        while step < epoch_end and not stopped:
            count, how = min(pace.count, epoch_end - step), ()
            if hasattr(model, "switches"):
                count = min([count, *(switch - step for switch in model.switches if switch > step)])
                how = (model.phase(step),)
            count = agree(count)
            with pace.measure(count):
                steps(tf.constant(count), *how)
            step += count
            advance(count)
            try:
                callbacks.on_train_batch_end(step)
            except Stop:  # what was trained so far is checked first, and an epoch that is complete counts
                stopped = True
        logs = {metric.name: float(metric.result()) for metric in model.metrics}
        if not np.all(np.isfinite(list(logs.values()))):
            bad = next(name for name, value in logs.items() if not np.isfinite(value))
            raise NonFiniteError(f"{bad} became {logs[bad]} in epoch {epoch + 1}: stopped; lower the learning rates")
        if step == epoch_end:
            callbacks.on_epoch_end(epoch, logs)
        if stopped:
            raise Stop
    callbacks.on_train_end()


def _parts(dataset: tf.data.Dataset, strategy: tf.distribute.Strategy) -> Iterable:
    """Batches, each cut into the replicas' parts in order. Every worker reads all and keeps its own part."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return strategy.experimental_distribute_dataset(dataset)

    def own(context: tf.distribute.InputContext) -> tf.data.Dataset:
        replicas = context.num_replicas_in_sync
        first = context.input_pipeline_id * (replicas // context.num_input_pipelines)
        end = first + replicas // context.num_input_pipelines

        def cut(*batch: tf.Tensor) -> tf.data.Dataset:
            parts = tf.nest.map_structure(
                lambda rows: tf.reshape(rows, (replicas, -1, *rows.shape[1:]))[first:end], batch)
            return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0])

        # known to be endless, or workers would ask each other at every step whether there is another
        parts = dataset.flat_map(cut).apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        return parts.prefetch(2)

    return strategy.distribute_datasets_from_function(own)


class _Pace:
    """How many steps fit into a call."""

    def __init__(self) -> None:
        self.count = 1

    @contextlib.contextmanager
    def measure(self, count: int) -> Iterator[None]:
        started = time.perf_counter()
        yield
        each = (time.perf_counter() - started) / count
        # not more than doubled at once: a call that compiles, or is held up, says little of the next
        self.count = max(1, min(STEPS_PER_CALL, 2 * self.count, round(SECONDS_PER_CALL / each)))
