"""Names from outside, with control sequences, markup and secrets: what commands print, write and record of them."""

from __future__ import annotations

import html.parser
import json
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from command_line import GRIFFIN_LIM, Ended, in_terminal, invoke, program, write_sounds
from drums import write_drums
from hostile_server import HostileServer, response

from melgan_tf import storage
from melgan_tf.audio.wav import save_wav
from melgan_tf.cli import console
from melgan_tf.config import presets
from melgan_tf.data.prepare import prepare
from melgan_tf.errors import MelGANError, UsageError, redacted, visible
from melgan_tf.evaluation.tables import Table
from melgan_tf.inference.generated_sounds import GeneratedSounds
from melgan_tf.inference.html_page import Sound, sound_page
from melgan_tf.storage.paths import RemotePath
from melgan_tf.storage.run_directory import RunDirectory

#: Title, clipboard, link, C1, colors, cursor, direction, zero width, separators, markup of several kinds, no UTF-8
HOSTILE = ("\x1b]0;pwned\x07", "\x1b]52;c;QUFB\x1b\\", "\x1b]8;;http:\\x\x07link", "\x9b2J\x85", "\x1b[31mred",
           "\b\b\r\x7f", "\u202egpj.exe", "a\u200bb\ufeff\u2066", "one\u2028two\u2029", "[bold]", "[red]x[&]",
           ":smile:", "{0}%s$x^$", "<script>alert(1)<", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)",
           "`x`|[x](y)", "a\nmelgan-tf: fake", os.fsdecode(b"\xff\xfe"))
TINY = ("--preset", "drums", "--set", "model.channels=8", "--set", "training.batch_size=8", "--no-xla", "--set",
        "training.preview_every=1")
CLASSES = ("\x1b]0;pwned\x07\u202e", "<script>alert(1)<", "[bold]\"><img src=x>|$^$")


