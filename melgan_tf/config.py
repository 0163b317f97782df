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

from melgan_tf.errors import ConfigError

MelScale = Literal["htk", "slaney"]
MelNorm = Literal["none", "slaney"]
Padding = Literal["centre", "half-hop"]
Compression = Literal["none", "log10"]
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
XLAMode = Literal["auto", "on", "off"]
Window = Literal["beginning", "random"]
Level = Literal["natural", "peak"]


def _require(condition: bool, key: str, value: object, remedy: str) -> None:
    if not condition:
        raise ConfigError(f"{key} is {value!r}: {remedy}")


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
        _check_types(self, "audio")
        _require(1_000 <= self.sample_rate <= 384_000, "audio.sample_rate", self.sample_rate, "give 1000 to 384000 Hz")
        _require(16 <= self.n_fft <= 65_536, "audio.n_fft", self.n_fft, "give 16 to 65536 samples")
        _require(self.n_fft % 2 == 0, "audio.n_fft", self.n_fft, "give an even number of samples")
        _require(1 <= self.hop_samples <= self.n_fft, "audio.hop_samples", self.hop_samples,
                 f"give 1 to n_fft ({self.n_fft}) samples")
        _require(1 <= self.mel_bins <= self.n_fft // 2, "audio.mel_bins", self.mel_bins,
                 f"give 1 to n_fft / 2 ({self.n_fft // 2}) filters")
        _require(0 <= self.min_hz < self.max_hz, "audio.min_hz", self.min_hz,
                 f"give 0 or more and less than max_hz ({self.max_hz:g})")
        _require(self.max_hz <= self.sample_rate / 2, "audio.max_hz", self.max_hz,
                 f"give at most half the sample rate ({self.sample_rate / 2:g} Hz)")
        _require(self.power in (1.0, 2.0), "audio.power", self.power, "give 1 (magnitude) or 2 (power)")
        _require(self.floor > 0, "audio.floor", self.floor, "give a positive number")

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
        _check_types(self, "data")
        _require(64 <= self.clip_samples <= 100_000_000, "data.clip_samples", self.clip_samples,
                 "give 64 to 100000000 samples")
        _require(0 <= self.gain_db <= 60, "data.gain_db", self.gain_db, "give 0 to 60 dB")


@dataclass(frozen=True)
class SpectrogramGANConfig:
    """The spectrogram GAN.

    Attributes:
        kind: always "spectrogram-gan".
        noise_dim: length of the noise vector.
        weight_std: standard deviation of the normal distribution that convolution kernels start from.
    """

    kind: Literal["spectrogram-gan"] = "spectrogram-gan"
    noise_dim: int = 20
    weight_std: float = 0.02

    def __post_init__(self) -> None:
        _check_types(self, "model")
        _require(1 <= self.noise_dim <= 4096, "model.noise_dim", self.noise_dim, "give 1 to 4096")
        _require(0 < self.weight_std <= 1, "model.weight_std", self.weight_std, "give more than 0 and at most 1")


@dataclass(frozen=True)
class FrameGANObjective:
    """What generator and encoder learn from: the weights of their losses.

    Attributes:
        adversarial: against the discriminator, for sounds made of noise.
        reconstruction: mean absolute difference of a real sound and its copy, both in [-1, 1].
        kl: divergence of what the encoder finds from the distribution of noise, natural logarithm.
        copy_adversarial: against the discriminator, for copies.
        feature_matching: distance of the discriminator's feature maps of a real sound and its copy.
    """

    adversarial: float = 1.0
    reconstruction: float = 10.0
    kl: float = 0.02
    copy_adversarial: float = 0.0
    feature_matching: float = 0.0

    def __post_init__(self) -> None:
        _check_types(self, "model.objective")
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            _require(value >= 0, f"model.objective.{item.name}", value, "give 0 or more")
        _require(self.adversarial + self.reconstruction > 0, "model.objective.adversarial", self.adversarial,
                 "give something to learn from: adversarial or reconstruction above 0")


