"""Configuration of MelGAN. No TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from melgan_tf.config.registry import ModelConfig
from melgan_tf.config.schema import Range, check_fields, require
from melgan_tf.models.vocoder_training.config import VocoderObjective, check_clips, check_mels

if TYPE_CHECKING:
    from melgan_tf.config.config import Config


@dataclass(frozen=True)
class MelGANConfig(ModelConfig):
    """The paper's vocoder: see `melgan_tf.models.melgan.networks`.

    Attributes:
        kind: always "melgan".
        ratios: upsampling factor of each stage; their product is the hop.
        channels: width after the last stage; it doubles with every stage before.
        residual_layers: residual blocks in a stage, with dilations 1, 3, 9, ...
        objective: of its training.
    """

    kind: Literal["melgan"] = "melgan"
    ratios: tuple[int, ...] = (8, 8, 2, 2)
    channels: Annotated[int, Range(1, 512)] = 32
    residual_layers: Annotated[int, Range(1, 6)] = 3
    objective: VocoderObjective = field(default_factory=VocoderObjective)

    def __post_init__(self) -> None:
        check_fields(self, "model")
        require(1 <= len(self.ratios) <= 8 and all(2 <= ratio <= 64 for ratio in self.ratios), "model.ratios",
                list(self.ratios), "give 1 to 8 factors of 2 to 64")

    def check(self, config: Config) -> None:
        audio = config.audio
        check_mels(config)
        require(math.prod(self.ratios) == audio.hop_samples, "model.ratios", list(self.ratios),
                f"give factors whose product is audio.hop_samples ({audio.hop_samples})")
        # reflections: 3 frames before the first convolution, the largest dilation in the first stage
        min_frames = max(4, 3 ** (self.residual_layers - 1) // self.ratios[0] + 1)
        require(audio.frames(config.data.clip_samples) >= min_frames, "data.clip_samples", config.data.clip_samples,
                f"give at least {min_frames} frames of audio.hop_samples ({audio.hop_samples})")
        check_clips(config)
