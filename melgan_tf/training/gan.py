"""The base of all GANs of this package: two optimizers, one step, sharded gradients.

How a step is cut up: the programs that compute gradients are pure functions of tensors (weights come as arguments),
each compiled by XLA. On a CPU the batch is cut into shards, one per core, whose programs run side by side, each on one
thread: that keeps every core busy where one large program, parallel only inside its matrix products, leaves them
waiting for each other. Gradients are summed, so the result is the batch's, whatever the number of shards.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import keras
import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.training.replicas import disable_optimizer_all_reduce, replica_count


class GAN(keras.Model):
    """Generator against discriminator: optimizers, step count, metrics and what a checkpoint keeps.

    A family derives its training model from this and writes `train_step`. Everything random in a step is a function of
    the seed and the step number alone, so that a resumed run continues as if never stopped.

    Args:
        config: shapes, loss weights and seed.
        networks: what a checkpoint keeps, by the names that checkpoints use. "discriminator" may be None, for
            training without one.
        name: of the Keras model.

    Attributes:
        METRICS: the names of what a step measures, the same in logs, history and TensorBoard.
        step: number of steps taken.
        networks: those that are not None.
    """

    METRICS: ClassVar[tuple[str, ...]]

    def __init__(self, config: Config, networks: dict[str, keras.Model | None], name: str) -> None:
        super().__init__(name=name)
        self.config = config
        self.networks = {part: network for part, network in networks.items() if network is not None}
        self.generator, self.discriminator = networks["generator"], networks["discriminator"]
        # not an optimizer's count: with half precision that leaves out the steps whose gradients overflowed
        self.step = keras.Variable(0, dtype="int64", trainable=False, aggregation="only_first_replica", name="step")
        self.trackers = [keras.metrics.Mean(name=name) for name in self.METRICS]
        self.built = True

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """What the generator's optimizer updates."""
        return self.generator.trainable_variables

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """What the discriminator's optimizer updates; empty without a discriminator."""
        return self.discriminator.trainable_variables if self.discriminator is not None else []

    def compile(self, generator_optimizer: keras.optimizers.Optimizer,
                discriminator_optimizer: keras.optimizers.Optimizer, xla: bool = False, shards: int = 1,
                **kwargs: Any) -> None:
        """Sets how the model learns.

        Args:
            generator_optimizer, discriminator_optimizer: one each; built here, so that a checkpoint restores them.
            xla: compile the programs of a step with XLA.
            shards: into how many pieces the batch is cut, to run side by side.
            **kwargs: for `keras.Model.compile`.
        """
        super().compile(optimizer=None, jit_compile=False, **kwargs)
        self.generator_optimizer, self.discriminator_optimizer = generator_optimizer, discriminator_optimizer
        disable_optimizer_all_reduce(generator_optimizer, discriminator_optimizer)
        generator_optimizer.build(self.generator_variables)
        if self.discriminator is not None:
            discriminator_optimizer.build(self.discriminator_variables)
        self.shards = shards
        # shards of the same size are traced once, without XLA as well
        self.build_programs(lambda function: tf.function(function, jit_compile=xla or None, autograph=False)
                            if xla or shards > 1 else function)

    @abstractmethod
    def build_programs(self, program: Callable[[Callable], Callable]) -> None:
        """Wraps the functions that compute gradients.

        Args:
            program: makes a program of a function, compiled where XLA is on; or returns the function as it is.
        """

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return self.trackers

    def parts(self) -> dict[str, list[keras.Variable]]:
        """Every variable that a checkpoint keeps, by part."""
        parts = {"run": [self.step], **{part: network.variables for part, network in self.networks.items()},
                 "generator_optimizer": self.generator_optimizer.variables}
        if self.discriminator is not None:
            parts["discriminator_optimizer"] = self.discriminator_optimizer.variables
        return parts

    def finish_step(self, values: Iterable[tf.Tensor]) -> dict[str, tf.Tensor]:
        """Counts the step and returns the means of the metrics since they were reset.

        Args:
            values: this replica's part of each metric's mean over the global batch, in the order of `METRICS`.
        """
        self.step.assign_add(1)
        for tracker, value in zip(self.trackers, values, strict=True):
            tracker.update_state(value * replica_count())  # the trackers average over replicas
        return {tracker.name: tracker.result() for tracker in self.trackers}


def weighted_sum(losses: dict[str, tf.Tensor], weights: Any) -> tf.Tensor:
    """The objective: every named loss times the weight of that name, added up.

    Args:
        losses: scalars by the names of the weights.
        weights: an object with an attribute of each name, such as a configuration's ``objective``.

    Examples:
        >>> import types
        >>> weights = types.SimpleNamespace(adversarial=2.0, mel=10.0)
        >>> float(weighted_sum({"adversarial": tf.constant(1.0), "mel": tf.constant(0.5)}, weights))
        7.0
    """
    return tf.add_n([getattr(weights, name) * loss for name, loss in losses.items()])