@dataclass(frozen=True)
class AugmentationConfig:
    """How much the discriminator's view of every sound is changed at random.

    Attributes:
        bin_shift: most mel bins up or down.
        frame_shift: most frames later or earlier.
        gain: most that is added everywhere or taken away, on the scale of [-1, 1].
    """

    bin_shift: int = 3
    frame_shift: int = 1
    gain: float = 0.1

    def __post_init__(self) -> None:
        _check_types(self, "model.augmentation")
        for name, most in (("bin_shift", 64), ("frame_shift", 64), ("gain", 1)):
            value = getattr(self, name)
            _require(0 <= value <= most, f"model.augmentation.{name}", value, f"give 0 to {most}")


@dataclass(frozen=True)
class FrameGANConfig:
    """The frame GAN: see `melgan_tf.models.frame_gan`. Its classes are the folders that the sounds lie in.

    Attributes:
        kind: always "frame-gan".
        noise_dim: length of the noise vector.
        channels: of every map.
        ceiling: log10 of the mel that the top of the models' scale stands for; what is louder is cut.
        discriminator_gain: largest singular value of the discriminator's kernels.
        average: how much of the running average of the generator's weights stays at every step.
        class_balance: 0 learns from classes as often as they occur, 1 from all equally.
        diffuse: amplitude of that part of a sound whose phases are random; the vocoder's has what remains of a power of
            1. Noise, of which drums are full, sounds like tones where all of its phases are estimated.
        objective: what it learns from.
        augmentation: what is changed at random.
    """

    kind: Literal["frame-gan"] = "frame-gan"
    noise_dim: int = 20
    channels: int = 128
    ceiling: float = 5.0
    discriminator_gain: float = 4.0
    average: float = 0.9995
    class_balance: float = 0.25
    diffuse: float = 0.5
    objective: FrameGANObjective = field(default_factory=FrameGANObjective)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        _check_types(self, "model")
        _require(1 <= self.noise_dim <= 4096, "model.noise_dim", self.noise_dim, "give 1 to 4096")
        _require(1 <= self.channels <= 4096, "model.channels", self.channels, "give 1 to 4096")
        _require(0 < self.discriminator_gain <= 100, "model.discriminator_gain", self.discriminator_gain,
                 "give more than 0 and at most 100")
        _require(0 <= self.average < 1, "model.average", self.average, "give 0 or more and less than 1")
        for name in ("class_balance", "diffuse"):
            _require(0 <= getattr(self, name) <= 1, f"model.{name}", getattr(self, name), "give 0 to 1")


@dataclass(frozen=True)
class VocoderObjective:
    """What a vocoder learns from: the weights of its losses, and when the discriminators join.

    Attributes:
        adversarial_start: the step from which the discriminators learn and judge; before it, only `stft` and `mel`
            count.
        adversarial: weight of the hinge loss against the discriminators.
        feature_matching: weight of the distance between the discriminators' feature maps.
        stft: weight of the multi-resolution STFT loss.
        mel: weight of the mean absolute difference of log mels.
    """

    adversarial_start: int = 0
    adversarial: float = 1.0
    feature_matching: float = 10.0
    stft: float = 0.0
    mel: float = 0.0

    def __post_init__(self) -> None:
        _check_types(self, "model.objective")
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            _require(value >= 0, f"model.objective.{item.name}", value, "give 0 or more")
        _require(self.adversarial + self.feature_matching + self.stft + self.mel > 0, "model.objective.adversarial",
                 self.adversarial, "give something to learn from: one of the weights above 0")
        _require(self.adversarial_start == 0 or self.stft + self.mel > 0, "model.objective.adversarial_start",
                 self.adversarial_start, "give 0, or something to learn from before it: stft or mel above 0")


@dataclass(frozen=True)
class MelGANConfig:
    """The paper's vocoder: see `melgan_tf.models.melgan`.

    Attributes:
        kind: always "melgan".
        ratios: upsampling factor of each stage; their product is the hop.
        channels: width after the last stage; it doubles with every stage before.
        residual_layers: residual blocks in a stage, with dilations 1, 3, 9, ...
        objective: what it learns from.
    """

    kind: Literal["melgan"] = "melgan"
    ratios: tuple[int, ...] = (8, 8, 2, 2)
    channels: int = 32
    residual_layers: int = 3
    objective: VocoderObjective = field(default_factory=VocoderObjective)

    def __post_init__(self) -> None:
        _check_types(self, "model")
        _require(1 <= len(self.ratios) <= 8 and all(2 <= ratio <= 64 for ratio in self.ratios), "model.ratios",
                 list(self.ratios), "give 1 to 8 factors of 2 to 64")
        _require(1 <= self.channels <= 512, "model.channels", self.channels, "give 1 to 512")
        _require(1 <= self.residual_layers <= 6, "model.residual_layers", self.residual_layers, "give 1 to 6")


