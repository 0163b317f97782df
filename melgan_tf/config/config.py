"""Configurations: frozen, validated dataclasses, strictly read from and written to JSON. No TensorFlow.

A :class:`Config` says everything that determines a training run. It refuses unknown keys (naming the nearest known
one), wrong types and values out of range when it is built, so that no run starts on a typing error.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Literal

from melgan_tf.config import registry
from melgan_tf.config.audio import AudioConfig
from melgan_tf.config.registry import Family, ModelConfig
from melgan_tf.config.schema import Count, Decay, Range, check_fields, require

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
XLAMode = Literal["auto", "on", "off"]
Window = Literal["beginning", "random"]
Level = Literal["natural", "peak"]
#: Frames of a clip, and numbers of its spectrogram: what 16 clips at a time take stays below about 2 GB.
_MAX_FRAMES, _MAX_COEFFICIENTS = 1 << 14, 1 << 22
LearningRate = Annotated[float, Range(0, 1, above=True)]


@dataclass(frozen=True)
class DataConfig:
    """What is taken from each sound file.

    Attributes:
        clip_samples: samples of a clip at ``audio.sample_rate``; shorter sounds are padded with zeros at the end.
        window: which clip is taken from a longer sound: its "beginning", or a "random" one every time; then a sound is
            used as often in an epoch as clips fit into it.
        gain_db: every clip is attenuated by a random amount from 0 to this many decibels.
        level: "natural": as recorded; "peak": every clip scaled to a peak of 1, so that soft and loud recordings of a
            sound are the same example.
        hold_out: training does not see about one in this many sounds of a class, so that fine-tuning can be compared
            with them; 0: it sees all. For models of one-shots.
    """

    clip_samples: Annotated[int, Range(64, 4_000_000, unit="samples")] = 8_000
    window: Window = "beginning"
    gain_db: Annotated[float, Range(0, 60, unit="dB")] = 0.0
    level: Level = "natural"
    hold_out: Annotated[int, Range(0, 1_000)] = 0

    def __post_init__(self) -> None:
        check_fields(self, "data")


@dataclass(frozen=True)
class TrainingConfig:
    """Length and rates of training, and how often it logs and saves.

    Attributes:
        batch_size: sounds per step, over all GPUs together.
        epochs: total number of passes over the sounds.
        steps: if not 0, total number of steps, instead of ``epochs``.
        generator_learning_rate, discriminator_learning_rate: Adam's step size.
        learning_rate_decay: factor for both learning rates per 1,000 steps, applied smoothly.
        beta_1, beta_2, epsilon: Adam's decay rates and its guard against division by zero.
        seed: random seed of initial weights, noise and the order of the data.
        log_every: epochs between two log lines.
        checkpoint_every: epochs between two checkpoints.
        keep_checkpoints: number of newest checkpoints to keep, besides the best one.
        preview_every: epochs between two previews (pictures and sounds) in TensorBoard.
        precision: float32, mixed_float16 (GPU) or mixed_bfloat16.
        xla: compile the training step with XLA: "on", "off", or "auto" (where it is faster).
    """

    batch_size: Annotated[int, Range(1, 65_536, unit="sounds")] = 128
    epochs: Count = 5_000
    steps: Annotated[int, Range(0)] = 0
    generator_learning_rate: LearningRate = 2e-4
    discriminator_learning_rate: LearningRate = 2e-4
    learning_rate_decay: Annotated[float, Range(0, 1, above=True)] = 1.0
    beta_1: Decay = 0.5
    beta_2: Decay = 0.999
    epsilon: Annotated[float, Range(0, above=True)] = 1e-8
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    log_every: Count = 50
    checkpoint_every: Count = 25
    keep_checkpoints: Count = 3
    preview_every: Count = 100
    precision: Precision = "float32"
    xla: XLAMode = "auto"

    def __post_init__(self) -> None:
        check_fields(self, "training")


@dataclass(frozen=True)
class Config:
    """A complete training configuration; see the attributes' own classes.

    Attributes:
        preset: the name of the preset that it started from.
        audio, data, model, training: its parts.
    """

    preset: str = "seed"
    audio: AudioConfig = field(default_factory=AudioConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=lambda: next(iter(registry.families().values())).config())
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        check_fields(self, "")
        audio, clip_samples = self.audio, self.data.clip_samples
        if audio.padding == "centre":  # one reflection reaches no further than the clip itself
            name, reach = "n_fft / 2", audio.n_fft // 2
        else:
            name, reach = "(n_fft - hop_samples) / 2", (audio.n_fft - audio.hop_samples + 1) // 2
        require(clip_samples > reach, "data.clip_samples", clip_samples, f"give more than {name} ({reach}) samples")
        require(not self.data.hold_out or self.family.makes == "clips", "data.hold_out", self.data.hold_out,
                "give 0: only models of one-shots keep sounds aside")
        frames, frequencies = audio.frames(clip_samples), audio.n_fft // 2 + 1
        require(frames <= _MAX_FRAMES and frames * frequencies <= _MAX_COEFFICIENTS, "data.clip_samples", clip_samples,
                f"give less, or a longer audio.hop_samples ({audio.hop_samples}): {frames:,} frames of {frequencies:,} "
                f"frequencies are more than {_MAX_FRAMES:,} frames or {_MAX_COEFFICIENTS:,} numbers")
        self.model.check(self)

    @property
    def family(self) -> Family:
        """The family of the model."""
        return registry.family(self.model.kind)

    def fine_tuning(self, step: int, steps: int | None = None) -> Config:
        """The configuration of a run that starts from the weights of this one.

        Fewer steps, at the learning rates that training had arrived at: at the initial ones fine-tuning first
        destroys what the weights know (measured with `pretrained:drums`: the Fréchet distance rises from 67 to 112 in
        1,000 steps, at the later rates it stays at 69).

        Args:
            step: training steps behind the weights.
            steps: to take; by default a sixth of those of this configuration.
        """
        training = self.training
        factor = training.learning_rate_decay ** (step / 1000)
        return dataclasses.replace(self, training=dataclasses.replace(
            training, steps=training.steps // 6 if steps is None else steps,
            generator_learning_rate=float(f"{training.generator_learning_rate * factor:.2g}"),
            discriminator_learning_rate=float(f"{training.discriminator_learning_rate * factor:.2g}")))

    @property
    def mel_shape(self) -> tuple[int, int]:
        """(mel_bins, frames) of one clip."""
        return self.audio.mel_bins, self.audio.frames(self.data.clip_samples)
