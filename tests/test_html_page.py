"""Pages of sounds: what is in the file, and what a browser makes of it."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
from browser import browse, needs_browser

from melgan_tf.audio.wav import encode_wav
from melgan_tf.dsp.spectrogram_image import small_image
from melgan_tf.inference.html_page import Sound, sound_page

PICTURE = small_image(np.linspace(-80, 0, 8 * 16).reshape(8, 16))


class Parser(html.parser.HTMLParser):
    """Tags, and the JSON of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.data, self._here = [], {}, False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._here = ("type", "application/json") in attributes

    def handle_data(self, data):
        if self._here:
            self.data, self._here = json.loads(data), False


def page_of(sounds, **options) -> str:
    return sound_page("Sounds", "of a test", sounds, [(0.5, "1k")], **options)


# -- the file --------------------------------------------------------------------------------------------------------

def test_the_page_has_every_sound_and_needs_nothing_from_elsewhere():
    text = page_of([Sound("kick.wav", PICTURE, 0.5, "kick"), Sound("a b<&.wav", PICTURE, 0.5, "<odd>")])
    found = Parser(text)
    assert [(sound["file"], sound["name"]) for sound in found.data["sounds"]] == [
        ("kick.wav", "kick.wav"), ("a%20b%3C%26.wav", "a b<&.wav")]
    assert [sound["label"] for sound in found.data["sounds"]] == ["kick", "<odd>"]
    assert "<odd>" not in text
    assert not [attributes for _, attributes in found.tags if {"src", "href"} & attributes.keys()]
    assert "://" not in text


def test_a_picture_is_one_letter_a_pixel_from_the_highest_frequency():
    mel_db = np.full((3, 2), -80.0)
    mel_db[0, 0] = 0.0  # first frame, lowest band
    sound, = Parser(page_of([Sound("a.wav", small_image(mel_db), 0.5)])).data["sounds"]
    assert sound["picture"] == "AAA/AA"


@pytest.mark.parametrize(("frames", "bins", "shape"), [(16, 64, (64, 16)), (128, 128, (64, 64)), (512, 80, (80, 171)),
                                                       (1, 1, (1, 1))])
def test_small_images_are_small(frames, bins, shape):
    image = small_image(np.zeros((frames, bins), np.float32))
    assert image.shape == shape
    assert image.max() == 63


def test_a_silent_sound_is_black():
    assert small_image(np.full((9, 9), -100.0)).max() == 0


# -- a browser -------------------------------------------------------------------------------------------------------

@pytest.fixture
def page(tmp_path) -> Path:
    """Twelve sounds of two classes on a map, and a loop whose samples are in the page."""
    tone = np.sin(np.arange(1600) / 5).astype(np.float32)
    sounds = []
    for index in range(12):
        (tmp_path / f"{index:02d}.wav").write_bytes(encode_wav(tone, 16_000))
        sounds.append(Sound(f"{index:02d}.wav", PICTURE, 0.1, "kick" if index % 2 else "hat",
                            values={"brightness": 1000.0 * (12 - index)}, place=(index / 11, 0.5)))
    sounds.append(Sound("loop.wav", PICTURE, 0.1, "loop", loop=True, content=encode_wav(tone, 16_000)))
    (tmp_path / "index.html").write_text(page_of(sounds, hint="a map"))
    return tmp_path / "index.html"


@needs_browser
def test_only_the_pages_own_script_runs(page):
    shown = browse(page)
    assert shown.count('class="card') == 13
    page.write_text(page.read_text().replace("</body>", "<script>document.body.textContent = 'x'</script></body>"))
    assert browse(page).count('class="card') == 13


@needs_browser
def test_keys_choose_play_and_star(page):
    found = browse(page, """
      const names = [];
      for (const key of ["ArrowRight", "ArrowRight", "End", "Home", "f"]) {
        press(key);
        names.push($("name").textContent);
      }
      await until(() => playing);
      const heard = playing.sound.name, lit = document.querySelectorAll(".card .tile.playing").length;
      press(" ");
      return { names, heard, lit, stopped: !playing, stars: [...stars], kept: localStorage.getItem(store),
               shown: document.activeElement.parentElement.className, aria: document.activeElement.ariaLabel };
    """)
    assert found == {"names": ["00.wav", "02.wav", "loop.wav", "00.wav", "00.wav"], "heard": "00.wav", "lit": 1,
                     "stopped": True, "stars": ["00.wav"], "kept": '["00.wav"]', "shown": "card current",
                     "aria": "Play 00.wav, hat, 0.1 seconds"}


@needs_browser
def test_sorting_searching_and_classes(page):
    found = browse(page, """
      const order = () => listed.map((sound) => sound.name.slice(0, 2)).join(" ");
      const by = (name) => ($("sort").value = name, $("sort").dispatchEvent(new Event("change")), order());
      const orders = [...$("sort").options].map((one) => one.value);
      const answer = { orders, bright: by("brightness"), made: by("made") };
      [...$("labels").children].find((one) => one.label === "kick").click();
      answer.kicks = order();
      $("search").value = "1";
      $("search").dispatchEvent(new Event("input"));
      answer.found = order();
      return answer;
    """)
    assert found["orders"] == ["made", "name", "label", "brightness"]
    assert found["bright"] == "11 10 09 08 07 06 05 04 03 02 01 00 lo"
    assert found["made"] == "00 01 02 03 04 05 06 07 08 09 10 11 lo"
    assert (found["kicks"], found["found"]) == ("01 03 05 07 09 11", "01 11")


