"""The classes of the sounds that a model was trained on: the folders of the files. No TensorFlow."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from melgan_tf.errors import UsageError, did_you_mean

#: Name of the class of sounds that are not in a sub-folder.
UNLABELED = "unlabelled"
_MAX_WEIGHT = 1e9  # in a mixture


@dataclass(frozen=True)
class Classes:
    """The classes of a model, in the order of its label vectors.

    Attributes:
        counts: number of training sounds, by class name; "" is the class of those that are not in a sub-folder.
    """

    counts: dict[str, int]

    @property
    def names(self) -> list[str]:
        """The names that users see and type, each once: a folder may have the name of those without one."""
        candidates = (UNLABELED, *(f"{UNLABELED}-{number}" for number in range(2, len(self.counts) + 3)))
        free = next(name for name in candidates if name not in self.counts)
        return [name or free for name in self.counts]

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def shares(self) -> np.ndarray:
        """The fraction of training sounds in each class: ``(classes,)`` float32, sums to 1."""
        counts = np.array(list(self.counts.values()), np.float32)
        return counts / counts.sum()

    def label(self, text: str) -> np.ndarray:
        """Parse a label: one class, or a mixture of several.

        Args:
            text: ``kick``, or ``kick=0.7,snare=0.3``; the weights are normalized to a sum of 1. Names may contain
                spaces, commas and equals signs: known ones are looked for first, longer ones before shorter ones.

        Returns:
            ``(classes,)`` float32, sums to 1.

        Raises:
            UsageError: a class is unknown, or a weight is not a positive number.

        Examples:
            >>> Classes({"kick": 3, "snare": 1}).label("kick=3, snare=1").tolist()
            [0.75, 0.25]
        """
        names, vector = self.names, np.zeros(len(self))
        if text in names:  # whatever is in it
            vector[names.index(text)] = 1.0
            return vector.astype(np.float32)
        known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        part = re.compile(rf"\s*(?:({known})|([^,=]*?))\s*(?:=([^,]*))?(?:,|$)")
        position = 0
        while position <= len(text):
            found = part.match(text, position)
            if found is None or found[1] is None:
                raise UsageError(f"--label {text!r}: {self._unknown(found[2] if found else text[position:])}")
            vector[names.index(found[1])] += 1.0 if found[3] is None else _weight(found[3].strip(), text)
            position = found.end() + (not found[0].endswith(","))
        return (vector / vector.sum()).astype(np.float32)

    def _unknown(self, name: str) -> str:
        known = f"known are {', '.join(self.names)}"
        hint = did_you_mean(name, self.names)
        return f"unknown class {name!r}: {hint if hint == known else f'{hint} {known}'}"

    def describe(self, label: np.ndarray) -> str:
        """Format a label vector as the text that `label` parses.

        Examples:
            >>> Classes({"kick": 3, "snare": 1}).describe(np.array([0.75, 0.25]))
            'kick=0.75,snare=0.25'
        """
        parts = self.weights(label)
        return next(iter(parts)) if len(parts) == 1 else ",".join(f"{name}={part:.4g}" for name, part in parts.items())

    def weights(self, label: np.ndarray) -> dict[str, float]:
        """The weights above zero of a label vector, by name; `vector` is the inverse.

        Examples:
            >>> Classes({"kick": 3, "snare": 1}).weights(np.array([0.75, 0.25]))
            {'kick': 0.75, 'snare': 0.25}
        """
        return {name: float(f"{weight:.9g}") for name, weight in zip(self.names, label, strict=True) if weight > 0}

    def vector(self, weights: Mapping[str, float]) -> np.ndarray:
        """The label vector ``(classes,)`` of weights by name, as they are.

        Raises:
            UsageError: a class is unknown.
        """
        if unknown := [name for name in weights if name not in self.names]:
            raise UsageError(f"unknown class {unknown[0]!r}: known are {', '.join(self.names)}")
        return np.array([weights.get(name, 0.0) for name in self.names], np.float32)


def known_as(name: str, known: Collection[str]) -> str:
    """The known class that a folder's name stands for, or else the name itself.

    Examples:
        >>> known_as("Snares", ("kick", "snare")), known_as("My hats", ("kick", "hat"))
        ('snare', 'My hats')
    """
    plain = name.strip().casefold()
    return next((one for one in known if one == name), None) or next(
        (one for one in known if plain in (one.casefold(), f"{one.casefold()}s")), name)


def _weight(text: str, whole: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < _MAX_WEIGHT:
        raise UsageError(f"--label {whole!r}: weight {text!r} must be a positive number below {_MAX_WEIGHT:g}")
    return value