@dataclass(frozen=True)
class FastVocoderConfig:
    """The fast vocoder: see `melgan_tf.models.fast_vocoder`.

    Attributes:
        kind: always "fast-vocoder".
        channels: width at frame rate.
        kernel: frames of mel that the first convolution sees, odd.
        dilations: one residual block each: the distance, in frames, of the three frames that it sees.
        subframes: pieces that a frame is split into before its Fourier transforms.
        sub_channels, sub_blocks: width and number of the blocks at that rate.
        overlap: how many windows meet at every sample: 2 or 4.
        carriers: frequencies offered within each of the lower bins.
        low_rounds: iterations of phase retrieval for the lowest frequencies before that; 0: none.
        corrections: how often the waveform's mel is brought nearer to the wanted one.
        objective: what it learns from.
    """

    kind: Literal["fast-vocoder"] = "fast-vocoder"
    channels: int = 192
    kernel: int = 7
    dilations: tuple[int, ...] = (1, 2, 4, 1)
    subframes: int = 1
    sub_channels: int = 128
    sub_blocks: int = 1
    overlap: int = 2
    carriers: int = 4
    low_rounds: int = 0
    corrections: int = 1
    objective: VocoderObjective = field(default_factory=VocoderObjective)

    def __post_init__(self) -> None:
        _check_types(self, "model")
        for name, most in (("channels", 4096), ("sub_channels", 4096), ("subframes", 64), ("carriers", 8)):
            value = getattr(self, name)
            _require(1 <= value <= most, f"model.{name}", value, f"give 1 to {most}")
        for name in ("sub_blocks", "low_rounds", "corrections"):
            _require(0 <= getattr(self, name) <= 64, f"model.{name}", getattr(self, name), "give 0 to 64")
        _require(1 <= self.kernel <= 31 and self.kernel % 2 == 1, "model.kernel", self.kernel,
                 "give an odd number from 1 to 31")
        _require(all(1 <= dilation <= 64 for dilation in self.dilations), "model.dilations", list(self.dilations),
                 "give numbers from 1 to 64")
        _require(self.overlap in (2, 4), "model.overlap", self.overlap, "give 2 or 4")


