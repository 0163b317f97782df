"""Adam with epsilon where the paper's algorithm, and PyTorch, have it."""

from __future__ import annotations

from typing import Literal

import keras
import tensorflow as tf
from keras import ops

from melgan_tf.config import Config


class Adam(keras.optimizers.Adam):
    """`keras.optimizers.Adam`, but epsilon is added to the *bias-corrected* root of the second moment.

    Keras adds it to the uncorrected one, which counts for ``1 / sqrt(1 - beta_2)`` = 32 times as much in the first
    step. A generator whose kernels start at 0.02 sees gradients of about 1e-8 there, as small as epsilon: with Keras's
    form its weights move a seventh as far in the first ten steps.

    Reference: Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1 (Keras has the form at the
    end of section 2, "epsilon hat").
    """

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, variable.dtype)
        step = ops.cast(self.iterations + 1, variable.dtype)
        correction_1 = 1 - ops.power(ops.cast(self.beta_1, variable.dtype), step)
        correction_2 = ops.sqrt(1 - ops.power(ops.cast(self.beta_2, variable.dtype), step))
        mean, square = self._momentums[index], self._velocities[index]
        self.assign_add(mean, (gradient - mean) * (1 - self.beta_1))
        self.assign_add(square, (ops.square(gradient) - square) * (1 - self.beta_2))
        rate = ops.cast(learning_rate, variable.dtype) * correction_2 / correction_1
        self.assign_sub(variable, rate * mean / (ops.sqrt(square) + self.epsilon * correction_2))


def adam(config: Config, network: Literal["generator", "discriminator"]) -> keras.optimizers.Optimizer:
    """The optimizer of one player, as the configuration wants it.

    Args:
        config: its ``training`` part is used.
        network: whose learning rate it takes.
    """
    settings = config.training
    rate = getattr(settings, f"{network}_learning_rate")
    if settings.learning_rate_decay < 1:
        rate = keras.optimizers.schedules.ExponentialDecay(rate, 1000, settings.learning_rate_decay)
    optimizer = Adam(rate, settings.beta_1, settings.beta_2, settings.epsilon, name=f"{network}_adam")
    if settings.precision == "mixed_float16":  # half precision underflows without it
        return keras.optimizers.LossScaleOptimizer(optimizer, name=f"{network}_loss_scale")
    return optimizer
