"""The frame GAN: noise and a class -> mel spectrogram; mel spectrogram -> noise, or real or not.

Three players. The *generator* makes spectrograms of noise; the *discriminator* tells them from real ones of the same
class; the *encoder* finds, for a real sound, the noise that would make it. The generator learns from both: to deceive
the discriminator with noise, and to give real sounds back from what the encoder found. The second is what keeps every
real sound within its reach, so that it cannot collapse to a few that deceive best; the first is what keeps its sounds
from being blurred averages.

All three see a spectrogram as a sequence of frames (see `melgan_tf.models.layers.frame_conv`), scaled to [-1, 1]: -1
is the mel's floor, 1 the configuration's ceiling. Frames may be any power of two times four.

Reference: Larsen et al., "Autoencoding beyond pixels using a learned similarity metric" (2016); Miyato & Koyama, "cGANs
with Projection Discriminator" (2018); Karras et al., "A Style-Based Generator Architecture" (2019) for the mapped noise
that scales every layer.
"""

from __future__ import annotations

import math

import keras
from keras import ops

from melgan_tf.config import Config
from melgan_tf.data.labels import Classes
from melgan_tf.models.layers.frame_conv import FrameConv, FrameDense, Seeds, Trunk, smooth, spread, swap
from melgan_tf.models.layers.mel_scale import MelScale
from melgan_tf.models.layers.packed_conv import selu_for_export
from melgan_tf.models.vae_gan.networks import OUTPUT_GAIN, Activation, StyledBlock, TrunkDiscriminator
from melgan_tf.models.vae_gan.prior import Prior

#: Frames of the smallest map; every stage doubles them.
FIRST_FRAMES = 4
_STYLE_CHANNELS = 128
_LABEL_SCALE = 2.0  # a class weighs as much as a few dimensions of noise


class Generator(keras.Model):
    """Turns latents and a label into mel spectrograms.

    Latents and label become the first map by one product, and a style by two layers; each residual block of two
    convolutions is scaled and shifted by the style. After every block but the last, frames are doubled and smoothed.
    Latents of new sounds come from the `prior`.

    Args:
        config: shapes, channels and seed.
        classes: length of the label.

    Call arguments:
        latent: ``(batch, noise_dim)``: see `latent`.
        label: ``(batch, classes)``, rows sum to 1.
        activation: SELU in the form that suits the purpose.

    Output shape: ``(batch, frames, mel_bins)``, in [-1, 1].
    """

    def __init__(self, config: Config, classes: int, name: str = "generator") -> None:
        super().__init__(name=name)
        model, seeds = config.model, Seeds(config.training.seed * 1000)
        bins, frames = config.mel_shape
        channels, inputs = model.channels, model.noise_dim + classes
        self.scale = MelScale(config.audio, model.ceiling)
        self.style_1 = FrameDense(inputs, _STYLE_CHANNELS, seeds.next(), name="style_1")
        self.style_2 = FrameDense(_STYLE_CHANNELS, _STYLE_CHANNELS, seeds.next(), name="style_2")
        self.first = FrameDense(inputs, FIRST_FRAMES * channels, seeds.next(), name="first")
        self.blocks = [StyledBlock(channels, _STYLE_CHANNELS, seeds, name=f"block_{index}")
                       for index in range(1, _stages(frames) + 2)]
        self.ups = [FrameDense(channels, 2 * channels, seeds.next(), name=f"up_{index}")
                    for index in range(1, _stages(frames) + 1)]
        self.last = FrameConv(channels, bins, seeds.next(), OUTPUT_GAIN, name="last")
        self.prior = Prior(model.noise_dim, classes, seeds)
        self.channels = channels
        self.built = True

    def call(self, latent: keras.KerasTensor, label: keras.KerasTensor,
             activation: Activation = ops.selu) -> keras.KerasTensor:
        inputs = ops.concatenate([latent, label * _LABEL_SCALE], axis=-1)
        style = activation(self.style_2(activation(self.style_1(inputs))))
        x = swap(activation(ops.reshape(self.first(inputs), (-1, FIRST_FRAMES, self.channels))))
        for index, block in enumerate(self.blocks):
            if index:
                x = smooth(spread(activation(self.ups[index - 1](x)), 2))
            x = block(x, style, activation=activation)
        return swap(ops.tanh(self.last(x)))

    def mel(self, noise: keras.KerasTensor, label: keras.KerasTensor) -> keras.KerasTensor:
        """Noise ``(batch, noise_dim)``, label ``(batch, classes)`` -> log mel ``(batch, frames, mel_bins)``."""
        return self.scale.to_mel(self(self.latent(noise, label), label, activation=selu_for_export))

    def latent(self, noise: keras.KerasTensor, label: keras.KerasTensor) -> keras.KerasTensor:
        """Noise ``(batch, noise_dim)``, standard normal, label ``(batch, classes)`` -> latents ``(batch, noise_dim)``.
        """
        return self.prior(noise, label)

    def noise(self, latent: keras.KerasTensor, label: keras.KerasTensor) -> keras.KerasTensor:
        """The inverse of `latent`."""
        return self.prior.inverse(latent, label)[0]