#: What `Config.model` may be; its ``kind`` tells which.
ModelConfig = SpectrogramGANConfig | FrameGANConfig | MelGANConfig | FastVocoderConfig


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
        _check_types(self, "training")
        for name in ("batch_size", "epochs", "log_every", "checkpoint_every", "keep_checkpoints", "preview_every"):
            _require(getattr(self, name) >= 1, f"training.{name}", getattr(self, name), "give 1 or more")
        _require(self.steps >= 0, "training.steps", self.steps, "give 0 (train by epochs) or more")
        for name in ("generator_learning_rate", "discriminator_learning_rate"):
            value = getattr(self, name)
            _require(0 < value <= 1, f"training.{name}", value, "give more than 0 and at most 1")
        for name in ("beta_1", "beta_2"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"training.{name}", value, "give 0 or more and less than 1")
        _require(0 < self.learning_rate_decay <= 1, "training.learning_rate_decay", self.learning_rate_decay,
                 "give more than 0 and at most 1")
        _require(self.epsilon > 0, "training.epsilon", self.epsilon, "give a positive number")
        _require(0 <= self.seed < 2**31, "training.seed", self.seed, "give 0 to 2147483647")


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
        _check_types(self, "")
        audio, clip_samples = self.audio, self.data.clip_samples
        if audio.padding == "centre":  # one reflection reaches no further than the clip itself
            name, reach = "n_fft / 2", audio.n_fft // 2
        else:
            name, reach = "(n_fft - hop_samples) / 2", (audio.n_fft - audio.hop_samples + 1) // 2
        _require(clip_samples > reach, "data.clip_samples", clip_samples, f"give more than {name} ({reach}) samples")
        if self.is_vocoder:
            self._check_vocoder()
        if isinstance(self.model, FrameGANConfig):
            self._check_frame_gan()

    def _check_frame_gan(self) -> None:
        audio, frames = self.audio, self.mel_shape[1]
        _require(audio.compression == "log10", "audio.compression", audio.compression, "a frame GAN needs log10")
        _require(self.model.ceiling > math.log10(audio.floor), "model.ceiling", self.model.ceiling,
                 f"give more than the logarithm of audio.floor ({math.log10(audio.floor):g})")
        _require(frames >= 4 and frames & (frames - 1) == 0, "data.clip_samples", self.data.clip_samples,
                 f"give as many samples as make 4, 8, 16, 32, ... frames of mel, not {frames}")
        _require(self.training.precision == "float32", "training.precision", self.training.precision,
                 "a frame GAN needs float32")
        _require(self.training.batch_size % 8 == 0, "training.batch_size", self.training.batch_size,
                 "give a multiple of 8: the discriminator compares so many sounds with each other")

    def _check_vocoder(self) -> None:
        audio, model = self.audio, self.model
        _require(audio.compression == "log10", "audio.compression", audio.compression, "a vocoder needs log10")
        _require(self.training.precision == "float32", "training.precision", self.training.precision,
                 "a vocoder needs float32")
        if isinstance(model, MelGANConfig):
            _require(math.prod(model.ratios) == audio.hop_samples, "model.ratios", list(model.ratios),
                     f"give factors whose product is audio.hop_samples ({audio.hop_samples})")
            # reflections: 3 frames before the first convolution, the largest dilation in the first stage
            least = max(4, 3 ** (model.residual_layers - 1) // model.ratios[0] + 1)
            _require(audio.frames(self.data.clip_samples) >= least, "data.clip_samples", self.data.clip_samples,
                     f"give at least {least} frames of audio.hop_samples ({audio.hop_samples})")
        else:
            _require(audio.hop_samples % (2 * model.subframes) == 0, "model.subframes", model.subframes,
                     f"give a number whose double divides audio.hop_samples ({audio.hop_samples})")
            _require(not (model.corrections or model.low_rounds) or audio.n_fft % audio.hop_samples == 0,
                     "audio.hop_samples", audio.hop_samples,
                     f"a vocoder with corrections or low rounds needs a divisor of audio.n_fft ({audio.n_fft})")
            _require(not model.low_rounds or audio.hop_samples % 128 == 0, "audio.hop_samples", audio.hop_samples,
                     "a vocoder with low rounds needs a multiple of 128")
        _require(self.data.clip_samples % audio.hop_samples == 0, "data.clip_samples", self.data.clip_samples,
                 f"give a multiple of audio.hop_samples ({audio.hop_samples})")
        _require(not model.objective.stft or self.data.clip_samples >= 256, "data.clip_samples",
                 self.data.clip_samples, "give at least 256 samples, the shortest transform of model.objective.stft")

    @property
    def is_vocoder(self) -> bool:
        """Whether the model turns mels into waveforms, rather than noise into mels."""
        return isinstance(self.model, MelGANConfig | FastVocoderConfig)

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
        _require(isinstance(kind, str) and kind in kinds, f"{dotted}.kind", kind, f"give one of {', '.join(kinds)}")
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


def _check_types(config: Any, prefix: str) -> None:
    """Holds every field to its annotation; an int is welcome where a float is asked for."""
    for name, hint in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        key = f"{prefix}.{name}" if prefix else name
        if typing.get_origin(hint) is Literal:
            choices = typing.get_args(hint)
            _require(value in choices and type(value) is str, key, value, f"give one of {', '.join(choices)}")
        elif hint is float:
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            _require(number, key, value, "give a finite number")
            object.__setattr__(config, name, float(value))
        elif hint is int:
            _require(isinstance(value, int) and not isinstance(value, bool), key, value, "give a whole number")
        elif typing.get_origin(hint) is tuple:
            whole = isinstance(value, tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
            _require(whole, key, value, "give a list of whole numbers")
        elif isinstance(hint, types.UnionType):
            _require(isinstance(value, typing.get_args(hint)), key, value, "give a model's configuration")
        elif isinstance(hint, type) and not isinstance(hint, types.GenericAlias):
            _require(isinstance(value, hint), key, value, f"give {hint.__name__}")
