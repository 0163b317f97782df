"""Spectrograms as images: a contact sheet of many sounds, and images for TensorBoard.

In every image time runs to the right, low frequencies are at the bottom, and brighter is louder, in Matplotlib's
"magma": equal steps in dB look equal, in gray print and to color-blind eyes too. Matplotlib is not imported.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from melgan_tf.errors import visible
from melgan_tf.progress import counted
from melgan_tf.storage.atomic import atomic_write

if TYPE_CHECKING:
    from PIL import ImageFont

BACKGROUND, INK, FAINT_INK = "#181820", "#d6d6de", "#9696a2"
DYNAMIC_RANGE_DB = 80.0
MAX_PIXELS = 4_000  # of a sheet, in either direction
TILE_SIZES = (128, 96, 64)  # pixels aimed at, tried in this order until the sheet is small enough
GAP, MARGIN, TITLE_HEIGHT, FOOTER_HEIGHT = 8, 16, 16, 60
AXIS_WIDTH, AXIS_HEIGHT = 24, 12  # room for axes
MIN_WIDTH = 360  # room for the footer
LEVELS, SMALL = 64, (64, 80)  # of a small image: shades; columns, rows at most
_SMALL_RANGE_DB = 60.0
_SILENT_DB = -80.0  # a sound that is nowhere louder is drawn black
FONT_SIZE = 11  # pixels
PNG_LEVEL = 3  # half the time of 6, a tenth larger
_SCALE_WIDTH = 160  # pixels
_TICK, _TICK_PITCH_X, _TICK_PITCH_Y = (110, 110, 122), 36, 12
_BEATS_PER_BAR, _LINE_PITCH = 4, 6  # pixels: closer lines are left out
_BAR_LINE, _BEAT_LINE = 0.55, 0.2  # how much of a line is white
#: The colors of 256 levels, ``(256, 3)``: Matplotlib's, which takes 0.15 seconds to import.
MAGMA = np.frombuffer(base64.b64decode(
    "AAADAAAEAAAGAQAHAQEJAQELAgINAgIPAwMRBAMTBAQVBQQXBgUZBwUbCAYdCQcfCgciCwgkDAkmDQooDgoqDwssEAwvEQwxEg0zFA01FQ44Fg46"
    "Fw88GA8/GhBBGxBEHBBGHhBJHxFLIBFNIhFQIxFSJRFVJhFXKBFZKhFcKxFeLRBgLxBiMBBlMhBnNBBoNQ9qNw9sOQ9uOw9vPA9xPg9yQA9zQg90"
    "Qw91RQ92Rw93SBB4ShB5SxB5TRF6TxF7UBJ7UhJ8UxN8VRN9VxR9WBV+WhV+WxZ+XRd+Xhd/YBh/YRh/Yxl/ZRqAZhqAaBuAaRyAaxyAbB2Abh6B"
    "bx6BcR+Bcx+BdCCBdiGBdyGBeSKBeiKBfCOBfiSBfySBgSWBgiWBhCaBhSaBhyeBiSiBiiiBjCmAjSmAjyqAkSqAkiuAlCuAlSyAlyx/mS1/mi1/"
    "nC5/ni5+ny9+oS9+ozB+pDB9pjF9pzF9qTJ8qzN8rDN7rjR7sDR7sTV6szV6tTZ5tjZ5uDd4uTd4uzh3vTl3vjl2wDp1wjp1wzt0xTx0xjxzyD1y"
    "yj5yyz5xzT9wzkBw0EFv0UJu00Jt1ENt1kRs10Vr2UZq2kdp3Ehp3Ulo3kpn4Etm4Uxm4k1l5E5k5VBj5lFi51Ji6FRh6lVg61Zg7Fhf7Vlf7lte"
    "7l1d715d8GBd8WFc8mNc82Vc82db9Ghb9Wpb9Wxb9m5b9nBb93Fb93Nc+HVc+Hdc+Xlc+Xtd+X1d+n9e+oBe+oJf+4Rg+4Zg+4hh+4pi/Ixj/I5j"
    "/JBk/JJl/JNm/ZVn/Zdo/Zlp/Ztq/Z1r/Z9s/aFu/aJv/aRw/qZx/qhz/qp0/qx1/q52/q94/rF5/rN7/rV8/rd9/rl//ruA/ryC/r6D/sCF/sKG"
    "/sSI/saJ/seL/smN/suO/c2Q/c+S/dGT/dKV/dSX/daY/dia/dqc/dyd/d2f/d+h/eGj/OOl/OWm/Oao/Oiq/Oqs/Oyu/O6w/PCx/PGz/PO1/PW3"
    "+/e5+/m7+/q9+/y/"), np.uint8).reshape(256, 3)
_CHARACTER_WIDTH = 6.8  # pixels, on average


def contact_sheet(mel_db: np.ndarray, titles: Sequence[str] | None = None, of: int | None = None,
                  seconds: float | None = None, hertz: Sequence[tuple[float, str]] = (), bars: int = 0) -> np.ndarray:
    """Draws all spectrograms on one sheet of at most 4000 x 4000 pixels, with one color scale.

    Tiles shrink for hundreds of sounds; if even small tiles do not fit, the first that do are drawn, and the footer
    says so.

    Args:
        mel_db: log mels ``(sounds, frames, mel_bins)``, dB; drawn from 80 dB below the maximum upwards.
        titles: one line below each tile, shortened to its width.
        of: the total number of sounds, if these are only the first of them.
        seconds: length of each, for a time axis below every column.
        hertz: ticks of a frequency axis beside every row: places from 0 to 1, and texts.
        bars: bars of 4/4 in each, for a line where every bar begins, and fainter ones for beats; 0: none.

    Returns:
        ``(height, width, 3)``, uint8.

    Examples:
        >>> contact_sheet(np.zeros((3, 16, 64)), titles=["kick", "snare", "hat"]).shape
        (236, 432, 3)
    """
    from PIL import Image, ImageDraw

    layout = _arrange(mel_db.shape, titles is not None, bool(hertz), bool(seconds))
    width = max(layout.columns * layout.pitch_x - GAP, MIN_WIDTH) + layout.left + MARGIN
    height = layout.rows * layout.pitch_y - GAP + FOOTER_HEIGHT + layout.top + MARGIN
    image, font = Image.new("RGB", (width, height), BACKGROUND), _font()
    text = functools.partial(ImageDraw.Draw(image).text, font=font)

    ticks = [*_frequency_ticks(layout, hertz), *_time_ticks(layout, seconds)]
    for x, y, content, down in ticks:
        text((x, y - 6) if down else (x - 7, y), content, FAINT_INK, anchor="ms" if down else "rm")
    if titles is not None:
        for title, (x, y) in zip(titles, layout.corners(), strict=False):
            text((x, y + layout.tile_height + 2), _shortened(title, layout.tile_width), INK)
    text((MARGIN, height - MARGIN - 12), _caption(layout.shown, of or len(mel_db), bool(ticks), bars > 0), FAINT_INK)
    top = height - MARGIN - 46
    for x, level, side in zip((MARGIN, MARGIN + _SCALE_WIDTH), _range(mel_db), ("l", "r"), strict=True):
        text((x, top + 11), f"{round(level)} dB", INK, anchor=f"{side}a")
    sheet = np.array(image)
    sheet[top:top + 8, MARGIN:MARGIN + _SCALE_WIDTH] = MAGMA[np.linspace(0, 255, _SCALE_WIDTH).astype(int)]
    tiles = _ruled(_colored(mel_db[:layout.shown], layout.tile_width, layout.tile_height, *_range(mel_db)), bars)
    for tile, (x, y) in zip(tiles, layout.corners(), strict=True):
        sheet[y:y + layout.tile_height, x:x + layout.tile_width] = tile
    for x, y, _, down in ticks:
        sheet[(slice(y - 4, y - 1), x) if down else (y, slice(x - 4, x - 1))] = _TICK
    return sheet


def mel_image(mel_db: np.ndarray, size: int = 128, bars: int = 0) -> np.ndarray:
    """Colors each spectrogram as :func:`contact_sheet` does, for ``tf.summary.image``.

    Args:
        mel_db: log mels ``(sounds, frames, mel_bins)``, dB.
        size: target height in pixels; reached to the nearest whole magnification.
        bars: as for `contact_sheet`.

    Returns:
        ``(sounds, height, width, 3)``, uint8.
    """
    return _ruled(_colored(mel_db, *_tile_size(*mel_db.shape[1:], size), *_range(mel_db)), bars)


def small_image(mel_db: np.ndarray) -> np.ndarray:
    """One spectrogram, small, as levels that a page colors.

    Args:
        mel_db: log mel ``(frames, mel_bins)``, dB; drawn from 60 dB below its maximum upwards.

    Returns:
        ``(rows, columns)`` from 0 to `LEVELS` - 1, uint8, upright.

    Examples:
        >>> small_image(np.zeros((600, 128))).shape
        (64, 150)
    """
    frames, bins = mel_db.shape
    columns = SMALL[0] if frames < 4 * SMALL[0] else 3 * SMALL[0]
    image = _resized(_resized(mel_db[None], 1, min(columns, frames)), 2, min(SMALL[1], bins))[0]
    top_db = image.max() if image.max() > _SILENT_DB else 0.0
    level = (image.T[::-1] - top_db) / _SMALL_RANGE_DB + 1
    return (np.clip(level, 0, 1) * (LEVELS - 1)).round().astype(np.uint8)


def save_png(image: np.ndarray, path: Path) -> None:
    """Writes an image ``(height, width, 3)`` as PNG; an existing file is replaced as a whole or kept.

    Raises:
        MelGANError: the file cannot be written; no partial file is left behind.
    """
    from PIL import Image

    with atomic_write(path, parents=False, durable=False) as temporary:
        Image.fromarray(image).save(temporary, format="png", compress_level=PNG_LEVEL)


def _frequency_ticks(layout: _Layout, hertz: Sequence[tuple[float, str]]) -> Iterator[tuple[int, int, str, bool]]:
    """Ticks beside every row: x, y, text, and that they do not point down."""
    for row in range(layout.rows):
        free = math.inf
        for place, content in hertz:
            y = layout.top + row * layout.pitch_y + round((1 - place) * (layout.tile_height - 1))
            if y <= free:
                yield layout.left, y, content, False
                free = y - _TICK_PITCH_Y


def _time_ticks(layout: _Layout, seconds: float | None) -> Iterator[tuple[int, int, str, bool]]:
    """Ticks above every column: x, y, text, and that they point down."""
    if not seconds:
        return
    sizes = (base * 10.0 ** power for power in range(-4, 6) for base in (1, 2, 5))
    step = next(size for size in sizes if size / seconds * layout.tile_width >= _TICK_PITCH_X)
    for column in range(layout.columns):
        for number in range(math.ceil(seconds / step - 0.15)):
            x = layout.left + column * layout.pitch_x + round(number * step / seconds * (layout.tile_width - 1))
            yield x, layout.top, f"{number * step:g}", True


@dataclass(frozen=True)
class _Layout:
    """A grid of tiles; ``pitch`` is the distance between the corners of neighboring tiles, ``shown`` the number of
    tiles that fit, ``left`` and ``top`` where the first is; pixels."""

    tile_width: int
    tile_height: int
    pitch_x: int
    pitch_y: int
    columns: int
    shown: int
    left: int
    top: int

    @property
    def rows(self) -> int:
        return math.ceil(self.shown / self.columns)

    def corners(self) -> Iterator[tuple[int, int]]:
        """The upper left corner (x, y) of each tile."""
        for index in range(self.shown):
            row, column = divmod(index, self.columns)
            yield self.left + column * self.pitch_x, self.top + row * self.pitch_y


def _arrange(shape: tuple[int, ...], titled: bool, hertz: bool, seconds: bool) -> _Layout:
    """The largest tiles with which all sounds fit on a sheet, else the smallest and as many as fit."""
    n, frames, bins = shape
    left, top = MARGIN + AXIS_WIDTH * hertz, MARGIN + AXIS_HEIGHT * seconds
    for size in TILE_SIZES:
        width, height = _tile_size(frames, bins, size)
        pitch_x, pitch_y = width + GAP, height + GAP + (TITLE_HEIGHT if titled else 0)
        max_columns = max(1, (MAX_PIXELS - left - MARGIN + GAP) // pitch_x)
        max_rows = max(1, (MAX_PIXELS - top - MARGIN - FOOTER_HEIGHT + GAP) // pitch_y)
        columns = min(n, max_columns, math.ceil(math.sqrt(1.6 * n * pitch_y / pitch_x)))  # 1.6 times as wide as high
        if math.ceil(n / columns) <= max_rows:
            break
    return _Layout(width, height, pitch_x, pitch_y, columns, min(n, columns * max_rows), left, top)


def _range(mel_db: np.ndarray) -> tuple[float, float]:
    top_db = float(np.max(mel_db))
    return top_db - DYNAMIC_RANGE_DB, top_db


def _tile_size(frames: int, bins: int, size: int) -> tuple[int, int]:
    """Width and height: each axis magnified, or averaged, by the whole factor that comes nearest to ``size``."""
    def nearest(n: int, aim: int) -> int:
        return n * max(1, round(aim / n)) if n <= aim else math.ceil(n / math.ceil(n / aim))

    return nearest(frames, size * min(4, max(1, round(frames / bins)))), nearest(bins, size)


def _colored(mel_db: np.ndarray, width: int, height: int, floor_db: float, top_db: float) -> np.ndarray:
    """``(sounds, height, width, 3)``, uint8: every tile upright, magnified by repeating and shrunk by averaging."""
    level = _resized(_resized(np.asarray(mel_db, np.float32), 1, width), 2, height)
    level = np.clip((level.transpose(0, 2, 1)[:, ::-1] - floor_db) / (top_db - floor_db), 0, 1)
    return MAGMA[(level * 255).round().astype(np.uint8)]


def _ruled(tiles: np.ndarray, bars: int) -> np.ndarray:
    """Tiles ``(sounds, height, width, 3)`` with lines where bars and beats begin, where there is room for them."""
    width, beats = tiles.shape[2], bars * _BEATS_PER_BAR
    for beat in range(1, beats):
        is_bar = beat % _BEATS_PER_BAR == 0
        if width >= _LINE_PITCH * (bars if is_bar else beats):
            weight, column = _BAR_LINE if is_bar else _BEAT_LINE, tiles[:, :, round(beat / beats * width)]
            column[:] = (column + weight * (255.0 - column)).round()
    return tiles


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    """The font that Matplotlib brings, which need not be imported for it."""
    from PIL import ImageFont

    folder, = importlib.util.find_spec("matplotlib").submodule_search_locations
    return ImageFont.truetype(Path(folder, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf"), FONT_SIZE)


def _resized(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    n = values.shape[axis]
    if n <= length:
        return np.repeat(values, length // n, axis=axis)
    starts = np.arange(0, n, math.ceil(n / length))
    counts = np.diff(np.append(starts, n))
    return np.add.reduceat(values, starts, axis=axis) / np.expand_dims(counts, tuple({0, 1, 2} - {axis}))


def _shortened(title: str, width: int) -> str:
    text, most = visible(" ".join(str(title).split())), max(4, int(width / _CHARACTER_WIDTH))
    return text if len(text) <= most else text[:most - 2].rstrip() + ".."


def _caption(shown: int, sounds: int, axes: bool, bars: bool) -> str:
    count = counted(sounds, "sound") if shown == sounds else f"the first {shown} of {sounds} sounds"
    directions = "seconds to the right, Hz upwards" if axes else "time to the right, low frequencies at the bottom"
    return f"{count}; {directions}" + ("; lines at bars and beats" if bars else "")
