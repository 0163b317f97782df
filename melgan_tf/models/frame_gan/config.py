"""TODO."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from melgan_tf.config.schema import check_types, require

#: Sounds that a frame GAN's discriminator compares with each other: batches are multiples of it.
COMPARED_SOUNDS = 8


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
    """The frame GAN: see `melgan_tf.models.frame_gan.networks`. Its classes are the folders that the sounds lie in.

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
