"""Contact sheets and TensorBoard images: where each sound is drawn, in which colors, what fits, what is written."""

import os
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from melgan_tf.dsp import spectrogram_image
from melgan_tf.dsp.spectrogram_image import GAP, MARGIN, TITLE_HEIGHT, contact_sheet, mel_image, save_png
from melgan_tf.errors import MelGANError

FRAMES, BINS = 16, 64


def constant(*levels, frames=FRAMES, bins=BINS):
    """One mel per level, dB."""
    return np.stack([np.full((frames, bins), level, np.float32) for level in levels])


def magma(level):
    """The color of a level between 0 and 1."""
    return colormaps["magma"](level, bytes=True)[:3]


def tile(sheet, row, column, titled=False, size=128):
    """The pixels of one tile, by the published geometry of a sheet."""
    x, y = MARGIN + column * (size + GAP), MARGIN + row * (size + GAP + (TITLE_HEIGHT if titled else 0))
    return sheet[y:y + size, x:x + size]


# -- TensorBoard images ----------------------------------------------------------------------------------------------

def test_low_frequencies_are_at_the_bottom_and_time_goes_right():
    mel_db = constant(-80.0)
    mel_db[0, -1, 0] = 0.0  # the last frame, the lowest band
    image = mel_image(mel_db)
    assert image.shape == (1, 128, 128, 3)
    assert image.dtype == np.uint8
    bright = np.argwhere((image[0] == magma(1.0)).all(axis=-1))
    np.testing.assert_array_equal([bright.min(axis=0), bright.max(axis=0)], [[126, 120], [127, 127]])  # 2 x 8 pixels
    assert (image[0] == magma(0.0)).all(axis=-1).sum() == 128 * 128 - 16


def test_levels_are_comparable_across_sounds_down_to_80_db():
    found = mel_image(constant(-100.0, -80.0, -40.0, 0.0))[:, 0, 0]
    np.testing.assert_array_equal(found, [magma(level) for level in (0.0, 0.0, 0.5, 1.0)])


@pytest.mark.parametrize(("frames", "bins", "shape"), [
    (16, 80, (160, 128)),  # to the nearest whole factor
    (1, 64, (128, 128)),
    (400, 80, (160, 400)),  # long sounds may be up to four times as wide as high
    (16, 300, (100, 128)),  # three bands averaged into one pixel
    (5000, 64, (128, 500)),
])
def test_images_of_any_mel_size(frames, bins, shape):
    assert mel_image(constant(3.0, 3.0, frames=frames, bins=bins)).shape == (2, *shape, 3)


def test_shrinking_averages_the_remainder_too():
    mel_db = constant(0.0, frames=5, bins=4)
    mel_db[0, 4] = -80.0
    image = mel_image(mel_db, size=2)  # 5 frames into 2 columns: 3 and 2 frames
    np.testing.assert_array_equal(image[0, 0], [magma(1.0), magma(0.5)])


# -- contact sheets --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("titled", [False, True])
def test_every_sound_has_its_tile_in_reading_order(titled):
    mel_db = np.random.default_rng(0).normal(-30, 15, (5, FRAMES, BINS))
    sheet = contact_sheet(mel_db, list("abcde") if titled else None)
    for image, place in zip(mel_image(mel_db), ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)), strict=True):
        np.testing.assert_array_equal(tile(sheet, *place, titled), image)
    assert len(np.unique(tile(sheet, 1, 2, titled).reshape(-1, 3), axis=0)) == 1  # background


def changed_area(a, b):
    changed = np.argwhere((a != b).any(axis=-1))
    return (*changed.min(axis=0), *changed.max(axis=0))


@pytest.mark.parametrize("title", ["a very long name of a sound " * 30, "$x^2", "太鼓\nBäckenschlag", "W" * 20])
def test_a_title_stays_below_its_tile(title):
    plain, titled = contact_sheet(constant(0.0, 0.0), ["", ""]), contact_sheet(constant(0.0, 0.0), ["", title])
    top, left, bottom, right = changed_area(plain, titled)
    corner = MARGIN + 128 + GAP
    assert corner - 1 <= left < right <= corner + 128 + (60 if "W" in title else 0)  # none is as wide
    assert MARGIN + 128 <= top < bottom < MARGIN + 128 + TITLE_HEIGHT + GAP


@pytest.mark.parametrize(("sounds", "frames", "bins"), [(1, FRAMES, BINS), (7, FRAMES, BINS), (700, FRAMES, BINS),
                                                       (300, 400, 80), (40, 5000, 128), (2500, FRAMES, BINS)])
def test_sheets_stay_within_the_limit(sounds, frames, bins, monkeypatch):
    texts: list[str] = []
    monkeypatch.setattr("PIL.ImageDraw.ImageDraw.text", lambda self, xy, content, *_, **__: texts.append(content))
    sheet = contact_sheet(np.broadcast_to(np.float32(-9), (sounds, frames, bins)))
    assert max(sheet.shape) <= spectrogram_image.MAX_PIXELS
    assert texts[0].split(";")[0] == {1: "1 sound"}.get(sounds, f"{sounds:,} sounds")


