"""A report as tables: rows for the terminal, and a Markdown card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from melgan_tf.evaluation.report import Report

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of text cells; columns after the first are figures."""

    title: str
    headers: Row
    rows: tuple[Row, ...]

    def markdown(self) -> str:
        """As Markdown, the title as a heading."""
        cells = [[cell.replace("|", r"\|") for cell in row] for row in (self.headers, *self.rows)]
        lines = [f"| {' | '.join(row)} |" for row in cells]
        rule = f"| --- |{' ---: |' * (len(self.headers) - 1)}"
        return "\n".join([f"## {self.title}", "", lines[0], rule, *lines[1:]])


def tables(report: Report) -> list[Table]:
    """All figures of a report, in the order in which they are read."""
    compared = ("figure", "generated", "real vs real", "better")
    found = [] if report.drums is None else [
        Table(f"In the class embedding ({report.embedding})", compared,
              tuple((title, number(made), number(real), better) for title, made, real, better in
                    (*report.drums.rows(), *report.classes.rows())))]
    found += [
        Table(f"In the training-free embedding ({report.statistics_embedding})", compared,
              tuple((title, number(made), number(real), better) for title, made, real, better in
                    report.statistics.rows())),
        *([Table("Class by class", ("class", "sounds", "real", "accuracy", "of real", "precision", "coverage",
                                    "of train"),
                 tuple((row.name, str(row.generated), str(row.real), number(row.generated_accuracy),
                        number(row.real_accuracy), number(row.precision), number(row.coverage),
                        number(row.floor_coverage)) for row in report.of_class))] if report.of_class else []),
        Table("Faults", ("waveforms", "generated", "real"),
              tuple((title, number(made), number(real)) for title, made, real in report.fault_rows()))]
    if report.copies:
        found.append(Table("Nearness to training sounds", ("distance", "generated", "held-out real"),
                           tuple((title, number(made), number(real)) for title, made, real in report.copies.rows())))
        if report.copies.named:
            found.append(Table("Near copies of training sounds", ("generated", "training", "embedding", "log mel, dB"),
                               tuple((pair.generated, pair.training, number(pair.embedding), number(pair.log_mel_db))
                                     for pair in report.copies.named)))
    return found


def header(report: Report) -> str:
    """What was compared, in one line."""
    train = "" if report.train_sounds is None else f", {report.train_sounds} training"
    return (f"{report.sounds} sounds a set (of {report.fake_sounds} generated, {report.reference_sounds} reference"
            f"{train}), "
            f"{report.seconds:g} s at {report.sample_rate} Hz, seed {report.seed}, k {report.k}; "
            f"real vs real: {report.floor}" + ("" if report.drums else "; no class embedding: it knows drums only"))


def markdown(report: Report, facts: dict[str, Any]) -> str:
    """The card: what was measured, what came out, one conclusion."""
    said = "\n".join(f"- {name.replace('_', ' ')}: {_plain(value)}" for name, value in facts.items()
                     if value is not None)
    return "\n\n".join(["# Evaluation", f"{report.conclusion[0].upper()}{report.conclusion[1:]}.", said,
                        f"{header(report)}.", *(table.markdown() for table in tables(report))]) + "\n"


def number(value: float | None) -> str:
    """A figure with four significant digits; a dash where there is none."""
    return "-" if value is None else f"{value:.4g}"


def _plain(value: Any) -> str:
    return ", ".join(f"{key} {part}" for key, part in value.items()) if isinstance(value, dict) else str(value)
