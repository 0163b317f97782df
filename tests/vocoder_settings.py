"""The tiny configurations that the tests of the vocoders' training share."""

from __future__ import annotations

import dataclasses

from melgan_tf.config import Config, DataConfig, presets
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.melgan.config import MelGANConfig
from melgan_tf.models.vocoder_training.config import VocoderObjective
from melgan_tf.storage.run_directory import with_training

CLIP, BATCH = 1_024, 5
OBJECTIVE = VocoderObjective(adversarial_start=5, adversarial=1.0, feature_matching=10.0, stft=5.0, mel=15.0)
SPECTRAL = dataclasses.replace(OBJECTIVE, adversarial_start=0, adversarial=0.0, feature_matching=0.0)
JUDGED = VocoderObjective(adversarial=0.7, feature_matching=9.0)
FAST = FastVocoderConfig(channels=16, sub_channels=8)
MODELS = {"fast": FAST, "smallest": dataclasses.replace(FAST, dilations=(1,), sub_blocks=0, corrections=0),
          "melgan": MelGANConfig(ratios=(8, 4, 4), channels=4, residual_layers=2)}


def settings(model: str = "fast", objective: VocoderObjective = OBJECTIVE, **training: object) -> Config:
    """16 kHz, 32 mels, hop 128, clips of 1,024 samples."""
    preset = presets.get("vocoder-16k")
    audio = dataclasses.replace(preset.audio, n_fft=512, hop_samples=128, mel_bins=32)
    config = dataclasses.replace(preset, audio=audio, data=DataConfig(CLIP, "random", 6.0),
                                 model=dataclasses.replace(MODELS[model], objective=objective))
    return with_training(config, **{"batch_size": BATCH, "steps": 0, "learning_rate_decay": 0.5, "xla": "off",
                                    "checkpoint_every": 1_000, "preview_every": 1_000} | training)
