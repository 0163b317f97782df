"""A learned prior: what the numbers that describe sounds are like, all taken together.

An encoder describes sounds by numbers, *latents*, whose distribution is near the normal one number by number, but not
as a whole: most combinations describe no sound. The prior is a normalizing flow that turns normal noise into latents as
they occur, and back.

It learns from the encoder's outcomes only, and these from the normal distribution as without it: an encoder that may
change the prior to its liking drifts away with it.

Reference: Dinh et al., "Density estimation using Real NVP" (2017); Dai & Wipf, "Diagnosing and Enhancing VAE Models"
(2019), for a second stage that learns what the first one finds.
"""

from __future__ import annotations

import keras
from keras import ops

from melgan_tf.models.layers.frame_conv import FrameDense, Seeds

_COUPLINGS = 8
_HIDDEN = 96
_LARGEST_LOG_SCALE = 1.0  # of a coupling
_FIRST_GAIN = 0.01
_RATE = 10.0  # times as fast as the other networks it learns: outputs of layers are scaled by it

#: What the names of the kernels end with whose last rows belong to the condition.
CONDITIONED_KERNEL = "_given/kernel"


class Prior(keras.layers.Layer):
    """A scale for every number; then affine couplings: each scales and shifts one half of the numbers by what the other
    half and the condition say.

    Initially it changes next to nothing. What a layer computes is multiplied, so that steps of the same size change it
    more (Karras et al., "A Style-Based Generator Architecture", 2019, appendix C, the other way round).

    Args:
        size: numbers of a latent vector.
        condition_size: numbers of the condition.
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
            halves = self._order(index, (kept, changed * ops.exp(log_scale) + shift))
        return ops.concatenate(halves, axis=-1)

    def inverse(self, latent: keras.KerasTensor, condition: keras.KerasTensor
                ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """The noise ``(batch, size)`` of latents, and the logarithm of how much they are spread there, ``(batch,)``.

        The log density of latents is that of the noise, less the second.
        """
        halves, spread = self._halves(latent), ops.sum(self.log_scale)
        for index in reversed(range(_COUPLINGS)):
            kept, changed = self._order(index, halves)
            log_scale, shift = self._change(index, kept, condition)
            halves = self._order(index, (kept, (changed - shift) * ops.exp(-log_scale)))
            spread = spread + ops.sum(log_scale, axis=-1)
        return ops.concatenate(halves, axis=-1) * ops.exp(-self.log_scale), spread

    def loss(self, latent: keras.KerasTensor, condition: keras.KerasTensor) -> keras.KerasTensor:
        """How improbable latents are, ``(batch,)``, in nats above the most probable normal noise."""
        noise, spread = self.inverse(latent, condition)
        return 0.5 * ops.sum(ops.square(noise), axis=-1) + spread

    def _halves(self, x: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        return x[:, :self.sizes[0]], x[:, self.sizes[0]:]

    def _change(self, index: int, kept: keras.KerasTensor, condition: keras.KerasTensor) -> list[keras.KerasTensor]:
        """Log scale and shift of the other half."""
        hidden = ops.tanh(_RATE * self.given[index](ops.concatenate([kept, condition], axis=-1)))
        log_scale, shift = ops.split(_RATE * self.changes[index](hidden), 2, axis=-1)
        return _LARGEST_LOG_SCALE * ops.tanh(log_scale), shift

    @staticmethod
    def _order(index: int, halves: tuple) -> tuple:
        """The half that a coupling keeps, and the one that it changes; and back."""
        return halves if index % 2 == 0 else halves[::-1]