def hidden(text: str) -> set[str]:
    """The characters of a text that a terminal must not get."""
    return {one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") and one not in "\n\t"}


def clean(ended: Ended, code: int = 0) -> Ended:
    assert hidden(ended.stdout + ended.stderr) == set()
    assert "\nmelgan-tf: fake" not in ended.stdout + ended.stderr
    assert ended.code == code, ended.stderr
    return ended


@pytest.mark.parametrize("name", HOSTILE)
def test_every_command_shows_a_hostile_path_as_one_line(name, tmp_path):
    place = tmp_path / name
    out, run = ("--out", tmp_path / "out"), ("--run-dir", tmp_path / "run")
    for arguments in (("info", place), ("prepare", place, tmp_path / "out"), ("export", place, *out), ("presets", name),
                      ("train", place, *run), ("generate", place, *out), ("vocode", place, *out), (name,),
                      ("evaluate", place, "--reference", tmp_path), ("train", tmp_path, *run, "--preset", name),
                      ("train", tmp_path, *run, "--set", f"{name}=1"), ("train", tmp_path, *run, "--init-from", name),
                      ("generate", "pretrained:drums", "--label", name, *out), ("info", f"--{name}")):
        ended = invoke(*arguments)
        clean(ended, ended.code)
        assert ended.code in (1, 2)
        assert ended.stderr.startswith("melgan-tf: ")
        assert ended.stderr.count("\n") == 1


@pytest.mark.slow
def test_every_hostile_file_name_is_reported_as_it_is_without_harm(tmp_path):
    sounds = write_sounds(tmp_path / "sounds", 3)
    for index, name in enumerate(HOSTILE):
        (sounds / f"{index}{name}").mkdir()
        (sounds / f"{index}{name}" / f"{name}.wav").write_bytes(b"")
        shutil.copy(sounds / "00.wav", sounds / f"{index}{name}" / f"{name}1.wav")
    for quiet in (["-q"], []):
        ended = clean(invoke("prepare", sounds, tmp_path / f"out{quiet}", "--workers", 1, *quiet))
        shown = ended.stderr if quiet else ended.stdout
        assert r"\x1b]0;pwned\x07.wav: an empty file" in shown
        assert r"\u202egpj.exe.wav: an empty file" in shown
    ended = clean(invoke("vocode", sounds / f"17{HOSTILE[17]}", "--out", tmp_path / "vocoded",
                          "--vocoder", "vocoder-16k"))
    assert "an empty file" in ended.stderr


def test_a_hostile_wav_comment_is_shown_and_its_json_is_valid(tmp_path):
    values = {"made_by": "melgan-tf", "weights": "".join(HOSTILE[:9]), "\x7f\x9b": ["\x7f"]}
    comment = json.dumps(values, ensure_ascii=False)
    save_wav(tmp_path / "a.wav", np.zeros(99), 16_000, comment)
    ended = clean(invoke("info", tmp_path / "a.wav", "--verbose"))
    assert r"\x1b]0;pwned\x07" in ended.stdout
    ended = clean(invoke("info", tmp_path / "a.wav", "--json"))
    assert json.loads(ended.stdout).items() >= {"kind": "generated WAV", **values}.items()


# -- a model whose classes have such names ---------------------------------------------------------------------------

@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    sounds = write_drums(folder / "sounds")
    for old, new in zip(sorted(sounds.iterdir()), CLASSES, strict=True):
        old.rename(sounds / new)
    (sounds / CLASSES[1] / "\x1b[2Jbad.wav").write_bytes(b"")
    clean(invoke("train", sounds, "--run-dir", folder / "run", "--steps", 1, *TINY))
    return folder / "run"


class _Known(html.parser.HTMLParser):
    """The tags and attributes of a page without anything hostile."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}


#: What the package itself writes.
_EMPTY = _Known(sound_page("", "", [Sound("a", np.zeros((1, 1), np.uint8), 0.5)], []))
_ATTRIBUTES = _EMPTY.attributes | {"src", "alt", "controls", "style"}
_TAGS = _EMPTY.tags | {"div", "figure", "figcaption", "audio", "img", "p"}


def harmless_page(page: str) -> str:
    assert hidden(page) == set()
    found = _Known(page)
    assert (found.tags <= _TAGS, found.attributes <= _ATTRIBUTES) == (True, True)
    assert page.count("<script") in (0, 2)  # the page's own, and its data
    return page


def test_pages_of_hostile_names_are_harmless():
    picture = np.zeros((2, 2), np.uint8)
    sounds = [Sound(f"{name}.wav", picture, 0.5, name, note=name, mark=name, again=name) for name in HOSTILE]
    page = harmless_page(sound_page(CLASSES[1], CLASSES[0], sounds, [], hint=CLASSES[2]))
    assert "&lt;script&gt;" in page
    assert r"\x1b]0;pwned\x07" in page
    assert page.count("<script>alert(1)") == 0
    drums = presets.get("drums").audio
    arrays = {"audio": np.zeros((3, 99)), "mel": np.zeros((3, 9, drums.mel_bins), np.float32)}
    harmless_page(GeneratedSounds(arrays, drums, CLASSES)._repr_html_())


@pytest.mark.nightly
def test_a_model_of_hostile_classes_is_harmless(trained, tmp_path):
    ended = clean(invoke("generate", trained, "--out", tmp_path / "out", "--count", 6, *GRIFFIN_LIM))
    harmless_page((tmp_path / "out" / "index.html").read_text())
    record = json.loads((tmp_path / "out/sounds.json").read_text())
    assert {sound["label"] for sound in record["sounds"]} <= set(CLASSES)
    assert hidden((trained / "skipped.txt").read_text()) == set()
    for file in (trained / "tensorboard").rglob("*tfevents*"):
        assert b"<script" not in file.read_bytes()
    clean(invoke("info", trained))
    assert set(json.loads(clean(invoke("info", trained, "--json")).stdout)["sounds"]["classes"]) == set(CLASSES)
    for name in CLASSES[:2]:
        ended = invoke("generate", trained, "--label", name + "x", "--out", tmp_path / "no")
        clean(ended, 2).one_line("unknown", code=2)


def test_cards_have_no_markup_of_others():
    card = Table("a <b>", ("name",), (("<script>|[x](javascript:y)`\u202e",),)).markdown()
    assert card.splitlines() == ["## a &lt;b>", "", "| name |", "| --- |",
                                 r"| &lt;script>\|\[x\](javascript:y)\`\\u202e |"]


# -- terminals and what libraries write ------------------------------------------------------------------------------

_WRITERS = """
import logging, sys, warnings
import click
from melgan_tf.cli import console, errors
NAME = "[/bold]:smile:\\x1b]0;pwned\\x07\\u202e https://me:pass@host/x?sig=0123"
@click.group(cls=errors.OneLineErrors)
def main(): pass
@main.command("write")
def write():
    progress = console.ConsoleProgress()
    with progress.task("reading " + NAME, 10, "steps") as advance:
        advance(5)
        progress.line("line " + NAME); progress.warning("warning " + NAME); print("print", NAME)
        warnings.warn("warn " + NAME); logging.getLogger("other").error("log " + NAME)
    raise RuntimeError("unforeseen " + NAME)
main(["write"])
"""


def test_whatever_anyone_writes_is_escaped_and_redacted():
    done = subprocess.run([sys.executable, "-c", _WRITERS], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert hidden(done.stdout + done.stderr) == set()
    for start in ("warning: warning", "UserWarning: warn", "log", "RuntimeError: unforeseen"):
        assert rf"{start} [/bold]:smile:\x1b]0;pwned\x07\u202e https://***@host/x?***" in done.stderr
    assert "0123" not in (done.stdout + done.stderr).replace(_WRITERS, "")


def test_in_a_terminal_only_bars_control_it(tmp_path):
    screen, _ = in_terminal(_WRITERS, tmp_path)
    assert "\x1b[" in screen  # the bars'
    assert not {"\x07", "\u202e"} & set(screen)
    assert "pass" not in screen
    for start in ("reading", "line", "warning", "print"):
        assert rf"{start} [/bold]:smile:\x1b]0;pwned\x07\u202e" in screen.replace("\r\n", "")


def test_tables_keep_their_lines():
    text = console.table(("name\n", "value"), [("a\nb\x1b", "1\t2"), ("https://host/x?sig=1", 3)])
    assert [line.split() for line in text.splitlines()] == [
        ["name\\n", "value"], ["------------------", "-----"], ["a\\nb\\x1b", "1\\t2"], ["https://host/x?***", "3"]]
    assert visible("Ü 日本 🥁 \u00a0\u3000") == "Ü 日本 🥁 \u00a0\u3000"


# -- secrets ---------------------------------------------------------------------------------------------------------

SECRETS = ("https://host/a/kick.wav?X-Amz-Signature=s3cr3t&X-Amz-Credential=s3cr3t",
           "https://host/kick.wav?sv=1&sig=s3cr3t", "https://host/x?api_key=s3cr3t",
           "https://me:s3cr3t@host:8080/kick.wav", "https://s3cr3t@host/kick.wav", "https://me:p@s3cr3t@host/kick.wav",
           "https://me:pa/s3cr3t@host/kick.wav", "https://host/kick.wav#access_token=s3cr3t", "HTTP://host/k?s3cr3t",
           "https://host/k.wav?token=a/../s3cr3t/", "s3://id:s3cr3t@bucket/kick.wav",
           "s3://bucket/k?X-Amz-Signature=s3cr3t", "az://account/container/kick.wav?sv=2022&sig=s3cr3t",
           "ftp://me:s3cr3t@host/kick.wav")


@pytest.mark.parametrize("address", SECRETS)
def test_secrets_are_neither_shown_nor_recorded(address, tmp_path):
    for text in (f"cannot read {address}: no", f"('{address}')", json.dumps([address, 1]), f"<{address}>"):
        assert "s3cr3t" not in redacted(text)
        assert redacted(redacted(text)) == redacted(text)
        assert "s3cr3t" not in str(MelGANError(text))
    assert json.loads(redacted(json.dumps([address, 1])))[1] == 1
    assert "s3cr3t" not in storage.recorded(address)
    if storage.is_remote(address):
        place = storage.path(address)
        assert address.partition("#")[0].partition("://")[2] in place.full
        for shown in (repr(place), place.name, *map(str, (place, place / "x", place.parent, *place.parents))):
            assert "s3cr3t" not in shown
        with pytest.raises(UsageError, match="secrets were not recorded: give the full one again"):
            _ = storage.path(str(place)).uri


def test_what_is_no_secret_stays():
    for text in ("s3://bucket/what?.wav", "s3://bucket/F#2.wav", "http://host:8080/@me/kick.wav", "hdfs://me@host:9000/x",
                 "give --set KEY=VALUE", "C:\\x?y", "sounds/what?key", "https://host/kick.wav: no"):
        assert redacted(text) == text
    assert storage.recorded("sounds?a=b") == "sounds?a=b"


def test_parts_of_a_place_keep_what_gives_access():
    place = RemotePath("https://me:pass@host/shards/?sig=0123#top")
    assert (place / "index.json").uri == "https://me:pass@host/shards/index.json?sig=0123#top"
    assert (place.parent.full, place.name, place.suffix) == ("https://me:pass@host?sig=0123#top", "shards", "")
    assert place != RemotePath("https://me:pass@host/shards?sig=4567")


@pytest.fixture
def shards(tmp_path):
    """Prepared sounds behind a token."""
    folder = tmp_path / "shards"
    prepare(write_sounds(tmp_path / "sounds"), folder, workers=1)

    def answer(method: str, target: str) -> list[bytes]:
        file = folder / target.partition("?")[0].rpartition("/")[2]
        if "sig=s3cr3t" not in target:
            return [response(status="403 Forbidden")]
        if not file.is_file():
            return [response(status="404 Not Found")]
        return [response(length=file.stat().st_size)] if method == "HEAD" else [response(file.read_bytes())]

    server = HostileServer(answer)
    yield f"{server.url}/shards?sig=s3cr3t"
    server.close()


@pytest.mark.slow
def test_a_run_on_signed_addresses_records_no_secret_and_resumes_with_them(shards, tmp_path):
    arguments = ("train", shards, "--run-dir", tmp_path / "run", "--preset", "seed", "--no-xla", "--set",
                 "training.batch_size=8")
    clean(invoke(*arguments, "--steps", 1, "--valid", shards))
    for file in (tmp_path / "run").rglob("*"):
        assert not file.is_file() or b"s3cr3t" not in file.read_bytes()
    data = RunDirectory(tmp_path / "run").record()["data"]
    assert data["folder"] == data["valid"] == shards.replace("sig=s3cr3t", "***")
    invoke(*arguments, "--steps", 2).one_line("give the full one again (--valid)", code=2)
    invoke("train", data["folder"], *arguments[2:]).one_line("give the full one again", code=2)
    ended = clean(invoke(*arguments, "--steps", 2, "--valid", shards))
    assert "resuming at step 1" in ended.stdout
    assert "s3cr3t" not in "".join(ended.stdout + ended.stderr)
    ended = program("--debug", "info", shards)
    assert "Traceback" in ended.stderr
    assert "s3cr3t" not in ended.stdout + ended.stderr
