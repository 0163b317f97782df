"""The discriminators of waveforms that vocoders learn from: those of MelGAN, for all vocoders.

Reference: Kumar et al., "MelGAN" (2019), section 2.2.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from melgan_tf.models.layers.weight_norm import GroupedConv, PatchConv, WaveConv, leaky_relu


class ScaleDiscriminator(keras.Model):
    """Real or not, at one scale: a convolution of 15, grouped ones of 41 with stride 4, one of 5, one of 3.

    Call returns every feature map ``(batch, length, channels)``; the last, of one channel, holds the logits.
    """

    def __init__(self, channels: int, layers: int, downsampling: int, seed: int, name: str) -> None:
        super().__init__(name=name)
        self.first = WaveConv(channels, 15, seed, f"{name}_first")
        self.grouped = []
        for index in range(layers):
            wider = min(channels * downsampling, 1024)
            self.grouped.append(GroupedConv(channels, wider, channels // 4, downsampling, seed + 1 + index,
                                            f"{name}_grouped_{index + 1}"))
            channels = wider
        self.dense = PatchConv(channels, channels, 5, seed + 90, f"{name}_dense")
        self.logits = PatchConv(channels, 1, 3, seed + 91, f"{name}_logits")
        self.built = True

    def call(self, waveform: keras.KerasTensor) -> list[keras.KerasTensor]:
        maps = [leaky_relu(self.first(waveform))]
        for layer in (*self.grouped, self.dense):
            maps.append(leaky_relu(layer(maps[-1])))
        return [*maps, self.logits(maps[-1])]


class MultiScaleDiscriminator(keras.Model):
    """Discriminators for the sound, for half and for a quarter of its sample rate.

    Args:
        scales: how many.
        channels: of the first layer; they grow by `downsampling` with every grouped layer, up to 1,024.
        layers: grouped layers.
        downsampling: stride of each.
        seed: decides the initial weights.

    Input shape: ``(batch, samples)``, a fixed number of samples. Returns a list of scales, each a list of
    ``layers + 3`` feature maps ``(batch, length, channels)``, of which the last holds the logits.
    """

    def __init__(self, scales: int = 3, channels: int = 16, layers: int = 4, downsampling: int = 4, seed: int = 0,
                 name: str = "discriminator") -> None:
        super().__init__(name=name)
        self.scales = [ScaleDiscriminator(channels, layers, downsampling, seed * 10_000 + 5_000 + 100 * i,
                                          f"scale_{i + 1}") for i in range(scales)]
        self.built = True

    def call(self, waveform: keras.KerasTensor) -> list[list[keras.KerasTensor]]:
        maps = []
        for index, scale in enumerate(self.scales):
            waveform = _halved(waveform) if index else waveform
            maps.append(scale(waveform))
        return maps


def _halved(waveform: keras.KerasTensor) -> keras.KerasTensor:
    """Average of four samples, stride 2, padding 1; at the ends of those that exist."""
    length = waveform.shape[1]
    outputs = length // 2
    count = np.convolve(np.pad(np.ones(length), 1), np.ones(4), "valid")[::2]
    padded = ops.pad(waveform, ((0, 0), (1, 1 + length % 2)))
    pairs = padded[:, ::2] + padded[:, 1::2]
    return (pairs[:, :outputs] + pairs[:, 1:outputs + 1]) / count.astype("float32")
