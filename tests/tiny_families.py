"""Every family at a size that tests can afford."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import tensorflow as tf

from melgan_tf.config import Config, DataConfig, presets
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.melgan.config import MelGANConfig
from melgan_tf.models.vocoder_training.config import VocoderObjective
from melgan_tf.progress import Progress
from melgan_tf.storage.run_directory import with_training
from melgan_tf.training.gan import GAN
from melgan_tf.training.task import Task

#: Both phases have something to learn from.
_OBJECTIVE = VocoderObjective(adversarial_start=0, adversarial=1.0, feature_matching=10.0, stft=5.0, mel=15.0)


def _sounds(preset: str, clip_samples: int, **model: object) -> Config:
    config = presets.get(preset)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, clip_samples=clip_samples),
                               model=dataclasses.replace(config.model, **model))


def _vocoder(model: FastVocoderConfig | MelGANConfig) -> Config:
    config = presets.get("vocoder-16k")
    audio = dataclasses.replace(config.audio, n_fft=512, hop_samples=128, mel_bins=32)
    return dataclasses.replace(config, preset="tiny", audio=audio, data=DataConfig(1_024, "random", 6.0),
                               model=dataclasses.replace(model, objective=_OBJECTIVE))


_CONFIGS = {
    "spectrogram-gan": _sounds("seed", 8_000),
    "frame-gan": _sounds("drums", 8_000, channels=8),
    "sequence-gan": _sounds("music", 8_192, channels=8, noise_dim=4, style_dim=3),
    "loop-gan": _sounds("loops", 88_200, channels=12, noise_dim=20, beat_noise=1),
    "melgan": _vocoder(MelGANConfig(ratios=(8, 4, 4), channels=4, residual_layers=1)),
    "fast-vocoder": _vocoder(FastVocoderConfig(channels=16, sub_channels=8, dilations=(1, 2), carriers=2)),
}


def tiny(kind: str, **training: object) -> Config:
    """The smallest configuration of a family that is of use; with batches of 16, uncompiled."""
    return with_training(_CONFIGS[kind], **{"batch_size": 16, "epochs": 5_000, "steps": 0, "xla": "off", "log_every": 1,
                                            "checkpoint_every": 1_000, "preview_every": 1_000} | training)


def task_of(config: Config, sounds: Path) -> Task:
    """The family's task, on a folder of sounds."""
    return config.family.load("task")(config, sounds, Progress())


def compiled(task: Task, generator_optimizer: keras.optimizers.Optimizer,
             discriminator_optimizer: keras.optimizers.Optimizer, **options: object) -> GAN:
    """The task's model, ready for steps."""
    model = task.build()
    model.compile(generator_optimizer, discriminator_optimizer, **options)
    return model


def step_options(model: GAN) -> tuple[bool, ...]:
    """What ``train_step`` takes besides the batch: of a model with phases, that all players learn."""
    return (True,) if hasattr(model, "switches") else ()


def step(model: GAN, batch: object, strategy: tf.distribute.Strategy | None = None) -> dict[str, float]:
    """One step, operation by operation, which is sooner done than tracing it; its metrics."""
    arguments = (batch, *step_options(model))
    if strategy is None:
        metrics = model.train_step(*arguments)
    else:
        strategy.run(model.train_step, arguments)
        metrics = {metric.name: metric.result() for metric in model.metrics}
    return {name: float(value) for name, value in metrics.items()}
