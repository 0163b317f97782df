"""Configuration of the frame GAN. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from melgan_tf.config.registry import ModelConfig
from melgan_tf.config.schema import Decay, Fraction, Weight, Width, check_fields, require
from melgan_tf.models.vae_gan.config import AugmentationConfig, TextureDecibels, VAEGANObjective, check_log_mels

if TYPE_CHECKING:
    from melgan_tf.config.config import Config


@dataclass(frozen=True)
class FrameGANConfig(ModelConfig):
    """The frame GAN: see `melgan_tf.models.frame_gan.networks`. Its classes are the folders that the sounds lie in.

    Attributes:
        kind: always "frame-gan".
        noise_dim: length of the noise vector.
        channels: number of channels of every feature map.
        ceiling: log10 of the mel value at the top of the networks' scale, 1; louder values are clipped.
        gradient_penalty: gamma of the penalties R1 and R2: half of it weighs the squared slope of the discriminator.
        average: decay of the exponential moving average of the generator's weights.
        class_balance: 0 draws classes as often as they occur, 1 draws all equally often.
        diffuse: amplitude of the part of a sound that has random phases; the part with the vocoder's phases has the
            rest of the power. Noise, which drums have much of, sounds tonal if all of its phases are estimated.
        texture: standard deviation of detail that the generator leaves out, dB: see `melgan_tf.inference.texture`.
        objective: what it learns from.
        augmentation: what is changed at random.
    """

    kind: Literal["frame-gan"] = "frame-gan"
    noise_dim: Width = 20
    channels: Width = 128
    ceiling: float = 5.0
    gradient_penalty: Weight = 0.5
    average: Decay = 0.9995
    class_balance: Fraction = 0.25
    diffuse: Fraction = 0.5
    texture: TextureDecibels = 0.0
    objective: VAEGANObjective = field(default_factory=VAEGANObjective)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        check_fields(self, "model")

    def check(self, config: Config) -> None:
        frames = config.mel_shape[1]
        require(frames >= 4 and frames & (frames - 1) == 0, "data.clip_samples", config.data.clip_samples,
                f"give as many samples as make 4, 8, 16, 32, ... frames of mel, not {frames}")
        check_log_mels(config, "a frame GAN")
