"""The networks and the step of `drums` and `loops` written plainly in PyTorch: the baseline for training speed.

`nn.Conv1d`, `nn.ConvTranspose1d`, `nn.Linear`, `torch.optim.Adam`; the same shapes, losses, augmentation and moving
average. The loss of loops' features, which costs little, is left out.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

STYLE, COMPARED, DISTANCE = 128, 8, 0.05


@dataclass(frozen=True)
class Shape:
    """Sizes of a preset's networks.

    Attributes:
        bins, frames: of a mel; `packed` frames are one position.
        widths: channels of the maps, from the shortest.
        steps: by how much each map is longer than the one before.
        first: positions of the shortest map.
        noise, condition: lengths of the vectors.
        shift: most mel bins of the augmentation; `frame_shift` likewise.
        circular: whether convolutions wrap.
        bars: parts that the discriminator judges besides the whole; 0: none.
    """

    bins: int
    frames: int
    widths: tuple[int, ...]
    steps: tuple[int, ...]
    first: int
    noise: int
    condition: int
    batch: int
    shift: int
    frame_shift: int
    packed: int = 1
    circular: bool = False
    bars: int = 0


SHAPES = {
    "drums": Shape(64, 16, (128,) * 3, (2, 2), 4, 20, 8, 64, 3, 1),
    "loops": Shape(80, 384, (192, 192, 96, 64), (4, 3, 2), 8, 96, 33, 16, 1, 0, packed=2, circular=True, bars=2)}


def _conv(shape: Shape, before: int, after: int) -> nn.Module:
    return nn.Conv1d(before, after, 3, padding=1, padding_mode="circular" if shape.circular else "zeros")


class Block(nn.Module):
    """Two convolutions, scaled and shifted by the style, beside the identity."""

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_conv(shape, width, width) for _ in range(2))
        self.styles = nn.ModuleList(nn.Linear(STYLE, 2 * width) for _ in range(2))

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        y = x
        for conv, to_style in zip(self.convs, self.styles, strict=True):
            scale, shift = to_style(style)[..., None].chunk(2, 1)
            y = functional.selu(conv(y) * (1 + scale) + shift)
        return (x + y) * 0.5 ** 0.5


class Generator(nn.Module):
    """Noise and condition -> mel ``(batch, bins, frames)``."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape, inputs = shape, shape.noise + shape.condition
        self.style = nn.Sequential(nn.Linear(inputs, STYLE), nn.SELU(), nn.Linear(STYLE, STYLE), nn.SELU())
        self.first = nn.Linear(inputs, shape.widths[0] * shape.first)
        self.blocks = nn.ModuleList(Block(shape, width) for width in shape.widths)
        self.ups = nn.ModuleList(nn.ConvTranspose1d(a, b, step, step) for a, b, step in
                                 zip(shape.widths, shape.widths[1:], shape.steps, strict=False))
        self.last = _conv(shape, shape.widths[-1], shape.packed * shape.bins)

    def forward(self, noise: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        inputs = torch.cat([noise, condition], 1)
        style = self.style(inputs)
        x = functional.selu(self.first(inputs)).view(len(noise), -1, self.shape.first)
        for index, block in enumerate(self.blocks):
            x = block(functional.selu(self.ups[index - 1](x)) if index else x, style)
        x = torch.tanh(self.last(x)).view(len(noise), self.shape.packed, self.shape.bins, -1)
        return x.permute(0, 2, 3, 1).reshape(len(noise), self.shape.bins, -1)


class Trunk(nn.Module):
    """Mel -> the shortest map ``(batch, channels, first)``."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths = shape.widths[::-1]
        self.packed, self.first = shape.packed, _conv(shape, shape.packed * shape.bins, widths[0])
        self.downs = nn.ModuleList(nn.Conv1d(a, b, step, step) for a, b, step in
                                   zip(widths, widths[1:], shape.steps[::-1], strict=False))
        self.convs = nn.ModuleList(_conv(shape, width, width) for width in widths[1:])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.packed > 1:
            x = x.reshape(len(x), x.shape[1], -1, self.packed).permute(0, 3, 1, 2).reshape(
                len(x), self.packed * x.shape[1], -1)
        x = functional.selu(self.first(x))
        for down, conv in zip(self.downs, self.convs, strict=True):
            y = functional.selu(down(x))
            x = (y + functional.selu(conv(y))) * 0.5 ** 0.5
        return x


class Discriminator(nn.Module):
    """Mel and condition -> logits of the whole and, of loops, of bars."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.widths[0]
        self.trunk, self.bars = Trunk(shape), shape.bars
        self.head = nn.Linear(width * shape.first + 1, width)
        self.logits, self.projection = nn.Linear(width, 1), nn.Linear(shape.condition, width)
        if shape.bars:
            self.bar = nn.Linear(width * shape.first // shape.bars, width)
            self.bar_logits = nn.Linear(width, 1)

    def forward(self, mel: torch.Tensor, condition: torch.Tensor) -> list[torch.Tensor]:
        last = self.trunk(mel)
        flat = last.flatten(1)
        deviation = flat.view(COMPARED, -1, flat.shape[1]).var(0, correction=0).add(1e-8).sqrt().mean(1, keepdim=True)
        y = functional.selu(self.head(torch.cat([flat, deviation.repeat(COMPARED, 1)], 1)))
        found = [self.logits(y).squeeze(1) + (self.projection(condition) * y).sum(1)]
        if self.bars:
            parts = last.permute(0, 2, 1).reshape(len(last) * self.bars, -1)
            found.append(self.bar_logits(functional.selu(self.bar(parts))).view(len(last), -1))
        return found


class Trainer:
    """One step of the recipe per call."""

    def __init__(self, preset: str) -> None:
        torch.manual_seed(0)
        self.shape = shape = SHAPES[preset]
        self.generator, self.discriminator = Generator(shape), Discriminator(shape)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.trunk = Trunk(shape)
        self.posterior = nn.Linear(shape.widths[0] * shape.first + shape.condition, 2 * shape.noise)
        encoder = [*self.trunk.parameters(), *self.posterior.parameters()]
        self.adam_g = torch.optim.Adam([*self.generator.parameters(), *encoder], 2e-4, (0.5, 0.99))
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), 4e-4, (0.5, 0.99))
        self.bin_shifts, self.frame_shifts = (
            torch.stack([torch.diag(torch.ones(size - abs(k)), k) for k in range(-most, most + 1)])
            for size, most in ((shape.bins, shape.shift), (shape.frames, shape.frame_shift)))

    def augment(self, mel: torch.Tensor) -> torch.Tensor:
        """Sounds a little higher or lower, later or earlier, louder or softer."""
        bins, frames = (table[torch.randint(len(table), (len(mel),))] for table in
                        (self.bin_shifts, self.frame_shifts))
        moved = bins @ (mel + 1)
        return (moved @ frames if self.shape.frame_shift else moved) - 1 + 0.1 * (
            2 * torch.rand(len(mel), 1, 1) - 1)

    def judge(self, mel: torch.Tensor, condition: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Logits, and the penalty on the discriminator's slope."""
        seen = self.augment(mel)
        logits = self.discriminator(seen, condition)
        moved = self.discriminator(seen.detach() + DISTANCE * torch.randn_like(seen), condition)
        return logits, sum(((y - x) / DISTANCE).square().mean() for x, y in zip(logits, moved, strict=True))

    def step(self, real: torch.Tensor, condition: torch.Tensor) -> float:
        """Trains on mels ``(batch, bins, frames)`` in [-1, 1]; returns the generator's loss."""
        shape = self.shape
        mean, log_variance = self.posterior(torch.cat([self.trunk(real).flatten(1), condition], 1)).chunk(2, 1)
        found = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        fake_condition = condition[torch.randperm(len(real))]
        fake = self.generator(torch.randn(len(real), shape.noise), fake_condition)
        reconstruction = self.generator(found, condition)
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean()
        (real_logits, real_penalty), (fake_logits, fake_penalty) = (
            self.judge(real, condition), self.judge(fake, fake_condition))
        pairs = list(zip(real_logits, fake_logits, strict=True))
        loss_g = sum(functional.softplus(r - f).mean() for r, f in pairs) + 10 * (
            reconstruction - real).abs().mean() + 0.002 * kl
        loss_d = sum(functional.softplus(f - r).mean() for r, f in pairs) + 0.25 * (real_penalty + fake_penalty)
        # both players learn from the same forward pass
        for adam, loss in ((self.adam_g, loss_g), (self.adam_d, loss_d)):
            parameters = adam.param_groups[0]["params"]
            gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
        self.adam_g.step()
        self.adam_d.step()
        with torch.no_grad():
            for average, parameter in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                average.lerp_(parameter, 1 - 0.9995)
        return loss_g.item()
