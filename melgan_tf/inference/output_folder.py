"""A folder of generated sounds: the names of its files, its record, and moving finished files into it.

The record, picture and page of a call are beside its sounds. Each part of a job that several calls share has its own,
so that all can write into one folder, also at the same time. No TensorFlow.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from melgan_tf import storage
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.storage.json_file import MAX_LIST_BYTES, read_json
from melgan_tf.storage.temporaries import is_temporary

_FILE = re.compile(r'\s*\{?\s*"file": ("(?:[^"\\]|\\.)*\.(?:wav|flac|aiff|ogg)")')
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
    licenses: str = "LICENSES.txt"

    @property
    def beside(self) -> tuple[str, ...]:
        """All of them; the record, which names the others, last."""
        return self.page, self.picture, self.licenses, self.record

    @classmethod
    def of(cls, part: Part | None = None) -> FileNames:
        """The names for a whole job, or for a part of it: ``sounds-2-of-3.json``."""
        suffix = f"-{part.number:0{len(str(part.of))}d}-of-{part.of}" if part else ""
        return cls(f"sounds{suffix}.json", f"sounds{suffix}.png", f"index{suffix}.html")


def file_name(model: str, seed: int, index: int, count: int, label: str | None = None) -> str:
    """The name of a sound's file, with enough digits for ``count`` sounds and at least four, so that names sort.

    Examples:
        >>> file_name("music", 1, 7, 16), file_name("drums", 1, 7, 1_000_000, "kick")
        ('music-seed1-0007.wav', 'kick-drums-seed1-000007.wav')
    """
    front = "-".join(name_part(part) for part in (label, model) if part)
    return f"{front}-seed{seed}-{index:0{max(4, len(str(count - 1)))}d}.wav"


def name_part(text: str) -> str:
    """Text as part of a file name: what not every file system or shell takes becomes a hyphen, weights percent.

    Examples:
        >>> name_part("kick=0.7,snare=0.3")
        'kick70-snare30'
    """
    text = re.sub(r"=(\d*\.?\d+(?:e-?\d+)?)(?=,|$)", lambda found: f"{100 * float(found[1]):.0f}", text)
    return re.sub(r"[^\w.=-]+", "-", text)[:80]


class NamePattern:
    """The names of sounds: ``{label}_{index:03}_{note}``.

    Args:
        text: with the fields ``label``, ``index``, ``seed``, ``model`` and ``note``, which may be empty. Numbers may
            have a width, as in ``{index:04}``.
        count: number of sounds; of several, the names need their index.

    Raises:
        UsageError: there is no such field, or the names would be equal, or those of other folders.

    Examples:
        >>> name = NamePattern("{label}_{index:03}_{note}", 2)
        >>> name(label="kick", index=7, seed=0, model="drums", note="A1"), name(label="hat", index=7)
        ('kick_007_A1', 'hat_007')
    """

    FIELDS = ("label", "index", "seed", "model", "note")

    def __init__(self, text: str, count: int = 1) -> None:
        self.text = re.sub(r"\.(wav|flac|aiff|ogg)$", "", text)
        fields = ", ".join(f"{{{name}}}" for name in self.FIELDS)
        try:
            parts = list(string.Formatter().parse(self.text))
        except ValueError as error:
            raise UsageError(f"the name {text!r} cannot be read ({error}): fields are {fields}") from None
        used = [(name, form, conversion) for _, name, form, conversion in parts if name is not None]
        for name, form, conversion in used:
            number = name in ("index", "seed")
            if name not in self.FIELDS or conversion or not re.fullmatch(r"0?\d?d?" if number else "", form):
                shown = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
                raise UsageError(f"the name {text!r} has the field {{{shown}}}: fields are {fields}; index and "
                                 "seed may have a width, as in {index:03}")
        literal = "".join(part for part, *_ in parts)
        if found := re.search(r'[/\\<>:"|?*\x00-\x1f\x7f]', literal):
            raise UsageError(f"the name {text!r} contains {found[0]!r}, which file names cannot: remove it")
        if not self.text or self.text[0] in ".- ":
            raise UsageError(f"the name {text!r}: begin it with a letter, a digit or a field")
        if count > 1 and "index" not in [name for name, *_ in used]:
            raise UsageError(f"the name {text!r} is the same for {count} sounds: add {{index:03}}")

    def __call__(self, *, label: str = "", index: int = 0, seed: int = 0, model: str = "", note: str = "") -> str:
        """The name of a sound, without an extension. Separators around an empty field become one."""
        parts = {"label": name_part(label), "index": index, "seed": seed, "model": name_part(model), "note": note}
        made = re.sub(r"([_. -])[_. -]+", r"\1", self.text.format(**parts)) if not all(parts.values()) else \
            self.text.format(**parts)
        return made.strip("_. -").encode()[:200].decode(errors="ignore") or "sound"


class RecordWriter:
    """Writes a record while its sounds are made: a JSON object whose ``sounds`` have one line each, after the head."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115  closed by __exit__
        self._file.write(json.dumps(head, indent=1)[:-2] + ',\n "sounds": [')
        self._between = "\n  "
        self.count = 0

    def add(self, sound: dict[str, Any]) -> None:
        """Writes the next sound."""
        self.count += 1
        self._file.write(self._between + json.dumps(sound))
        self._between = ",\n  "

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._file:
            if kind is None or self.count:  # also of what was finished before an interruption
                self._file.write("\n ]\n}\n")


