"""The fast vocoder: mel -> waveform, all work at frame rate."""

from melgan_tf.config.registry import Family
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.fast_vocoder.presets import PRESETS
from melgan_tf.runtime import lazy_attributes

FAMILY = Family(
    config=FastVocoderConfig, makes="waveforms", presets=PRESETS,
    task="melgan_tf.models.vocoder_training.task:VocoderTask",
    build="melgan_tf.models.fast_vocoder.network:build")

__getattr__ = lazy_attributes(__name__, {"FastVocoder": "network"})
