"""A folder of generated sounds: what its files are called, how its record is written, how finished files get there.

A call's record, picture and page lie beside its sounds. A shard, one call of several that share a job, has its own, so
that all may write into one folder, also at the same time. No TensorFlow.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

_FILE = re.compile(r'\s*\{?\s*"file": ("(?:[^"\\]|\\.)*\.wav")')
_RECORDS = re.compile(r"sounds(-\d+-of-\d+)?\.json")
#: How the name of a folder begins in which a call makes its files.
WORKPLACE = ".sounds-"


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``of``, counted from 1, of the sounds that one call would make.

    Raises:
        ValueError: there is no such part.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(f"there is no shard {self}: give 1/{max(self.of, 1)} to {max(self.of, 1)}/"
                             f"{max(self.of, 1)}")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def part(self, count: int, batch: int) -> range:
        """Which of ``count`` sounds are its own: whole batches, save for the last.

        Example:
            >>> [Shard(number, 3).part(70, 16) for number in (1, 2, 3)]
            [range(0, 16), range(16, 48), range(48, 70)]
        """
        batches = -(-count // batch)
        first, last = (batches * number // self.of for number in (self.number - 1, self.number))
        return range(min(count, first * batch), min(count, last * batch))


@dataclass(frozen=True)
class FileNames:
    """What a call's files are called, sounds apart."""

    record: str
    picture: str
    page: str

    @classmethod
    def of(cls, shard: Shard | None = None) -> FileNames:
        """Of a whole call, or of a shard: ``sounds-2-of-3.json``."""
        part = f"-{shard.number:0{len(str(shard.of))}d}-of-{shard.of}" if shard else ""
        return cls(f"sounds{part}.json", f"sounds{part}.png", f"index{part}.html")


def file_name(seed: int, index: int, count: int, label: str | None = None) -> str:
    """A sound's file: four digits, or as many as the last of ``count`` sounds needs, so that names sort.

    Example:
        >>> file_name(1, 7, 16), file_name(1, 7, 1_000_000, "kick")
        ('seed1-0007.wav', 'kick-seed1-000007.wav')
    """
    front = re.sub(r"[^\w.=-]+", "-", label)[:80] + "-" if label else ""
    return f"{front}seed{seed}-{index:0{max(4, len(str(count - 1)))}d}.wav"


class RecordWriter:
    """Writes a record as its sounds come: an object whose ``sounds`` stand one to a line.

    Args:
        path: of the file.
        head: all but the sounds.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115  closed by __exit__
        self._file.write(json.dumps(head, indent=1)[:-2] + ',\n "sounds": [')
        self._between = "\n  "

    def add(self, sound: dict[str, Any]) -> None:
        """Writes the next sound."""
        self._file.write(self._between + json.dumps(sound))
        self._between = ",\n  "

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._file:
            if kind is None:
                self._file.write("\n ]\n}\n")


def recorded_labels(folder: Path) -> dict[str, str]:
    """The labels that a folder's records give its files, by name.

    Raises:
        OSError, ValueError, KeyError, TypeError: a record cannot be read, or names none.
    """
    records = [json.loads(path.read_text(encoding="utf-8")) for path in _records(folder)]
    return {sound["file"]: str(sound["label"]) for record in records for sound in record["sounds"]}


def holds_other_shards_only(folder: Path, shard: Shard) -> bool:
    """Whether a folder is one that a shard may add to: other shards of the same job wrote there, and nobody else."""
    ours, others = FileNames.of(shard), re.compile(rf"(sounds|index)-\d+-of-{shard.of}\.(json|png|html)|.*\.wav")
    found = os.listdir(folder)
    names = [name for name in found if not name.startswith(WORKPLACE)]
    begun = len(names) < len(found) or any(_RECORDS.fullmatch(name) for name in names)
    return begun and ours.record not in names and all(others.fullmatch(name) for name in names)


def move(workplace: Path, out: Path, names: FileNames) -> None:
    """Puts finished files in place; those of an earlier call go, whatever else is there stays.

    The record comes last, so that it names nothing that is not there.
    """
    if not out.exists():
        try:
            os.rename(workplace, out)
            return
        except OSError:
            if not out.is_dir():  # else another shard came first
                raise
    for old in _earlier(out, names):
        (out / old).unlink(missing_ok=True)
    own = (names.page, names.picture, names.record)
    with os.scandir(workplace) as files:
        for file in files:
            if file.name not in own:
                os.replace(file.path, out / file.name)
    for name in own:
        if (workplace / name).exists():
            os.replace(workplace / name, out / name)


def _records(folder: Path) -> list[Path]:
    return sorted(folder / name for name in os.listdir(folder) if _RECORDS.fullmatch(name))


def _earlier(out: Path, names: FileNames) -> Iterator[str]:
    """What an earlier call wrote: of a shard its own, of a whole call that of shards, too."""
    whole = names == FileNames.of()
    for record in _records(out) if whole else [out / names.record]:
        ours = False
        with contextlib.suppress(OSError, ValueError), open(record, encoding="utf-8") as lines:
            for line in lines:  # never the whole record, which may be larger than memory
                ours = ours or line.startswith(' "audio_fingerprint": ')
                name = json.loads(found[1]) if ours and (found := _FILE.match(line)) else ""
                if name and name == Path(name).name and (out / name).is_file():
                    yield name
        if ours:
            yield from (record.name, *(record.name.replace("sounds", front, 1).replace(".json", end)
                                       for front, end in (("sounds", ".png"), ("index", ".html"))))
