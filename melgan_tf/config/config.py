"""Configurations: frozen, validated dataclasses, strictly read from and written to JSON. No TensorFlow.

A :class:`Config` says everything that determines a training run. It refuses unknown keys (naming the nearest known
one), wrong types and values out of range when it is built, so that no run starts on a typing error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from melgan_tf.config import registry
from melgan_tf.config.audio import AudioConfig
from melgan_tf.config.registry import Family, ModelConfig
from melgan_tf.config.schema import check_types, require

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
XLAMode = Literal["auto", "on", "off"]
Window = Literal["beginning", "random"]
Level = Literal["natural", "peak"]


@dataclass(frozen=True)
class DataConfig:
    """What is taken from each sound file.

    Attributes:
        clip_samples: samples of a clip at ``audio.sample_rate``; shorter sounds are padded with zeros at the end.
        window: which clip of a longer sound: its "beginning", or another one at "random" every time, in which case a
            sound counts as often in an epoch as clips fit into it.
        gain_db: every clip is turned down by a random gain between this many decibels and none.
        level: "natural" as recorded, or every clip brought to a "peak" of 1, so that a soft recording of a sound and a
            loud one are the same example.
    """

    clip_samples: int = 8_000
    window: Window = "beginning"
    gain_db: float = 0.0
    level: Level = "natural"

    def __post_init__(self) -> None:
        check_types(self, "data")
        require(64 <= self.clip_samples <= 100_000_000, "data.clip_samples", self.clip_samples,
                "give 64 to 100000000 samples")
        require(0 <= self.gain_db <= 60, "data.gain_db", self.gain_db, "give 0 to 60 dB")


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast to train, and what to write down on the way.

    Attributes:
        batch_size: sounds a step, over all GPUs together.
        epochs: passes over the sounds.
        steps: if not 0, train this many steps in all instead of ``epochs``.
        generator_learning_rate, discriminator_learning_rate: Adam's step size.
        learning_rate_decay: factor that both are multiplied by, smoothly, every 1,000 steps.
        beta_1, beta_2, epsilon: Adam's decay rates and its guard against division by zero.
        seed: decides initial weights, noise and the order of the data.
        log_every: epochs between two log lines.
        checkpoint_every: epochs between two checkpoints.
        keep_checkpoints: how many of the newest checkpoints stay on disk (the best one stays besides).
        preview_every: epochs between two sets of pictures and sounds in TensorBoard.
        precision: float32, mixed_float16 (GPU) or mixed_bfloat16.
        xla: compile the training step with XLA: "on", "off", or "auto" (where it pays).
    """

    batch_size: int = 128
    epochs: int = 5_000
    steps: int = 0
    generator_learning_rate: float = 2e-4
    discriminator_learning_rate: float = 2e-4
    learning_rate_decay: float = 1.0
    beta_1: float = 0.5
    beta_2: float = 0.999
    epsilon: float = 1e-8
    seed: int = 0
    log_every: int = 50
    checkpoint_every: int = 25
    keep_checkpoints: int = 3
    preview_every: int = 100
    precision: Precision = "float32"
    xla: XLAMode = "auto"

    def __post_init__(self) -> None:
        check_types(self, "training")
        for name in ("batch_size", "epochs", "log_every", "checkpoint_every", "keep_checkpoints", "preview_every"):
            require(getattr(self, name) >= 1, f"training.{name}", getattr(self, name), "give 1 or more")
        require(self.steps >= 0, "training.steps", self.steps, "give 0 (train by epochs) or more")
        for name in ("generator_learning_rate", "discriminator_learning_rate"):
            value = getattr(self, name)
            require(0 < value <= 1, f"training.{name}", value, "give more than 0 and at most 1")
        for name in ("beta_1", "beta_2"):
            value = getattr(self, name)
            require(0 <= value < 1, f"training.{name}", value, "give 0 or more and less than 1")
        require(0 < self.learning_rate_decay <= 1, "training.learning_rate_decay", self.learning_rate_decay,
                "give more than 0 and at most 1")
        require(self.epsilon > 0, "training.epsilon", self.epsilon, "give a positive number")
        require(0 <= self.seed < 2**31, "training.seed", self.seed, "give 0 to 2147483647")


@dataclass(frozen=True)
class Config:
    """A complete training configuration; see the attributes' own classes.

    Attributes:
        preset: the name of the preset that it began as.
        audio, data, model, training: its parts.
    """

    preset: str = "seed"
    audio: AudioConfig = field(default_factory=AudioConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=lambda: next(iter(registry.families().values())).config())
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        check_types(self, "")
        audio, clip_samples = self.audio, self.data.clip_samples
        if audio.padding == "centre":  # one reflection reaches no further than the clip itself
            name, reach = "n_fft / 2", audio.n_fft // 2
        else:
            name, reach = "(n_fft - hop_samples) / 2", (audio.n_fft - audio.hop_samples + 1) // 2
        require(clip_samples > reach, "data.clip_samples", clip_samples, f"give more than {name} ({reach}) samples")
        self.model.check(self)

    @property
    def family(self) -> Family:
        """The family of the model."""
        return registry.family(self.model.kind)

    @property
    def mel_shape(self) -> tuple[int, int]:
        """(mel_bins, frames) of one clip."""
        return self.audio.mel_bins, self.audio.frames(self.data.clip_samples)


