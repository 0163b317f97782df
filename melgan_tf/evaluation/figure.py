"""A report as one picture: where real and generated sounds lie, the figures as bars, the classes. NumPy and Pillow."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf.dsp.spectrogram_image import BACKGROUND, FAINT_INK, INK
from melgan_tf.evaluation.card import header, number
from melgan_tf.evaluation.embeddings.drums import CLASSES
from melgan_tf.evaluation.report import Projection, Report

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH, HEIGHT = 1280, 860
FINER = 2  # drawn at twice the size and shrunk, which smooths edges
#: One colour per class (Tol's "muted" on dark), and what stands for real sounds in bars.
COLOURS = ("#cc6677", "#88ccee", "#ddcc77", "#5566dd", "#44aa99", "#aa4499", "#ee8866", "#99cc55")
REAL = (128, 128, 140)
GENERATED = "#fe9f6d"
PANEL = (33, 33, 43)
BARS = (("precision", 1.0), ("recall", 1.0), ("coverage", 1.0), ("density", 1.5), ("spread", 1.5))
_MARGIN, _MAP = 24, 560


class _Pen:
    """Draws in units of the finished picture."""

    def __init__(self, image: Image) -> None:
        from PIL import ImageDraw

        self.draw = ImageDraw.Draw(image)

    def box(self, x: float, y: float, width: float, height: float, colour: Any) -> None:
        if width > 0 and height > 0:
            self.draw.rectangle([x * FINER, y * FINER, (x + width) * FINER - 1, (y + height) * FINER - 1], fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: Any) -> None:
        self.draw.ellipse([(x - radius) * FINER, (y - radius) * FINER, (x + radius) * FINER, (y + radius) * FINER],
                          fill=colour)

    def ring(self, x: float, y: float, radius: float, colour: Any) -> None:
        self.draw.ellipse([(x - radius) * FINER, (y - radius) * FINER, (x + radius) * FINER, (y + radius) * FINER],
                          outline=colour, width=FINER)

    def text(self, x: float, y: float, text: str, colour: Any = INK, size: int = 13, anchor: str = "la") -> None:
        from PIL import ImageFont

        font = ImageFont.load_default(size * FINER)
        self.draw.text((x * FINER, y * FINER), text, colour, font, anchor=anchor)


def draw(report: Report) -> Image:
    """Draws a report.

    Left, every sound as a point on the two directions in which the reference varies most in the class embedding: rings
    are real, discs generated, colours are classes. Right, the figures beside their floor, and the sounds of each class.
    """
    from PIL import Image

    image = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), BACKGROUND)
    pen = _Pen(image)
    lines = textwrap.wrap(report.conclusion, 120)[:2]
    for index, line in enumerate(lines):
        pen.text(_MARGIN, 18 + 22 * index, line, size=17)
    pen.text(_MARGIN, 66, textwrap.shorten(header(report), 190), FAINT_INK, 12)
    _map(pen, report.projection, _MARGIN, 96)
    _faults(pen, report, _MARGIN, 768)
    right = _MARGIN * 2 + _MAP
    _bars(pen, report, right, 96)
    _classes(pen, report, right, 500)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def _map(pen: _Pen, projection: Projection, left: float, top: float) -> None:
    pen.box(left, top, _MAP, _MAP, PANEL)
    points = np.concatenate([projection.real, projection.generated])
    low, high = np.quantile(points, 0.005, axis=0), np.quantile(points, 0.995, axis=0)
    scale = (_MAP - 40) / np.maximum(high - low, 1e-9).max()
    middle = (low + high) / 2

    def place(point: np.ndarray) -> tuple[float, float]:
        x, y = np.clip((point - middle) * scale, -_MAP / 2 + 8, _MAP / 2 - 8)
        return left + _MAP / 2 + float(x), top + _MAP / 2 - float(y)

    for point, kind in zip(projection.generated, projection.generated_classes, strict=True):
        pen.disc(*place(point), 3.2, COLOURS[kind])
    for point, kind in zip(projection.real, projection.real_classes, strict=True):
        pen.ring(*place(point), 4.2, COLOURS[kind])
    y = top + _MAP + 14
    for index, name in enumerate(CLASSES):
        x = left + 69 * index
        pen.disc(x + 6, y + 8, 5, COLOURS[index])
        pen.text(x + 15, y, name)
    pen.ring(left + 6, y + 32, 4.2, INK)
    pen.text(left + 18, y + 24, "real")
    pen.disc(left + 66, y + 32, 3.2, INK)
    pen.text(left + 78, y + 24, "generated; colour: the class that the network hears; place: the two")
    pen.text(left, y + 42, "directions in which real sounds vary most in the class embedding", INK)


def _faults(pen: _Pen, report: Report, left: float, top: float) -> None:
    """Two columns of figures of single sounds, generated and real."""
    rows = {title: (made, real) for title, made, real in report.fault_rows()}
    shown = ["onset error, ms", "DC offset, of peak", "hum, dB", "silent, share", "clipped, share"]
    rows = [(name, *rows[name]) for name in shown]
    rows.append(("near copies, share", report.copies and report.copies.share,
                 report.copies and report.copies.real_share))
    for index, (name, made, real) in enumerate(rows):
        x, y = left + 290 * (index // 3), top + 22 * (index % 3)
        pen.text(x, y, name, FAINT_INK)
        for place, value, colour in ((190, made, GENERATED), (255, real, REAL)):
            pen.text(x + place, y, number(value if value is None else float(f"{value:.2g}")), colour, 13, "ra")


def _bars(pen: _Pen, report: Report, left: float, top: float) -> None:
    """Two columns, one for each embedding."""
    width = (WIDTH - left - _MARGIN - 24) / 2
    for column, (title, found) in enumerate((("class embedding", report.drums),
                                             ("log-mel statistics", report.statistics))):
        x, y = left + column * (width + 24), top
        pen.text(x, y, title, size=15)
        for name, full in BARS:
            y += 44
            pen.text(x, y - 10, name if full == 1 else f"{name}  (bar ends at {full:g})", FAINT_INK, 12)
            for row, (figures, colour) in enumerate(((found.generated, GENERATED), (found.floor, REAL))):
                value = getattr(figures, name)
                pen.box(x, y + 6 + 12 * row, width - 52, 10, PANEL)
                pen.box(x, y + 6 + 12 * row, (width - 52) * min(1.0, value / full), 10, colour)
                pen.text(x + width - 46, y + 3 + 12 * row, number(round(value, 3)), colour, 12)
        y += 48
        rows = [("Frechet", found.generated.frechet, found.floor.frechet),
                ("kernel", found.generated.kernel, found.floor.kernel)]
        if column == 0:
            rows.append(("inception", report.classes.generated.inception, report.classes.floor.inception))
        else:
            rows.append(("duplicates", found.generated.duplicates, found.floor.duplicates))
        for row, (name, made, real) in enumerate(rows):
            pen.text(x, y + 19 * row, name, FAINT_INK, 13)
            pen.text(x + 150, y + 19 * row, number(made), GENERATED, 13, "ra")
            pen.text(x + 230, y + 19 * row, number(real), REAL, 13, "ra")
    y = top + 372
    pen.box(left, y, 12, 12, GENERATED)
    pen.text(left + 18, y - 2, "generated")
    pen.box(left + 110, y, 12, 12, REAL)
    pen.text(left + 128, y - 2, f"real vs real: {report.floor}")


def _classes(pen: _Pen, report: Report, left: float, top: float) -> None:
    width = WIDTH - left - _MARGIN
    bars, most = width - 330, max(1, *(max(row.generated, row.real) for row in report.of_class))
    for x, text in ((left, "class"), (left + 70, "sounds"), (left + 70 + bars + 60, "accuracy"),
                    (left + 70 + bars + 130, "precision"), (left + 70 + bars + 200, "coverage")):
        pen.text(x, top, text, FAINT_INK, 12)
    for index, row in enumerate(report.of_class):
        y = top + 24 + 37 * index
        pen.text(left, y + 4, row.name, COLOURS[index], 14)
        for place, (count, colour) in enumerate(((row.generated, COLOURS[index]), (row.real, REAL))):
            pen.box(left + 70, y + 14 * place, bars * count / most, 12, colour)
            pen.text(left + 76 + bars * count / most, y - 2 + 14 * place, str(count), colour, 12)
        for offset, value in ((60, row.generated_accuracy), (130, row.precision), (200, row.coverage)):
            pen.text(left + 70 + bars + offset, y + 4, number(value if value is None else round(value, 2)), INK, 13)
