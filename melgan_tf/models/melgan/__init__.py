"""MelGAN, the vocoder of the paper: mel -> waveform."""

from melgan_tf.config.registry import Family
from melgan_tf.models.melgan.config import MelGANConfig
from melgan_tf.models.melgan.presets import PRESETS
from melgan_tf.runtime import lazy_attributes

FAMILY = Family(
    config=MelGANConfig, makes="waveforms", presets=PRESETS,
    task="melgan_tf.models.vocoder_training.task:VocoderTask",
    build="melgan_tf.models.melgan.networks:build")

__getattr__ = lazy_attributes(__name__, {"Generator": "networks"})
