"""The sequence GAN: a sequence of noise vectors -> a mel spectrogram of any length.

One noise vector stands for a *step* of 16 frames. The generator is a convolution over steps from beginning to end::

    noise  (steps + 10)  --conv--block--double--block-- ... --double--block--conv-->  mel (16 * steps frames)
                                   |              |                       |
    style  (steps + 10)  --map-----+--------------+-----------------------+

Nothing in it looks further than `CONTEXT_STEPS` steps to either side, and it sees no ends: all convolutions are valid
ones (what they lose at the borders is asked for as additional steps), and nothing is normalized over time. So a long
spectrogram may be made piece by piece, and the pieces joined are the whole. The style is a second vector for every
step, one that moves slowly: it decides what stays the same in a sound for seconds; the noise decides what happens.

Encoder and discriminator serve training as in the frame GAN (`melgan_tf.models.frame_gan.networks`): the first finds
noise and style that make a real window, so that the generator cannot forget any; the second keeps windows from being
blurred averages. The discriminator judges a window as a whole and every small patch of it.

Reference: that of `melgan_tf.models.frame_gan.networks`; Isola et al., "Image-to-Image Translation with Conditional
Adversarial Networks" (2017) for judging patches.
"""

from __future__ import annotations

import keras
from keras import ops

from melgan_tf.config import Config
from melgan_tf.models.layers.frame_conv import FrameConv, FrameDense, Seeds, Trunk, residual, spread, swap
from melgan_tf.models.layers.mel_scale import MelScale
from melgan_tf.models.layers.packed_conv import selu_for_export
from melgan_tf.models.vae_gan.networks import OUTPUT_GAIN, Activation, StyledBlock, TrunkDiscriminator

_STAGES = 4  # doublings: 2 ** 4 frames of a step
#: Steps on either side that a step's frames depend on.
CONTEXT_STEPS = 5
_STYLE_CHANNELS = 96
_DISCRIMINATOR_STAGES = 5
_PATCH_STAGE = 3  # patches of 2 ** 3 frames


class Generator(keras.Model):
    """Turns a sequence of noise and style into a mel spectrogram.

    Args:
        config: sizes, channels and seed.

    Call arguments:
        noise: ``(batch, steps + 2 * CONTEXT_STEPS, noise_dim)``, standard normal.
        style: ``(batch, steps + 2 * CONTEXT_STEPS, style_dim)``, standard normal, changing slowly.
        activation: SELU in the form that suits the purpose.

    Output shape: ``(batch, 16 * steps, mel_bins)``, in [-1, 1].
    """

    def __init__(self, config: Config, name: str = "generator") -> None:
        super().__init__(name=name)
        model, seeds = config.model, Seeds(config.training.seed * 1000)
        channels = model.channels
        self.scale = MelScale(config.audio, model.ceiling)
        self.style_1 = FrameDense(model.style_dim, _STYLE_CHANNELS, seeds.next(), name="style_1")
        self.style_2 = FrameDense(_STYLE_CHANNELS, _STYLE_CHANNELS, seeds.next(), name="style_2")
        self.first = FrameConv(model.noise_dim + model.style_dim, channels, seeds.next(), ends="none", name="first")
        widths = [channels] * _STAGES + [_at_frame_rate(channels)]
        self.blocks = [_Block(width, _STYLE_CHANNELS, seeds, name=f"block_{index}", ends="none")
                       for index, width in enumerate(widths, 1)]
        self.ups = [FrameDense(channels, 2 * width, seeds.next(), name=f"up_{index}")
                    for index, width in enumerate(widths[1:], 1)]
        self.last = FrameConv(widths[-1], config.audio.mel_bins, seeds.next(), OUTPUT_GAIN, "none", name="last")
        self.built = True

    def call(self, noise: keras.KerasTensor, style: keras.KerasTensor,
             activation: Activation = ops.selu) -> keras.KerasTensor:
        code = activation(self.style_2(activation(self.style_1(swap(style)))))
        x = activation(self.first(swap(ops.concatenate([noise, style], axis=-1))))
        lost, frames = 1, 1  # frames cut off at either end so far; frames of a step
        for index, block in enumerate(self.blocks):
            if index:
                x = spread(activation(self.ups[index - 1](x)), 2)
                lost, frames = 2 * lost, 2 * frames
            x = block(x, code, frames=frames, lost=lost, activation=activation)
            lost += 2
        x = ops.tanh(self.last(x))
        surplus = CONTEXT_STEPS * frames - lost - 1
        return swap(x[surplus:ops.shape(x)[0] - surplus])

    def mel(self, noise: keras.KerasTensor, style: keras.KerasTensor) -> keras.KerasTensor:
        """Noise and style as in a call -> log mel ``(batch, 16 * steps, mel_bins)``."""
        return self.scale.to_mel(self(noise, style, activation=selu_for_export))


