"""What a sound is made of: a seed and an index, the encoding of a recording, or other sounds and what was changed.

A recipe is what a generated WAV carries in its comment. With the same model it makes the same bytes again. No
TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.kit.finish import Hit

#: Latent vectors by the names of a sampler's inputs: ``noise``, of sequence models also ``style``.
Arrays = Mapping[str, np.ndarray]
#: Seed and index -> the latent vectors of that sound.
Draw = Callable[[int, int], Arrays]

_MAX_DEPTH = 16  # variations of variations


class Latent(ABC):
    """A point in the latent space of a model."""

    @abstractmethod
    def arrays(self, draw: Draw) -> Arrays:
        """The latent vectors, float32.

        Args:
            draw: what the model draws for a seed and an index.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, which `read_latent` reads."""


@dataclass(frozen=True)
class Seeded(Latent):
    """Sound ``index`` of a seed, as `melgan-tf generate` makes it."""

    seed: int
    index: int

    def arrays(self, draw: Draw) -> Arrays:
        return draw(self.seed, self.index)

    def to_json(self) -> dict[str, Any]:
        return {"seed": self.seed, "index": self.index}


@dataclass(frozen=True)
class Encoded(Latent):
    """The noise that makes a recording, as far as the model can.

    Attributes:
        noise: ``(noise_dim,)``.
        recording: name of the file.
    """

    noise: tuple[float, ...]
    recording: str

    def arrays(self, draw: Draw) -> Arrays:
        return {"noise": np.array(self.noise, np.float32)}

    def to_json(self) -> dict[str, Any]:
        return {"noise": [float(f"{value:.9g}") for value in self.noise], "recording": self.recording}


@dataclass(frozen=True)
class Moved(Latent):
    """Another point, moved towards a random one on the great circle through both.

    A standard normal point stays one, wherever it moves, so that a varied sound is as probable as any other.

    Attributes:
        base: where it starts.
        intensity: 0 stays, 1 arrives at the random point.
        direction: which random point: each base has its own.
    """

    base: Latent
    intensity: float
    direction: int

    def arrays(self, draw: Draw) -> Arrays:
        text = json.dumps([self.base.to_json(), self.direction], sort_keys=True)
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2
        base, other, angle = self.base.arrays(draw), draw(seed, 0), self.intensity * math.pi / 2
        return {name: (math.cos(angle) * values.astype(np.float64) + math.sin(angle) * other[name]).astype(np.float32)
                for name, values in base.items()}

    def to_json(self) -> dict[str, Any]:
        return {"varied": self.base.to_json(), "intensity": self.intensity, "direction": self.direction}


@dataclass(frozen=True)
class Between(Latent):
    """A point on the arc between two others: spherical interpolation.

    Attributes:
        first, second: the ends.
        fraction: 0 is the first, 1 the second.

    Reference: Shoemake, "Animating Rotation with Quaternion Curves" (1985); White, "Sampling Generative Networks"
    (2016) for latent spaces.
    """

    first: Latent
    second: Latent
    fraction: float

    def arrays(self, draw: Draw) -> Arrays:
        first, second = self.first.arrays(draw), self.second.arrays(draw)
        return {name: _slerp(first[name], second[name], self.fraction) for name in first}

    def to_json(self) -> dict[str, Any]:
        return {"between": [self.first.to_json(), self.second.to_json()], "fraction": self.fraction}


def _slerp(a: np.ndarray, b: np.ndarray, fraction: float) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    angle = np.arccos(np.clip((a * b).sum(-1, keepdims=True) / np.maximum(lengths, 1e-12), -1.0, 1.0))
    small = np.sin(angle) < 1e-6  # parallel: straight
    sine = np.where(small, 1.0, np.sin(angle))
    weights = [np.where(small, part, np.sin(part * angle) / sine) for part in (1.0 - fraction, fraction)]
    return (weights[0] * a + weights[1] * b).astype(np.float32)


def read_latent(values: Any, depth: int = 0) -> Latent:
    """The latent point that JSON values describe.

    Raises:
        MelGANError: they describe none.
    """
    try:
        if depth > _MAX_DEPTH:
            raise ValueError(f"more than {_MAX_DEPTH} steps deep")
        if "varied" in values:
            return Moved(read_latent(values["varied"], depth + 1), _fraction(values["intensity"]),
                         _whole(values["direction"]))
        if "between" in values:
            first, second = (read_latent(end, depth + 1) for end in values["between"])
            return Between(first, second, _fraction(values["fraction"]))
        if "recording" in values:
            noise = np.array(values["noise"], np.float64)
            if noise.ndim != 1 or not np.isfinite(noise).all():
                raise ValueError("its noise is no list of finite numbers")
            return Encoded(tuple(noise.tolist()), str(values["recording"]))
        return Seeded(_whole(values["seed"]), _whole(values["index"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise MelGANError(f"a recipe that cannot be read: {error!r:.200}") from None


def _whole(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"{value!r:.40} is not a whole number from 0 to 2**63 - 1")
    return value


def _fraction(value: Any) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{value!r:.40} is not from 0 to 1")
    return float(value)


@dataclass(frozen=True)
class Recipe:
    """What makes one sound with a given model.

    Attributes:
        latent: the point in its latent space.
        label: the weights of its classes by name; None for a model without classes.
        hit: how a kit plays it, if it is one of a kit.
    """

    latent: Latent
    label: Mapping[str, float] | None = None
    hit: Hit | None = None

    def vary(self, intensity: float, direction: int = 0) -> Recipe:
        """The recipe of a variation, of the same class.

        Args:
            intensity: 0 is the sound itself, 1 any sound of the class.
            direction: 0 or more; each is another variation.

        Raises:
            UsageError: a number is out of range.
        """
        _require("intensity", intensity, 0 <= intensity <= 1, "0 to 1")
        _require("direction", direction, 0 <= direction < 2**63, "0 to 2**63 - 1")
        return Recipe(Moved(self.latent, float(intensity), int(direction)), self.label, self.hit)

    def towards(self, other: Recipe, fraction: float) -> Recipe:
        """The recipe of a sound between this one and another: spherical in the noise, linear in the classes.

        Args:
            other: of the same model.
            fraction: 0 is this sound, 1 the other.

        Raises:
            UsageError: the fraction is out of range.
        """
        _require("fraction", fraction, 0 <= fraction <= 1, "0 to 1")
        label = None
        if self.label is not None and other.label is not None:
            weights = {name: (1.0 - fraction) * self.label.get(name, 0.0) + fraction * other.label.get(name, 0.0)
                       for name in [*self.label, *other.label]}
            label = {name: weight for name, weight in weights.items() if weight > 0}
        same = self.latent == other.latent  # only the class changes
        latent = self.latent if same else Between(self.latent, other.latent, float(fraction))
        return Recipe(latent, label, self.hit)


def _require(name: str, value: float, good: bool, remedy: str) -> None:
    if not good:
        raise UsageError(f"{name} is {value}: give {remedy}")
