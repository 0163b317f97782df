"""Presets of the frame GAN. No TensorFlow."""

from __future__ import annotations

from melgan_tf.config.audio import FULL_BAND_MELS, SEED_LOG_MELS
from melgan_tf.config.config import Config, DataConfig, TrainingConfig
from melgan_tf.config.registry import Preset
from melgan_tf.models.frame_gan.config import FrameGANConfig
from melgan_tf.models.vae_gan.config import AugmentationConfig, VAEGANObjective

PRESETS = {
    # Data: 2,145 one-shots in eight folders. Command: melgan-tf train SOUNDS --valid HELD-OUT --preset drums. 36,000
    # steps took 39 minutes of two busy cores. 288 held-out sounds, `log-spectra-1`: Fréchet 3.6 (real vs real 1.7),
    # precision 0.96, recall 0.72, coverage 0.89. It is the bundled model, but for its wider noise. The trials behind it
    # are in docs/presets/drums.md.
    "drums": Preset(
        "one-shots by class (folder = class): 16 kHz, half a second, 64 x 16 mel, 20 numbers of noise; "
        "trains in 40 minutes on two cores.",
        Config(
            preset="drums", audio=SEED_LOG_MELS, data=DataConfig(level="peak"),
            model=FrameGANConfig(objective=VAEGANObjective(kl=0.002)),
            training=TrainingConfig(batch_size=64, steps=36_000, generator_learning_rate=2e-4,
                                    discriminator_learning_rate=4e-4, learning_rate_decay=0.95, beta_1=0.5, beta_2=0.99,
                                    log_every=10, checkpoint_every=30, preview_every=60)),
        suits_seconds=(0, 2), hours=0.7),
    # Data and command: the same, --preset drums-44k. 24,000 steps took 53 minutes of two busy cores of an AMD EPYC. The
    # same held-out sounds, with wider noise: Fréchet 3.4 (real vs real 1.7), precision 0.97, recall 0.75, coverage
    # 0.91.
    "drums-44k": Preset(
        "drums over the whole range of hearing: 44.1 kHz, 1.5 seconds, 128 x 128 mel.",
        Config(
            preset="drums-44k", audio=FULL_BAND_MELS, data=DataConfig(clip_samples=65_536, level="peak"),
            model=FrameGANConfig(noise_dim=32, ceiling=3.0, diffuse=0.7, texture=2.0,
                                 objective=VAEGANObjective(kl=0.002),
                                 augmentation=AugmentationConfig(bin_shift=4, frame_shift=2)),
            training=TrainingConfig(batch_size=32, steps=24_000, generator_learning_rate=2e-4,
                                    discriminator_learning_rate=4e-4, learning_rate_decay=0.93, beta_1=0.5, beta_2=0.99,
                                    log_every=5, checkpoint_every=15, preview_every=60)),
        suits_seconds=(0, 2), hours=1.5),
}
