"""A report as one figure: a map of real and generated sounds, the metrics as bars, the classes."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from melgan_tf.evaluation.comparison import Comparison
from melgan_tf.evaluation.embeddings.drums import CLASSES
from melgan_tf.evaluation.report import SoundReport
from melgan_tf.evaluation.tables import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: One color per class: Tol's "muted" and "light".
COLORS = ("#cc6677", "#88ccee", "#ddcc77", "#332288", "#44aa99", "#aa4499", "#ee8866", "#99cc55")
GENERATED, REAL = "#de4968", "#a8a8b4"
BARS = ("precision", "recall", "coverage", "density", "diversity")
NUMBERS = {"frechet": "Fréchet distance", "kad": "KAD", "duplicates": "near duplicates"}
MARKED_ARTIFACTS = ("silent", "clipped", "onset_error_ms", "dc_offset", "hum_db")
_SIZE = (12.8, 8.8)  # inches of 100 pixels


def draw(report: SoundReport) -> Figure:
    """Draws the report of drums.

    Left: every sound on the first two principal components of the reference in the class embedding; rings are real,
    dots generated, colors are predicted classes. Right: metrics beside their baseline, and the classes.
    """
    from matplotlib.figure import Figure

    figure = Figure(_SIZE, dpi=100, layout="constrained")
    figure.suptitle("\n".join(textwrap.wrap(_sentence(report.conclusion), 118)), x=0.012, ha="left", size=13,
                    weight="bold")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.05))
    upper, lower = left.subplots(2, 1, height_ratios=(5, 1))
    _draw_map(upper, report)
    _draw_artifacts(lower, report)
    metrics, classes = right.subfigures(2, 1, height_ratios=(1, 1.05))
    for axes, title, comparison in zip(metrics.subplots(1, 2), ("class embedding", "untrained embedding"),
                                       (report.drums, report.spectra), strict=True):
        _draw_metrics(axes, title, comparison)
    metrics.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    _draw_classes(classes.subplots(), report)
    figure.supxlabel("\n".join(textwrap.wrap(report.header, 170)), x=0.012, ha="left", size=8, color="0.4")
    return figure


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _draw_map(axes: Axes, report: SoundReport) -> None:
    found = report.projection
    for index, name in enumerate(CLASSES):
        axes.scatter(*found.generated[found.generated_classes == index].T, 14, COLORS[index], label=name, linewidth=0)
        axes.scatter(*found.real[found.real_classes == index].T, 34, facecolor="none", edgecolor=COLORS[index],
                     linewidth=0.9)
    axes.scatter([], [], 14, "0.3", label="generated", linewidth=0)
    axes.scatter([], [], 34, facecolor="none", edgecolor="0.3", label="real")
    points = np.concatenate([found.real, found.generated])
    low, high = np.quantile(points, (0.005, 0.995), axis=0)  # a few outliers may lie outside
    margin = 0.05 * (high - low) + 1e-9
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]),
             xticks=[], yticks=[])
    axes.set_title("principal components of the class embedding", loc="left", size=10)
    axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.01), frameon=False, fontsize=9,
                handletextpad=0.1, columnspacing=1.2)


def _draw_artifacts(axes: Axes, report: SoundReport) -> None:
    found = report.artifacts
    titles = {one.name: one.metadata["title"] for one in type(found.generated).__dataclass_fields__.values()}
    cells = [(titles[name], *(_short(getattr(values, name)) for values in (found.generated, found.baseline)))
             for name in MARKED_ARTIFACTS]
    copies = report.memorization
    cells.append(("near copies of training sounds, fraction", _short(copies and copies.share),
                  _short(copies and copies.real_share)))
    axes.axis("off")
    table = axes.table(cells, colLabels=("", "generated", "real"), colWidths=(0.6, 0.2, 0.2), edges="open",
                       bbox=(0, 0, 1, 1), cellLoc="right")
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    for (_, column), cell in table.get_celld().items():
        cell.get_text().set_color({1: GENERATED, 2: "0.5"}.get(column, "0.2"))
        if column == 0:
            cell.set_text_props(ha="left")


def _draw_metrics(axes: Axes, title: str, comparison: Comparison) -> None:
    places = np.arange(len(BARS))
    for offset, values, color, label in ((-0.19, comparison.generated, GENERATED, "generated"),
                                         (0.19, comparison.baseline, REAL, "real vs real")):
        bars = axes.barh(places + offset, [getattr(values, name) for name in BARS], 0.36, color=color, label=label)
        axes.bar_label(bars, fmt="%.2f", padding=2, size=8)
    axes.set_yticks(places, BARS, size=9)
    axes.invert_yaxis()
    longest = max(getattr(values, name) for values in (comparison.generated, comparison.baseline) for name in BARS)
    axes.set_xlim(0, 1.35 * max(1.0, longest))
    axes.set_xticks([0, 0.5, 1])
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left", size=10)
    axes.set_xlabel("\n".join(f"{text} {_short(getattr(comparison.generated, name))} "
                              f"(real vs real {_short(getattr(comparison.baseline, name))})"
                              for name, text in NUMBERS.items()), size=8, loc="left", color="0.3")


def _draw_classes(axes: Axes, report: SoundReport) -> None:
    places = np.arange(len(report.of_class))
    most = max(1, *(max(one.generated, one.real) for one in report.of_class))
    known = dict(zip(CLASSES, COLORS, strict=True))
    own = [known.get(one.name, GENERATED) for one in report.of_class]
    for offset, counts, colors in ((-0.19, [one.generated for one in report.of_class], own),
                                   (0.19, [one.real for one in report.of_class], REAL)):
        axes.bar_label(axes.barh(places + offset, counts, 0.36, color=colors), padding=2, size=8)
    axes.set_yticks(places, [one.name for one in report.of_class], size=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.75 * most)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_title("sounds of each class (gray: real)", loc="left", size=10)
    for x, name, attribute in ((1.3, "accuracy", "generated_accuracy"), (1.5, "precision", "precision"),
                               (1.7, "coverage", "coverage")):
        axes.text(x * most, -0.75, name, ha="right", size=8, color="0.4")
        for place, one in zip(places, report.of_class, strict=True):
            axes.text(x * most, place, _short(getattr(one, attribute)), ha="right", va="center", size=9)


def _short(value: float | None) -> str:
    return number(value if value is None else float(f"{value:.2g}"))
