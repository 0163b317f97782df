"""MelGAN written plainly in PyTorch, with PyTorch's own weight norm: what ours is held against.

The modules are nested so that a state dict has the names of the authors' checkpoints (``model.1.weight_g``,
``model.4.block.2.weight_v``, ``model.4.shortcut.bias``, ...).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.utils import weight_norm

_SLOPE = 0.2
torch.set_num_threads(1)  # two libraries that fight for the same cores are slower


def _conv(*args: int, **options: int) -> nn.Module:
    return _normalized(nn.Conv1d(*args, **options))


def _normalized(layer: nn.Module) -> nn.Module:
    nn.init.normal_(layer.weight, 0.0, 0.02)  # before weight norm: afterwards it would be overwritten at the first call
    return weight_norm(layer)


class Residual(nn.Module):
    """``(batch, channels, length)`` -> the same."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.LeakyReLU(_SLOPE), nn.ReflectionPad1d(dilation),
                                   _conv(channels, channels, 3, dilation=dilation), nn.LeakyReLU(_SLOPE),
                                   _conv(channels, channels, 1))
        self.shortcut = _conv(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.block(x)


class Generator(nn.Module):
    """Mel ``(batch, mel_bins, frames)`` -> waveform ``(batch, 1, frames * hop)``."""

    def __init__(self, mel_bins: int = 80, ratios: tuple[int, ...] = (8, 8, 2, 2), channels: int = 32,
                 residual_layers: int = 3) -> None:
        super().__init__()
        width = channels * 2 ** len(ratios)
        layers = [nn.ReflectionPad1d(3), _conv(mel_bins, width, 7)]
        for ratio in ratios:
            layers += [nn.LeakyReLU(_SLOPE), _normalized(nn.ConvTranspose1d(
                width, width // 2, 2 * ratio, ratio, padding=ratio // 2 + ratio % 2, output_padding=ratio % 2))]
            width //= 2
            layers += [Residual(width, 3 ** j) for j in range(residual_layers)]
        self.model = nn.Sequential(*layers, nn.LeakyReLU(_SLOPE), nn.ReflectionPad1d(3), _conv(width, 1, 7), nn.Tanh())

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        return self.model(mel)


class Discriminator(nn.Module):
    """Waveform ``(batch, 1, samples)`` -> for each scale its feature maps ``(batch, channels, length)``."""

    def __init__(self, scales: int = 3, channels: int = 16, layers: int = 4, downsampling: int = 4) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_scale(channels, layers, downsampling) for _ in range(scales))
        self.downsample = nn.AvgPool1d(4, 2, padding=1, count_include_pad=False)

    def forward(self, waveform: torch.Tensor) -> list[list[torch.Tensor]]:
        found = []
        for layers in self.scales:
            x, maps = waveform, []
            for layer in layers:
                x = layer(x)
                maps.append(x)
            found.append(maps)
            waveform = self.downsample(waveform)
        return found


def _scale(channels: int, layers: int, downsampling: int) -> nn.ModuleList:
    stages = [nn.Sequential(nn.ReflectionPad1d(7), _conv(1, channels, 15), nn.LeakyReLU(_SLOPE))]
    for _ in range(layers):
        wider = min(channels * downsampling, 1024)
        stages.append(nn.Sequential(
            _conv(channels, wider, 10 * downsampling + 1, stride=downsampling, padding=5 * downsampling,
                  groups=channels // 4), nn.LeakyReLU(_SLOPE)))
        channels = wider
    stages.append(nn.Sequential(_conv(channels, channels, 5, padding=2), nn.LeakyReLU(_SLOPE)))
    return nn.ModuleList([*stages, _conv(channels, 1, 3, padding=1)])


def layers_of(module: nn.Module) -> list[nn.Module]:
    """The convolutions with weight norm in the order in which they are written down."""
    return [layer for layer in module.modules() if hasattr(layer, "weight_v")]


def randomize(module: nn.Module, rng: np.random.Generator, gain: float = 1.0) -> None:
    """Gives every convolution random weights, so large that signals neither fade nor saturate."""
    for layer in layers_of(module):
        with torch.no_grad():
            for name, (mean, spread) in {"weight_v": (0, 1), "weight_g": (gain, 0.3), "bias": (0, 0.1)}.items():
                parameter = getattr(layer, name)
                parameter.copy_(torch.tensor(rng.normal(mean, spread, parameter.shape)))
            if isinstance(layer, nn.ConvTranspose1d):
                layer.weight_g.mul_((layer.stride[0] / 2) ** 0.5)
