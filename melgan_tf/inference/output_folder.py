"""A folder of generated sounds: the names of its files, its record, and moving finished files into it.

The record, picture and page of a call are beside its sounds. Each part of a job that several calls share has its own,
so that all can write into one folder, also at the same time. No TensorFlow.
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

from melgan_tf.storage.json_file import MAX_LIST_BYTES, read_json
from melgan_tf.storage.temporaries import is_temporary

_FILE = re.compile(r'\s*\{?\s*"file": ("(?:[^"\\]|\\.)*\.wav")')
_RECORDS = re.compile(r"sounds(-\d+-of-\d+)?\.json")


@dataclass(frozen=True)
class Part:
    """Part ``number`` of ``of``, counted from 1, of a job: ``--shard 2/3``.

    Raises:
        ValueError: the number is not between 1 and ``of``.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(f"there is no shard {self}: give 1/{max(self.of, 1)} to {max(self.of, 1)}/"
                             f"{max(self.of, 1)}")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def indices(self, count: int, batch: int) -> range:
        """The indices of its sounds among ``count``: whole batches, except the last.

        Examples:
            >>> [Part(number, 3).indices(70, 16) for number in (1, 2, 3)]
            [range(0, 16), range(16, 48), range(48, 70)]
        """
        batches = -(-count // batch)
        first, last = (batches * number // self.of for number in (self.number - 1, self.number))
        return range(min(count, first * batch), min(count, last * batch))


@dataclass(frozen=True)
class FileNames:
    """The names of a call's files besides its sounds."""

    record: str
    picture: str
    page: str

    @classmethod
    def of(cls, part: Part | None = None) -> FileNames:
        """The names for a whole job, or for a part of it: ``sounds-2-of-3.json``."""
        suffix = f"-{part.number:0{len(str(part.of))}d}-of-{part.of}" if part else ""
        return cls(f"sounds{suffix}.json", f"sounds{suffix}.png", f"index{suffix}.html")


def file_name(seed: int, index: int, count: int, label: str | None = None) -> str:
    """The name of a sound's file, with enough digits for ``count`` sounds and at least four, so that names sort.

    Examples:
        >>> file_name(1, 7, 16), file_name(1, 7, 1_000_000, "kick")
        ('seed1-0007.wav', 'kick-seed1-000007.wav')
    """
    front = name_part(label) + "-" if label else ""
    return f"{front}seed{seed}-{index:0{max(4, len(str(count - 1)))}d}.wav"


def name_part(text: str) -> str:
    """Text as part of a file name: what not every file system or shell takes becomes a hyphen.

    Examples:
        >>> name_part("kick=0.7,snare=0.3")
        'kick=0.7-snare=0.3'
    """
    return re.sub(r"[^\w.=-]+", "-", text)[:80]


class RecordWriter:
    """Writes a record while its sounds are made: a JSON object whose ``sounds`` have one line each.

    Args:
        path: of the file.
        head: the other values.
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
    """The labels of a folder's files by file name, as its records state them.

    Raises:
        OSError, ValueError, KeyError, TypeError: a record cannot be read, or has no labels.
    """
    records = [read_json(path, MAX_LIST_BYTES) for path in _records(folder)]
    return {sound["file"]: str(sound["label"]) for record in records for sound in record["sounds"]}


def has_only_other_parts(folder: Path, part: Part) -> bool:
    """Whether a folder contains other parts of the same job and nothing else, so that a part may be added."""
    ours, others = FileNames.of(part), re.compile(rf"(sounds|index)-\d+-of-{part.of}\.(json|png|html)|.*\.wav")
    found = os.listdir(folder)
    names = [name for name in found if not is_temporary(name)]
    started = len(names) < len(found) or any(_RECORDS.fullmatch(name) for name in names)
    return started and ours.record not in names and all(others.fullmatch(name) for name in names)


def move(staging: Path, out: Path, names: FileNames) -> None:
    """Moves finished files to the folder. The files of an earlier call are deleted, all others stay.

    The record is moved last, so that it names no missing file.
    """
    if not out.exists():
        try:
            os.rename(staging, out)
            return
        except OSError:
            if not out.is_dir():  # otherwise another part created it first
                raise
    for old in _earlier(out, names):
        (out / old).unlink(missing_ok=True)
    own = (names.page, names.picture, names.record)
    with os.scandir(staging) as files:
        for file in files:
            if file.name not in own:
                os.replace(file.path, out / file.name)
    for name in own:
        if (staging / name).exists():
            os.replace(staging / name, out / name)


def _records(folder: Path) -> list[Path]:
    return sorted(folder / name for name in os.listdir(folder) if _RECORDS.fullmatch(name))


def _earlier(out: Path, names: FileNames) -> Iterator[str]:
    """The files of an earlier call for the same part; for a whole job also those of all parts."""
    whole = names == FileNames.of()
    for record in _records(out) if whole else [out / names.record]:
        ours = False
        with contextlib.suppress(OSError, ValueError), open(record, encoding="utf-8") as lines:
            for line in lines:  # not the whole record, which may be larger than memory
                ours = ours or line.startswith(' "audio_fingerprint": ')
                name = json.loads(found[1]) if ours and (found := _FILE.match(line)) else ""
                if name and name == Path(name).name and (out / name).is_file():
                    yield name
        if ours:
            yield from (record.name, *(record.name.replace("sounds", front, 1).replace(".json", end)
                                       for front, end in (("sounds", ".png"), ("index", ".html"))))
