"""The spectrogram GAN: noise -> power mel, the original recipe."""

from melgan_tf.config.registry import Family
from melgan_tf.models.spectrogram_gan.config import SpectrogramGANConfig
from melgan_tf.models.spectrogram_gan.presets import PRESETS
from melgan_tf.runtime import lazy_attributes

FAMILY = Family(
    config=SpectrogramGANConfig, makes="clips", presets=PRESETS,
    task="melgan_tf.models.spectrogram_gan.task:SpectrogramTask",
    build="melgan_tf.models.spectrogram_gan.networks:build")

__getattr__ = lazy_attributes(__name__, {
    "Generator": "networks", "Discriminator": "networks",
    "SpectrogramGAN": "train_step"})
