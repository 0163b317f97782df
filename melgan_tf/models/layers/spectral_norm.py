"""Spectral normalization: every kernel of a discriminator divided by its largest singular value.

It bounds the slope of the discriminator's logits, so that the generator always gets a gradient. The division happens
outside the programs that compute gradients: they see normalized kernels, and `gradient` propagates their gradients to
the kernels themselves. So a step needs one power iteration, however many slices its batch is cut into.

Reference: Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (2018), algorithm 1. With SELU,
whose maps shrink under it, the norm is brought to `gain` instead of 1.
"""

from __future__ import annotations

import tensorflow as tf


class SpectralNorm:
    """The weights of a discriminator with their kernels normalized.

    Args:
        variables: all of its trainable variables.
        kernels: those that are normalized; the last axis is the output.
        u: singular vectors of the power iteration, ``(1, outputs)`` each.
        gain: largest singular value after normalization.

    Attributes:
        values: all weights, in the order of ``variables``.
        u: after one more power iteration.
    """

    def __init__(self, variables: list, kernels: list, u: list, gain: float) -> None:
        self.u: list[tf.Tensor] = []
        self.variables = [tf.convert_to_tensor(variable) for variable in variables]
        paths = {kernel.path: vector for kernel, vector in zip(kernels, u, strict=True)}
        with tf.GradientTape() as self._tape:
            self._tape.watch(self.variables)
            self.values = [self._divided(value, paths[variable.path], gain) if variable.path in paths
                           else tf.identity(value) for variable, value in zip(variables, self.variables, strict=True)]

    def _divided(self, kernel: tf.Tensor, u: object, gain: float) -> tf.Tensor:
        matrix = tf.reshape(kernel, (-1, kernel.shape[-1]))
        left = tf.math.l2_normalize(tf.matmul(tf.convert_to_tensor(u), matrix, transpose_b=True))
        right = tf.math.l2_normalize(tf.matmul(left, matrix))
        left, right = tf.stop_gradient(left), tf.stop_gradient(right)
        self.u.append(right)
        norm = tf.reduce_sum(tf.matmul(left, matrix) * right)
        return kernel * (gain / norm)

    def gradient(self, upstream: list[tf.Tensor]) -> list[tf.Tensor]:
        """Converts gradients with respect to `values` into gradients with respect to the variables."""
        return self._tape.gradient(self.values, self.variables, output_gradients=upstream)
