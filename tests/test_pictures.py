# ruff: noqa: E501
"""Contact sheets and TensorBoard images: where each sound lands, which colour, what fits, what is refused."""

import builtins
import os

import numpy as np
import pytest
from PIL import Image

from melgan_tf.dsp import spectrogram_image
from melgan_tf.errors import MelGANError, UsageError

FRAMES, BINS = 16, 64


def quiet(sounds, frames=FRAMES, bins=BINS, level=-80.0):
    return np.full((sounds, frames, bins), level, np.float32)


def tile(sheet, index, columns, titled=False, width=128, height=128):
    """The pixels of one tile, by the sheet's published geometry."""
    row, column = divmod(index, columns)
    x = spectrogram_image.MARGIN + column * (width + spectrogram_image.GAP)
    y = spectrogram_image.MARGIN + row * (height + spectrogram_image.GAP + (spectrogram_image.TITLE_HEIGHT if titled else 0))
    return np.asarray(sheet)[y:y + height, x:x + width]


def luminance(colours):
    """Relative luminance of sRGB."""
    part = colours / 255.0
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


# -- colours ---------------------------------------------------------------------------------------------------------

def test_colours_go_from_black_to_cream_and_clip():
    np.testing.assert_array_equal(spectrogram_image.colour(np.array([0.0, -3.0])), [[0, 0, 4]] * 2)
    np.testing.assert_array_equal(spectrogram_image.colour(np.array([1.0, 7.0])), [[252, 253, 191]] * 2)
    np.testing.assert_array_equal(spectrogram_image.colour(np.array(128 / 255)), [184, 55, 121])
    assert spectrogram_image.colour(np.zeros((2, 3))).shape == (2, 3, 3)


def test_lightness_rises_evenly_with_level():
    """Every step in level is a step up in lightness (L*), and none is far from the average step."""
    shown = luminance(spectrogram_image.colour(np.linspace(0, 1, 21)).astype(float))
    lightness = np.where(shown > 0.008856, 116 * np.cbrt(shown) - 16, 903.3 * shown)
    steps = np.diff(lightness)
    assert steps.min() > 0.5 * steps.mean()
    assert steps.max() < 1.7 * steps.mean()


# -- TensorBoard images ----------------------------------------------------------------------------------------------

def test_low_frequencies_are_at_the_bottom_and_time_goes_right():
    mel_db = quiet(1)
    mel_db[0, -1, 0] = 0.0  # the last frame, the lowest band
    image = spectrogram_image.mel_image(mel_db)
    assert image.shape == (1, 128, 128, 3)
    assert image.dtype == np.uint8
    bright = np.argwhere(image[0, :, :, 0] == 252)
    np.testing.assert_array_equal([bright.min(axis=0), bright.max(axis=0)], [[126, 120], [127, 127]])  # 2 x 8 pixels
    assert (image[0] == [0, 0, 4]).all(axis=-1).sum() == 128 * 128 - 16


def test_levels_are_absolute_across_sounds():
    mel_db = np.stack([quiet(1)[0], quiet(1, level=-40.0)[0], quiet(1, level=0.0)[0]])
    found = spectrogram_image.mel_image(mel_db)[:, 0, 0]
    np.testing.assert_array_equal(found, spectrogram_image.colour(np.array([0.0, 0.5, 1.0])))
    found = spectrogram_image.mel_image(mel_db, floor_db=-40.0, top_db=40.0)[:, 0, 0]
    np.testing.assert_array_equal(found, spectrogram_image.colour(np.array([0.0, 0.0, 0.5])))


@pytest.mark.parametrize(("frames", "bins", "shape"), [
    (16, 80, (160, 128)),  # to the nearest whole factor
    (1, 64, (128, 128)),
    (400, 80, (160, 400)),  # long sounds may be up to four times as wide as high
    (16, 300, (100, 128)),  # three bands averaged into one pixel
    (5000, 64, (128, 500)),
])
def test_images_of_any_mel_size(frames, bins, shape):
    assert spectrogram_image.mel_image(quiet(2, frames, bins, level=3.0)).shape == (2, *shape, 3)


def test_shrinking_averages_also_the_rest():
    mel_db = quiet(1, 5, 4, level=0.0)
    mel_db[0, 4] = -80.0
    image = spectrogram_image.mel_image(mel_db, floor_db=-80.0, size=2)  # 5 frames into 2 columns: 3 and 2 frames
    np.testing.assert_array_equal(image[0, 0], spectrogram_image.colour(np.array([1.0, 0.5])))


