"""The tutorial's afternoon, typed as it stands: from an empty folder to a finished pack."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from command_line import PROGRAM

ROOT = Path(__file__).parent.parent
LINES = re.findall(r"^melgan-tf (.*)", (ROOT / "docs/tutorials/afternoon.md").read_text(encoding="utf-8"), re.MULTILINE)
#: Two minutes of training instead of ten.
SHORTER = {"train": " --steps 60"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("afternoon")
    shutil.copytree(ROOT / "demo/drums", folder / "my-sounds")
    return folder


@pytest.mark.nightly
def test_from_a_folder_of_sounds_to_a_pack(place):
    (place / "melgan-tf").write_text(f"#!{sys.executable}\n{PROGRAM}\n")
    (place / "melgan-tf").chmod(0o755)
    environment = {**os.environ, "PATH": f"{place}:{os.environ['PATH']}"}
    assert len(LINES) >= 25
    for line in LINES:
        ended = subprocess.run(["sh", "-c", f"melgan-tf {line}{SHORTER.get(line.split()[0], '')}"], cwd=place,
                               env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr, line
    kick = (place / "kicks/kick-mine-seed1-0002.wav").read_bytes()
    assert (place / "again/kick-mine-seed1-0002.wav").read_bytes() == kick
    for file in sorted((place / "kicks-like-it").glob("*.wav")):
        assert (place / "all-again" / file.name).read_bytes() == file.read_bytes()
    pack = [soundfile.info(file) for file in sorted((place / "pack").glob("*.wav"))]
    assert len(pack) == 48
    assert {(info.samplerate, info.subtype) for info in pack} == {(44_100, "PCM_24")}
    record = json.loads((place / "new/sounds.json").read_text())
    assert len(list((place / "new").glob("*.wav"))) == len(record["sounds"]) == 40
    for folder, bars in (("loops", 2), ("bass", 4)):
        lengths = {soundfile.info(file).frames for file in (place / folder).glob("*.wav")}
        assert lengths == {round(bars * 4 * 60 / 124 * 22_050)}
    for page in ("my-map", "map", "new", "pack"):
        assert (place / page / "index.html").stat().st_size > 10_000
