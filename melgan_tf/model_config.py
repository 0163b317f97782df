"""Configurations of the models: what `Config.model` may be. No TensorFlow."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from melgan_tf.config_checks import check_types, require

#: Sounds that a frame GAN's discriminator compares with each other: batches are multiples of it.
COMPARED_SOUNDS = 8
#: Frames of mel that a sequence GAN makes of one noise vector.
STEP_FRAMES = 16


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
        check_types(self, "model")
        require(1 <= self.noise_dim <= 4096, "model.noise_dim", self.noise_dim, "give 1 to 4096")
        require(0 < self.weight_std <= 1, "model.weight_std", self.weight_std, "give more than 0 and at most 1")


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
        check_types(self, "model.objective")
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            require(value >= 0, f"model.objective.{item.name}", value, "give 0 or more")
        require(self.adversarial + self.reconstruction > 0, "model.objective.adversarial", self.adversarial,
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
        check_types(self, "model.augmentation")
        for name, most in (("bin_shift", 64), ("frame_shift", 64), ("gain", 1)):
            value = getattr(self, name)
            require(0 <= value <= most, f"model.augmentation.{name}", value, f"give 0 to {most}")


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
        check_types(self, "model")
        require(1 <= self.noise_dim <= 4096, "model.noise_dim", self.noise_dim, "give 1 to 4096")
        require(1 <= self.channels <= 4096, "model.channels", self.channels, "give 1 to 4096")
        require(0 < self.discriminator_gain <= 100, "model.discriminator_gain", self.discriminator_gain,
                "give more than 0 and at most 100")
        require(0 <= self.average < 1, "model.average", self.average, "give 0 or more and less than 1")
        for name in ("class_balance", "diffuse"):
            require(0 <= getattr(self, name) <= 1, f"model.{name}", getattr(self, name), "give 0 to 1")


@dataclass(frozen=True)
class SequenceGANConfig:
    """The sequence GAN, for sounds of any length: see `melgan_tf.models.sequence_gan`.

    Attributes:
        kind: always "sequence-gan".
        noise_dim: length of the noise vector of every step of 16 frames.
        style_dim: length of the style vector, which moves slowly.
        style_seconds: time in which a style turns into another, independent one.
        channels: of every map below frame rate; at frame rate half as many.
        ceiling: log10 of the mel that the top of the models' scale stands for; what is louder is cut.
        discriminator_gain: largest singular value of the discriminator's kernels.
        average: how much of the running average of the generator's weights stays at every step.
        quietest_db: training windows that stay this far below the peak of their sound are left out.
        objective: what it learns from.
        augmentation: what is changed at random.
    """

    kind: Literal["sequence-gan"] = "sequence-gan"
    noise_dim: int = 16
    style_dim: int = 32
    style_seconds: float = 5.0
    channels: int = 128
    ceiling: float = 1.0
    discriminator_gain: float = 2.5
    average: float = 0.9995
    quietest_db: float = 30.0
    objective: FrameGANObjective = field(default_factory=lambda: FrameGANObjective(kl=0.005))
    augmentation: AugmentationConfig = field(default_factory=lambda: AugmentationConfig(2, 0, 0.05))

    def __post_init__(self) -> None:
        check_types(self, "model")
        for name in ("noise_dim", "style_dim", "channels"):
            require(1 <= getattr(self, name) <= 4096, f"model.{name}", getattr(self, name), "give 1 to 4096")
        require(0.1 <= self.style_seconds <= 3600, "model.style_seconds", self.style_seconds,
                "give 0.1 to 3600 seconds")
        require(0 < self.discriminator_gain <= 100, "model.discriminator_gain", self.discriminator_gain,
                "give more than 0 and at most 100")
        require(0 <= self.average < 1, "model.average", self.average, "give 0 or more and less than 1")
        require(0 < self.quietest_db <= 200, "model.quietest_db", self.quietest_db,
                "give more than 0 and at most 200 dB")


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
        check_types(self, "model.objective")
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            require(value >= 0, f"model.objective.{item.name}", value, "give 0 or more")
        require(self.adversarial + self.feature_matching + self.stft + self.mel > 0, "model.objective.adversarial",
                self.adversarial, "give something to learn from: one of the weights above 0")
        require(self.adversarial_start == 0 or self.stft + self.mel > 0, "model.objective.adversarial_start",
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
        check_types(self, "model")
        require(1 <= len(self.ratios) <= 8 and all(2 <= ratio <= 64 for ratio in self.ratios), "model.ratios",
                list(self.ratios), "give 1 to 8 factors of 2 to 64")
        require(1 <= self.channels <= 512, "model.channels", self.channels, "give 1 to 512")
        require(1 <= self.residual_layers <= 6, "model.residual_layers", self.residual_layers, "give 1 to 6")


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
        check_types(self, "model")
        for name, most in (("channels", 4096), ("sub_channels", 4096), ("subframes", 64), ("carriers", 8)):
            value = getattr(self, name)
            require(1 <= value <= most, f"model.{name}", value, f"give 1 to {most}")
        for name in ("sub_blocks", "low_rounds", "corrections"):
            require(0 <= getattr(self, name) <= 64, f"model.{name}", getattr(self, name), "give 0 to 64")
        require(1 <= self.kernel <= 31 and self.kernel % 2 == 1, "model.kernel", self.kernel,
                "give an odd number from 1 to 31")
        require(all(1 <= dilation <= 64 for dilation in self.dilations), "model.dilations", list(self.dilations),
                "give numbers from 1 to 64")
        require(self.overlap in (2, 4), "model.overlap", self.overlap, "give 2 or 4")


#: What `Config.model` may be; its ``kind`` tells which.
ModelConfig = SpectrogramGANConfig | FrameGANConfig | SequenceGANConfig | MelGANConfig | FastVocoderConfig