class Discriminator(TrunkDiscriminator):
    """Tells real mel spectrograms of a class from generated ones.

    Args:
        config: shapes, channels and seed.
        classes: length of the label.

    Call arguments:
        x: ``(batch, frames, mel_bins)`` in [-1, 1].
        label: ``(batch, classes)``.

    Output: logits ``(batch,)``, and the feature maps ``[(frames, batch, channels), ...]``.
    """

    def __init__(self, config: Config, classes: int, name: str = "discriminator") -> None:
        channels, seeds = config.model.channels, Seeds(config.training.seed * 1000 + 300)
        super().__init__(_trunk(config, seeds, "discriminator"), FIRST_FRAMES, channels, seeds, name)
        self.projection = FrameDense(classes, channels, seeds.next(), bias=False, name="projection")
        self.built = True

    def call(self, x: keras.KerasTensor,
             label: keras.KerasTensor) -> tuple[keras.KerasTensor, list[keras.KerasTensor]]:
        y, maps = self.features(x)
        return ops.squeeze(self.logits(y), axis=-1) + ops.sum(self.projection(label) * y, axis=-1), maps


class Encoder(keras.Model):
    """Finds the latents that make a sound: mean and logarithm of the variance of a normal distribution.

    Args:
        config: shapes, channels and seed.
        classes: length of the label.

    Call arguments:
        x: ``(batch, frames, mel_bins)`` in [-1, 1].
        label: ``(batch, classes)``.

    Output shape: two of ``(batch, noise_dim)``.
    """

    def __init__(self, config: Config, classes: int, name: str = "encoder") -> None:
        super().__init__(name=name)
        seeds = Seeds(config.training.seed * 1000 + 600)
        self.scale = MelScale(config.audio, config.model.ceiling)
        self.trunk = _trunk(config, seeds, "encoder")
        self.flat = FIRST_FRAMES * config.model.channels
        self.posterior = FrameDense(self.flat + classes, 2 * config.model.noise_dim, seeds.next(),
                                    OUTPUT_GAIN, name="posterior")
        self.built = True

    def call(self, x: keras.KerasTensor, label: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        flat = ops.reshape(swap(self.trunk(x)[-1]), (-1, self.flat))
        return tuple(ops.split(self.posterior(ops.concatenate([flat, label], axis=-1)), 2, axis=-1))

    def latent(self, mel: keras.KerasTensor, label: keras.KerasTensor) -> keras.KerasTensor:
        """Log mel ``(batch, frames, mel_bins)``, label ``(batch, classes)`` -> the mean ``(batch, noise_dim)``."""
        return self(self.scale.from_mel(mel), label)[0]


def _stages(frames: int) -> int:
    return int(math.log2(frames // FIRST_FRAMES))


def _trunk(config: Config, seeds: Seeds, name: str) -> Trunk:
    """Down to `FIRST_FRAMES`."""
    bins, frames = config.mel_shape
    stages = _stages(frames)
    return Trunk(bins, [config.model.channels] * (stages + 1), [2] * stages, seeds, name)


def build_encoder(config: Config, classes: Classes) -> Encoder:
    """The encoder of a configuration, with initial weights."""
    return Encoder(config, len(classes))


def build(config: Config, classes: Classes) -> Generator:
    """The generator of a configuration, with initial weights."""
    return Generator(config, len(classes))
