"""The seed recipe written plainly in PyTorch: the baseline for training speed.

It follows the specification and PyTorch's DCGAN example: `nn.ConvTranspose2d`, `nn.Conv2d`, `nn.BCELoss`,
`torch.optim.Adam`, the metrics of each step read back for the log.
"""

from __future__ import annotations

import torch
from torch import nn


def generator() -> nn.Module:
    """Noise ``(batch, 20, 1, 1)`` -> mel ``(batch, 1, 64, 16)``."""
    return nn.Sequential(
        nn.ConvTranspose2d(20, 256, (3, 2), 2), nn.SELU(),
        nn.ConvTranspose2d(256, 128, (3, 2), 2), nn.SELU(),
        nn.ConvTranspose2d(128, 32, (3, 2), 2), nn.SELU(),
        nn.ConvTranspose2d(32, 8, (3, 2), 2, output_padding=(1, 1)), nn.SELU(),
        nn.ConvTranspose2d(8, 1, (3, 2), (2, 1), padding=1, output_padding=(1, 0)), nn.SELU())


def discriminator() -> nn.Module:
    """Mel ``(batch, 1, 64, 16)`` -> probability ``(batch, 1)``."""
    return nn.Sequential(
        nn.Conv2d(1, 4, (3, 2), (2, 1), padding=1), nn.SELU(),
        nn.Conv2d(4, 16, (3, 2), 2), nn.SELU(),
        nn.Conv2d(16, 32, (3, 2), 2), nn.SELU(),
        nn.Conv2d(32, 64, (3, 2), 2), nn.SELU(),
        nn.Conv2d(64, 128, (3, 2), 2, padding=1), nn.SELU(),
        nn.Flatten(), nn.Linear(512, 64), nn.SELU(), nn.Linear(64, 1), nn.Sigmoid())


class Trainer:
    """One step of the recipe per call."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.generator, self.discriminator = generator(), discriminator()
        for module in [*self.generator.modules(), *self.discriminator.modules()]:
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, 0.0, 0.02)
        self.adam_g = torch.optim.Adam(self.generator.parameters(), 2e-4, (0.5, 0.999))
        self.adam_d = torch.optim.Adam(self.discriminator.parameters(), 2e-4, (0.5, 0.999))
        self.loss = nn.BCELoss()

    def step(self, real: torch.Tensor) -> tuple[float, float, float, float, float]:
        """Trains on ``real`` ``(batch, 1, 64, 16)``; returns Loss_D, Loss_G, D(x), D(G(z)) before and after."""
        batch = len(real)
        ones, zeros = torch.ones(batch), torch.zeros(batch)
        self.discriminator.zero_grad()
        real_results = self.discriminator(real).view(-1)
        loss_real = self.loss(real_results, ones)
        loss_real.backward()
        fake = self.generator(torch.randn(batch, 20, 1, 1))
        fake_results = self.discriminator(fake.detach()).view(-1)
        loss_fake = self.loss(fake_results, zeros)
        loss_fake.backward()
        self.adam_d.step()

        self.generator.zero_grad()
        generator_results = self.discriminator(fake).view(-1)
        loss_g = self.loss(generator_results, ones)
        loss_g.backward()
        self.adam_g.step()
        return ((loss_real + loss_fake).item(), loss_g.item(), real_results.mean().item(), fake_results.mean().item(),
                generator_results.mean().item())
