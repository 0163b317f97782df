"""Configuration of the spectrogram GAN. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from melgan_tf.config.registry import ModelConfig
from melgan_tf.config.schema import Range, Width, check_fields


@dataclass(frozen=True)
class SpectrogramGANConfig(ModelConfig):
    """The spectrogram GAN.

    Attributes:
        kind: always "spectrogram-gan".
        noise_dim: length of the noise vector.
        weight_std: standard deviation of the normal distribution that convolution kernels start from.
    """

    kind: Literal["spectrogram-gan"] = "spectrogram-gan"
    noise_dim: Width = 20
    weight_std: Annotated[float, Range(0, 1, above=True)] = 0.02

    def __post_init__(self) -> None:
        check_fields(self, "model")

