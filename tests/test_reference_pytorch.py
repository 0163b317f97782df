"""The seed recipe in PyTorch, written independently: from equal weights, equal sounds and equal noise, equal training."""

from __future__ import annotations

import numpy as np
import pytest

from melgan_tf import presets
from melgan_tf.data import batches, load_folder
from melgan_tf.run_directory import with_training
from melgan_tf.training import run as run_module
from melgan_tf.training.gan import METRICS, SpectrogramGAN

torch = pytest.importorskip("torch")
nn = torch.nn

STEPS = 10
CONFIG = with_training(presets.get("seed"), batch_size=8)


def torch_generator():
    return nn.Sequential(
        nn.Unflatten(1, (20, 1, 1)),
        nn.ConvTranspose2d(20, 256, (3, 2), 2), nn.SELU(),
        nn.ConvTranspose2d(256, 128, (3, 2), 2), nn.SELU(),
        nn.ConvTranspose2d(128, 32, (3, 2), 2), nn.SELU(),
        nn.ConvTranspose2d(32, 8, (3, 2), 2, output_padding=(1, 1)), nn.SELU(),
        nn.ConvTranspose2d(8, 1, (3, 2), (2, 1), padding=1, output_padding=(1, 0)), nn.SELU())


def torch_discriminator():
    return nn.Sequential(
        nn.Conv2d(1, 4, (3, 2), (2, 1), padding=1), nn.SELU(),
        nn.Conv2d(4, 16, (3, 2), 2), nn.SELU(),
        nn.Conv2d(16, 32, (3, 2), 2), nn.SELU(),
        nn.Conv2d(32, 64, (3, 2), 2), nn.SELU(),
        nn.Conv2d(64, 128, (3, 2), 2, padding=1), nn.SELU(),
        nn.Flatten(), nn.Linear(512, 64), nn.SELU(), nn.Linear(64, 1), nn.Sigmoid(), nn.Flatten(0))


def as_torch(values, player):
    """Our weights in PyTorch's order: channels first, and the dense layer's input as (channel, mel, frame)."""
    converted = []
    for index, value in enumerate(values):
        if value.ndim == 4:  # (mel, frame, in, out) -> (in, out, mel, frame) or (out, in, mel, frame)
            value = value.transpose((2, 3, 0, 1) if player == "generator" else (3, 2, 0, 1))
        elif value.ndim == 2:
            if index == 10:
                value = value.reshape(2, 2, 128, 64).transpose(2, 0, 1, 3).reshape(512, 64)
            value = value.T
        converted.append(torch.tensor(np.ascontiguousarray(value)))
    return converted


def values_of(player):
    return [np.asarray(variable) for variable in player.trainable_variables]


def torch_training(generator, discriminator, data, noise):
    """As PyTorch's DCGAN example does it, with the figures of every step."""
    adam_g, adam_d = (torch.optim.Adam(player.parameters(), lr=2e-4, betas=(0.5, 0.999))
                      for player in (generator, discriminator))
    criterion, figures = nn.BCELoss(), []
    for mels, z in zip(data, noise, strict=True):
        real = torch.tensor(mels).permute(0, 3, 1, 2)
        ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
        adam_d.zero_grad()
        judged = discriminator(real)
        loss_real = criterion(judged, ones)
        loss_real.backward()
        fake = generator(torch.tensor(z))
        before = discriminator(fake.detach())
        loss_fake = criterion(before, zeros)
        loss_fake.backward()
        adam_d.step()
        adam_g.zero_grad()
        after = discriminator(fake)
        loss_g = criterion(after, ones)
        loss_g.backward()
        adam_g.step()
        figures.append([(loss_real + loss_fake).item(), loss_g.item(),
                        *(value.mean().item() for value in (judged, before, after))])
    return np.array(figures)


def test_probe(sound_folder):
    model = SpectrogramGAN(CONFIG)
    model.compile(run_module._adam(CONFIG, "generator"), run_module._adam(CONFIG, "discriminator"))
    images = load_folder(sound_folder, CONFIG).images()
    pairs = list(batches(images, 8, 0).take(STEPS).as_numpy_iterator())
    noise = np.random.default_rng(0).normal(size=(STEPS, 8, 20)).astype("float32")
    generator, discriminator = torch_generator(), torch_discriminator()
    with torch.no_grad():
        for player, ours in ((generator, model.generator), (discriminator, model.discriminator)):
            for parameter, value in zip(player.parameters(), as_torch(values_of(ours), ours.name), strict=True):
                parameter.copy_(value)
    before = [values_of(model.generator), values_of(model.discriminator)]
    theirs = torch_training(generator, discriminator, [mels for mels, _ in pairs], noise)
    ours = []
    for pair, z in zip(pairs, noise, strict=True):
        model._noise = lambda count, z=z: z
        model.reset_metrics()
        figures = model.train_step(pair)
        ours.append([float(figures[n]) for n in METRICS])
    ours = np.array(ours)
    print(ours); print(np.abs(ours-theirs)); print(np.abs(ours/theirs-1).max(0))
    for player, k, b in ((generator, model.generator, before[0]), (discriminator, model.discriminator, before[1])):
        for parameter, value, old in zip(player.parameters(), as_torch(values_of(k), k.name), as_torch(b, k.name), strict=True):
            parameter = parameter.detach(); d = (parameter-value).abs()
            print('   gradient median', float(parameter_grad(k, value)) if False else '', 'torch moved mean', float((parameter-old).abs().mean()))
            print(k.name, tuple(value.shape), "moved", float((value-old).abs().max()), float((value-old).abs().mean()), "diff max", float(d.max()), "mean", float(d.mean()), "frac>1e-5", float((d>1e-5).float().mean()))
