"""A learned prior: a normalizing flow that turns normal noise into latents as an encoder finds them, and back.

Each of an encoder's latents is nearly normal by itself, but most combinations of latents describe no sound.

The prior learns from the latents of real sounds. The encoder does not learn from the prior, but still stays near the
normal distribution: if both learn from each other, they drift away together.

Reference: Dinh et al., "Density estimation using Real NVP" (2017); Dai & Wipf, "Diagnosing and Enhancing VAE Models"
(2019), for a second stage that learns what the first one finds.
"""

from __future__ import annotations

import keras
from keras import ops

from melgan_tf.dsp.whole_vectors import by_whole_vectors
from melgan_tf.models.layers.frame_conv import FrameDense, Seeds

_COUPLINGS = 8
_HIDDEN = 96
_LARGEST_LOG_SCALE = 1.0  # of a coupling
_FIRST_GAIN = 0.01
_RATE = 10.0  # outputs of layers are multiplied by it, so that the prior learns faster than the other networks

#: What the names of the kernels end with whose last rows belong to the condition.
CONDITIONED_KERNEL = "_given/kernel"


class Prior(keras.layers.Layer):
    """A scale for every latent, then affine couplings: each scales and shifts one half of the latents, depending on the
    other half and the condition.

    At first it changes next to nothing.

    Args:
        size: number of latents.
        condition_size: length of the condition.
        seeds: of the initial weights.

    Call arguments:
        noise: ``(batch, size)``, standard normal.
        condition: ``(batch, condition_size)``.

    Output shape: ``(batch, size)``, latents.
    """

    def __init__(self, size: int, condition_size: int, seeds: Seeds, name: str = "prior") -> None:
        super().__init__(name=name)
        self.sizes = size // 2, size - size // 2
        self.log_scale = self.add_weight(name="log_scale", shape=(size,), initializer="zeros")
        self.given, self.changes = [], []
        for index in range(_COUPLINGS):
            kept, changed = self._order(index, self.sizes)
            self.given.append(FrameDense(kept + condition_size, _HIDDEN, seeds.next(), 1 / _RATE,
                                         name=f"{name}_{index}_given"))
            self.changes.append(FrameDense(_HIDDEN, 2 * changed, seeds.next(), _FIRST_GAIN / _RATE,
                                           name=f"{name}_{index}"))
        self.built = True

    def call(self, noise: keras.KerasTensor, condition: keras.KerasTensor) -> keras.KerasTensor:
        halves = self._halves(noise * ops.exp(self.log_scale))
        for index in range(_COUPLINGS):
            kept, changed = self._order(index, halves)
            log_scale, shift = self._change(index, kept, condition)
            halves = self._order(index, (kept, changed * by_whole_vectors(ops.exp, log_scale) + shift))
        return ops.concatenate(halves, axis=-1)

    def inverse(self, latent: keras.KerasTensor, condition: keras.KerasTensor
                ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """The noise ``(batch, size)`` of latents, and the log determinant of the Jacobian there, ``(batch,)``.

        The log density of latents is that of the noise, less the log determinant.
        """
        halves, log_determinant = self._halves(latent), ops.sum(self.log_scale)
        for index in reversed(range(_COUPLINGS)):
            kept, changed = self._order(index, halves)
            log_scale, shift = self._change(index, kept, condition)
            halves = self._order(index, (kept, (changed - shift) * by_whole_vectors(ops.exp, -log_scale)))
            log_determinant = log_determinant + ops.sum(log_scale, axis=-1)
        return ops.concatenate(halves, axis=-1) * ops.exp(-self.log_scale), log_determinant

    def loss(self, latent: keras.KerasTensor, condition: keras.KerasTensor) -> keras.KerasTensor:
        """The negative log likelihood of latents, ``(batch,)``, in nats, without its constant."""
        noise, log_determinant = self.inverse(latent, condition)
        return 0.5 * ops.sum(ops.square(noise), axis=-1) + log_determinant

    def _halves(self, x: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        return x[:, :self.sizes[0]], x[:, self.sizes[0]:]

    def _change(self, index: int, kept: keras.KerasTensor, condition: keras.KerasTensor) -> list[keras.KerasTensor]:
        """Log scale and shift of the other half."""
        hidden = ops.tanh(_RATE * self.given[index](ops.concatenate([kept, condition], axis=-1)))
        log_scale, shift = ops.split(_RATE * self.changes[index](hidden), 2, axis=-1)
        return _LARGEST_LOG_SCALE * by_whole_vectors(ops.tanh, log_scale), shift

    @staticmethod
    def _order(index: int, halves: tuple) -> tuple:
        """The half that a coupling keeps, and the one that it changes; and back."""
        return halves if index % 2 == 0 else halves[::-1]