# -- contact sheets --------------------------------------------------------------------------------------------------

def test_every_sound_has_its_tile_in_reading_order():
    mel_db = np.stack([quiet(1, level=level)[0] for level in (-80.0, -60.0, -40.0, -20.0, 0.0)])
    sheet = spectrogram_image.contact_sheet(mel_db, columns=3)
    for index, level in enumerate((0.0, 0.25, 0.5, 0.75, 1.0)):
        assert (tile(sheet, index, 3) == spectrogram_image.colour(np.array(level))).all()
    assert (tile(sheet, 5, 3) == spectrogram_image.BACKGROUND).all()


def test_tiles_equal_the_tensorboard_image():
    mel_db = np.random.default_rng(0).normal(-30, 15, (4, FRAMES, BINS))
    sheet = spectrogram_image.contact_sheet(mel_db, list("abcd"), columns=2)
    for index, image in enumerate(spectrogram_image.mel_image(mel_db)):
        np.testing.assert_array_equal(tile(sheet, index, 2, titled=True), image)


def test_titles_stay_below_their_tile():
    plain = spectrogram_image.contact_sheet(quiet(2), ["", ""], columns=2)
    titled = spectrogram_image.contact_sheet(quiet(2), ["", "a very long name of a sound " * 30], columns=2)
    changed = np.argwhere((np.asarray(plain) != np.asarray(titled)).any(axis=-1))
    second = spectrogram_image.MARGIN + 128 + spectrogram_image.GAP
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    assert second - 1 <= left
    assert right <= second + 128
    assert top >= spectrogram_image.MARGIN + 128
    assert bottom < spectrogram_image.MARGIN + 128 + spectrogram_image.TITLE_HEIGHT + spectrogram_image.GAP


def test_long_titles_are_shortened_and_odd_ones_made_plain():
    font = spectrogram_image._font()
    assert spectrogram_image._shortened("kick 1", font, 128) == "kick 1"
    shortened = spectrogram_image._shortened("frankensnare_14a_basic_ss_vl3_rr1", font, 128)
    assert shortened.endswith("..")
    assert "frankensnare".startswith(shortened[:10])
    assert font.getlength(shortened) <= 128
    assert spectrogram_image._shortened("Bäckenschlag\n太鼓", font, 200) == "Backenschlag ??"
    assert spectrogram_image._shortened("wide", font, 1) == ".."


def test_hundreds_of_sounds_stay_within_the_limit():
    sheet = spectrogram_image.contact_sheet(np.zeros((1000, FRAMES, BINS), np.float32), ["x"] * 1000)
    assert max(sheet.size) <= spectrogram_image.MAX_PIXELS
    assert spectrogram_image._arrange((1000, FRAMES, BINS), None, titled=True).shown == 1000


@pytest.mark.parametrize(("sounds", "columns", "shape"), [
    (1, None, (FRAMES, BINS)), (7, 3, (FRAMES, BINS)), (5, 900, (FRAMES, BINS)), (700, 40, (FRAMES, BINS)),
    (3000, None, (FRAMES, BINS)), (500, 1, (FRAMES, BINS)), (300, 200, (400, 80)), (40, None, (5000, 128)),
])
@pytest.mark.parametrize("titled", [False, True])
def test_layouts_fit(sounds, columns, shape, titled):
    layout = spectrogram_image._arrange((sounds, *shape), columns, titled)
    assert 1 <= layout.shown <= sounds
    assert layout.columns <= (columns or sounds)
    assert 2 * spectrogram_image.MARGIN + layout.columns * layout.pitch_x - spectrogram_image.GAP <= spectrogram_image.MAX_PIXELS
    height = 2 * spectrogram_image.MARGIN + spectrogram_image.FOOTER_HEIGHT + layout.rows * layout.pitch_y - spectrogram_image.GAP
    assert height <= spectrogram_image.MAX_PIXELS
    if sounds < 1000 and columns != 1:
        assert layout.shown == sounds


def test_columns_are_kept_where_smaller_tiles_make_them_fit():
    assert spectrogram_image._arrange((700, FRAMES, BINS), 40, titled=True).columns == 40
    assert spectrogram_image._arrange((700, FRAMES, BINS), 4, titled=True).columns == 4


