"""Presets of the loop GAN. No TensorFlow."""

from __future__ import annotations

from melgan_tf.config.audio import MELGAN_MELS
from melgan_tf.config.config import Config, DataConfig, TrainingConfig
from melgan_tf.config.registry import Preset
from melgan_tf.models.loop_gan.config import LoopGANConfig

PRESETS = {
    "loops": Preset(
        "loops in time (folder = class): two bars of 4/4 on a grid of 48 frames a beat, played at any "
        "tempo; 22.05 kHz, 80 mels, hop 256.",
        Config(
            preset="loops", audio=MELGAN_MELS,
            data=DataConfig(clip_samples=88_200, level="peak"), model=LoopGANConfig(texture=2.0, tuning=1.0),
            training=TrainingConfig(batch_size=16, steps=30_000, generator_learning_rate=2e-4,
                                    discriminator_learning_rate=4e-4, learning_rate_decay=0.95, beta_1=0.5, beta_2=0.99,
                                    log_every=2, checkpoint_every=16, preview_every=64)),
        suits_loops=True, hours=2.0),
}
