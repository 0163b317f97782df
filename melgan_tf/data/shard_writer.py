"""Writing one shard: which clips are new, what became of every file, taking back what a damaged file gave."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from melgan_tf.audio.find import SoundFile
from melgan_tf.storage.atomic import atomic_write

_DIFFERING = re.compile(r":| at \d| \(|, ")  # what follows in a reason differs from file to file


@dataclass
class Counts:
    """What became of files, of one shard or of all.

    Attributes:
        files: found.
        kept: of them that gave clips.
        clips: that were written.
        silent: clips that were left out because nothing is to be heard.
        duplicates: clips that were left out because an earlier one is the same.
        held: clips with samples above full scale, which were held to it.
        labels: clips of each folder.
        reasons: skipped files by kind of reason.
    """

    files: int = 0
    kept: int = 0
    clips: int = 0
    silent: int = 0
    duplicates: int = 0
    held: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def skipped(self) -> int:
        """Files that gave no clip."""
        return self.files - self.kept

    def add(self, other: Counts) -> None:
        """Adds another one up."""
        for each in dataclasses.fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**dataclasses.asdict(self), "labels": dict(sorted(self.labels.items())),
                "reasons": dict(sorted(self.reasons.items()))}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Counts:
        """The inverse of `to_dict`."""
        return cls(**{**values, "labels": Counter(values["labels"]), "reasons": Counter(values["reasons"])})


class Seen:
    """The digests of all clips so far: on disk, in a file that goes with the process, once there are many."""

    def __init__(self) -> None:
        self.database = sqlite3.connect("", isolation_level=None)
        self.database.execute("PRAGMA cache_size = -65536")  # kB in memory
        self.database.execute("PRAGMA synchronous = OFF")
        self.database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, name TEXT) WITHOUT ROWID")
        self.database.execute("BEGIN")

    def add(self, digest: bytes, name: str) -> str | None:
        """Adds a clip; or tells which file has had the same before."""
        if self.database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (digest, name)).rowcount:
            return None
        return self.database.execute("SELECT name FROM seen WHERE digest = ?", (digest,)).fetchone()[0]

    def remove(self, digest: bytes) -> None:
        """Takes a clip back."""
        self.database.execute("DELETE FROM seen WHERE digest = ?", (digest,))

    def close(self) -> None:
        """Forgets everything."""
        self.database.close()


class ShardWriter:
    """Takes what files give, one file after the other.

    Args:
        file: what is written to.
        seen: the clips of earlier shards.
    """

    def __init__(self, file: BinaryIO, seen: Seen) -> None:
        self.file, self.seen = file, seen
        self.counts = Counts()
        self.skipped: list[tuple[str, str]] = []
        self.partly_kept: list[tuple[str, int, int]] = []
        self.digest, self.bytes, self.made_of = hashlib.sha256(), 0, hashlib.sha256()
        self._begin_file()

    def _begin_file(self) -> None:
        self.bytes_before, self.digest_before = self.bytes, self.digest.copy()
        self.own: list[bytes] = []
        self.held = self.duplicates = 0
        self.same_as = ""

    def add(self, sound: SoundFile, digest: bytes, held: int, record: bytes) -> None:
        """Writes a clip unless an earlier one is the same."""
        if same := self.seen.add(digest, sound.name):
            self.duplicates += 1
            self.same_as = self.same_as or same
            return
        self.own.append(digest)
        self.held += held > 0
        self.file.write(record)
        self.digest.update(record)
        self.bytes += len(record)

    def drop(self) -> None:
        """Takes back what the present file gave."""
        for digest in self.own:
            self.seen.remove(digest)
        if self.bytes > self.bytes_before:
            self.file.seek(self.bytes_before)
            self.file.truncate()
        self.bytes, self.digest = self.bytes_before, self.digest_before
        self._begin_file()

    def end(self, name: str, label: str, stamp: str, silent: int = 0, failure: str | None = None) -> None:
        """Ends a file.

        Args:
            name: the file's name.
            label: its folder.
            stamp: changes if the file does.
            silent: clips of it that were silent.
            failure: why it cannot be used.
        """
        counts, clips = self.counts, len(self.own)
        self.made_of.update(f"{name}\0{stamp}\n".encode())
        counts.files += 1
        if clips:
            counts.kept += 1
            counts.clips += clips
            counts.held += self.held
            counts.labels[label] += clips
            if silent or self.duplicates:
                self.partly_kept.append((name, silent, self.duplicates))
        else:
            reason = failure or (f"a duplicate: the same as {self.same_as}" if self.duplicates else "silent")
            self.skipped.append((name, reason))
            counts.reasons[_DIFFERING.split(reason)[0]] += 1
        counts.silent += silent
        counts.duplicates += self.duplicates
        self._begin_file()

    def receipt(self) -> dict[str, Any]:
        """What the journal keeps of the shard."""
        return {"made_of": self.made_of.hexdigest(), "bytes": self.bytes, "sha256": self.digest.hexdigest(),
                "counts": self.counts.to_dict(), "skipped": self.skipped, "partly_kept": self.partly_kept}


@contextlib.contextmanager
def writing(path: Path, seen: Seen) -> Iterator[ShardWriter]:
    """A shard that takes its place when the block ends well, made durable before, and leaves nothing if not.

    Raises:
        MelGANError: it cannot be written.
    """
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        yield ShardWriter(file, seen)