@needs_browser
def test_the_map_goes_to_the_nearest_sound_in_a_direction_and_plays_what_is_clicked(page):
    found = browse(page, """
      canvas.focus();
      press("Home");
      press("ArrowRight");
      const right = listed[current].name, box = canvas.getBoundingClientRect(), point = points[7];
      const place = { clientX: box.left + point.x, clientY: box.top + point.y };
      canvas.dispatchEvent(new PointerEvent("pointerdown", place));
      await until(() => playing);
      return { right, clicked: listed[current].name, heard: playing.sound.name };
    """)
    assert found == {"right": "01.wav", "clicked": "07.wav", "heard": "07.wav"}


@needs_browser
def test_a_loop_repeats_from_its_samples(page):
    found = browse(page, """
      press("End");
      await until(() => playing && playing.sound.loop);
      return { samples: !playing.audio, file: samples(listed[current]) instanceof Promise };
    """)
    assert found == {"samples": True, "file": True}


@needs_browser
def test_favorites_are_exported_as_commands_a_list_and_a_zip(page, tmp_path):
    found = browse(page, """
      const saved = [];
      HTMLAnchorElement.prototype.click = function () { saved.push([this.download, this.href]); };
      for (const sound of [sounds[3], sounds[12]]) star(sound);
      $("export").click();
      $("savelist").click();
      sounds[3].data = sounds[12].data; // a page from disk cannot read its files
      $("export").click();
      await zip(samples);
      const bytes = async (href) => new Uint8Array(await (await fetch(href)).arrayBuffer());
      const read = async (href) => btoa(String.fromCharCode(...await bytes(href)));
      return { title: $("chosen").textContent, commands: $("commands").textContent,
               saved: await Promise.all(saved.map(async ([name, href]) => [name, await read(href)])) };
    """)
    assert found["title"] == "2 favorites"
    assert found["commands"].splitlines()[::2] == ["melgan-tf explore . --favorites favorites.txt --out favorites",
                                                   "melgan-tf regenerate 03.wav loop.wav --out again"]
    files = {name: base64.b64decode(content) for name, content in found["saved"]}
    assert files["favorites.txt"] == b"03.wav\nloop.wav\n"
    with zipfile.ZipFile(io.BytesIO(files["favorites.zip"])) as archive:
        assert archive.testzip() is None
        assert archive.read("03.wav") == archive.read("loop.wav") == (tmp_path / "03.wav").read_bytes()


@needs_browser
@pytest.mark.parametrize(("width", "most"), [(1280, 150), (500, 80)])
def test_of_thousands_only_those_in_sight_exist(width, most, tmp_path):
    (tmp_path / "index.html").write_text(page_of([Sound(f"{index}.wav", PICTURE, 0.1) for index in range(5_000)]))
    found = browse(tmp_path / "index.html", """
      const count = () => document.querySelectorAll(".card").length, first = count();
      scrollTo(0, document.body.scrollHeight / 2);
      dispatchEvent(new Event("scroll"));
      await until(() => document.querySelector(".card").ariaPosInSet !== "1");
      const middle = count();
      press("End");
      await until(() => document.activeElement.ariaLabel?.includes("4999"));
      return { first, middle, last: count(), size: document.querySelector(".card").getAttribute("aria-setsize"),
               wide: document.documentElement.scrollWidth - innerWidth };
    """, width)
    assert not isinstance(found, str), found
    assert found["wide"] <= 0
    assert found["size"] == "5000"
    for name in ("first", "middle", "last"):
        assert 4 <= found[name] <= most


@needs_browser
def test_hostile_names_are_text_for_a_browser_and_for_a_shell(tmp_path):
    names = ["<img src=x onerror=alert(1)>.wav", "</script><script>alert(1)</script>", "it's; rm -rf ~.wav", "$(x)`y`",
             "-rf.wav", "W" * 200 + ".wav", "\u202egpj.wav", "太鼓.wav", "\ud800"]
    (tmp_path / "index.html").write_text(page_of([Sound(name, PICTURE, 0.1, name, note=name) for name in names]))
    found = browse(tmp_path / "index.html", """
      press("ArrowRight");
      return { images: document.images.length, scripts: document.scripts.length, names: sounds.map((one) => one.name),
               commands: sounds.map(again), wide: document.documentElement.scrollWidth - innerWidth };
    """)
    assert (found["images"], found["scripts"]) == (0, 3)  # one is the test's
    assert found["wide"] <= 0
    assert found["names"] == [*names[:6], r"\u202egpj.wav", names[7], r"\ud800"]
    words = [shlex.split(command)[2] for command in found["commands"]]
    assert words == [name if name != "-rf.wav" else "./-rf.wav" for name in found["names"]]
