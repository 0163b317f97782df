"""MelGAN against PyTorch: from equal weights equal sounds, feature maps, losses and gradients."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.config import presets
from melgan_tf.dsp import spectral
from melgan_tf.models.melgan.networks import Generator
from melgan_tf.models.vocoder_training import train_step
from melgan_tf.models.vocoder_training.discriminator import MultiScaleDiscriminator
from melgan_tf.training import optimizers
from melgan_tf.training.losses import feature_matching, hinge_discriminator, hinge_generator

torch = pytest.importorskip("torch")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch_melgan
    from torch_melgan import layers_of

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")

TINY = [{"mel_bins": 5, "ratios": (4, 2), "channels": 3, "residual_layers": 2},
        {"mel_bins": 7, "ratios": (3, 5), "channels": 2, "residual_layers": 1},
        {"mel_bins": 4, "ratios": (2, 7, 2), "channels": 2, "residual_layers": 3}]


def give_weights(convolutions, module, rng, gain):
    """The same random weights to both."""
    torch_melgan.randomize(module, rng, gain)
    for ours, theirs in zip(convolutions, layers_of(module), strict=True):
        ours.v.assign(theirs.weight_v.detach().numpy().transpose(2, 1, 0))
        ours.g.assign(theirs.weight_g.detach().numpy().transpose(2, 1, 0))
        ours.bias.assign(theirs.bias.detach().numpy())


def generators(seed=0, **arguments):
    ours, theirs = Generator(**arguments), torch_melgan.Generator(**arguments)
    give_weights(ours.convolutions(), theirs, np.random.default_rng(seed), 1.0)
    return ours, theirs


def discriminators(seed=0, **arguments):
    ours, theirs = MultiScaleDiscriminator(**arguments), torch_melgan.Discriminator(**arguments)
    convolutions = [layer for scale in ours.scales
                    for layer in (scale.first, *scale.grouped, scale.dense, scale.logits)]
    give_weights(convolutions, theirs, np.random.default_rng(seed), 1.2)
    return ours, theirs, convolutions


def close(ours, theirs, what="", tolerance=1e-5):
    """To 1e-5 of the largest value; constant or vanishing values would prove nothing."""
    ours, theirs = np.asarray(ours), theirs.detach().numpy()
    assert ours.shape == theirs.shape, what
    largest = np.abs(theirs).max()
    assert 1e-4 < largest < 1e4, (what, largest)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * largest, err_msg=what)


def close_gradients(ours, convolutions, theirs):
    """Of every variable; ours come as (v, g, bias) for each convolution."""
    ours = iter(ours)
    for convolution, layer in zip(convolutions, layers_of(theirs), strict=True):
        for parameter in (layer.weight_v, layer.weight_g, layer.bias):
            gradient = parameter.grad
            gradient = gradient if gradient.ndim == 1 else gradient.permute(2, 1, 0)
            close(next(ours), gradient, convolution.name, 2e-5)
    assert next(ours, None) is None


def weights_in(model):
    return sum(int(np.prod(variable.shape)) for variable in model.variables)


def mels(bins, frames=12, batch=2):
    return np.random.default_rng(1).normal(size=(batch, frames, bins)).astype("float32")


def waveforms(samples, batch=2, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, (batch, samples)).astype("float32")


def maps_of(theirs, waveform):
    """PyTorch's feature maps, channels last."""
    return [[y.permute(0, 2, 1) for y in scale] for scale in theirs(torch.as_tensor(waveform)[:, None])]


