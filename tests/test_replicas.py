"""A step on two devices is the step of one: the gradients of all families, before any optimizer magnifies rounding."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_families import compiled, step, task_of, tiny

from melgan_tf.config import registry
from melgan_tf.training.plan import mirrored

#: Half the distance from 1 to the next float32.
UNIT = 2.0**-24


def recording() -> keras.optimizers.Optimizer:
    """Moves weights next to nothing, and keeps gradients: its momentum after one step is the gradient, times -1e-6."""
    return keras.optimizers.SGD(1e-6, momentum=0.9, name="recording")


def gradients(optimizer: keras.optimizers.Optimizer) -> dict[str, np.ndarray]:
    return {variable.path: np.asarray(variable) / -1e-6 for variable in optimizer.variables[2:]}


def one_step(task, strategy=None):
    """What both players learn from one batch, and the metrics."""
    with (strategy or tf.distribute.get_strategy()).scope():
        # one device computes in two shards what is compared with each other in groups, as two devices do
        shards = 1 if strategy else 2
        model = compiled(task, recording(), recording(), shards=shards)
        model.build_programs(lambda function: function)  # on either side: TensorFlow rearranges graphs
    batch = next(iter(strategy.experimental_distribute_dataset(task.dataset(0)) if strategy else task.dataset(0)))
    metrics = step(model, batch, strategy)
    return model, metrics, gradients(model.generator_optimizer), gradients(model.discriminator_optimizer)


@pytest.mark.slow
@pytest.mark.usefixtures("small_discriminators")
@pytest.mark.parametrize("kind", [kind if kind in ("frame-gan", "fast-vocoder") else pytest.param(
    kind, marks=pytest.mark.nightly) for kind in registry.families()])
def test_two_devices_have_the_gradients_of_one(kind, sound_folder):
    """One device computes the same two shards, so what differs is rounding: of the sum of two shards, and of the
    spectral norm's products, which add up at most 256 terms. Each addition rounds by a unit of the sum so far."""
    close = 256 * UNIT
    task = task_of(tiny(kind), sound_folder)
    two, metrics_of_two, *gradients_of_two = one_step(task, mirrored(["CPU:0", "CPU:1"]))
    one, metrics_of_one, *gradients_of_one = one_step(task)
    assert int(two.step.numpy()) == int(one.step.numpy()) == 1
    assert metrics_of_two == pytest.approx(metrics_of_one, rel=close)
    for ours, theirs in zip(gradients_of_two, gradients_of_one, strict=True):
        assert set(ours) == set(theirs)
        assert any(gradient.any() for gradient in theirs.values())
        for path, gradient in theirs.items():
            np.testing.assert_allclose(ours[path], gradient, rtol=0, atol=close * np.abs(gradient).max(), err_msg=path)
    for variable in [*two.generator_variables, *two.discriminator_variables]:
        np.testing.assert_array_equal(*map(np.asarray, variable.value.values), err_msg=variable.path)  # both copies
