"""Configurations: frozen, validated dataclasses, strictly read from and written to JSON. No TensorFlow.

A :class:`Config` says everything that determines a training run. It refuses unknown keys (naming the nearest known
one), wrong types and values out of range when it is built, so that no run starts on a typing error.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from melgan_tf.config_checks import check_types, require
from melgan_tf.errors import ConfigError
from melgan_tf.model_config import (
    COMPARED_SOUNDS,
    STEP_FRAMES,
    AugmentationConfig,
    FastVocoderConfig,
    FrameGANConfig,
    FrameGANObjective,
    MelGANConfig,
    ModelConfig,
    SequenceGANConfig,
    SpectrogramGANConfig,
    VocoderObjective,
)

__all__ = ["AudioConfig", "AugmentationConfig", "Config", "DataConfig", "FastVocoderConfig", "FrameGANConfig",
           "FrameGANObjective", "MelGANConfig", "ModelConfig", "SequenceGANConfig", "SpectrogramGANConfig",
           "TrainingConfig", "VocoderObjective", "from_dict", "known_keys", "merge", "parse_assignment", "read_json",
           "to_dict"]

MelScale = Literal["htk", "slaney"]
MelNorm = Literal["none", "slaney"]
Padding = Literal["centre", "half-hop"]
Compression = Literal["none", "log10"]
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
XLAMode = Literal["auto", "on", "off"]
Window = Literal["beginning", "random"]
Level = Literal["natural", "peak"]


@dataclass(frozen=True)
class AudioConfig:
    """How samples become a mel spectrogram: the contract between every pair of models that are chained.

    Attributes:
        sample_rate: Hz.
        n_fft: length of the Fourier transform and of the window, samples.
        hop_samples: distance between frames, samples.
        window: always the periodic Hann window.
        mel_bins: number of triangular filters.
        min_hz, max_hz: outer edges of the lowest and the highest filter.
        mel_scale: "htk" or "slaney".
        mel_norm: "none" (peaks of 1) or "slaney" (unit area).
        power: exponent of the magnitude: 1 or 2.
        padding: "centre" reflects ``n_fft // 2`` samples at both ends (frames = samples // hop + 1), "half-hop"
            reflects ``(n_fft - hop) // 2`` (frames = samples // hop), as MelGAN does.
        compression: "none", or "log10" of ``max(mel, floor)``.
        floor: smallest mel value that the logarithm sees.
    """

    sample_rate: int = 16_000
    n_fft: int = 1024
    hop_samples: int = 512
    window: Literal["hann"] = "hann"
    mel_bins: int = 64
    min_hz: float = 0.0
    max_hz: float = 8_000.0
    mel_scale: MelScale = "htk"
    mel_norm: MelNorm = "none"
    power: float = 2.0
    padding: Padding = "centre"
    compression: Compression = "none"
    floor: float = 1e-5

    def __post_init__(self) -> None:
        check_types(self, "audio")
        require(1_000 <= self.sample_rate <= 384_000, "audio.sample_rate", self.sample_rate, "give 1000 to 384000 Hz")
        require(16 <= self.n_fft <= 65_536, "audio.n_fft", self.n_fft, "give 16 to 65536 samples")
        require(self.n_fft % 2 == 0, "audio.n_fft", self.n_fft, "give an even number of samples")
        require(1 <= self.hop_samples <= self.n_fft, "audio.hop_samples", self.hop_samples,
                f"give 1 to n_fft ({self.n_fft}) samples")
        require(1 <= self.mel_bins <= self.n_fft // 2, "audio.mel_bins", self.mel_bins,
                f"give 1 to n_fft / 2 ({self.n_fft // 2}) filters")
        require(0 <= self.min_hz < self.max_hz, "audio.min_hz", self.min_hz,
                f"give 0 or more and less than max_hz ({self.max_hz:g})")
        require(self.max_hz <= self.sample_rate / 2, "audio.max_hz", self.max_hz,
                f"give at most half the sample rate ({self.sample_rate / 2:g} Hz)")
        require(self.power in (1.0, 2.0), "audio.power", self.power, "give 1 (magnitude) or 2 (power)")
        require(self.floor > 0, "audio.floor", self.floor, "give a positive number")

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that two configurations share only if their mels mean the same."""
        return hashlib.sha256(json.dumps(to_dict(self), sort_keys=True).encode()).hexdigest()[:12]

    def differences(self, other: AudioConfig) -> list[str]:
        """The fields in which two contracts differ, each as ``name: ours / theirs``."""
        return [f"{f.name}: {getattr(self, f.name)} / {getattr(other, f.name)}" for f in dataclasses.fields(self)
                if getattr(self, f.name) != getattr(other, f.name)]

    def frames(self, samples: int) -> int:
        """Number of mel frames that a clip of ``samples`` samples gives."""
        return samples // self.hop_samples + (1 if self.padding == "centre" else 0)


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
    model: ModelConfig = field(default_factory=SpectrogramGANConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        check_types(self, "")
        audio, clip_samples = self.audio, self.data.clip_samples
        if audio.padding == "centre":  # one reflection reaches no further than the clip itself
            name, reach = "n_fft / 2", audio.n_fft // 2
        else:
            name, reach = "(n_fft - hop_samples) / 2", (audio.n_fft - audio.hop_samples + 1) // 2
        require(clip_samples > reach, "data.clip_samples", clip_samples, f"give more than {name} ({reach}) samples")
        if self.is_vocoder:
            self._check_vocoder()
        if isinstance(self.model, FrameGANConfig):
            frames = self.mel_shape[1]
            require(frames >= 4 and frames & (frames - 1) == 0, "data.clip_samples", self.data.clip_samples,
                    f"give as many samples as make 4, 8, 16, 32, ... frames of mel, not {frames}")
            self._check_frames("a frame GAN")
        if isinstance(self.model, SequenceGANConfig):
            frames = self.mel_shape[1]
            require(frames and frames % (2 * STEP_FRAMES) == 0, "data.clip_samples", self.data.clip_samples,
                    f"give as many samples as make a multiple of {2 * STEP_FRAMES} frames of mel, not {frames}")
            self._check_frames("a sequence GAN")

    def _check_frames(self, what: str) -> None:
        audio = self.audio
        require(audio.compression == "log10", "audio.compression", audio.compression, f"{what} needs log10")
        require(self.model.ceiling > math.log10(audio.floor), "model.ceiling", self.model.ceiling,
                f"give more than the logarithm of audio.floor ({math.log10(audio.floor):g})")
        require(self.training.precision == "float32", "training.precision", self.training.precision,
                f"{what} needs float32")
        require(self.training.batch_size % COMPARED_SOUNDS == 0, "training.batch_size", self.training.batch_size,
                f"give a multiple of {COMPARED_SOUNDS}: the discriminator compares so many sounds with each other")

    def _check_vocoder(self) -> None:
        audio, model = self.audio, self.model
        require(audio.compression == "log10", "audio.compression", audio.compression, "a vocoder needs log10")
        require(self.training.precision == "float32", "training.precision", self.training.precision,
                "a vocoder needs float32")
        if isinstance(model, MelGANConfig):
            require(math.prod(model.ratios) == audio.hop_samples, "model.ratios", list(model.ratios),
                    f"give factors whose product is audio.hop_samples ({audio.hop_samples})")
            # reflections: 3 frames before the first convolution, the largest dilation in the first stage
            least = max(4, 3 ** (model.residual_layers - 1) // model.ratios[0] + 1)
            require(audio.frames(self.data.clip_samples) >= least, "data.clip_samples", self.data.clip_samples,
                    f"give at least {least} frames of audio.hop_samples ({audio.hop_samples})")
        else:
            require(audio.hop_samples % (2 * model.subframes) == 0, "model.subframes", model.subframes,
                    f"give a number whose double divides audio.hop_samples ({audio.hop_samples})")
            require(not (model.corrections or model.low_rounds) or audio.n_fft % audio.hop_samples == 0,
                    "audio.hop_samples", audio.hop_samples,
                    f"a vocoder with corrections or low rounds needs a divisor of audio.n_fft ({audio.n_fft})")
            require(not model.low_rounds or audio.hop_samples % 128 == 0, "audio.hop_samples", audio.hop_samples,
                    "a vocoder with low rounds needs a multiple of 128")
        require(self.data.clip_samples % audio.hop_samples == 0, "data.clip_samples", self.data.clip_samples,
                f"give a multiple of audio.hop_samples ({audio.hop_samples})")
        require(not model.objective.stft or self.data.clip_samples >= 256, "data.clip_samples",
                self.data.clip_samples, "give at least 256 samples, the shortest transform of model.objective.stft")

    @property
    def is_vocoder(self) -> bool:
        """Whether the model turns mels into waveforms, rather than noise into mels."""
        return isinstance(self.model, MelGANConfig | FastVocoderConfig)

    @property
    def any_length(self) -> bool:
        """Whether the model makes sounds of any length, rather than of one."""
        return isinstance(self.model, SequenceGANConfig)

    @property
    def mel_shape(self) -> tuple[int, int]:
        """(mel_bins, frames) of one clip."""
        return self.audio.mel_bins, self.audio.frames(self.data.clip_samples)


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as plain JSON values."""
    return dataclasses.asdict(config)


def from_dict(cls: type, values: Any, key: str = "") -> Any:
    """Builds a configuration from JSON values.

    Args:
        cls: the dataclass to build, usually :class:`Config`.
        values: what ``json.load`` returned; keys left out take their defaults.
        key: dotted name of this part, for messages.

    Raises:
        ConfigError: unknown key, wrong type or value out of range; the message shows the dotted key and the value.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{key or 'the configuration'} is {values!r}: give an object with named values")
    hints = typing.get_type_hints(cls)
    arguments = {}
    for name, value in values.items():
        dotted = f"{key}.{name}" if key else name
        if name not in hints:
            raise ConfigError(f"unknown configuration key {dotted!r}{_nearest(name, hints, dotted)}")
        arguments[name] = _value(hints[name], value, dotted)
    return cls(**arguments)


def _value(hint: Any, value: Any, dotted: str) -> Any:
    if isinstance(hint, types.UnionType):  # the part itself says which of them it is
        kinds = {member.__dataclass_fields__["kind"].default: member for member in typing.get_args(hint)}
        kind = value.get("kind", next(iter(kinds))) if isinstance(value, dict) else next(iter(kinds))
        require(isinstance(kind, str) and kind in kinds, f"{dotted}.kind", kind, f"give one of {', '.join(kinds)}")
        return from_dict(kinds[kind], value, dotted)
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, dotted)
    if typing.get_origin(hint) is tuple and isinstance(value, list):  # JSON has no tuples
        return tuple(value)
    return value


def merge(values: dict[str, Any], changes: Any) -> dict[str, Any]:
    """Lays a partial configuration (nested JSON values) over a complete one; strictness comes with `from_dict`."""
    if not isinstance(changes, dict):
        raise ConfigError(f"the configuration is {changes!r}: give an object with named values")
    merged = dict(values)
    for name, value in changes.items():
        nested = isinstance(merged.get(name), dict) and isinstance(value, dict)
        merged[name] = merge(merged[name], value) if nested else value
    return merged


def parse_assignment(text: str) -> dict[str, Any]:
    """Reads ``part.key=value`` (the value as JSON, or else as text) into nested JSON values.

    Example:
        >>> parse_assignment("training.batch_size=64")
        {'training': {'batch_size': 64}}
    """
    name, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in name.strip().split(".")):
        raise ConfigError(f"--set {text!r}: give PART.KEY=VALUE, for example training.batch_size=64")
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    for part in reversed(name.strip().split(".")):
        parsed = {part: parsed}
    return parsed


def read_json(path: str | Path) -> dict[str, Any]:
    """Reads a (partial) configuration file.

    Raises:
        ConfigError: the file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read configuration {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None


def known_keys(cls: type = Config, prefix: str = "") -> list[str]:
    """Every dotted key of a configuration."""
    keys = []
    for name, hint in typing.get_type_hints(cls).items():
        nested = [part for part in (typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,))
                  if dataclasses.is_dataclass(part)]
        keys += [key for part in nested for key in known_keys(part, f"{prefix}{name}.")] or [prefix + name]
    return list(dict.fromkeys(keys))


def _nearest(name: str, known: dict[str, Any], dotted: str) -> str:
    close = difflib.get_close_matches(name, known, n=1) or [
        key for key in known_keys() if key.rsplit(".", 1)[-1] == name and key != dotted][:1]
    return f": did you mean {close[0]!r}?" if close else f": known are {', '.join(sorted(known))}"