@pytest.mark.parametrize("arguments", TINY)
def test_generators_make_the_same_sound(arguments):
    ours, theirs = generators(**arguments)
    mel = mels(arguments["mel_bins"])
    sound = theirs(torch.tensor(mel).permute(0, 2, 1))[:, 0]
    assert 0.05 < sound.std() < 0.9
    for model in (ours, ours.folded()):
        np.testing.assert_allclose(np.asarray(model(mel)), sound.detach().numpy(), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_papers_generator_makes_the_same_sound():
    ours, theirs = generators()
    mel = mels(80, frames=12)
    with torch.no_grad():
        sound = theirs(torch.tensor(mel).permute(0, 2, 1))[:, 0].numpy()
    assert sound.shape == (2, 12 * 256)
    assert 0.05 < sound.std() < 0.9
    folded = ours.folded()
    for model in (ours, folded):
        np.testing.assert_allclose(np.asarray(model(mel)), sound, rtol=0, atol=1e-5)
    assert weights_in(ours) == sum(p.numel() for p in theirs.parameters())
    assert weights_in(folded) == 4_260_257  # the 4.26 M of the paper
    assert {(layer.stride[0], layer.kernel_size[0]) for layer in layers_of(theirs)
            if isinstance(layer, torch.nn.ConvTranspose1d)} == {(8, 16), (2, 4)}


@pytest.mark.parametrize("seed", [1, 2])
def test_the_papers_generator_is_as_exact_as_pytorch(seed):
    """Some random weights amplify rounding beyond 1e-5 in PyTorch as well: held against its double precision."""
    ours, theirs = generators(seed)
    exact = torch_melgan.Generator().double()
    exact.load_state_dict(theirs.state_dict())
    mel = np.random.default_rng(seed).uniform(-5, 2, (1, 12, 80)).astype("float32")
    with torch.no_grad():
        wanted = exact(torch.tensor(mel).double().permute(0, 2, 1))[:, 0].numpy()
        their_error = np.abs(theirs(torch.tensor(mel).permute(0, 2, 1))[:, 0].numpy() - wanted).max()
    for model in (ours, ours.folded()):
        assert np.abs(np.asarray(model(mel)) - wanted).max() < max(1e-5, 2 * their_error)


@pytest.mark.parametrize("arguments", TINY)
def test_generators_have_the_same_gradients(arguments):
    ours, theirs = generators(**arguments)
    mel = mels(arguments["mel_bins"])
    with tf.GradientTape() as tape:
        sound = ours(mel)
        weights = np.random.default_rng(2).normal(size=sound.shape).astype("float32")
        loss = tf.reduce_sum(sound * weights)
    (theirs(torch.tensor(mel).permute(0, 2, 1))[:, 0] * torch.tensor(weights)).sum().backward()
    convolutions = ours.convolutions()
    wanted = [variable for layer in convolutions for variable in (layer.v, layer.g, layer.bias)]
    assert {id(variable) for variable in wanted} == {id(variable) for variable in ours.trainable_variables}
    close_gradients(tape.gradient(loss, [variable.value for variable in wanted]), convolutions, theirs)


@pytest.mark.parametrize(("arguments", "samples"), [
    ({"channels": 4, "layers": 3}, 1024),
    ({"channels": 4, "layers": 3}, 1502),  # 1502, 751, 375 samples: rounding at every layer
    ({"scales": 1, "channels": 8, "layers": 2, "downsampling": 2}, 301),
    ({"scales": 2, "channels": 16, "layers": 1, "downsampling": 4}, 203),
])
def test_discriminators_see_the_same(arguments, samples):
    ours, theirs, _ = discriminators(**arguments)
    sounds = waveforms(samples)
    found, expected = ours(sounds), maps_of(theirs, sounds)
    assert [len(scale) for scale in found] == [arguments["layers"] + 3] * arguments.get("scales", 3)
    for i, (scale, other) in enumerate(zip(found, expected, strict=True)):
        for j, (y, x) in enumerate(zip(scale, other, strict=True)):
            close(y, x, f"scale {i}, map {j}")


def test_the_papers_discriminators_see_the_same():
    ours, theirs, _ = discriminators()
    sounds = waveforms(4096, batch=1)
    for scale, other in zip(ours(sounds), maps_of(theirs, sounds), strict=True):
        assert [y.shape[-1] for y in scale] == [16, 64, 256, 1024, 1024, 1024, 1]
        for y, x in zip(scale, other, strict=True):
            close(y, x)
    assert weights_in(ours) == sum(p.numel() for p in theirs.parameters())


def torch_losses(real, fake, layers):
    """(discriminators', generator's adversarial, feature matching), after the paper's equations and weights."""
    relu, distance = torch.nn.functional.relu, torch.nn.functional.l1_loss
    hinge = sum(relu(1 - scale[-1]).mean() for scale in real) + sum(relu(1 + scale[-1]).mean() for scale in fake)
    features = sum(distance(y, x) for scale, other in zip(fake, real, strict=True)
                   for y, x in zip(scale[:-1], other[:-1], strict=True))
    return hinge, -sum(scale[-1].mean() for scale in fake), features * 4.0 / (layers + 1) / len(real)


@pytest.mark.parametrize("which", range(3), ids=["discriminator", "adversarial", "feature matching"])
def test_losses_and_their_gradients_are_the_same(which):
    """With respect to every weight, and to the sound: that is what the generator learns from."""
    layers = 2
    ours, theirs, convolutions = discriminators(channels=4, layers=layers)
    real, fake = waveforms(1001), waveforms(1001, seed=2)
    their_fake = torch.tensor(fake, requires_grad=True)
    expected = torch_losses(maps_of(theirs, real), maps_of(theirs, their_fake), layers)[which]
    expected.backward()
    weights = [variable for layer in convolutions for variable in (layer.v, layer.g, layer.bias)]
    fake = tf.constant(fake)
    with tf.GradientTape() as tape:
        tape.watch(fake)
        real_maps, fake_maps = ours(real), ours(fake)
        real_logits, fake_logits = ([scale[-1] for scale in maps] for maps in (real_maps, fake_maps))
        found = [lambda: hinge_discriminator(real_logits, fake_logits), lambda: hinge_generator(fake_logits),
                 lambda: feature_matching(real_maps, fake_maps)][which]()
    assert float(found) == pytest.approx(expected.item(), rel=1e-5)
    gradients = tape.gradient(found, [fake, *(variable.value for variable in weights)])
    np.testing.assert_allclose(gradients[0], their_fake.grad.numpy(), rtol=0,
                               atol=1e-5 * np.abs(their_fake.grad.numpy()).max())
    assert np.abs(gradients[0]).max() > 0
    named = [(convolution.name, name) for convolution in convolutions for name in ("v", "g", "bias")]
    parameters = [parameter for layer in layers_of(theirs)
                  for parameter in (layer.weight_v, layer.weight_g, layer.bias)]
    for (layer, name), found_, parameter in zip(named, gradients[1:], parameters, strict=True):
        if which == 2 and "logits" in layer:
            assert found_ is None or not np.any(found_)  # the logits are not matched
            continue
        wanted = parameter.grad.numpy() if name == "bias" else parameter.grad.permute(2, 1, 0).numpy()
        np.testing.assert_allclose(found_, wanted, rtol=0, atol=2e-5 * max(np.abs(wanted).max(), 1e-4),
                                   err_msg=f"{layer} {name}")


def test_the_preset_weighs_its_losses_as_the_paper_does():
    objective = presets.get("melgan").model.objective
    assert (objective.adversarial, objective.feature_matching, objective.stft, objective.mel) == (1.0, 10.0, 0.0, 0.0)
    assert objective.adversarial_start == 0


def torch_steps(generator, discriminator, mels, sounds, layers):
    """The authors' training loop with PyTorch's Adam: [discriminators' loss, adversarial, feature matching] a step."""
    adam = {player: torch.optim.Adam(player.parameters(), lr=1e-4, betas=(0.5, 0.9))
            for player in (generator, discriminator)}
    figures = []
    for mel, sound in zip(mels, sounds, strict=True):
        fake = generator(torch.tensor(mel).permute(0, 2, 1))[:, 0]
        real_maps, fake_maps = maps_of(discriminator, sound), maps_of(discriminator, fake.detach())
        hinge = torch_losses(real_maps, fake_maps, layers)[0]
        discriminator.zero_grad()
        hinge.backward()
        adam[discriminator].step()
        real_maps = [[y.detach() for y in scale] for scale in real_maps]
        _, adversarial, features = torch_losses(real_maps, maps_of(discriminator, fake), layers)
        generator.zero_grad()
        (adversarial + 10 * features).backward()
        adam[generator].step()
        figures.append([value.item() for value in (hinge, adversarial, features)])
    return figures


@pytest.mark.slow
def test_five_training_steps_are_pytorchs(monkeypatch):
    """From equal weights: the losses of every step, and where every weight has gone in the end."""
    preset, layers = presets.get("melgan"), 2
    config = dataclasses.replace(preset, model=dataclasses.replace(preset.model, channels=2, residual_layers=1),
                                 data=dataclasses.replace(preset.data, clip_samples=2048),
                                 training=dataclasses.replace(preset.training, batch_size=3))
    monkeypatch.setattr(train_step, "MultiScaleDiscriminator",
                        lambda seed: MultiScaleDiscriminator(channels=4, layers=layers, seed=seed))
    ours = train_step.VocoderGAN(config)
    ours.compile(optimizers.adam(config, "generator"), optimizers.adam(config, "discriminator"), shards=2)
    players = {ours.generator: torch_melgan.Generator(channels=2, residual_layers=1),
               ours.discriminator: torch_melgan.Discriminator(channels=4, layers=layers)}
    convolutions = {ours.generator: ours.generator.convolutions(),
                    ours.discriminator: [layer for scale in ours.discriminator.scales
                                         for layer in (scale.first, *scale.grouped, scale.dense, scale.logits)]}
    for player, theirs in players.items():
        give_weights(convolutions[player], theirs, np.random.default_rng(3), 1.2)
    begun = [np.asarray(variable) for player in players for variable in player.trainable_variables]
    sounds = [0.5 * waveforms(2048, 3, seed) for seed in range(5)]
    mels = [spectral.mel_spectrogram(tf.constant(sound), config.audio).numpy() for sound in sounds]
    figures = []
    for sound in sounds:
        ours.reset_metrics()
        found = ours.train_step(tf.constant(sound), True)
        figures.append([float(found[name]) for name in ("discriminator/loss", "generator/adversarial",
                                                        "generator/feature_matching")])
    np.testing.assert_allclose(figures, torch_steps(*players.values(), mels, sounds, layers), rtol=1e-3, atol=1e-5)
    ended = iter(begun)
    for player, theirs in players.items():
        wanted = [parameter.detach().numpy().T if parameter.ndim == 1 else parameter.detach().permute(2, 1, 0).numpy()
                  for layer in layers_of(theirs) for parameter in (layer.weight_v, layer.weight_g, layer.bias)]
        found = [variable for layer in convolutions[player] for variable in (layer.v, layer.g, layer.bias)]
        order = {id(variable): values for variable, values in zip(found, wanted, strict=True)}
        for variable in player.trainable_variables:
            moved, expected = np.asarray(variable) - next(ended), np.asarray(variable) - order[id(variable)]
            # Adam's first steps go by the sign of a gradient: where it is all but 0, rounding decides
            assert np.linalg.norm(expected) < 0.02 * np.linalg.norm(moved) + 1e-6, variable.path
