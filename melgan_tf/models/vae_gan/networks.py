"""What the networks of the VAE-GANs share: the discriminator's trunk and head, and the generator's block."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from melgan_tf.models.layers.frame_conv import (
    Ends,
    FrameConv,
    FrameDense,
    Seeds,
    Trunk,
    group_deviation,
    residual,
    swap,
)
from melgan_tf.models.vae_gan.config import COMPARED_SOUNDS

Activation = Callable[..., keras.KerasTensor]

#: Gain of a network's last layer, whose outputs should start small.
OUTPUT_GAIN = 0.5
_STYLE_GAIN = 0.3


class TrunkDiscriminator(keras.Model):
    """A trunk of feature maps, and a head that also sees how much the sounds of a group differ.

    A subclass adds its own layers.

    Args:
        trunk: spectrogram -> feature maps.
        frames, channels: shape of the last feature map.
        seeds: of the initial weights.
    """

    def __init__(self, trunk: Trunk, frames: int, channels: int, seeds: Seeds, name: str) -> None:
        super().__init__(name=name)
        self.trunk, self.flat = trunk, frames * channels
        self.head = FrameDense(self.flat + 1, channels, seeds.next(), name="judge")
        self.logits = FrameDense(channels, 1, seeds.next(), bias=False, name="verdict")

    def features(self, x: keras.KerasTensor) -> tuple[keras.KerasTensor, list[keras.KerasTensor]]:
        """Spectrograms ``(batch, frames, mel_bins)`` -> the head's output ``(batch, channels)``, and feature maps."""
        maps = self.trunk(x)
        flat = ops.reshape(swap(maps[-1]), (-1, self.flat))
        return ops.selu(self.head(ops.concatenate([flat, group_deviation(flat, COMPARED_SOUNDS)], axis=-1))), maps


class StyledBlock(keras.layers.Layer):
    """Two convolutions, each scaled and shifted by a style vector, beside the identity.

    Args:
        channels, style_channels: of the maps, and of the style.
        seeds: of the initial weights.
        ends: of the convolutions.

    Call arguments:
        x: ``(frames, batch, channels)``.
        style: ``(batch, style_channels)``.
        activation: SELU in the form that suits the purpose.
    """

    def __init__(self, channels: int, style_channels: int, seeds: Seeds, name: str, ends: Ends = "zeros") -> None:
        super().__init__(name=name)
        self.convs = [FrameConv(channels, channels, seeds.next(), ends=ends, name=f"{name}_conv_{index}")
                      for index in (1, 2)]
        self.styles = [FrameDense(style_channels, 2 * channels, seeds.next(), _STYLE_GAIN,
                                  name=f"{name}_style_{index}") for index in (1, 2)]
        self.built = True

    def call(self, x: keras.KerasTensor, style: keras.KerasTensor, activation: Activation) -> keras.KerasTensor:
        y = x
        for conv, to_style in zip(self.convs, self.styles, strict=True):
            scale, shift = ops.split(to_style(style), 2, axis=-1)
            y = activation(conv(y) * (1.0 + scale) + shift)
        return residual(x, y)
