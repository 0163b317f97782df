"""What the configurations of all vocoders share. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from melgan_tf.config.schema import Range, Weight, check_fields, require

if TYPE_CHECKING:
    from melgan_tf.config.config import Config


@dataclass(frozen=True)
class VocoderObjective:
    """What a vocoder learns from: the weights of its losses, and when the discriminators join.

    Attributes:
        adversarial_start: the first step with discriminators; before it, only `stft` and `mel`
            count.
        adversarial: weight of the hinge loss against the discriminators.
        feature_matching: weight of the distance between the discriminators' feature maps.
        stft: weight of the multi-resolution STFT loss.
        mel: weight of the mean absolute difference of log mels.
    """

    adversarial_start: Annotated[int, Range(0)] = 0
    adversarial: Weight = 1.0
    feature_matching: Weight = 10.0
    stft: Weight = 0.0
    mel: Weight = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "model.objective")
        require(self.adversarial + self.feature_matching + self.stft + self.mel > 0, "model.objective.adversarial",
                self.adversarial, "give something to learn from: one of the weights above 0")
        require(self.adversarial_start == 0 or self.stft + self.mel > 0, "model.objective.adversarial_start",
                self.adversarial_start, "give 0, or something to learn from before it: stft or mel above 0")


def check_mels(config: Config) -> None:
    """Raises a `ConfigError` unless mels and precision suit a vocoder."""
    audio, training = config.audio, config.training
    require(audio.compression == "log10", "audio.compression", audio.compression, "a vocoder needs log10")
    require(training.precision == "float32", "training.precision", training.precision, "a vocoder learns in "
            "float32 only: leave this setting out")


def check_clips(config: Config) -> None:
    """Raises a `ConfigError` unless the clips suit a vocoder."""
    hop, samples = config.audio.hop_samples, config.data.clip_samples
    require(samples % hop == 0, "data.clip_samples", samples, f"give a multiple of audio.hop_samples ({hop})")
    require(not config.model.objective.stft or samples >= 256, "data.clip_samples", samples,
            "give at least 256 samples, the shortest transform of model.objective.stft")
