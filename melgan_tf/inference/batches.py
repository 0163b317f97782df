"""Sounds in batches of a fixed size, whatever computes them. No TensorFlow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf.audio.loops.keys import Key
from melgan_tf.config import Config
from melgan_tf.data.labels import Classes
from melgan_tf.errors import UsageError

if TYPE_CHECKING:
    from melgan_tf.inference.long_sounds import Length

#: Sounds rendered in one call: large enough to be fast, and constant, so that a sound does not depend on how many
#: others are made.
BATCH = 16
#: Frames of mel turned to decibels in one call.
FRAMES = 1024


class BatchSampler(ABC):
    """Makes sounds of a seed, or of given inputs, in batches of `BATCH`.

    Args:
        config: the run's configuration.
        classes: of a generator that takes labels.
        shares: features that its sounds are to have: shares of the sounds of the same class that have less, by name.

    Attributes:
        features: the names of the features that can be asked for.
        vocoder_metadata: the vocoder's entry in records.
    """

    features: Sequence[str] = ()
    vocoder_metadata: Mapping[str, Any]

    def __init__(self, config: Config, classes: Classes | None, shares: Mapping[str, float] | None = None) -> None:
        self.config, self.classes, self.shares = config, classes, dict(shares or {})
        self.audio, self.samples = config.audio, config.data.clip_samples

    @abstractmethod
    def draw(self, seed: int, start: int) -> dict[str, np.ndarray]:
        """The inputs of sounds ``start`` to ``start + BATCH - 1`` of a seed."""

    @abstractmethod
    def run_batch(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, Any]:
        """``audio`` ``(BATCH, samples)`` and ``mel`` ``(BATCH, frames, mel_bins)`` of inputs by name."""

    @abstractmethod
    def decibels_of_frames(self, mel: np.ndarray) -> np.ndarray:
        """See `decibels`, of `FRAMES` frames ``(FRAMES, mel_bins)``."""

    def decibels(self, mel: np.ndarray) -> np.ndarray:
        """Mels ``(sounds, frames, mel_bins)`` in dB, for pictures; see `melgan_tf.dsp.spectral.log_mel`."""
        frames = mel.reshape(-1, mel.shape[-1])
        padded = np.pad(frames, ((0, -len(frames) % FRAMES), (0, 0)))
        made = [self.decibels_of_frames(padded[first:first + FRAMES]) for first in range(0, len(padded), FRAMES)]
        return np.concatenate(made)[:len(frames)].reshape(mel.shape)

    @property
    def name_part(self) -> str:
        """What names of files say of all sounds besides their classes: tempo and key, as sequencers and `train` read
        them; "" for nothing."""
        wishes = self.wishes
        key = [str(Key.parse(wishes["key"]))] if "key" in wishes else []
        return "-".join([f"{wishes['bpm']:.6g}bpm", *key]) if "bpm" in wishes else ""

    @property
    def wishes(self) -> dict[str, Any]:
        """What sounds were asked to be, for records: `asked` with these values makes the same sampler."""
        return dict(self.shares)

    def asked(self, **wishes: Any) -> BatchSampler:
        """A sampler of sounds that are as somebody wishes.

        Args:
            wishes: by name; those of None are none.

        Raises:
            UsageError: the model cannot grant one.
        """
        self.features_of(wishes)
        return self

    def features_of(self, wishes: Mapping[str, Any]) -> dict[str, float]:
        """The shares by which features are asked for, those of earlier wishes as well.

        Raises:
            UsageError: the model has no such feature, or a share is not from 0 to 1.
        """
        shares = {name: value for name, value in wishes.items() if value is not None}
        for name, share in shares.items():
            if name not in self.features:
                raise UsageError(f"a model of preset {self.config.preset!r} cannot choose the {name}: remove --{name}")
            if not isinstance(share, int | float) or not 0 <= share <= 1:
                raise UsageError(f"--{name} {share}: give 0 to 1")
        return {**self.shares, **shares}

    def length(self, seconds: float | None = None, loop: bool = False) -> Length | None:
        """The length of sounds that are rendered piece by piece; None if they are all of one length.

        Args:
            seconds: the requested length; None for the default.
            loop: whether to make seamless loops.

        Raises:
            UsageError: the model cannot make sounds of that length, or loops.
        """
        if loop or seconds is not None:
            raise UsageError(f"a model of preset {self.config.preset!r} makes sounds of "
                             f"{self.samples / self.audio.sample_rate:.2g} seconds only: remove "
                             f"{'--loop' if loop else '--seconds'}")
        return None

    def generate(self, seed: int, count: int, start: int = 0, advance: Callable[[int], None] = lambda count: None,
                 label: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Sounds ``start`` to ``start + count - 1`` of a seed, in batches of fixed size.

        Args:
            seed: 0 to 2**63 - 1.
            count: how many.
            start: index of the first.
            advance: receives the number of sounds that were completed.
            label: ``(classes,)``: the weights of the classes of every sound; without it each has a class of its own,
                drawn as often as it occurred in training.

        Returns:
            ``audio`` ``(count, samples)``, ``mel`` ``(count, frames, mel_bins)``, ``noise`` ``(count, noise_dim)`` and,
            with classes, ``label`` ``(count, classes)``.
        """
        parts: dict[str, list[np.ndarray]] = {}
        for first in range(0, count, BATCH):
            inputs = self.draw(seed, start + first)
            if label is not None:
                inputs["label"] = np.tile(np.asarray(label, np.float32), (BATCH, 1))
            kept = min(BATCH, count - first)
            for name, value in self.make(**{name: value[:kept] for name, value in inputs.items()}).items():
                parts.setdefault(name, []).append(value)
            advance(kept)
        return {name: np.concatenate(values) for name, values in parts.items()}

    def make(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Sounds of given inputs, as `generate` returns them; at most `BATCH`, which is what every call renders."""
        count = len(next(iter(inputs.values())))
        last = np.minimum(np.arange(BATCH), count - 1)
        padded = {name: np.asarray(value, np.float32)[last] for name, value in inputs.items()}
        return {name: np.asarray(value)[:count] for name, value in {**padded, **self.run_batch(padded)}.items()}
