"""Spectrograms as pictures: one contact sheet of many sounds, and images for TensorBoard. NumPy and Pillow.

In every picture time runs to the right, low frequencies are at the bottom, and brighter is louder. The colour map
comes close to Matplotlib's "magma" (Smith and van der Walt 2015): lightness rises evenly with level, so that equal
steps in dB look equal, in grey print and to colour-blind eyes too.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.storage.atomic import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image

COLOUR_STOPS = ("000004", "140e36", "3b0f70", "641a80", "8c2981", "b73779", "de4968", "f7705c", "fe9f6d", "fecf92",
                "fcfdbf")
BACKGROUND, INK, FAINT_INK = (24, 24, 32), (214, 214, 222), (150, 150, 162)
DYNAMIC_RANGE_DB = 80.0
MAX_PIXELS = 4_000  # of a sheet, in either direction
TILE_SIZES = (128, 96, 64)  # pixels aimed at, tried in this order until the sheet is small enough
GAP, MARGIN, TITLE_HEIGHT, FOOTER_HEIGHT, BAR_WIDTH, FONT_SIZE = 8, 16, 16, 48, 128, 12


@dataclass(frozen=True)
class _Layout:
    """A grid of tiles; ``pitch`` is the distance between two tiles' corners and ``shown`` how many fit; pixels."""

    tile_width: int
    tile_height: int
    pitch_x: int
    pitch_y: int
    columns: int
    shown: int

    @property
    def rows(self) -> int:
        return math.ceil(self.shown / self.columns)


def contact_sheet(mel_db: np.ndarray, titles: Sequence[str] | None = None, columns: int | None = None,
                  floor_db: float | None = None, top_db: float | None = None, of: int | None = None) -> Image:
    """Draws all spectrograms on one sheet of at most 4000 x 4000 pixels, with one colour scale that it shows.

    Tiles shrink where there are hundreds of sounds; where even small tiles are too many, the first that fit are drawn
    and the footer says so.

    Args:
        mel_db: mels in dB.
        titles: a line below each tile, shortened where too long.
        columns: tiles side by side, 1 or more; None makes a sheet about 1.6 times as wide as high.
        floor_db: level drawn black, dB; None is 80 dB below ``top_db``.
        top_db: level drawn brightest, dB; None is the loudest value.
        of: these are the first of so many sounds, which the footer says; None: they are all.

    Input shape:
        ``(sounds, frames, mel_bins)``

    Raises:
        UsageError: ``columns`` below 1, or ``floor_db`` not below ``top_db``.
        MelGANError: another rank, no sounds, a value that is not finite, or as many titles as there are not sounds.

    Example:
        >>> contact_sheet(np.zeros((3, 16, 64)), titles=["kick", "snare", "hat"]).mode
        'RGB'
    """
    from PIL import Image, ImageDraw

    mel_db, floor_db, top_db = _checked(mel_db, floor_db, top_db)
    if titles is not None and len(titles) != len(mel_db):
        raise MelGANError(f"{len(titles)} titles for {len(mel_db)} sounds: give one for each")
    if columns is not None and columns < 1:
        raise UsageError(f"columns is {columns}: give 1 or more")
    layout = _arrange(mel_db.shape, columns, titled=titles is not None)
    tiles = _tiles(mel_db[:layout.shown], layout.tile_width, layout.tile_height, floor_db, top_db)
    font = _font()
    caption = _caption(layout.shown, of or len(mel_db))
    width = max(layout.columns * layout.pitch_x - GAP, math.ceil(font.getlength(caption)), 2 * BAR_WIDTH) + 2 * MARGIN
    height = layout.rows * layout.pitch_y - GAP + FOOTER_HEIGHT + 2 * MARGIN
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, layout.columns)
        x, y = MARGIN + column * layout.pitch_x, MARGIN + row * layout.pitch_y
        sheet.paste(Image.fromarray(tile), (x, y))
        if titles is not None:
            draw.text((x, y + layout.tile_height + 2), _shortened(titles[index], font, layout.tile_width), INK, font)
    _draw_footer(sheet, draw, font, caption, floor_db, top_db)
    return sheet


def mel_image(mel_db: np.ndarray, floor_db: float | None = None, top_db: float | None = None,
              size: int = 128) -> np.ndarray:
    """Colours each spectrogram as in :func:`contact_sheet`, for ``tf.summary.image``.

    Args:
        mel_db: mels in dB.
        floor_db, top_db: levels drawn black and brightest, dB; by default 80 dB up to the loudest value.
        size: height aimed at, pixels; reached to the nearest whole magnification.

    Input shape:
        ``(sounds, frames, mel_bins)``

    Output shape:
        ``(sounds, height, width, 3)``, uint8

    Raises:
        UsageError: ``floor_db`` not below ``top_db``, or ``size`` below 1.
        MelGANError: another rank, no sounds, or a value that is not finite.
    """
    mel_db, floor_db, top_db = _checked(mel_db, floor_db, top_db)
    if size < 1:
        raise UsageError(f"size is {size}: give 1 pixel or more")
    return _tiles(mel_db, *_tile_size(*mel_db.shape[1:], size), floor_db, top_db)


