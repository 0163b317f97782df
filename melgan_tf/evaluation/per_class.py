"""Metrics class by class: are sounds recognized as what was asked for, and is each class's variety covered?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melgan_tf.data.labels import known_as
from melgan_tf.evaluation.metrics import in_neighborhoods
from melgan_tf.evaluation.tables import Row, number, renamed


@dataclass(frozen=True)
class ClassMetrics:
    """One class.

    Attributes:
        name: of the class.
        generated, real: number of sounds, by label if labels are known, else by the network's prediction.
        generated_accuracy, real_accuracy: fraction of the sounds so labeled that the network predicts so; None without
            labels, and for classes that it does not know.
        precision: fraction of its generated sounds in the neighborhood of a real sound of any class.
        coverage: fraction of its real sounds with a generated sound of any class in their neighborhood.
        baseline_coverage: the same for other real sounds instead of generated ones.
    """

    name: str
    generated: int
    real: int
    generated_accuracy: float | None
    real_accuracy: float | None
    precision: float | None
    coverage: float | None
    baseline_coverage: float | None = renamed("floor_coverage")

    def row(self) -> Row:
        """The row of a table."""
        return (self.name, str(self.generated), str(self.real), number(self.generated_accuracy),
                number(self.real_accuracy), number(self.precision), number(self.coverage),
                number(self.baseline_coverage))


def class_metrics(names: Sequence[str], fake: tuple[np.ndarray, np.ndarray], real: tuple[np.ndarray, np.ndarray],
                  baseline: np.ndarray, k: int, fake_labels: Sequence[str] | None = None,
                  real_labels: Sequence[str] | None = None) -> list[ClassMetrics]:
    """Measures every class.

    Args:
        names: the network's classes. With labels, only those that occur, and after them the labels that the network
            does not know; "Snares" and "snare" are one class.
        fake, real: features ``(sounds, d)`` and probabilities ``(sounds, classes)``.
        baseline: features of other real sounds.
        k: which nearest neighbor bounds a neighborhood.
        fake_labels, real_labels: the requested class of each sound; sounds without one ("") are in no class.
    """
    fake_predicted, real_predicted = (np.array(names)[probabilities.argmax(axis=1)] for _, probabilities in
                                      (fake, real))
    fake_groups, real_groups = (predicted if labels is None else np.array([known_as(label, names) for label in labels])
                                for predicted, labels in ((fake_predicted, fake_labels), (real_predicted, real_labels)))
    covered = in_neighborhoods(real[0], fake[0], k)
    baseline_covered = in_neighborhoods(real[0], baseline, k)

    def fraction(values: np.ndarray) -> float | None:
        return float(values.mean()) if len(values) else None

    occurring = {*fake_groups, *real_groups} - {""}
    labeled = fake_labels is not None or real_labels is not None
    found = []
    for name in (*(known for known in names if not labeled or known in occurring), *sorted(occurring - {*names})):
        own_fake, own_real = fake_groups == name, real_groups == name
        found.append(ClassMetrics(
            name, int(own_fake.sum()), int(own_real.sum()),
            None if fake_labels is None or name not in names else fraction(fake_predicted[own_fake] == name),
            None if real_labels is None or name not in names else fraction(real_predicted[own_real] == name),
            fraction(covered.any(axis=0)[own_fake]), fraction(covered.any(axis=1)[own_real]),
            fraction(baseline_covered.any(axis=1)[own_real])))
    return found


def mix_difference(a: np.ndarray, b: np.ndarray) -> float:
    """How much two class mixes differ: half the L1 distance of mean probabilities, 0 to 1."""
    return float(np.abs(a.mean(axis=0) - b.mean(axis=0)).sum() / 2)
