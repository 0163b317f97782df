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
#: Standard deviation of the detail that `melgan_tf.inference.texture` adds, dB.
TextureDecibels = Annotated[float, Range(0.0, 12.0)]


@dataclass(frozen=True)
class VAEGANObjective:
    """What generator and encoder learn from: the weights of their losses.

    Attributes:
        adversarial: weight of the loss against the discriminator, for sounds made from noise.
        reconstruction: weight of the mean absolute difference of a real sound and its copy, both in [-1, 1].
        kl: weight of the divergence of the encoder's distribution from the normal one, nats.
        copy_adversarial: weight of the loss against the discriminator, for copies.
        feature_matching: weight of the distance of the discriminator's feature maps of a real sound and its copy.
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
    """Random changes of every sound that the discriminator sees.

    Attributes:
        bin_shift: largest shift up or down, mel bins.
        frame_shift: largest shift in time, frames.
        gain: largest change of the level, on the scale of [-1, 1].
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
    require(training.precision == "float32", "training.precision", training.precision, f"{name} learns in float32 "
            "only: leave this setting out")
    require(training.batch_size % COMPARED_SOUNDS == 0, "training.batch_size", training.batch_size,
            f"give a multiple of {COMPARED_SOUNDS}: the discriminator compares this many sounds with each other")
