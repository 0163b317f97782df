"""Presets of the sequence GAN. No TensorFlow."""

from __future__ import annotations

import math

from melgan_tf.config.audio import MELGAN_MELS
from melgan_tf.config.config import Config, DataConfig, TrainingConfig
from melgan_tf.config.registry import Preset
from melgan_tf.models.sequence_gan.config import SequenceGANConfig

PRESETS = {
    # Data: 494 recordings of music, 47 minutes. Command: melgan-tf train MUSIC --valid HELD-OUT --preset music. Shipped
    # after 10,706 of 40,000 steps on a shared core. Windows of held-out music, log-mel statistics: Fréchet 10.2 (real
    # vs real 6.7), precision 0.78 (0.78), recall 0.74 (0.98), coverage 0.51 (0.69). Trials: docs/presets/music.md.
    "music": Preset(
        "textures of any length, and loops: 22.05 kHz, 80 mels, hop 256, made of a sequence of noise; "
        "learns from windows of 1.5 seconds.",
        Config(
            preset="music", audio=MELGAN_MELS, data=DataConfig(clip_samples=32_768, window="random", level="peak"),
            model=SequenceGANConfig(),
            training=TrainingConfig(batch_size=16, steps=40_000, generator_learning_rate=2e-4,
                                    discriminator_learning_rate=4e-4, learning_rate_decay=0.95, beta_1=0.5, beta_2=0.99,
                                    log_every=1, checkpoint_every=5, preview_every=20)),
        suits_seconds=(2, math.inf), hours=3.0),
}
