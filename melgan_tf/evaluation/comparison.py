"""What is measured of two sets of sounds, and how it is graded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from melgan_tf.evaluation.tables import Row, metric, renamed, rows


@dataclass(frozen=True)
class EmbeddingMetrics:
    """One set of sounds compared with real ones in one embedding; `melgan_tf.evaluation.metrics` explains each.

    Diversity is relative to that of the real sounds; near duplicates are closer to each other than 5 % of that.
    ``errors`` has the standard errors of precision, recall, density and coverage.
    """

    frechet: float = metric("Fréchet distance", "lower")
    frechet_infinity: float = metric("Fréchet distance, of infinitely many", "lower")
    kad: float = metric("kernel audio distance (KAD)", "lower")
    precision: float = metric("precision", "higher")
    recall: float = metric("recall", "higher")
    density: float = metric("density", "higher")
    coverage: float = metric("coverage", "higher")
    diversity: float = metric("diversity, ratio to real", "near baseline", key="spread")
    duplicates: float = metric("near duplicates, fraction", "lower")
    errors: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ClassFit:
    """The class probabilities of one set of sounds: inception score, and the distance of its class mix from that of
    the reference."""

    inception: float = metric("inception score", "near baseline")
    mix_difference: float = metric("class mix, difference", "lower")


@dataclass(frozen=True)
class Comparison:
    """The same metrics for the generated sounds and for the real-vs-real baseline, both against the reference."""

    generated: Any
    baseline: Any = renamed("floor")

    def rows(self) -> list[Row]:
        """The rows of a table."""
        return rows(self.generated, self.baseline)


@dataclass(frozen=True)
class Projection:
    """The compared sounds on the first two principal components of the reference, ``(sounds, 2)`` each, and the
    predicted class of each, ``(sounds,)``."""

    generated: np.ndarray
    real: np.ndarray
    generated_classes: np.ndarray
    real_classes: np.ndarray


def grade(fake: EmbeddingMetrics, baseline: EmbeddingMetrics) -> tuple[int, str]:
    """Grades metrics against their baseline.

    Returns:
        0 (close) to 3 (collapsed), and one sentence.
    """
    if fake.diversity < 0.5 * baseline.diversity:
        return 3, ("collapsed: the sounds are much more alike than the real ones "
                   f"(diversity {fake.diversity:.2f} of the real, coverage {fake.coverage:.2f})")
    if fake.duplicates > baseline.duplicates + 0.5:
        return 3, f"collapsed: {fake.duplicates:.0%} of the sounds have a near copy among themselves"
    if fake.coverage < 0.2 and fake.precision >= 0.5:
        return 3, f"collapsed: the sounds are like only a few of the real ones (coverage {fake.coverage:.2f})"
    problems = []
    if fake.precision < 0.75 * baseline.precision:
        problems.append(f"many sounds are far from any real one (precision {fake.precision:.2f})")
    if fake.coverage < 0.6 * baseline.coverage or fake.recall < 0.6 * baseline.recall:
        problems.append(f"much of the real variety is missing (coverage {fake.coverage:.2f}, "
                        f"recall {fake.recall:.2f})")
    if problems:
        return 2, " and ".join(problems)
    if fake.coverage >= 0.9 * baseline.coverage and fake.frechet <= 1.25 * baseline.frechet:
        return 0, "close to the real-vs-real baseline"
    return 1, "varied and near the real sounds, but short of the real-vs-real baseline"
