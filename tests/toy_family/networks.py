"""The networks of the toy family. What runs a trained model imports this file and no training code."""

from __future__ import annotations

import keras

from melgan_tf.config import Config
from melgan_tf.data.labels import Classes
from melgan_tf.models.layers.mel_scale import MelScale


class Generator(keras.Model):
    """Noise ``(batch, noise_dim)`` -> log mel in [-1, 1] ``(batch, frames, mel_bins)``."""

    def __init__(self, config: Config, name: str = "generator") -> None:
        super().__init__(name=name)
        bins, frames = config.mel_shape
        self.scale = MelScale(config.audio, config.model.ceiling)
        self.hidden = _dense(config, config.model.units, "selu", "hidden")
        self.exit = _dense(config, frames * bins, "tanh", "exit")
        self.shape_of_mel = keras.layers.Reshape((frames, bins))
        self(keras.ops.zeros((1, config.model.noise_dim)))

    def call(self, noise: keras.KerasTensor) -> keras.KerasTensor:
        return self.shape_of_mel(self.exit(self.hidden(noise)))

    def mel(self, noise: keras.KerasTensor) -> keras.KerasTensor:
        """The same on the scale of the mel configuration: what samplers and exports call."""
        return self.scale.to_mel(self(noise))


class Discriminator(keras.Model):
    """Log mel in [-1, 1] ``(batch, frames, mel_bins)`` -> logit ``(batch, 1)``: real or not."""

    def __init__(self, config: Config, name: str = "discriminator") -> None:
        super().__init__(name=name)
        bins, frames = config.mel_shape
        self.flat = keras.layers.Flatten()
        self.hidden = _dense(config, config.model.units, "selu", "hidden")
        self.logits = _dense(config, 1, None, "logits")
        self(keras.ops.zeros((1, frames, bins)))

    def call(self, mel: keras.KerasTensor) -> keras.KerasTensor:
        return self.logits(self.hidden(self.flat(mel)))


def build(config: Config, classes: Classes | None = None) -> Generator:
    """The network of inference; this family has no classes."""
    return Generator(config)


def _dense(config: Config, units: int, activation: str | None, name: str) -> keras.layers.Dense:
    initializer = keras.initializers.LecunNormal(config.training.seed)
    return keras.layers.Dense(units, activation, kernel_initializer=initializer, name=name)
