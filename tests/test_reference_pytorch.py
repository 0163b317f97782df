"""The seed recipe in PyTorch, written independently: from equal weights, sounds and noise, equal training."""

from __future__ import annotations

import numpy as np
import pytest

from melgan_tf.config import presets
from melgan_tf.data.mel_dataset import batches, load_folder
from melgan_tf.models.spectrogram_gan.train_step import SpectrogramGAN
from melgan_tf.storage.run_directory import with_training
from melgan_tf.training import optimizers

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # two libraries that fight for the same cores are slower
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
    """As PyTorch's DCGAN example does it, with the metrics of every step."""
    adam_g, adam_d = (torch.optim.Adam(player.parameters(), lr=2e-4, betas=(0.5, 0.999))
                      for player in (generator, discriminator))
    criterion, metrics = nn.BCELoss(), []
    for mels, z in zip(data, noise, strict=True):
        real = torch.tensor(mels).double().permute(0, 3, 1, 2)
        ones, zeros = (full(len(real), dtype=torch.float64) for full in (torch.ones, torch.zeros))
        adam_d.zero_grad()
        judged = discriminator(real)
        loss_real = criterion(judged, ones)
        loss_real.backward()
        fake = generator(torch.tensor(z).double())
        before = discriminator(fake.detach())
        loss_fake = criterion(before, zeros)
        loss_fake.backward()
        adam_d.step()
        adam_g.zero_grad()
        after = discriminator(fake)
        loss_g = criterion(after, ones)
        loss_g.backward()
        adam_g.step()
        metrics.append([(loss_real + loss_fake).item(), loss_g.item(),
                        *(value.mean().item() for value in (judged, before, after))])
    return np.array(metrics)


@pytest.fixture(scope="module")
def data(_sound_folder):
    """The batches of the first steps, and noise for each."""
    images = load_folder(_sound_folder, CONFIG).images()
    pairs = list(batches(images, 8, 0).take(STEPS).as_numpy_iterator())
    noise = np.random.default_rng(0).normal(size=(STEPS, 8, 20)).astype("float32")
    return pairs, noise


def trained(model, data):
    """Both versions after the same steps: their metrics, and for each weight (name, before, ours, theirs)."""
    pairs, noise = data
    players = {"generator": torch_generator().double(), "discriminator": torch_discriminator().double()}
    before = {name: as_torch(values_of(getattr(model, name)), name) for name in players}
    with torch.no_grad():
        for name, player in players.items():
            for parameter, value in zip(player.parameters(), before[name], strict=True):
                parameter.copy_(value)
    theirs = torch_training(*players.values(), [mels for mels, _ in pairs], noise)
    ours = []
    for pair, z in zip(pairs, noise, strict=True):
        model.draw_noise = lambda count, z=z: z
        model.reset_metrics()
        metrics = model.train_step(pair)
        ours.append([float(metrics[name]) for name in SpectrogramGAN.METRICS])
    weights = [(f"{name}, weight {index}", *(tensor.detach().numpy() for tensor in tensors))
               for name, player in players.items()
               for index, tensors in enumerate(zip(before[name], as_torch(values_of(getattr(model, name)), name),
                                                   player.parameters(), strict=True))]
    return np.array(ours), theirs, weights


def seed_model():
    model = SpectrogramGAN(CONFIG)
    model.compile(optimizers.adam(CONFIG, "generator"), optimizers.adam(CONFIG, "discriminator"))
    return model


@pytest.mark.slow
def test_from_weights_of_a_trained_size_both_learn_the_same(data):
    """Rounding aside: over ten steps it stays below a few 1e-6 of the metrics and 1e-5 of what a weight moved.

    PyTorch computes in double precision: its float32 convolutions round worse on some processors than on others.

    One weight in a million may have a gradient of about nothing; Adam makes a full step of its sign, 2e-4 apart.
    """
    model, rng = seed_model(), np.random.default_rng(1)
    for variable in [*model.generator.variables, *model.discriminator.variables]:
        shape = tuple(variable.shape)
        variable.assign(rng.normal(0, 0.1 if len(shape) == 1 else np.sqrt(0.5 / np.prod(shape[:-1])), shape))
    model.discriminator.down_1.kernel.assign(0.01 * model.discriminator.down_1.kernel)  # the mels are large
    ours, theirs, weights = trained(model, data)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)
    assert np.ptp(theirs, axis=0).min() > 0.05  # the ten steps mattered
    for name, before, our, their in weights:
        moved = np.linalg.norm(their - before)
        assert moved > 0, name
        assert np.linalg.norm(our - their) < 1e-3 * moved, name


@pytest.mark.nightly
def test_from_the_recipes_own_weights_both_learn_alike(data):
    """The metrics agree to a thousandth, and every weight moves as far, nearly the same way.

    No closer, because these weights are so small (0.02) that deep activations of the first sounds are some 1e-8, where
    a float32 SELU of a negative number depends on how it is computed, and Adam makes full steps of tiny gradients.
    """
    ours, theirs, weights = trained(seed_model(), data)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    for name, before, our, their in weights:
        moved = np.linalg.norm(their - before)
        assert np.linalg.norm(our - before) == pytest.approx(moved, rel=0.1), name
        assert np.linalg.norm(our - their) < 0.6 * moved, name


def test_the_weights_are_pytorchs_after_conversion(data):
    """Before any training, so that a wrong conversion does not look like wrong training."""
    (mels, _), noise = data[0][0], data[1][0]
    model, generator, discriminator = seed_model(), torch_generator(), torch_discriminator()
    with torch.no_grad():
        for ours, player in ((model.generator, generator), (model.discriminator, discriminator)):
            for parameter, value in zip(player.parameters(), as_torch(values_of(ours), ours.name), strict=True):
                parameter.copy_(value)
        fake = generator(torch.tensor(noise)).permute(0, 2, 3, 1).numpy()
        judged = discriminator(torch.tensor(mels).permute(0, 3, 1, 2)).numpy()
    ours = np.asarray(model.generator(noise))
    np.testing.assert_allclose(ours, fake, atol=1e-3 * np.abs(fake).max())
    np.testing.assert_allclose(np.asarray(model.discriminator(mels))[:, 0], judged, rtol=1e-5)
    assert np.ptp(judged) > 1e-4
    assert sum(p.numel() for p in generator.parameters()) == 253_913
    assert sum(p.numel() for p in discriminator.parameters()) == 98_061
