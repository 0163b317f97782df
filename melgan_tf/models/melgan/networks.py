"""MelGAN: mel spectrogram -> waveform by transposed convolutions, and the discriminators that taught it.

Reference: K. Kumar et al., "MelGAN: Generative Adversarial Networks for Conditional Waveform Synthesis", NeurIPS 2019,
and its authors' code (descriptinc/melgan-neurips).
"""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from melgan_tf.models.layers.weight_norm import Conv, GroupedConv, PatchConv, UpConv, WaveConv, leaky_relu, reflect

_REACH = 3  # of the first and the last convolution, which have seven taps


class ResidualBlock(keras.layers.Layer):
    """Dilated convolution of three taps, then one of one tap, added to a shortcut of one tap; the length stays."""

    def __init__(self, channels: int, dilation: int, weight_norm: bool, seed: int, name: str) -> None:
        super().__init__(name=name)
        self.dilation = dilation
        self.dilated = Conv(channels, channels, 3, dilation, weight_norm, seed, f"{name}_dilated")
        self.pointwise = Conv(channels, channels, 1, 1, weight_norm, seed + 1, f"{name}_pointwise")
        self.shortcut = Conv(channels, channels, 1, 1, weight_norm, seed + 2, f"{name}_shortcut")
        self.built = True

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        y = self.dilated(reflect(leaky_relu(x), self.dilation))
        return self.shortcut(x) + self.pointwise(leaky_relu(y))


class Generator(keras.Model):
    """Mel spectrogram -> waveform.

    ===========================================  =======================
    layer (80 mels, ratios 8, 8, 2, 2)           output (length, channels)
    ===========================================  =======================
    reflection 3, convolution of 7               (frames, 512)
    transposed convolution x 8, 3 residual       (8 frames, 256)
    transposed convolution x 8, 3 residual       (64 frames, 128)
    transposed convolution x 2, 3 residual       (128 frames, 64)
    transposed convolution x 2, 3 residual       (256 frames, 32)
    reflection 3, convolution of 7, tanh         (256 frames, 1)
    ===========================================  =======================

    Leaky ReLU (0.2) before every convolution but the first and the shortcuts. 4.26 M weights once weight norm is
    folded.

    Args:
        mel_bins: of the input.
        ratios: how much longer each stage makes the sound; their product is the hop.
        channels: width after the last stage.
        residual_layers: residual blocks a stage, dilations 1, 3, 9, ...
        weight_norm: as in training; `folded` gives the same generator without.
        seed: decides the initial weights.

    Call arguments ``start``, the number of the first frame, and ``products`` make no difference.

    Input shape: ``(batch, frames, mel_bins)``, more than 3 frames. Output shape: ``(batch, frames * hop)``.
    """

    def __init__(self, mel_bins: int = 80, ratios: tuple[int, ...] = (8, 8, 2, 2), channels: int = 32,
                 residual_layers: int = 3, weight_norm: bool = True, seed: int = 0, name: str = "generator") -> None:
        super().__init__(name=name)
        self.mel_bins, self.ratios, self.channels = mel_bins, tuple(ratios), channels
        self.residual_layers, self.weight_norm = residual_layers, weight_norm
        width, start = channels * 2 ** len(self.ratios), seed * 10_000
        self.entry = Conv(mel_bins, width, 7, 1, weight_norm, start, "entry")
        self.ups, self.residuals = [], []
        for stage, ratio in enumerate(self.ratios, 1):
            width //= 2
            self.ups.append(UpConv(2 * width, width, ratio, weight_norm, start + 100 * stage, f"up_{stage}"))
            self.residuals.append([
                ResidualBlock(width, 3 ** j, weight_norm, start + 100 * stage + 10 * (j + 1), f"residual_{stage}_{j}")
                for j in range(residual_layers)])
        self.exit = Conv(channels, 1, 7, 1, weight_norm, start + 9_999, "exit")
        self.built = True

    @property
    def hop_samples(self) -> int:
        """Samples per frame."""
        return math.prod(self.ratios)

    period_frames = 1
    least_frames = _REACH + 1

    @property
    def context_frames(self) -> int:
        """Frames on either side that a frame's samples depend on: its first and last sample, followed back."""
        first, last = -_REACH, self.hop_samples - 1 + _REACH
        for ratio in reversed(self.ratios):
            reach, cut = sum(3 ** j for j in range(self.residual_layers)), ratio // 2 + ratio % 2
            # sample n of a transposed convolution is made of inputs (n + cut) // ratio and the one before
            first, last = (first - reach + cut) // ratio - 1, (last + reach + cut) // ratio
        return max(-first, last) + _REACH

    def call(self, mel: keras.KerasTensor, start: keras.KerasTensor | None = None,
             products: bool = False) -> keras.KerasTensor:
        x = self.entry(reflect(mel, _REACH))
        for up, blocks in zip(self.ups, self.residuals, strict=True):
            x = up(leaky_relu(x))
            for block in blocks:
                x = block(x)
        return ops.tanh(self.exit(reflect(leaky_relu(x), _REACH))[..., 0])

    def convolutions(self) -> list[Conv | UpConv]:
        """Every convolution, in the order of computation, the shortcut of a residual block last."""
        found = [self.entry]
        for up, blocks in zip(self.ups, self.residuals, strict=True):
            found += [up, *(conv for block in blocks for conv in (block.dilated, block.pointwise, block.shortcut))]
        return [*found, self.exit]

    def folded(self) -> Generator:
        """The same generator without weight norm: fewer weights, less work."""
        plain = Generator(self.mel_bins, self.ratios, self.channels, self.residual_layers, weight_norm=False,
                          name=self.name)
        for ours, theirs in zip(self.convolutions(), plain.convolutions(), strict=True):
            theirs.v.assign(ours.kernel())
            theirs.bias.assign(ours.bias)
        return plain


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