def colour(level: np.ndarray) -> np.ndarray:
    """Maps levels from 0 (black) to 1 (brightest) to colours: ``(...)`` to ``(..., 3)``, uint8. Others are clipped."""
    stops = np.array([[int(stop[i:i + 2], 16) for i in (0, 2, 4)] for stop in COLOUR_STOPS])
    steps = np.linspace(0, 1, 256)
    table = np.stack([np.interp(steps, np.linspace(0, 1, len(stops)), channel) for channel in stops.T], axis=1)
    return table.round().astype(np.uint8)[(np.clip(level, 0, 1) * 255).round().astype(np.uint8)]


def save_png(image: Image, path: str | Path) -> Path:
    """Writes a picture as PNG, whole or not at all, over an existing file if there is one.

    Raises:
        MelGANError: the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    with atomic_write(path, parents=False, durable=False) as temporary, open(temporary, "xb") as file:
        image.save(file, format="PNG")
    return path


def _checked(mel_db: np.ndarray, floor_db: float | None, top_db: float | None) -> tuple[np.ndarray, float, float]:
    mel_db = np.asarray(mel_db, dtype=np.float32)
    if mel_db.ndim != 3 or not mel_db.size:
        raise MelGANError(f"mels have shape {mel_db.shape}: give (sounds, frames, mel_bins), none of them 0")
    if not np.isfinite(mel_db).all():
        raise MelGANError("mels hold values that are not finite: leave those sounds out")
    top_db = float(mel_db.max()) if top_db is None else float(top_db)
    floor_db = top_db - DYNAMIC_RANGE_DB if floor_db is None else float(floor_db)
    if not floor_db < top_db:
        raise UsageError(f"floor_db is {floor_db:g} and top_db {top_db:g}: give a floor below the top")
    return mel_db, floor_db, top_db


def _tile_size(frames: int, bins: int, size: int) -> tuple[int, int]:
    """Width and height: each axis magnified, or averaged, by the whole factor that comes nearest to ``size``."""
    def nearest(n: int, aim: int) -> int:
        return n * max(1, round(aim / n)) if n <= aim else math.ceil(n / math.ceil(n / aim))

    return nearest(frames, size * min(4, max(1, round(frames / bins)))), nearest(bins, size)


def _tiles(mel_db: np.ndarray, width: int, height: int, floor_db: float, top_db: float) -> np.ndarray:
    """(sounds, height, width, 3), uint8: every tile upright, magnified by repeating and shrunk by averaging."""
    level = _resized(_resized(mel_db, 1, width), 2, height)
    return colour((level.transpose(0, 2, 1)[:, ::-1] - floor_db) / (top_db - floor_db))


def _resized(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    n = values.shape[axis]
    if n <= length:
        return np.repeat(values, length // n, axis=axis)
    starts = np.arange(0, n, math.ceil(n / length))
    counts = np.diff(np.append(starts, n))
    return np.add.reduceat(values, starts, axis=axis) / np.expand_dims(counts, tuple({0, 1, 2} - {axis}))


def _arrange(shape: tuple[int, ...], columns: int | None, titled: bool) -> _Layout:
    """The largest tiles with which all sounds fit on a sheet, or else the smallest and as many as fit."""
    n, frames, bins = shape
    for size in TILE_SIZES:
        width, height = _tile_size(frames, bins, size)
        pitch_x, pitch_y = width + GAP, height + GAP + (TITLE_HEIGHT if titled else 0)
        max_columns = max(1, (MAX_PIXELS - 2 * MARGIN + GAP) // pitch_x)
        max_rows = max(1, (MAX_PIXELS - 2 * MARGIN - FOOTER_HEIGHT + GAP) // pitch_y)
        wanted = min(n, columns or min(max_columns, math.ceil(math.sqrt(1.6 * n * pitch_y / pitch_x))))
        used = min(wanted, max_columns)
        if wanted <= max_columns and math.ceil(n / used) <= max_rows:
            break
    return _Layout(width, height, pitch_x, pitch_y, used, min(n, used * max_rows))


def _font() -> Any:
    from PIL import ImageFont

    try:
        return ImageFont.load_default(FONT_SIZE)
    except TypeError:  # Pillow 10.0 has only the bitmap font, and that in one size
        return ImageFont.load_default()


def _shortened(title: str, font: Any, width: int) -> str:
    """One line of ASCII, all that Pillow's own font can draw, without accents and cut to ``width`` pixels."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", str(title)[:200]) if not unicodedata.combining(c))
    text = " ".join(plain.split()).encode("ascii", "replace").decode("ascii")
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "..") > width:
        text = text[:-1]
    return text.rstrip() + ".."


def _caption(shown: int, sounds: int) -> str:
    count = f"{sounds} sound{'s' if sounds > 1 else ''}" if shown == sounds else f"the first {shown} of {sounds} sounds"
    return f"{count}; time to the right, low frequencies at the bottom"


def _draw_footer(sheet: Image, draw: Any, font: Any, caption: str, floor_db: float, top_db: float) -> None:
    """The colour scale between its two levels, and the caption below."""
    from PIL import Image

    low, high = f"{floor_db:.0f} dB", f"{top_db:.0f} dB"
    x, y = MARGIN, sheet.height - MARGIN - FOOTER_HEIGHT + 12
    draw.text((x, y), low, INK, font)
    x += math.ceil(font.getlength(low)) + GAP
    bar = np.broadcast_to(colour(np.linspace(0, 1, BAR_WIDTH)), (10, BAR_WIDTH, 3))
    sheet.paste(Image.fromarray(np.ascontiguousarray(bar)), (x, y + 2))
    draw.text((x + BAR_WIDTH + GAP, y), high, INK, font)
    draw.text((MARGIN, y + 20), caption, FAINT_INK, font)
