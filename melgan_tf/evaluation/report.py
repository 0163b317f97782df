"""What an evaluation found: figures beside their real-vs-real floor, and one sentence on what to make of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from melgan_tf.evaluation.artifacts import Artifacts
from melgan_tf.evaluation.memorization import Copies
from melgan_tf.evaluation.per_class import ClassFigures

FEW_SOUNDS = 100

Better = Literal["lower", "higher", "near the floor"]


def _figure(title: str, better: Better, **default: Any) -> Any:
    return field(metadata={"title": title, "better": better}, **default)


@dataclass(frozen=True)
class Figures:
    """One set of sounds against real ones in one embedding; `melgan_tf.evaluation.metrics` explains each.

    Spread is a ratio to the spread of the real sounds; duplicates are nearer to each other than 5 % of that.
    """

    frechet: float = _figure("Fréchet distance", "lower")
    kernel: float = _figure("kernel distance", "lower")
    precision: float = _figure("precision", "higher")
    recall: float = _figure("recall", "higher")
    density: float = _figure("density", "higher")
    coverage: float = _figure("coverage", "higher")
    spread: float = _figure("spread, ratio to real", "near the floor")
    duplicates: float = _figure("near duplicates, share", "lower")


@dataclass(frozen=True)
class ClassFit:
    """What the network's probabilities say of one set of sounds: inception score, and how far the mix of classes is
    from that of the reference."""

    inception: float = _figure("inception score", "near the floor")
    mix_difference: float = _figure("class mix, difference", "lower")


@dataclass(frozen=True)
class Comparison:
    """The same figures for the generated sounds and for real ones, both against the reference."""

    generated: Any
    floor: Any

    def rows(self) -> list[tuple[str, float, float, Better]]:
        """A table's rows: figure, generated, real-vs-real floor, and which way is better."""
        return [(figure.metadata["title"], getattr(self.generated, figure.name), getattr(self.floor, figure.name),
                 figure.metadata["better"]) for figure in dataclasses.fields(self.generated)]


@dataclass(frozen=True)
class Projection:
    """Where the compared sounds lie on the two directions in which the reference varies most: ``(sounds, 2)`` each,
    and the number of the class that the network hears, ``(sounds,)``."""

    generated: np.ndarray
    real: np.ndarray
    generated_classes: np.ndarray
    real_classes: np.ndarray


@dataclass(frozen=True)
class Report:
    """What `melgan_tf.evaluation.evaluate_waveforms` found.

    Attributes:
        drums: figures in the class embedding; None where the sounds are not drums.
        classes: what the network's probabilities say; None likewise.
        statistics: figures in the training-free embedding.
        of_class: figures class by class; none likewise.
        faults: of single waveforms; the floor is the reference's own.
        copies: near copies of training sounds; None where those are not known.
        floor: what the floor compares: "train against reference", or "two halves of the reference".
        sounds: how many each compared set has; ``fake_sounds``, ``reference_sounds`` and ``train_sounds`` were given.
        sample_rate: of the generated sounds, Hz.
        seconds: of each sound that was looked at.
        seed, k: as given.
        embedding, statistics_embedding: names and versions of the embeddings.
        projection: for pictures; no part of `to_dict`.
    """

    drums: Comparison | None
    classes: Comparison | None
    statistics: Comparison
    of_class: tuple[ClassFigures, ...]
    faults: Comparison
    copies: Copies | None
    floor: str
    sounds: int
    fake_sounds: int
    reference_sounds: int
    train_sounds: int | None
    sample_rate: int
    seconds: float
    seed: int
    k: int
    embedding: str
    statistics_embedding: str
    projection: Projection = field(compare=False, repr=False)

    @property
    def conclusion(self) -> str:
        """One plain sentence, the worst news of both embeddings first; it begins with "collapsed" where the sounds are
        too much alike."""
        texture = judge(self.statistics.generated, self.statistics.floor)
        severity, sentence = judge(self.drums.generated, self.drums.floor) if self.drums else texture
        if texture[0] > severity:
            sentence = f"{texture[1]}, by log-mel statistics"
        if self.copies and self.copies.share > 0.05 + 3 * self.copies.real_share:
            sentence += f"; {self.copies.share:.0%} of the sounds are near copies of training sounds"
        if self.copies and self.copies.shared:
            sentence += (f"; {self.copies.shared} of the {self.reference_sounds} reference sounds are training sounds, "
                         "so the floor is too low")
        return sentence if self.sounds >= FEW_SOUNDS else f"{sentence}; only {self.sounds} sounds, so figures are rough"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values, the conclusion included."""
        values = {one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.name != "projection"}
        return {**{name: _plain(value) for name, value in values.items()}, "conclusion": self.conclusion}

    def fault_rows(self) -> list[tuple[str, float | None, float | None]]:
        """A table's rows: fault, generated, real."""
        return [(figure.metadata["title"], getattr(self.faults.generated, figure.name),
                 getattr(self.faults.floor, figure.name)) for figure in dataclasses.fields(Artifacts)]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value


def judge(fake: Figures, floor: Figures) -> tuple[int, str]:
    """How bad figures are beside their floor, 0 (close) to 3 (collapsed), and one sentence that says so."""
    if fake.spread < 0.5 * floor.spread:
        return 3, ("collapsed: the sounds are much more alike than the real ones "
                   f"(spread {fake.spread:.2f} of the real, coverage {fake.coverage:.2f})")
    if fake.duplicates > floor.duplicates + 0.5:
        return 3, f"collapsed: {fake.duplicates:.0%} of the sounds have a near copy among themselves"
    if fake.coverage < 0.2 and fake.precision >= 0.5:
        return 3, f"collapsed: the sounds are like only a few of the real ones (coverage {fake.coverage:.2f})"
    faults = []
    if fake.precision < 0.75 * floor.precision:
        faults.append(f"many sounds lie far from any real one (precision {fake.precision:.2f})")
    if fake.coverage < 0.6 * floor.coverage or fake.recall < 0.6 * floor.recall:
        faults.append(f"much of the real variety is missing (coverage {fake.coverage:.2f}, recall {fake.recall:.2f})")
    if faults:
        return 2, " and ".join(faults)
    if fake.coverage >= 0.9 * floor.coverage and fake.frechet <= 1.25 * floor.frechet:
        return 0, "close to the real-vs-real floor: hard to tell from real sounds by these figures"
    return 1, "varied and near the real sounds, yet short of the real-vs-real floor"
