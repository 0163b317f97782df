"""Presets of the spectrogram GAN. No TensorFlow."""

from __future__ import annotations

from melgan_tf.config.config import Config
from melgan_tf.config.registry import Preset
from melgan_tf.models.spectrogram_gan.config import SpectrogramGANConfig

PRESETS = {
    "seed": Preset(
        "the original recipe, exactly: 16 kHz, 8000 samples, 64 x 16 power mel, DCGAN-style training of "
        "5000 epochs. The baseline: on varied sounds it collapses to a few.",
        Config(preset="seed", model=SpectrogramGANConfig())),
}
