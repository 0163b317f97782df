"""Figures class by class: does the network hear what was asked for, and is each class's variety there? NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melgan_tf.evaluation.metrics import in_neighbourhoods


@dataclass(frozen=True)
class ClassFigures:
    """One class.

    Attributes:
        name: of the class.
        generated, real: how many sounds: as labelled where labels are known, else as the network hears them.
        generated_accuracy, real_accuracy: share of those labelled so that the network hears so; None without labels.
        precision: share of its generated sounds in the neighbourhood of a real sound of any class.
        coverage: share of its real sounds whose neighbourhood holds a generated sound of any class.
        floor_coverage: the same for other real sounds instead of generated ones.
    """

    name: str
    generated: int
    real: int
    generated_accuracy: float | None
    real_accuracy: float | None
    precision: float | None
    coverage: float | None
    floor_coverage: float | None


def class_figures(names: Sequence[str], fake: tuple[np.ndarray, np.ndarray], real: tuple[np.ndarray, np.ndarray],
                  other: np.ndarray, k: int, fake_labels: Sequence[str] | None = None,
                  real_labels: Sequence[str] | None = None) -> list[ClassFigures]:
    """One row per class.

    Args:
        names: the network's classes.
        fake, real: features ``(sounds, d)`` and probabilities ``(sounds, classes)``.
        other: features of the real sounds that make the floor.
        k: which nearest neighbour bounds a neighbourhood.
        fake_labels, real_labels: what each sound is meant to be; those that are no class of the network count nowhere.
    """
    heard = {name: np.array(names)[found[1].argmax(axis=1)] for name, found in (("fake", fake), ("real", real))}
    meant = {"fake": fake_labels, "real": real_labels}
    sorted_in = {name: heard[name] if labels is None else np.asarray(labels) for name, labels in meant.items()}
    held = in_neighbourhoods(real[0], fake[0], k)
    floor = in_neighbourhoods(real[0], other, k)

    def share(values: np.ndarray) -> float | None:
        return float(values.mean()) if len(values) else None

    rows = []
    for name in names:
        made, own = sorted_in["fake"] == name, sorted_in["real"] == name
        rows.append(ClassFigures(
            name, int(made.sum()), int(own.sum()),
            None if fake_labels is None else share(heard["fake"][made] == name),
            None if real_labels is None else share(heard["real"][own] == name),
            share(held.any(axis=0)[made]), share(held.any(axis=1)[own]), share(floor.any(axis=1)[own])))
    return rows


def mix_difference(a: np.ndarray, b: np.ndarray) -> float:
    """How different two sets' class mixes are: half the summed absolute difference of mean probabilities, 0 to 1."""
    return float(np.abs(a.mean(axis=0) - b.mean(axis=0)).sum() / 2)
