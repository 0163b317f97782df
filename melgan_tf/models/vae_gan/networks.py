"""What the networks of the VAE-GANs share: the discriminator's trunk and head, and the generator's block."""

from __future__ import annotations

import keras
from keras import ops

from melgan_tf.models.layers.frame_conv import FrameConv, FrameDense, Seeds, Trunk, group_deviation
from melgan_tf.models.vae_gan.config import COMPARED_SOUNDS

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
        flat = ops.reshape(maps[-1], (-1, self.flat))
        return ops.selu(self.head(ops.concatenate([flat, group_deviation(flat, COMPARED_SOUNDS)], axis=-1))), maps


class StyledBlock(keras.layers.Layer):
    """The weights of two convolutions beside the identity, each scaled and shifted by a style vector.

    Args:
        channels, style_channels: of the maps, and of the style.
        seeds: of the initial weights.
    """

    def __init__(self, channels: int, style_channels: int, seeds: Seeds, name: str) -> None:
        super().__init__(name=name)
        self.convs = [FrameConv(channels, channels, seeds.next(), name=f"{name}_conv_{index}") for index in (1, 2)]
        self.styles = [FrameDense(style_channels, 2 * channels, seeds.next(), _STYLE_GAIN,
                                  name=f"{name}_style_{index}") for index in (1, 2)]
        self.built = True
