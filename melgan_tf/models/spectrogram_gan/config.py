"""Configuration of the spectrogram GAN. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from melgan_tf.config.registry import ModelConfig
from melgan_tf.config.schema import check_types, require


@dataclass(frozen=True)
class SpectrogramGANConfig(ModelConfig):
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


