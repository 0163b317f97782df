"""The classes of sounds that a model was trained on: the folders that they lay in. No TensorFlow."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import numpy as np

from melgan_tf.errors import UsageError

#: What people call the class of sounds that lie in no folder.
UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Classes:
    """The classes of a model, in the order of its label vectors.

    Attributes:
        counts: sounds that the model learned from, by class name; "" is the class of those in no folder.
    """

    counts: dict[str, int]

    @property
    def names(self) -> list[str]:
        """As people see and type them."""
        return [name or UNLABELLED for name in self.counts]

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def shares(self) -> np.ndarray:
        """How much of the training sounds each class is: ``(classes,)`` float32, sums to 1."""
        counts = np.array(list(self.counts.values()), np.float32)
        return counts / counts.sum()

    def label(self, text: str) -> np.ndarray:
        """The label vector that a request asks for: one class, or a mixture of several.

        Args:
            text: ``kick``, or ``kick=0.7,snare=0.3``; weights are brought to a sum of 1.

        Returns:
            ``(classes,)`` float32, sums to 1.

        Raises:
            UsageError: an unknown class, or a weight that is no number above 0.

        Example:
            >>> Classes({"kick": 3, "snare": 1}).label("kick=3, snare=1").tolist()
            [0.75, 0.25]
        """
        vector = np.zeros(len(self), np.float32)
        for part in text.split(","):
            name, equals, weight = (piece.strip() for piece in part.partition("="))
            if name not in self.names:
                close = difflib.get_close_matches(name, self.names, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(self.names)}"
                raise UsageError(f"--label {text!r}: unknown class {name!r}: {hint}")
            vector[self.names.index(name)] += _weight(weight, text) if equals else 1.0
        return vector / vector.sum()

    def describe(self, label: np.ndarray) -> str:
        """The request that `label` reads as this vector.

        Example:
            >>> Classes({"kick": 3, "snare": 1}).describe(np.array([0.75, 0.25]))
            'kick=0.75,snare=0.25'
        """
        parts = [(name, float(weight)) for name, weight in zip(self.names, label, strict=True) if weight > 0]
        return parts[0][0] if len(parts) == 1 else ",".join(f"{name}={weight:.4g}" for name, weight in parts)


def _weight(text: str, whole: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UsageError(f"--label {whole!r}: the weight {text!r} is no number above 0")
    return value
