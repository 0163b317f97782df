"""Configuration of the sequence GAN. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from melgan_tf.config.registry import ModelConfig
from melgan_tf.config.schema import Decay, Range, Weight, Width, check_fields, require
from melgan_tf.models.vae_gan.config import AugmentationConfig, VAEGANObjective, check_log_mels

if TYPE_CHECKING:
    from melgan_tf.config.config import Config

#: Frames of mel that the generator makes of one noise vector.
STEP_FRAMES = 16


@dataclass(frozen=True)
class SequenceGANConfig(ModelConfig):
    """The sequence GAN, for sounds of any length: see `melgan_tf.models.sequence_gan.networks`.

    Attributes:
        kind: always "sequence-gan".
        noise_dim: length of the noise vector of every step of 16 frames.
        style_dim: length of the style vector, which moves slowly.
        style_seconds: time in which a style turns into another, independent one.
        channels: number of channels of every feature map below frame rate; at frame rate half as many.
        ceiling: log10 of the mel value at the top of the networks' scale, 1; louder values are clipped.
        gradient_penalty: gamma of the penalties R1 and R2: half of it weighs the squared slope of the discriminator.
        average: decay of the exponential moving average of the generator's weights.
        quietest_db: training windows that stay this far below the peak of their sound are skipped.
        objective: what it learns from.
        augmentation: what is changed at random.
    """

    kind: Literal["sequence-gan"] = "sequence-gan"
    noise_dim: Width = 16
    style_dim: Width = 32
    style_seconds: Annotated[float, Range(0.1, 3600, unit="seconds")] = 5.0
    channels: Width = 128
    ceiling: float = 1.0
    gradient_penalty: Weight = 0.5
    average: Decay = 0.9995
    quietest_db: Annotated[float, Range(0, 200, above=True, unit="dB")] = 30.0
    objective: VAEGANObjective = field(default_factory=lambda: VAEGANObjective(kl=0.005))
    augmentation: AugmentationConfig = field(default_factory=lambda: AugmentationConfig(2, 0, 0.05))

    def __post_init__(self) -> None:
        check_fields(self, "model")

    def check(self, config: Config) -> None:
        frames = config.mel_shape[1]
        require(frames and frames % (2 * STEP_FRAMES) == 0, "data.clip_samples", config.data.clip_samples,
                f"give as many samples as make a multiple of {2 * STEP_FRAMES} frames of mel, not {frames}")
        check_log_mels(config, "a sequence GAN")
