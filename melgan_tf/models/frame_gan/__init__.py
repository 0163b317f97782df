"""The frame GAN: noise and class -> log mel of one length."""

from melgan_tf.config.registry import Family
from melgan_tf.models.frame_gan.config import FrameGANConfig
from melgan_tf.models.frame_gan.presets import PRESETS
from melgan_tf.runtime import lazy_attributes

FAMILY = Family(
    config=FrameGANConfig, makes="clips", presets=PRESETS,
    task="melgan_tf.models.frame_gan.task:FrameTask",
    build="melgan_tf.models.frame_gan.networks:build",
    encoder="melgan_tf.models.frame_gan.networks:build_encoder")

__getattr__ = lazy_attributes(__name__, {
    "Generator": "networks", "Discriminator": "networks",
    "Encoder": "networks", "FrameGAN": "train_step"})
