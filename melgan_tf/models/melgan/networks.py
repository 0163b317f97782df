"""MelGAN: mel spectrogram -> waveform by transposed convolutions.

Reference: K. Kumar et al., "MelGAN: Generative Adversarial Networks for Conditional Waveform Synthesis", NeurIPS 2019,
and its authors' code (descriptinc/melgan-neurips).
"""

from __future__ import annotations

import math

import keras
from keras import ops

from melgan_tf.config import Config
from melgan_tf.models.layers.weight_norm import Conv, UpsamplingConv, leaky_relu, reflect

_REACH = 3  # padding of the first and the last convolution, which have seven taps


class ResidualBlock(keras.layers.Layer):
    """A dilated convolution of three taps and a pointwise one, added to a pointwise shortcut; keeps the length."""

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

    Leaky ReLU (0.2) before every convolution except the first and the shortcuts. 4.26 M weights, weight norm folded.

    Args:
        mel_bins: of the input.
        ratios: upsampling factor of each stage; their product is the hop.
        channels: width after the last stage.
        residual_layers: residual blocks per stage, dilations 1, 3, 9, ...
        weight_norm: as in training; `folded` returns the same generator without.
        seed: of the initial weights.

    Call arguments ``start``, the number of the first frame, and ``use_matmul_dft`` have no effect.

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
            self.ups.append(UpsamplingConv(2 * width, width, ratio, weight_norm, start + 100 * stage, f"up_{stage}"))
            self.residuals.append([
                ResidualBlock(width, 3 ** j, weight_norm, start + 100 * stage + 10 * (j + 1), f"residual_{stage}_{j}")
                for j in range(residual_layers)])
        self.exit = Conv(channels, 1, 7, 1, weight_norm, start + 9_999, "exit")
        self.built = True

    @property
    def hop_samples(self) -> int:
        """Samples per frame."""
        return math.prod(self.ratios)

    clock_period_frames = 1
    accepts_mask = False
    min_frames = _REACH + 1

    @property
    def context_frames(self) -> int:
        """Frames on either side that a frame's samples depend on, traced back from its first and last sample."""
        first, last = -_REACH, self.hop_samples - 1 + _REACH
        for ratio in reversed(self.ratios):
            reach, cut = sum(3 ** j for j in range(self.residual_layers)), ratio // 2 + ratio % 2
            # sample n of a transposed convolution depends on inputs (n + cut) // ratio and the one before
            first, last = (first - reach + cut) // ratio - 1, (last + reach + cut) // ratio
        return max(-first, last) + _REACH

    def call(self, mel: keras.KerasTensor, start: keras.KerasTensor | None = None,
             use_matmul_dft: bool = False) -> keras.KerasTensor:
        x = self.entry(reflect(mel, _REACH))
        for up, blocks in zip(self.ups, self.residuals, strict=True):
            x = up(leaky_relu(x))
            for block in blocks:
                x = block(x)
        return ops.tanh(self.exit(reflect(leaky_relu(x), _REACH))[..., 0])

    def convolutions(self) -> list[Conv | UpsamplingConv]:
        """All convolutions in the order of computation, the shortcut of a residual block last."""
        found = [self.entry]
        for up, blocks in zip(self.ups, self.residuals, strict=True):
            found += [up, *(conv for block in blocks for conv in (block.dilated, block.pointwise, block.shortcut))]
        return [*found, self.exit]

    def folded(self) -> Generator:
        """Returns the same generator without weight norm: fewer weights, less arithmetic."""
        plain = Generator(self.mel_bins, self.ratios, self.channels, self.residual_layers, weight_norm=False,
                          name=self.name)
        for ours, theirs in zip(self.convolutions(), plain.convolutions(), strict=True):
            theirs.v.assign(ours.kernel())
            theirs.bias.assign(ours.bias)
        return plain


def build(config: Config, training: bool = False) -> Generator:
    """Builds the vocoder of a configuration with initial weights.

    Args:
        config: complete.
        training: with weight norm; otherwise it is folded.
    """
    model = config.model
    return Generator(config.audio.mel_bins, model.ratios, model.channels, model.residual_layers, weight_norm=training,
                     seed=config.training.seed)
