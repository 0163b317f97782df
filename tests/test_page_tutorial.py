"""The tutorial "In a web page", typed as it stands: from a folder of sounds to a page that answers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from command_line import PROGRAM

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs/tutorials/page.md").read_text(encoding="utf-8").partition("## A page of sounds")[0]
LINES = re.findall(r"^melgan-tf (.*)", TEXT, re.MULTILINE)
#: Seconds of training instead of ten minutes.
SHORTER = {"train": ("--steps", "4")}


def play(words, place):
    """Starts a page, gets what it consists of, and interrupts it."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *words, "--no-open"], cwd=place, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    address = process.stdout.readline().split()[0]
    for file, part in (("", b"<title>"), ("model.json", b'"classes"'), ("model.tflite", b"TFL3"),
                       ("litert/litert_wasm_compat_internal.wasm", b"\0asm")):
        with urllib.request.urlopen(address + file) as answer:
            assert part in answer.read(4_000), file
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest) == (130, "")
    assert "Traceback" not in errors


@pytest.mark.nightly
def test_from_a_folder_of_sounds_to_a_page(tmp_path):
    shutil.copytree(ROOT / "demo/drums", tmp_path / "my-sounds")
    assert [line.split()[0] for line in LINES] == ["train", "play", "export", "play"]
    for line in LINES:
        name, *words = line.split()
        if name == "play":
            play([name, *words], tmp_path)
            continue
        ended = subprocess.run([sys.executable, "-c", PROGRAM, name, *words, *SHORTER.get(name, ())], cwd=tmp_path,
                               env=os.environ, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{line}\n{ended.stderr}"
    assert (tmp_path / "page/export_report.json").is_file()
