"""Configuration of the toy family. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from melgan_tf.config.registry import ModelConfig
from melgan_tf.config.schema import Width, check_fields, require

if TYPE_CHECKING:
    from melgan_tf.config import Config


@dataclass(frozen=True)
class ToyConfig(ModelConfig):
    """Two small dense networks.

    Attributes:
        kind: always "toy-gan".
        noise_dim: length of the noise vector.
        units: width of the hidden layers.
        ceiling: log10 of the loudest mel that the generator can make.
    """

    kind: Literal["toy-gan"] = "toy-gan"
    noise_dim: Width = 8
    units: Width = 32
    ceiling: float = 5.0

    def __post_init__(self) -> None:
        check_fields(self, "model")

    def check(self, config: Config) -> None:
        require(config.audio.compression == "log10", "audio.compression", config.audio.compression,
                "a toy GAN needs log10")