class Discriminator(TrunkDiscriminator):
    """Tells real windows from generated ones, as a whole and patch by patch.

    Args:
        config: shapes, channels and seed.

    Call arguments:
        x: ``(batch, frames, mel_bins)`` in [-1, 1].

    Output: logits ``(batch,)`` of the whole, ``(batch, frames / 8)`` of the patches, and the feature maps.
    """

    def __init__(self, config: Config, name: str = "discriminator") -> None:
        frames = config.mel_shape[1]
        channels, seeds = config.model.channels, Seeds(config.training.seed * 1000 + 300)
        trunk = _trunk(config, _DISCRIMINATOR_STAGES, seeds, "discriminator")
        super().__init__(trunk, frames // 2 ** _DISCRIMINATOR_STAGES, channels, seeds, name)
        self.patch_logits = FrameDense(channels, 1, seeds.next(), bias=False, name="of_stretch")
        self.built = True

    def call(self, x: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor, list[keras.KerasTensor]]:
        y, maps = self.features(x)
        patches = self.patch_logits(maps[_PATCH_STAGE])
        return ops.squeeze(self.logits(y), axis=-1), ops.transpose(ops.squeeze(patches, axis=-1)), maps


class Encoder(keras.Model):
    """Finds noise and style that make a window: means and logarithms of variances of normal distributions.

    Args:
        config: sizes, channels and seed.

    Call arguments:
        x: ``(batch, 16 * steps, mel_bins)`` in [-1, 1], any number of steps.

    Output: two of ``(batch, steps, noise_dim)`` and two of ``(batch, style_dim)``.
    """

    def __init__(self, config: Config, name: str = "encoder") -> None:
        super().__init__(name=name)
        channels, seeds = config.model.channels, Seeds(config.training.seed * 1000 + 600)
        self.trunk = _trunk(config, _STAGES, seeds, "encoder")
        self.noise_posterior = FrameDense(channels, 2 * config.model.noise_dim, seeds.next(), OUTPUT_GAIN,
                                          name="of_noise")
        self.pooled = FrameDense(channels, channels, seeds.next(), name="pooled")
        self.style_posterior = FrameDense(channels, 2 * config.model.style_dim, seeds.next(), OUTPUT_GAIN,
                                          name="of_style")
        self.built = True

    def call(self, x: keras.KerasTensor) -> tuple[keras.KerasTensor, ...]:
        steps = swap(self.trunk(x)[-1])
        style = self.style_posterior(ops.mean(ops.selu(self.pooled(steps)), axis=1))
        return (*ops.split(self.noise_posterior(steps), 2, axis=-1), *ops.split(style, 2, axis=-1))


class _Block(StyledBlock):
    """A block whose style moves."""

    def call(self, x: keras.KerasTensor, code: keras.KerasTensor, frames: int, lost: int,
             activation: Activation) -> keras.KerasTensor:
        """``lost``: frames that `x` has less than the code's steps on either side, at ``frames`` a step."""
        y = x
        for index, (conv, to_style) in enumerate(zip(self.convs, self.styles, strict=True), 1):
            scale, shift = ops.split(_on_frames(to_style(code), frames, lost + index), 2, axis=-1)
            y = activation(conv(y) * (1.0 + scale) + shift)
        return residual(x[2:-2], y)


def _at_frame_rate(channels: int) -> int:
    """Channels of maps at frame rate: half as many, since these take half the time of all."""
    return max(1, channels // 2)


def _trunk(config: Config, stages: int, seeds: Seeds, name: str) -> Trunk:
    channels = config.model.channels
    return Trunk(config.audio.mel_bins, [_at_frame_rate(channels), *[channels] * stages], [2] * stages, seeds, name)


def _on_frames(code: keras.KerasTensor, frames: int, lost: int) -> keras.KerasTensor:
    """Every step's vector on each of its frames; ``lost`` frames fewer at either end."""
    code = ops.repeat(code, frames, axis=0) if frames > 1 else code
    return code[lost:ops.shape(code)[0] - lost]


def build(config: Config, classes: None = None) -> Generator:
    """The generator of a configuration, with initial weights. It has no classes."""
    return Generator(config)
