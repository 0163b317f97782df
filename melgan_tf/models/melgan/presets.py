"""Presets of MelGAN. No TensorFlow."""

from __future__ import annotations

from melgan_tf.config.audio import MELGAN_MELS
from melgan_tf.config.config import Config, DataConfig, TrainingConfig
from melgan_tf.config.registry import Preset
from melgan_tf.models.melgan.config import MelGANConfig

PRESETS = {
    "melgan": Preset(
        "the paper's vocoder, exactly: 22.05 kHz, 80 mels, hop 256; 4.26 M weights, three "
        "discriminators. Made for a GPU.",
        Config(
            preset="melgan", audio=MELGAN_MELS, data=DataConfig(clip_samples=8192, window="random"),
            model=MelGANConfig(),
            training=TrainingConfig(batch_size=16, epochs=3000, generator_learning_rate=1e-4,
                                    discriminator_learning_rate=1e-4, beta_1=0.5, beta_2=0.9, log_every=1,
                                    checkpoint_every=5, preview_every=20))),
}