def test_what_does_not_fit_is_said(monkeypatch):
    monkeypatch.setattr(spectrogram_image, "MAX_PIXELS", 500)
    said = []
    monkeypatch.setattr(spectrogram_image, "_draw_footer", lambda *arguments: said.append(arguments[3]))
    sheet = spectrogram_image.contact_sheet(quiet(100))
    assert said[0].startswith("the first 30 of 100 sounds")  # six columns, five rows of 64-pixel tiles
    assert max(sheet.size) <= 500
    assert (np.asarray(sheet)[-(spectrogram_image.MARGIN + spectrogram_image.FOOTER_HEIGHT):] == spectrogram_image.BACKGROUND).all()
    spectrogram_image.contact_sheet(quiet(1))
    assert said[1].startswith("1 sound;")


def test_the_footer_shows_the_scale():
    sheet = np.asarray(spectrogram_image.contact_sheet(quiet(4), floor_db=-80.0, top_db=0.0))
    footer = sheet[-(spectrogram_image.MARGIN + spectrogram_image.FOOTER_HEIGHT):]
    assert (footer == spectrogram_image.colour(np.array(1.0))).all(axis=-1).any()  # the bar's bright end; the tiles are black
    other = np.asarray(spectrogram_image.contact_sheet(quiet(4), floor_db=-60.0, top_db=20.0))
    assert (sheet[-len(footer):] != other[-len(footer):]).any()


@pytest.mark.parametrize(("arguments", "error", "message"), [
    ({"mel_db": np.zeros((16, 64))}, MelGANError, r"mels have shape \(16, 64\)"),
    ({"mel_db": np.zeros((0, 16, 64))}, MelGANError, r"mels have shape \(0, 16, 64\)"),
    ({"mel_db": np.full((1, 2, 2), np.nan)}, MelGANError, "not finite"),
    ({"mel_db": np.zeros((2, 4, 4)), "titles": ["one"]}, MelGANError, "1 titles for 2 sounds"),
    ({"mel_db": np.zeros((2, 4, 4)), "columns": 0}, UsageError, "columns is 0"),
    ({"mel_db": np.zeros((2, 4, 4)), "floor_db": 0.0}, UsageError, "floor_db is 0 and top_db 0"),
])
def test_unusable_requests_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        spectrogram_image.contact_sheet(**arguments)


def test_image_size_below_one_is_refused():
    with pytest.raises(UsageError, match="size is 0"):
        spectrogram_image.mel_image(quiet(1), size=0)


# -- files -----------------------------------------------------------------------------------------------------------

def test_saved_picture_is_the_picture_and_alone(tmp_path):
    sheet = spectrogram_image.contact_sheet(quiet(3), ["a", "b", "c"])
    path = tmp_path / "sheet.png"
    path.write_bytes(b"old")
    assert spectrogram_image.save_png(sheet, str(path)) == path
    with Image.open(path) as read:
        assert read.format == "PNG"
        np.testing.assert_array_equal(np.asarray(read), np.asarray(sheet))
    assert os.listdir(tmp_path) == ["sheet.png"]


def test_saved_picture_has_ordinary_permissions(tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    spectrogram_image.save_png(Image.new("RGB", (2, 2)), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("name", ["missing/sheet.png", "file/sheet.png", "folder", "", "n" * 300 + ".png",
                                  "nul\0.png", "nul\0/sheet.png"])
def test_unwritable_picture_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(MelGANError, match="cannot write") as caught:
        spectrogram_image.save_png(Image.new("RGB", (2, 2)), name)
    assert "\n" not in str(caught.value)
    assert not str(caught.value).endswith("None")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_a_full_disk_keeps_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "sheet.png"
    path.write_bytes(b"old")

    def half_written(self, file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", half_written)
    with pytest.raises(MelGANError, match="sheet.png: No space left on device"):
        spectrogram_image.save_png(Image.new("RGB", (2, 2)), path)
    assert os.listdir(tmp_path) == ["sheet.png"]
    assert path.read_bytes() == b"old"


def test_an_interrupt_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        spectrogram_image.save_png(Image.new("RGB", (2, 2)), tmp_path / "sheet.png")
    assert os.listdir(tmp_path) == []


def test_mel_image_needs_no_pillow(monkeypatch):
    imported = builtins.__import__

    def without_pillow(name, *arguments):
        assert not name.startswith("PIL"), "mel_image imported Pillow"
        return imported(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    assert spectrogram_image.mel_image(quiet(1)).shape == (1, 128, 128, 3)
