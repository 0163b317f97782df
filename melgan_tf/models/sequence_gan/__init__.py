"""The sequence GAN: a sequence of noise -> log mel of any length."""

from melgan_tf.config.registry import Family
from melgan_tf.models.sequence_gan.config import SequenceGANConfig
from melgan_tf.models.sequence_gan.presets import PRESETS
from melgan_tf.runtime import lazy_attributes

FAMILY = Family(
    config=SequenceGANConfig, makes="streams", presets=PRESETS,
    task="melgan_tf.models.sequence_gan.task:SequenceTask",
    build="melgan_tf.models.sequence_gan.networks:build",
    sampler="melgan_tf.models.sequence_gan.sampler:SequenceSampler")

__getattr__ = lazy_attributes(__name__, {
    "Generator": "networks", "Discriminator": "networks", "Encoder": "networks",
    "SequenceGAN": "train_step", "SequenceSampler": "sampler"})
