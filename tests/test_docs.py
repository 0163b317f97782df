"""The documentation says what is there: every command and preset has a page, every command line parses."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

from melgan_tf.cli.main import main
from melgan_tf.config import presets

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8") for file in [ROOT / "README.md", *PAGES]}


def command_lines():
    for name, text in TEXTS.items():
        for block in re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("melgan-tf "):
                    yield pytest.param(line, id=f"{name}: {line[:60]}")


@pytest.mark.parametrize("line", list(command_lines()))
def test_every_command_line_parses(line, tmp_path, monkeypatch):
    words = shlex.split(line, comments=True)[1:]
    parent = main.make_context("melgan-tf", [words[0]])  # commands remember the names of their help option
    command = main.get_command(parent, words[0])
    assert command, words[0]
    assert command.make_context(words[0], [word.replace("~", str(tmp_path)) for word in words[1:]], parent)


def test_a_wrong_command_line_would_be_found():
    parent = main.make_context("melgan-tf", ["train"])
    with pytest.raises(click.UsageError):
        main.get_command(parent, "train").make_context("train", ["sounds", "--run", "runs/x"], parent)


def test_every_preset_and_command_has_a_page():
    pages = "".join(text for name, text in TEXTS.items() if name.startswith("docs/presets/"))
    assert [name for name in presets.names() if f"{{{{ preset {name} }}}}" not in pages] == []
    assert "melgan_tf.cli.main" in TEXTS["docs/reference/cli.md"]
    prose = "".join(text for name, text in TEXTS.items() if "reference" not in name)
    assert [name for name in main.list_commands(click.Context(main)) if f"melgan-tf {name}" not in prose] == []


def test_the_readme_is_short_and_names_every_preset():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 150
    assert [name for name in presets.names() if f"`{name}`" not in readme] == []


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name):
    text = re.sub(r"^```.*?^```", "", TEXTS[name], flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://", "#")):
            assert (ROOT / name).parent.joinpath(target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("name", TEXTS)
def test_python_compiles(name):
    for block in re.findall(r"^```python\n(.*?)^```", TEXTS[name], re.MULTILINE | re.DOTALL):
        compile(block, name, "exec")


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page for page in PAGES if str(page.relative_to(ROOT / "docs")) not in navigation] == []


@pytest.mark.slow
def test_the_page_of_sounds_plays_what_a_model_makes(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("listen", ROOT / "docs" / "listen.py")
    listen = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(listen)
    monkeypatch.setattr(listen, "COUNT", 2)
    section = listen.sound_section("pretrained:drums", tmp_path)
    sounds = re.findall(r'<audio [^>]*src="([^"]+)"', section)
    assert len(sounds) == 2
    for file in [*sounds, *re.findall(r'<img src="([^"]+)"', section)]:
        assert (tmp_path / file).stat().st_size > 1_000
    for embedding in ("drum-classes-2", "log-spectra-1", "log-mel-statistics-2"):
        assert re.search(rf"\| {embedding} (\| -?[\d.]+ \(-?[\d.]+\) ){{6}}\|", section)
