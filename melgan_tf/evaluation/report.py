"""The result of an evaluation: metrics beside their baseline, as tables, JSON, Markdown or a figure."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melgan_tf.errors import UsageError, markdown_text
from melgan_tf.evaluation.comparison import Comparison, EmbeddingMetrics, Projection, grade
from melgan_tf.evaluation.memorization import Memorization
from melgan_tf.evaluation.per_class import ClassMetrics
from melgan_tf.evaluation.tables import Table, number, renamed, to_json, with_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW_SOUNDS = 100
#: The metrics whose worst value is shown first.
MERIT = ("frechet_infinity", "kad", "precision", "recall", "coverage")


class Report(ABC):
    """What `melgan_tf.evaluation.evaluate.evaluate` returns.

    Attributes:
        metadata: what was evaluated, as plain JSON values.
    """

    metadata: dict[str, Any]

    @property
    @abstractmethod
    def header(self) -> str:
        """One line: what was compared."""

    @property
    @abstractmethod
    def conclusion(self) -> str:
        """One plain sentence."""

    @abstractmethod
    def tables(self, verbose: bool = True) -> list[Table]:
        """All metrics in reading order, or the figures of merit alone."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """All metrics as plain JSON values."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """The main metrics, rounded, as the cards of pretrained models have them."""

    def markdown(self) -> str:
        """A card: what was evaluated, the conclusion, all tables."""
        facts = "\n".join(f"- {name.replace('_', ' ')}: {markdown_text(_text(value))}"
                          for name, value in self.metadata.items() if value is not None)
        conclusion = markdown_text(self.conclusion[0].upper() + self.conclusion[1:])
        return "\n\n".join(["# Evaluation", f"{conclusion}.", facts, f"{markdown_text(self.header)}.",
                            *(table.markdown() for table in self.tables())]) + "\n"

    def figure(self) -> Figure:
        """A Matplotlib figure of the metrics.

        Raises:
            UsageError: there is none for this kind of report.
        """
        raise UsageError("the figure shows the classes of drums, and this report has none: remove --png")

    def save_figure(self, path: str | Path) -> None:
        """Writes `figure` as PNG.

        Raises:
            UsageError: as `figure`.
            MelGANError: the file cannot be written.
        """
        from melgan_tf.storage.atomic import atomic_write

        figure = self.figure()
        with atomic_write(Path(path)) as temporary:
            figure.savefig(temporary, format="png")


def _text(value: Any) -> str:
    return ", ".join(f"{key} {part}" for key, part in value.items()) if isinstance(value, dict) else str(value)


@dataclass(frozen=True)
class SoundReport(Report):
    """Generated sounds compared with real ones.

    Attributes:
        drums: metrics in the class embedding; None for sounds that are not drums.
        classes: metrics of the class probabilities; None likewise.
        spectra: metrics in the untrained embedding, `melgan_tf.evaluation.embeddings.spectra`.
        statistics: metrics of log-mel statistics, `melgan_tf.evaluation.embeddings.log_mel`.
        of_class: metrics class by class; empty likewise.
        artifacts: of single waveforms; the baseline is the reference itself.
        memorization: near copies of training sounds; None if the training sounds are unknown.
        baseline: "training sounds against the reference", or "two halves of the reference".
        sounds: size of each compared set, drawn from ``fake_sounds``, ``reference_sounds`` and ``train_sounds``.
        sample_rate: of the generated sounds, Hz.
        seconds: length compared.
        seed, k: as requested.
        embedding, spectra_embedding, statistics_embedding: names and versions of the embeddings.
        rhythm: of loops, metrics of their rhythms (`melgan_tf.evaluation.rhythm`); else None.
        loops: of loops, how they keep time and key; the baseline is the reference itself; else None.
        projection: for the figure; not in `to_dict`.
        metadata: what was evaluated.
    """

    drums: Comparison | None
    classes: Comparison | None
    spectra: Comparison
    statistics: Comparison
    of_class: tuple[ClassMetrics, ...]
    artifacts: Comparison = renamed("faults")
    memorization: Memorization | None = renamed("copies")
    baseline: str = renamed("floor")
    sounds: int
    fake_sounds: int
    reference_sounds: int
    train_sounds: int | None
    sample_rate: int
    seconds: float
    seed: int
    k: int
    embedding: str
    spectra_embedding: str
    statistics_embedding: str
    projection: Projection = field(compare=False, repr=False, metadata={"key": None})
    rhythm: Comparison | None = None
    loops: Comparison | None = None
    metadata: dict[str, Any] = field(default_factory=dict, metadata={"key": None})

    @property
    def header(self) -> str:
        train = "" if self.train_sounds is None else f", {self.train_sounds} training"
        return (f"{self.sounds} sounds a set (of {self.fake_sounds} generated, {self.reference_sounds} reference"
                f"{train}), {self.seconds:g} s at {self.sample_rate} Hz, seed {self.seed}, k {self.k}; "
                f"real vs real: {self.baseline}" + ("" if self.drums else "; no class embedding: it knows drums only"))

    @property
    def embeddings(self) -> dict[str, Comparison]:
        """The embeddings that were measured in, by name."""
        return {name: comparison for name, comparison in (
            (self.embedding, self.drums), (self.spectra_embedding, self.spectra),
            (self.statistics_embedding, self.statistics)) if comparison}

    @property
    def merit(self) -> dict[str, str]:
        """The figures of merit: each metric's name, and that of the embedding in which it is worst.

        For precision, recall and coverage worst relative to the baseline; for the distances, whose baseline is about 0,
        largest.
        """
        def worst(one: dataclasses.Field) -> str:
            def badness(name: str) -> float:
                generated, baseline = (getattr(values, one.name) for values in (
                    self.embeddings[name].generated, self.embeddings[name].baseline))
                return generated if one.metadata["better"] == "lower" else -generated / max(baseline, 1e-9)

            return max(self.embeddings, key=badness)

        return {one.name: worst(one) for one in dataclasses.fields(EmbeddingMetrics) if one.name in MERIT}

    @property
    def conclusion(self) -> str:
        """One plain sentence, the worst of the embeddings, then artifacts; it starts with "collapsed" if the sounds are
        too much alike."""
        grades = {name: grade(one.generated, one.baseline) for name, one in self.embeddings.items()}
        if self.rhythm:
            grades = {"rhythm": grade(self.rhythm.generated, self.rhythm.baseline), **grades}
        name = max(grades, key=lambda one: grades[one][0])  # of equals the first
        severity, sentence = grades[name]
        if severity and name != next(iter(grades)):
            sentence += f", by {name}"
        if artifacts := ", ".join(self.artifacts.generated.beyond(self.artifacts.baseline)):
            sentence = f"{sentence}; one hears " if severity else "near the real sounds, but one hears "
            sentence += artifacts
        elif not severity:
            sentence += ": hard to tell from real sounds by these metrics"
        found = self.memorization
        if found and found.share > 0.05 + 3 * found.real_share:
            sentence += f"; {found.share:.0%} of the sounds are near copies of training sounds"
        if found and found.shared:
            sentence += (f"; {found.shared} of the {self.reference_sounds} reference sounds are training sounds, "
                         "so the baseline is too good")
        return sentence if self.sounds >= FEW_SOUNDS else f"{sentence}; only {self.sounds} sounds, so metrics are rough"

    def tables(self, verbose: bool = True) -> list[Table]:
        compared = ("metric", "generated", "real vs real", "better")
        titles = {one.name: one.metadata for one in dataclasses.fields(EmbeddingMetrics)}
        merit = Table("Figures of merit, each in the embedding in which it is worst", (*compared, "embedding"), tuple(
            (titles[one]["title"], *(with_error(values, one) for values in (self.embeddings[name].generated,
                                                                            self.embeddings[name].baseline)),
             titles[one]["better"], name) for one, name in self.merit.items()))
        found = [merit] if len(self.embeddings) > 1 else []
        if self.rhythm:
            found += [Table("Rhythm: rises of level in three bands at 32 sixteenths", compared,
                            tuple(self.rhythm.rows())),
                      Table("Time and key", ("loops", "generated", "real", "better"), tuple(self.loops.rows()))]
        if not verbose:
            return found
        found += [Table(f"In the embedding {name}", compared, (*one.rows(), *(
            self.classes.rows() if name == self.embedding else ()))) for name, one in self.embeddings.items()]
        if self.of_class:
            found.append(Table("Class by class", ("class", "sounds", "real", "accuracy", "of real", "precision",
                                                  "coverage", "of train"), tuple(one.row() for one in self.of_class)))
        found.append(Table("Artifacts", ("waveforms", "generated", "real"), tuple(self.artifacts.rows())))
        if self.memorization:
            found.append(Table("Distance to training sounds", ("distance", "generated", "held-out real"),
                               tuple(self.memorization.rows())))
            if named := self.memorization.named:
                found.append(Table("Near copies of training sounds",
                                   ("generated", "training", "embedding", "log mel, dB"),
                                   tuple((one.generated, one.training, number(one.embedding), number(one.log_mel_db))
                                         for one in named)))
        return found

    def to_dict(self) -> dict[str, Any]:
        merit = {name: {"embedding": one, "generated": getattr(self.embeddings[one].generated, name),
                        "floor": getattr(self.embeddings[one].baseline, name)} for name, one in self.merit.items()}
        return {**self.metadata, **to_json(self), "merit": merit, "conclusion": self.conclusion}

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = {"sounds": self.sounds, "floor": self.baseline}
        for name, comparison in {**self.embeddings, "rhythm": self.rhythm, "loops": self.loops}.items():
            if comparison:
                found[name] = {which: {key: round(value, 4) if isinstance(value, float) else value
                                       for key, value in values.items() if key != "errors"}
                               for which, values in to_json(comparison).items()}
        return found

    def figure(self) -> Figure:
        if not self.drums:
            return super().figure()
        from melgan_tf.evaluation.figure import draw

        return draw(self)
