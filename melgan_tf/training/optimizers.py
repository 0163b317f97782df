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
        dtype = variable.dtype
        step = ops.cast(self.iterations + 1, dtype)
        power_1, power_2 = (ops.power(ops.cast(beta, dtype), step) for beta in (self.beta_1, self.beta_2))
        # one pass over the weights, where single operations take a dozen; its epsilon is Keras's
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=self._momentums[index].value.handle, v=self._velocities[index].value.handle,
            beta1_power=power_1, beta2_power=power_2, lr=ops.cast(learning_rate, dtype), beta1=self.beta_1,
            beta2=self.beta_2, epsilon=self.epsilon * ops.sqrt(1 - power_2), grad=ops.cast(gradient, dtype))


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
