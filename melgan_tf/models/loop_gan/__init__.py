"""The loop GAN: noise and class -> log mel of a loop on a musical grid, which is played at any tempo."""

from melgan_tf.config.registry import Family
from melgan_tf.models.loop_gan.config import LoopGANConfig
from melgan_tf.models.loop_gan.presets import PRESETS
from melgan_tf.runtime import lazy_attributes

FAMILY = Family(
    config=LoopGANConfig, makes="clips", presets=PRESETS,
    task="melgan_tf.models.loop_gan.task:LoopTask",
    build="melgan_tf.models.loop_gan.networks:build",
    encoder="melgan_tf.models.loop_gan.networks:build_encoder",
    sampler="melgan_tf.models.loop_gan.sampler:LoopSampler")

__getattr__ = lazy_attributes(__name__, {
    "Generator": "networks", "Discriminator": "networks", "Encoder": "networks", "LoopGAN": "train_step",
    "LoopSampler": "sampler"})
