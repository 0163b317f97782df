"""The loop GAN: noise and a class -> two bars of mel on a musical grid; mel -> noise, or real or not.

A frame of the grid stands at a fraction of a beat, not of a second, so one network makes loops of all tempos. It is
circular: every convolution wraps, so the last frame leads into the first. From noise to mel, maps are doubled by
musical steps::

    8 beats  --x4-->  32 sixteenths  --x3-->  96  --x2-->  192 positions of two frames each

and from mel to noise the other way. What a beat is made of comes from its place in the bar, from the noise of the whole
loop (its style) and from noise of its own, so longer loops are made of more beats.

The noise vector begins with numbers that have a meaning: density, brightness and loudness in standard deviations from
the mean of the class, and the key. They are drawn like all others, unless somebody asks for their values.

Encoder and discriminator serve training as in `melgan_tf.models.frame_gan.networks`. The discriminator judges a loop
as a whole, its bars, and its sixteenths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from melgan_tf.audio.loops.keys import Key
from melgan_tf.config import Config
from melgan_tf.data.labels import Classes
from melgan_tf.models.layers.frame_conv import FrameConv, FrameDense, Seeds, Trunk, residual, smooth_ring, spread, swap
from melgan_tf.models.layers.mel_scale import MelScale
from melgan_tf.models.layers.packed_conv import selu_for_export
from melgan_tf.models.loop_gan.config import BARS, BEATS, FEATURES, GIVEN
from melgan_tf.models.vae_gan.networks import OUTPUT_GAIN, Activation, StyledBlock, TrunkDiscriminator
from melgan_tf.models.vae_gan.prior import Prior

_STYLE_CHANNELS = 128
_LABEL_SCALE = 2.0  # a class weighs as much as a few dimensions of noise
_STEPS = (4, 3, 2)  # beats to sixteenths to a third of them to a half of that
_PACKED = 2  # frames of a position
#: How much of a frame is smoothed, from one sixteenth to the next: hits stay sharp.
_SMOOTHED = 0.0, 0.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0
_KEYS = 24
_ROOTS = 12
_MINOR_BELOW = 0.2533  # of a normal number: six loops of ten are minor
_SIXTEENTHS = 2  # index of their map in a trunk


class Generator(keras.Model):
    """Turns latents and a label into mel spectrograms on the grid.

    Args:
        config: channels and seed.
        classes: length of the label.

    Call arguments:
        latent: ``(batch, noise_dim)``: see `latent`.
        label: ``(batch, classes)``, rows sum to 1.
        beats: ``(batch, beats, beat_noise)``: latents of the beats of a loop of another length instead of those in
            ``latent``.
        activation: SELU in the form that suits the purpose.

    Output shape: ``(batch, frames, mel_bins)``, in [-1, 1].
    """

    def __init__(self, config: Config, classes: int, name: str = "generator") -> None:
        super().__init__(name=name)
        model, seeds = config.model, Seeds(config.training.seed * 1000)
        self.style_dim, self.beat_noise = model.style_dim, model.beat_noise
        inputs = model.style_dim + _condition_size(classes)
        widths = _widths(model.channels)
        self.scale = MelScale(config.audio, model.ceiling)
        self.style_1 = FrameDense(inputs, _STYLE_CHANNELS, seeds.next(), name="style_1")
        self.style_2 = FrameDense(_STYLE_CHANNELS, _STYLE_CHANNELS, seeds.next(), name="style_2")
        self.first = FrameDense(inputs, BEATS * widths[0], seeds.next(), name="first")
        self.of_beat = FrameDense(model.beat_noise, widths[0], seeds.next(), name="of_beat")
        self.blocks = [StyledBlock(width, _STYLE_CHANNELS, seeds, name=f"block_{index}", ends="ring")
                       for index, width in enumerate(widths, 1)]
        self.ups = [FrameDense(before, step * after, seeds.next(), name=f"up_{index}") for index, (before, after, step)
                    in enumerate(zip(widths, widths[1:], _STEPS, strict=False), 1)]
        self.last = FrameConv(widths[-1], _PACKED * config.audio.mel_bins, seeds.next(), OUTPUT_GAIN, "ring",
                              name="last")
        self.prior = Prior(model.noise_dim - GIVEN, inputs - model.style_dim, seeds)
        self.mel_bins, self.channels = config.audio.mel_bins, widths[0]
        self.built = True

    def call(self, latent: keras.KerasTensor, label: keras.KerasTensor, beats: keras.KerasTensor | None = None,
             activation: Activation = ops.selu) -> keras.KerasTensor:
        style = latent[:, GIVEN:GIVEN + self.style_dim]
        inputs = ops.concatenate([style, condition(latent[:, :GIVEN], label)], axis=-1)
        if beats is None:
            beats = self.beats(latent)
        style = activation(self.style_2(activation(self.style_1(inputs))))
        places = ops.reshape(self.first(inputs), (-1, BEATS, self.channels))
        count = beats.shape[1]
        places = ops.tile(places, (1, -(-count // BEATS), 1))[:, :count]
        x = swap(activation(residual(places, self.of_beat(beats))))
        for index, block in enumerate(self.blocks):
            if index:
                x = spread(activation(self.ups[index - 1](x)), _STEPS[index - 1])
            x = block(x, style, activation=activation)
        return swap(_smooth_between_sixteenths(smooth_ring(spread(ops.tanh(self.last(x)), _PACKED))))

    def mel(self, noise: keras.KerasTensor, label: keras.KerasTensor,
            sections: Sequence[keras.KerasTensor] = (), beats: int = BEATS) -> keras.KerasTensor:
        """Log mel ``(batch, frames, mel_bins)``.

        Args:
            noise: ``(batch, noise_dim)``, standard normal.
            label: ``(batch, classes)``.
            sections: noise of the same shape of further sections, which differ in the numbers of their beats.
            beats: of all sections.
        """
        latent = self.latent(noise, label)
        latents = [latent, *(self.latent(section, label) for section in sections)]
        of_beats = ops.concatenate([self.beats(each) for each in latents], axis=1)[:, :beats]
        return self.scale.to_mel(self(latent, label, of_beats, activation=selu_for_export))

    def latent(self, noise: keras.KerasTensor, label: keras.KerasTensor) -> keras.KerasTensor:
        """Noise ``(batch, noise_dim)``, label ``(batch, classes)`` -> latents of the same shape.

        The numbers that have a meaning stay.
        """
        given = noise[:, :GIVEN]
        return ops.concatenate([given, self.prior(noise[:, GIVEN:], condition(given, label))], axis=-1)

    def noise(self, latent: keras.KerasTensor, label: keras.KerasTensor) -> keras.KerasTensor:
        """The inverse of `latent`."""
        given = latent[:, :GIVEN]
        return ops.concatenate([given, self.prior.inverse(latent[:, GIVEN:], condition(given, label))[0]], axis=-1)

    def beats(self, latent: keras.KerasTensor) -> keras.KerasTensor:
        """The numbers of each beat in latents: ``(batch, 8, beat_noise)``."""
        return ops.reshape(latent[:, GIVEN + self.style_dim:], (-1, BEATS, self.beat_noise))


class Discriminator(TrunkDiscriminator):
    """Tells real loops of a class, with their features, from generated ones.

    Args:
        config: channels and seed.
        classes: length of the label.

    Call arguments:
        x: ``(batch, frames, mel_bins)`` in [-1, 1].
        condition: ``(batch, ...)``, of `condition`.

    Output: logits ``(batch,)`` of the whole, ``(batch, bars)`` of the bars, ``(batch, sixteenths)``, and the feature
    maps.
    """

    def __init__(self, config: Config, classes: int, name: str = "discriminator") -> None:
        channels, seeds = config.model.channels, Seeds(config.training.seed * 1000 + 300)
        super().__init__(_trunk(config, seeds, "discriminator"), BEATS, channels, seeds, name)
        size = _condition_size(classes)
        self.projection = FrameDense(size, channels, seeds.next(), bias=False, name="projection")
        self.bar = FrameDense(BEATS // BARS * channels, channels, seeds.next(), name="bar")
        self.bar_logits = FrameDense(channels, 1, seeds.next(), bias=False, name="of_bar")
        self.bar_projection = FrameDense(size, channels, seeds.next(), bias=False, name="bar_projection")
        self.sixteenth_logits = FrameDense(channels, 1, seeds.next(), bias=False, name="of_sixteenth")
        self.built = True

    def call(self, x: keras.KerasTensor, given: keras.KerasTensor) -> tuple:
        y, maps = self.features(_packed(x))
        beats = swap(maps[-1])
        bars = ops.selu(self.bar(ops.reshape(beats, (-1, BARS, BEATS // BARS * beats.shape[2]))))
        whole = ops.squeeze(self.logits(y), axis=-1) + ops.sum(self.projection(given) * y, axis=-1)
        of_bars = (ops.squeeze(self.bar_logits(bars), axis=-1)
                   + ops.sum(ops.expand_dims(self.bar_projection(given), 1) * bars, axis=-1))
        of_sixteenths = ops.transpose(ops.squeeze(self.sixteenth_logits(maps[_SIXTEENTHS]), axis=-1))
        return whole, of_bars, of_sixteenths, maps


class Encoder(keras.Model):
    """Finds the latents that make a loop: means and logarithms of variances of normal distributions.

    Args:
        config: channels and seed.
        classes: length of the label.

    Call arguments:
        x: ``(batch, frames, mel_bins)`` in [-1, 1].
        label: ``(batch, classes)``.

    Output shape: two of ``(batch, noise_dim - 6)``: without the numbers that have a meaning.
    """

    def __init__(self, config: Config, classes: int, name: str = "encoder") -> None:
        super().__init__(name=name)
        model, seeds = config.model, Seeds(config.training.seed * 1000 + 600)
        self.scale = MelScale(config.audio, model.ceiling)
        self.trunk = _trunk(config, seeds, "encoder")
        self.flat = BEATS * model.channels
        self.of_style = FrameDense(self.flat + classes, 2 * model.style_dim, seeds.next(), OUTPUT_GAIN,
                                   name="posterior_of_style")
        self.of_beat = FrameDense(model.channels, 2 * model.beat_noise, seeds.next(), OUTPUT_GAIN,
                                  name="posterior_of_beat")
        self.beats = BEATS * model.beat_noise
        self.built = True

    def call(self, x: keras.KerasTensor, label: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        beats = swap(self.trunk(_packed(x))[-1])
        style = ops.split(self.of_style(ops.concatenate([ops.reshape(beats, (-1, self.flat)), label], axis=-1)), 2,
                          axis=-1)
        own = (ops.reshape(part, (-1, self.beats)) for part in ops.split(self.of_beat(beats), 2, axis=-1))
        return tuple(ops.concatenate(parts, axis=-1) for parts in zip(style, own, strict=True))

    def latent(self, mel: keras.KerasTensor, label: keras.KerasTensor) -> keras.KerasTensor:
        """Log mel ``(batch, frames, mel_bins)``, label ``(batch, classes)`` -> the mean ``(batch, noise_dim)``.

        The numbers that have a meaning are those of an average loop.
        """
        found = self(self.scale.from_mel(mel), label)[0]
        return ops.pad(found, ((0, 0), (GIVEN, 0)))


def _trunk(config: Config, seeds: Seeds, name: str) -> Trunk:
    """Mel on the grid -> maps of 192 positions, 96, 32 sixteenths and 8 beats."""
    return Trunk(_PACKED * config.audio.mel_bins, _widths(config.model.channels)[::-1], _STEPS[::-1], seeds, name,
                 "ring")


def _packed(mel: keras.KerasTensor) -> keras.KerasTensor:
    """``(batch, frames, mel_bins)`` -> ``(batch, positions, ...)``."""
    return ops.reshape(mel, (-1, mel.shape[1] // _PACKED, _PACKED * mel.shape[2]))


def condition(given: keras.KerasTensor, label: keras.KerasTensor) -> keras.KerasTensor:
    """What a loop is asked to be, as an input of networks.

    Args:
        given: ``(batch, 6)``: the first numbers of its noise.
        label: ``(batch, classes)``.
    """
    return ops.concatenate([given[:, :len(FEATURES)], one_hot_keys(given), label * _LABEL_SCALE], axis=-1)


def one_hot_keys(given: keras.KerasTensor) -> keras.KerasTensor:
    """The first numbers of noise ``(batch, 6)`` -> 1 for the key, of 12 major and 12 minor ones: ``(batch, 24)``.

    Zeros, an unknown key, are twelve of them.
    """
    key = given[:, len(FEATURES):]
    angles = 2 * math.pi / _ROOTS * np.arange(_ROOTS)
    near = ops.matmul(key[:, :2], np.stack([np.cos(angles), np.sin(angles)]).astype("float32"))
    root = ops.cast(near >= ops.max(near, axis=-1, keepdims=True), "float32")
    minor = ops.cast(key[:, 2:] < _MINOR_BELOW, "float32")
    return ops.concatenate([root * (1.0 - minor), root * minor], axis=-1)


def key_numbers(key: Key) -> np.ndarray:
    """The numbers of noise that stand for a key: ``(3,)``."""
    angle = 2 * math.pi / _ROOTS * key.tonic
    return np.array([math.cos(angle), math.sin(angle), -0.5 if key.is_minor else 1.0], np.float32)


def keys_of(numbers: np.ndarray) -> list[Key]:
    """The keys that numbers of noise ``(loops, 3)`` stand for: the inverse of `key_numbers`, of any numbers."""
    roots = np.rint(np.arctan2(numbers[:, 1], numbers[:, 0]) / (2 * math.pi / _ROOTS)).astype(int) % _ROOTS
    return [Key(int(root), "minor" if mode < _MINOR_BELOW else "major")
            for root, mode in zip(roots, numbers[:, 2], strict=True)]


def _smooth_between_sixteenths(x: keras.KerasTensor) -> keras.KerasTensor:
    """Smooths ``(frames, batch, mel_bins)`` where no hit stands: levels that ripple there sound like hits out of time.
    """
    smoothed = np.tile(np.float32(_SMOOTHED), x.shape[0] // len(_SMOOTHED))[:, None, None]
    return x + smoothed * (smooth_ring(smooth_ring(x)) - x)


def _condition_size(classes: int) -> int:
    return len(FEATURES) + classes + _KEYS


def _widths(channels: int) -> tuple[int, ...]:
    """Channels of the maps from beats to frames."""
    return channels, channels, max(1, channels // 2), max(1, channels // 3)


def build_encoder(config: Config, classes: Classes) -> Encoder:
    """The encoder of a configuration, with initial weights."""
    return Encoder(config, len(classes))


def build(config: Config, classes: Classes) -> Generator:
    """The generator of a configuration, with initial weights."""
    return Generator(config, len(classes))
