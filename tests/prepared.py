"""Prepared shards for tests to damage: made once, copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import contents
from drums import write_drums

from melgan_tf.data.prepare import prepare

_originals: list[Path] = []


def visible(folder: Path) -> dict[str, bytes]:
    """The output of a preparation, without its journal."""
    return {name: content for name, content in contents(folder).items() if not name.startswith(".prepare/")}


def small_copy(factory: pytest.TempPathFactory, folder: Path) -> tuple[Path, Path]:
    """Copies 30 sounds and their three shards into a folder; returns the folders of both."""
    if not _originals:
        original = factory.mktemp("small")
        prepare(write_drums(original / "data", each=10), original / "out", workers=1, shard_files=10)
        _originals.append(original)
    for name in ("data", "out"):
        shutil.copytree(_originals[0] / name, folder / name)  # with the files' times, which the journal knows
    return folder / "data", folder / "out"


def again(data: Path, out: Path, **settings) -> int:
    """Prepares once more; returns the number of shards that were kept."""
    return prepare(data, out, workers=1, shard_files=10, **settings).found


def flip(file: Path) -> None:
    """Flips a bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
