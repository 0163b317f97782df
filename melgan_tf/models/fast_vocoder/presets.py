"""Presets of the fast vocoder. No TensorFlow."""

from __future__ import annotations

from typing import Any

from melgan_tf.config.audio import FULL_BAND_MELS, MELGAN_MELS, SEED_LOG_MELS, AudioConfig
from melgan_tf.config.config import Config, DataConfig, TrainingConfig
from melgan_tf.config.registry import Preset
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.vocoder_training.config import VocoderObjective


def _fast(name: str, audio: AudioConfig, adversarial_start: int, decay: float, clip_samples: int = 8192,
          batch_size: int = 16, **model: Any) -> Config:
    """A fast vocoder's: spectral losses while the learning rate falls, then two thousand steps with discriminators."""
    return Config(
        preset=name, audio=audio, data=DataConfig(clip_samples=clip_samples, window="random", gain_db=20.0),
        model=FastVocoderConfig(**model, objective=VocoderObjective(
            adversarial_start=adversarial_start, adversarial=1.0, feature_matching=10.0, stft=5.0, mel=45.0)),
        training=TrainingConfig(
            batch_size=batch_size, steps=adversarial_start + 2000, generator_learning_rate=1e-3,
            discriminator_learning_rate=2e-4, learning_rate_decay=decay, beta_1=0.8, beta_2=0.99, log_every=1,
            checkpoint_every=5, preview_every=20))


PRESETS = {
    "vocoder-22k": Preset(
        "the fast vocoder for the mels of melgan and music: all work at frame rate; trains on a CPU in an hour.",
        _fast("vocoder-22k", MELGAN_MELS, 24_000, 0.86, dilations=(1, 2, 4), low_rounds=14,
                             corrections=4, scatter_frames=4)),
    # weights/vocoder-44k.json has the shipped run, which was not quite this recipe.
    "vocoder-44k": Preset(
        "the fast vocoder for the mels of drums-44k: 44.1 kHz, 128 bands, hop 512.",
        _fast("vocoder-44k", FULL_BAND_MELS, 12_000, 0.75, 16_384, 8, dilations=(1, 2, 4), low_rounds=20,
                             corrections=5, scatter_frames=4)),
    "vocoder-16k": Preset(
        "the fast vocoder for the mels of drums and seed: 16 kHz, 64 bands, hop 512.",
        _fast("vocoder-16k", SEED_LOG_MELS, 16_000, 0.8, subframes=4, corrections=3, scatter_frames=4)),
}