def test_the_footer_says_how_many_are_shown(monkeypatch):
    texts: list[str] = []
    monkeypatch.setattr("PIL.ImageDraw.ImageDraw.text", lambda self, xy, content, *_, **__: texts.append(content))
    contact_sheet(constant(-9.0, -9.0), of=5)
    monkeypatch.setattr(spectrogram_image, "MAX_PIXELS", 500)
    sheet = contact_sheet(np.zeros((100, FRAMES, BINS)))
    captions = [text for text in texts if "sound" in text]
    assert captions == [f"the first {count} sounds; time to the right, low frequencies at the bottom"
                        for count in ("2 of 5", "30 of 100")]  # six columns, five rows of 64 pixels
    assert max(sheet.shape) <= 500


def test_the_footer_shows_the_color_scale():
    sheet, louder = contact_sheet(constant(-80.0)), contact_sheet(constant(-60.0))
    footer = sheet[MARGIN + 128 + 1:]
    for level in (0.05, 0.5, 0.95):
        assert (np.abs(footer.astype(int) - magma(level)).sum(axis=-1) < 12).any()
    assert changed_area(sheet, louder)[0] > MARGIN + 128  # only the levels below the scale differ


def test_axes_are_beside_the_tiles_which_stay_as_they_are():
    mel_db = np.random.default_rng(0).normal(-30, 15, (5, FRAMES, BINS))
    plain = contact_sheet(mel_db)
    sheet = contact_sheet(mel_db, seconds=0.5, hertz=[(0.0, "100"), (1.0, "8k")])
    left, top = spectrogram_image.AXIS_WIDTH, spectrogram_image.AXIS_HEIGHT
    assert sheet.shape[:2] == (plain.shape[0] + top, plain.shape[1] + left)
    np.testing.assert_array_equal(sheet[MARGIN + top:MARGIN + top + 264, MARGIN + left:],
                                  plain[MARGIN:MARGIN + 264, MARGIN:])
    rows = np.flatnonzero((sheet[:, MARGIN + left - 2] == spectrogram_image._TICK).all(axis=-1)) - MARGIN - top
    np.testing.assert_array_equal(rows, [0, 127, 136, 263])
    columns = np.flatnonzero((sheet[MARGIN + top - 2] == spectrogram_image._TICK).all(axis=-1)) - MARGIN - left
    np.testing.assert_array_equal(columns, [at + start for start in (0, 136, 272) for at in (0, 51, 102)])


# -- files -----------------------------------------------------------------------------------------------------------

def test_a_saved_image_replaces_the_old_file_and_is_alone(tmp_path):
    sheet, path = contact_sheet(constant(0.0, -20.0)), tmp_path / "sheet.png"
    path.write_bytes(b"old")
    save_png(sheet, path)
    with Image.open(path) as read:
        assert read.format == "PNG"
        np.testing.assert_array_equal(np.asarray(read.convert("RGB")), sheet)
    assert os.listdir(tmp_path) == ["sheet.png"]


def test_a_full_disk_keeps_the_old_image(tmp_path, monkeypatch):
    path = tmp_path / "sheet.png"
    path.write_bytes(b"old")

    def half_written(self, file, **_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", half_written)
    with pytest.raises(MelGANError, match="sheet.png: No space left on device"):
        save_png(np.zeros((2, 2, 3), np.uint8), path)
    assert os.listdir(tmp_path) == ["sheet.png"]
    assert path.read_bytes() == b"old"


def test_matplotlib_is_not_imported():
    code = "import sys, numpy as np, melgan_tf.dsp.spectrogram_image as s; s.contact_sheet(np.zeros((1, 4, 4))); " \
           "print('matplotlib' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout.strip() == "False", ended.stderr


def test_colors_are_those_of_matplotlib():
    np.testing.assert_array_equal(spectrogram_image.MAGMA, colormaps["magma"](np.arange(256), bytes=True)[:, :3])


def test_bars_and_beats_have_lines():
    """Two bars: one line where the second begins, six fainter ones, none over the first frame."""
    mel_db = constant(-100.0, -20.0, frames=384, bins=80)
    plain, ruled = (mel_image(mel_db, bars=bars)[0].astype(int) for bars in (0, 2))
    lighter = (ruled - plain).mean(axis=(0, 2))
    width = plain.shape[1]
    assert np.flatnonzero(lighter).tolist() == [round(beat * width / 8) for beat in range(1, 8)]
    bar, *beats = sorted(lighter[lighter > 0])[::-1]
    assert lighter[width // 2] == bar > 2 * max(beats)
    many = mel_image(mel_db, bars=64)[0].astype(int) - plain  # lines that would hide the picture are left out
    assert np.count_nonzero(many.any(axis=(0, 2))) in (0, 63)
    assert (contact_sheet(mel_db, bars=2) != contact_sheet(mel_db)).any()
