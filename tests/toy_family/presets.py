"""Presets of the toy family. No TensorFlow."""

from __future__ import annotations

from melgan_tf.config.audio import SEED_LOG_MELS
from melgan_tf.config.config import Config, DataConfig, TrainingConfig
from melgan_tf.config.registry import Preset
from toy_family.config import ToyConfig

PRESETS = {
    "toy": Preset(
        "half a second of noise that learns to be a drum; for trying things out.",
        Config(preset="toy", audio=SEED_LOG_MELS, data=DataConfig(level="peak"), model=ToyConfig(),
               training=TrainingConfig(batch_size=8, steps=1_000, log_every=10, checkpoint_every=10))),
}
