"""Writing one shard: duplicate clips are dropped, files are counted, and the clips of a damaged file are removed."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from melgan_tf.audio.find import SoundFile
from melgan_tf.audio.loops.loop import Loop
from melgan_tf.config.strict_json import expect, expect_counts
from melgan_tf.storage.atomic import atomic_write

_DETAILS = re.compile(r":| at \d| \(|, ")  # start the part of a reason that differs between files
_COUNTERS = ("labels", "reasons", "notes")


@dataclass
class Counts:
    """Statistics of one shard or of all.

    Attributes:
        files: number of files found.
        kept: files with at least one clip.
        clips: clips written.
        silent: clips dropped because they are silent.
        duplicates: clips dropped because they equal an earlier one.
        clipped: clips with samples above full scale, which were clipped to it.
        labels: clips by label.
        reasons: skipped files by kind of reason.
        notes: kept files that are odd, by kind of note.
    """

    files: int = 0
    kept: int = 0
    clips: int = 0
    silent: int = 0
    duplicates: int = 0
    clipped: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def skipped(self) -> int:
        """Files without a clip."""
        return self.files - self.kept

    def add(self, other: Counts) -> None:
        """Add another one to this."""
        for each in dataclasses.fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; ``clipped`` is stored as "held"."""
        values = {"held" if name == "clipped" else name: value for name, value in dataclasses.asdict(self).items()}
        return {**values, **{name: dict(sorted(getattr(self, name).items())) for name in _COUNTERS}}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Counts:
        """Do the inverse of `to_dict`; receipts of version 0.1 have no ``notes``.

        Raises:
            ValueError: a value is missing or of another type.
        """
        values = {"notes": {}, **values}
        for name in _COUNTERS:
            expect_counts(values, name)
        expect(values, files=int, kept=int, clips=int, silent=int, duplicates=int, held=int)
        values = {field.name: values["held" if field.name == "clipped" else field.name]
                  for field in dataclasses.fields(cls)}
        return cls(**{**values, **{name: Counter(values[name]) for name in _COUNTERS}})


class DedupIndex:
    """The digests of all clips so far, which SQLite moves to a temporary file when there are many."""

    def __init__(self) -> None:
        self.database = sqlite3.connect("", isolation_level=None)
        self.database.execute("PRAGMA cache_size = -65536")  # kB in memory
        self.database.execute("PRAGMA synchronous = OFF")
        self.database.execute("CREATE TABLE clips (digest BLOB PRIMARY KEY, name TEXT) WITHOUT ROWID")
        self.database.execute("BEGIN")

    def add(self, digest: bytes, name: str) -> str | None:
        """Add a clip and return None; or return the name of the file that contained an equal one before."""
        if self.database.execute("INSERT OR IGNORE INTO clips VALUES (?, ?)", (digest, name)).rowcount:
            return None
        return self.database.execute("SELECT name FROM clips WHERE digest = ?", (digest,)).fetchone()[0]

    def remove(self, digest: bytes) -> None:
        """Remove a clip."""
        self.database.execute("DELETE FROM clips WHERE digest = ?", (digest,))

    def close(self) -> None:
        """Discard the index."""
        self.database.close()


class ShardWriter:
    """Writes the clips of files, one file after the other.

    Args:
        file: the open shard.
        dedup: the clips of earlier shards.
    """

    def __init__(self, file: BinaryIO, dedup: DedupIndex) -> None:
        self.file, self.dedup = file, dedup
        self.counts = Counts()
        self.skipped: list[tuple[str, str]] = []
        self.noted: list[tuple[str, str]] = []
        self.loops: list[dict[str, Any]] = []
        self.partly_kept: list[tuple[str, int, int]] = []
        self.digest, self.bytes, self.input_digest = hashlib.sha256(), 0, hashlib.sha256()
        self._begin_file()

    def _begin_file(self) -> None:
        self.bytes_before, self.digest_before = self.bytes, self.digest.copy()
        self.own: list[bytes] = []
        self.clipped = self.duplicates = 0
        self.same_as = ""

    def add(self, sound: SoundFile, digest: bytes, clipped: int, record: bytes) -> None:
        """Write a clip unless it equals an earlier one.

        Args:
            sound: its file.
            digest: SHA-256 of its samples.
            clipped: number of its samples above full scale.
            record: the serialized clip.
        """
        if same := self.dedup.add(digest, sound.name):
            self.duplicates += 1
            self.same_as = self.same_as or same
            return
        self.own.append(digest)
        self.clipped += clipped > 0
        self.file.write(record)
        self.digest.update(record)
        self.bytes += len(record)

    def discard_file(self) -> None:
        """Remove the clips of the current file."""
        for digest in self.own:
            self.dedup.remove(digest)
        if self.bytes > self.bytes_before:
            self.file.seek(self.bytes_before)
            self.file.truncate()
        self.bytes, self.digest = self.bytes_before, self.digest_before
        self._begin_file()

    def end_file(self, name: str, label: str, mtime_key: str, silent: int = 0, notes: Iterable[str] = (),
                 loop: Loop | None = None, failure: str | None = None) -> None:
        """Complete the current file.

        Args:
            name: of the file.
            label: its folder.
            mtime_key: changes if the file does.
            silent: number of its clips that were silent.
            notes: what is odd about it.
            loop: what is known about it as a loop.
            failure: why it cannot be used.
        """
        counts, clips = self.counts, len(self.own)
        self.input_digest.update(f"{name}\0{mtime_key}\n".encode())
        counts.files += 1
        if clips:
            counts.kept += 1
            counts.clips += clips
            counts.clipped += self.clipped
            counts.labels[label] += clips
            self.noted += ((name, note) for note in notes)
            counts.notes.update(kind_of(note) for note in notes)
            if loop:
                self.loops.append({"name": name, "bpm": loop.bpm, "bars": loop.bars, "key": str(loop.key or ""),
                                   "sources": loop.sources, "note": loop.note})
            if silent or self.duplicates:
                self.partly_kept.append((name, silent, self.duplicates))
        else:
            reason = failure or (f"a duplicate: the same as {self.same_as}" if self.duplicates else "silent")
            self.skipped.append((name, reason))
            counts.reasons[kind_of(reason)] += 1
        counts.silent += silent
        counts.duplicates += self.duplicates
        self._begin_file()

    def receipt(self) -> dict[str, Any]:
        """Return the shard's entry in the journal."""
        return {"made_of": self.input_digest.hexdigest(), "bytes": self.bytes, "sha256": self.digest.hexdigest(),
                "counts": self.counts.to_dict(), "skipped": self.skipped, "noted": self.noted,
                "partly_kept": self.partly_kept, **({"loops": self.loops} if self.loops else {})}


def kind_of(reason: str) -> str:
    """Return the part of a reason or a note that is the same for different files.

    Examples:
        >>> kind_of("truncated: only 0 of 44100 bytes of sound")
        'truncated'
    """
    return _DETAILS.split(reason)[0]


@contextlib.contextmanager
def writing(path: Path, dedup: DedupIndex) -> Iterator[ShardWriter]:
    """Give the writer of a shard, which is written atomically.

    Raises:
        MelGANError: it cannot be written.
    """
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        yield ShardWriter(file, dedup)
