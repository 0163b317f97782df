"""TODO."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from melgan_tf.config.schema import check_types, require


@dataclass(frozen=True)
class VocoderObjective:
    """What a vocoder learns from: the weights of its losses, and when the discriminators join.

    Attributes:
        adversarial_start: the step from which the discriminators learn and judge; before it, only `stft` and `mel`
            count.
        adversarial: weight of the hinge loss against the discriminators.
        feature_matching: weight of the distance between the discriminators' feature maps.
        stft: weight of the multi-resolution STFT loss.
        mel: weight of the mean absolute difference of log mels.
    """

    adversarial_start: int = 0
    adversarial: float = 1.0
    feature_matching: float = 10.0
    stft: float = 0.0
    mel: float = 0.0

    def __post_init__(self) -> None:
        check_types(self, "model.objective")
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            require(value >= 0, f"model.objective.{item.name}", value, "give 0 or more")
        require(self.adversarial + self.feature_matching + self.stft + self.mel > 0, "model.objective.adversarial",
                self.adversarial, "give something to learn from: one of the weights above 0")
        require(self.adversarial_start == 0 or self.stft + self.mel > 0, "model.objective.adversarial_start",
                self.adversarial_start, "give 0, or something to learn from before it: stft or mel above 0")