def recorded_labels(folder: Path) -> dict[str, str]:
    """The labels of a folder's files by file name, as its records state them.

    Raises:
        OSError, ValueError, KeyError, TypeError: a record cannot be read, or has no labels.
    """
    records = [read_json(path, MAX_LIST_BYTES) for path in _records(folder)]
    return {sound["file"]: str(sound["label"]) for record in records for sound in record["sounds"]}


def recorded_sounds(folder: Path, names: FileNames, head: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entries of the sounds of earlier calls, for a record with another head: what differs goes into the entries.

    Raises:
        MelGANError: the record cannot be read.
    """
    path = folder / names.record
    if not path.exists():
        return
    try:
        before = read_json(path, MAX_LIST_BYTES)
        sounds = before.pop("sounds")
        more = {key: value for key, value in before.items() if head.get(key) != value}
        for sound in sounds:
            if not (folder / sound["file"]).exists():
                continue
            yield {**sound, **{key: value for key, value in more.items() if key not in sound}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MelGANError(f"{path} cannot be read ({error!r:.100}): give another --out") from None


def has_only_other_parts(folder: Path, part: Part) -> bool:
    """Whether a folder contains other parts of the same job and nothing else, so that a part may be added."""
    ours, others = FileNames.of(part), re.compile(rf"(sounds|index)-\d+-of-{part.of}\.(json|png|html)|LICENSES\.txt|"
                                                   r".*\.(wav|flac|aiff|ogg)")
    found = os.listdir(folder)
    names = [name for name in found if not is_temporary(name)]
    started = len(names) < len(found) or any(_RECORDS.fullmatch(name) for name in names)
    return started and ours.record not in names and all(others.fullmatch(name) for name in names)


@contextlib.contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """A hidden folder in which the files of another one are finished, on the same disk; `move` moves them there.

    Raises:
        MelGANError: nothing can be written there. Errors within the block name the other folder instead of the hidden.
    """
    beside = out if out.is_dir() else out.parent  # on the same disk, even where `out` is another disk's top
    try:
        beside.mkdir(parents=True, exist_ok=True)
        with storage.temporary_folder(beside, 0o777) as staging:
            try:
                yield staging
            except MelGANError as error:
                kind = UsageError if isinstance(error, UsageError) else MelGANError
                raise kind(str(error).replace(str(staging), str(out))) from None
    except OSError as error:
        raise MelGANError(f"cannot write {out}: {error.strerror}") from None


def move(staging: Path, out: Path, earlier: Iterable[str], last: Sequence[str]) -> None:
    """Moves finished files to a folder, in which other files stay.

    Args:
        staging, out: from where, and to where.
        earlier: files of an earlier call, which are deleted.
        last: files to move last, in this order: a record comes after what it names.
    """
    if not out.exists():
        try:
            os.rename(staging, out)
            return
        except OSError:
            if not out.is_dir():  # otherwise another part created it first
                raise
    for old in earlier:
        (out / old).unlink(missing_ok=True)
    for folder, _, files in os.walk(staging):
        inside = Path(folder).relative_to(staging)
        (out / inside).mkdir(exist_ok=True)
        for name in files:
            if name not in last:
                os.replace(os.path.join(folder, name), out / inside / name)
    for name in last:
        if (staging / name).exists():
            os.replace(staging / name, out / name)


def _records(folder: Path) -> list[Path]:
    return sorted(folder / name for name in os.listdir(folder) if _RECORDS.fullmatch(name))


def earlier_files(out: Path, names: FileNames) -> Iterator[str]:
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
