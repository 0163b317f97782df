"""The tutorial "On a phone", typed as it stands: from a folder of sounds to one that LiteRT makes, in C and Python.

Its lines in Kotlin and Swift are compared with those of the apps; neither is compiled.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ai_edge_litert
import pytest
from command_line import PROGRAM

ROOT, LIBRARY = Path(__file__).parent.parent, Path(ai_edge_litert.__file__).parent
TEXT = (ROOT / "docs/tutorials/phone.md").read_text(encoding="utf-8").partition("## A vocoder")[0]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
LINES = [line for language, block in BLOCKS if not language for line in block.splitlines()]


@pytest.mark.parametrize(("language", "ending"), [("kotlin", "kt"), ("swift", "swift")])
def test_the_lines_of_other_languages_stand_in_the_apps(language, ending):
    file, = (ROOT / "examples/phone").rglob(f"SoundModel.{ending}")
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    quoted = [line for name, block in BLOCKS if name == language for line in block.splitlines()]
    assert len(quoted) > 2
    assert [line for line in quoted if line.strip() not in lines] == []


@pytest.mark.nightly
@pytest.mark.skipif(not (LIBRARY / "libLiteRt.so").exists(), reason="no C library in this ai-edge-litert")
def test_from_a_folder_of_sounds_to_a_phone(tmp_path):
    shutil.copytree(ROOT / "demo/drums", tmp_path / "my-sounds")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    assert [line.split()[0] for line in LINES if line.startswith("melgan-tf")] == ["melgan-tf"] * 3
    for line in LINES:
        if line.startswith("melgan-tf"):
            words = line.split()[1:] + (["--steps", "4"] if " train " in line else [])
            command = [sys.executable, "-c", PROGRAM, *words]
        else:
            assignment = next(other for other in LINES if other.startswith("LITERT="))
            command = ["bash", "-ec", f"{assignment}\n{line}"]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{line}\n{ended.stderr}"
    assert (tmp_path / "kick.npy").is_file()
    assert (tmp_path / "kick.f32").stat().st_size == 8000 * 4
