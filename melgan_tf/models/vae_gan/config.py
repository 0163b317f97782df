"""What the families of generator, encoder and discriminator share in their configurations. No TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from melgan_tf.config.schema import Fraction, Range, Weight, check_fields, require

if TYPE_CHECKING:
    from melgan_tf.config.config import Config

#: Sounds that the discriminator compares with each other: batches are multiples of it.
COMPARED_SOUNDS = 8


@dataclass(frozen=True)
class VAEGANObjective:
    """What generator and encoder learn from: the weights of their losses.

    Attributes:
        adversarial: against the discriminator, for sounds made of noise.
        reconstruction: mean absolute difference of a real sound and its copy, both in [-1, 1].
        kl: divergence of what the encoder finds from the distribution of noise, natural logarithm.
        copy_adversarial: against the discriminator, for copies.
        feature_matching: distance of the discriminator's feature maps of a real sound and its copy.
    """

    adversarial: Weight = 1.0
    reconstruction: Weight = 10.0
    kl: Weight = 0.02
    copy_adversarial: Weight = 0.0
    feature_matching: Weight = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "model.objective")
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

    bin_shift: Annotated[int, Range(0, 64)] = 3
    frame_shift: Annotated[int, Range(0, 64)] = 1
    gain: Fraction = 0.1

    def __post_init__(self) -> None:
        check_fields(self, "model.augmentation")


def check_log_mels(config: Config, name: str) -> None:
    """Raises a `ConfigError` unless mels, precision and batches suit a VAE-GAN.

    Args:
        config: to be checked.
        name: what the message calls the model.
    """
    audio, model, training = config.audio, config.model, config.training
    require(audio.compression == "log10", "audio.compression", audio.compression, f"{name} needs log10")
    require(model.ceiling > math.log10(audio.floor), "model.ceiling", model.ceiling,
            f"give more than the logarithm of audio.floor ({math.log10(audio.floor):g})")
    require(training.precision == "float32", "training.precision", training.precision, f"{name} needs float32")
    require(training.batch_size % COMPARED_SOUNDS == 0, "training.batch_size", training.batch_size,
            f"give a multiple of {COMPARED_SOUNDS}: the discriminator compares this many sounds with each other")
