"""A folder of sounds -> shards of clips: what `melgan-tf prepare` does.

Files are taken in the order of their names, so many to a shard, and worked on in processes of their own. A shard is
written to a temporary file, made durable, renamed, and then entered in a journal together with what it was made of; the
index comes last. Whatever interrupts this, the same call verifies what the journal knows and goes on behind it, and the
output is the same, byte for byte, as if nothing had happened. Memory does not grow with the number of files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melgan_tf import storage
from melgan_tf.audio.find import Skipped, SoundFile, count, scan
from melgan_tf.data import decoder_pool, shards
from melgan_tf.data.clips import ClipSettings, clips
from melgan_tf.data.journal import Journal
from melgan_tf.data.shard_writer import Counts, Seen, ShardWriter, writing
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.progress import Progress
from melgan_tf.storage.backend import StorageError
from melgan_tf.storage.prefetch import Prefetcher


@dataclass(frozen=True)
class Result:
    """How a preparation ended.

    Attributes:
        folder: where the shards are.
        counts: what became of the files.
        shards: how many there are.
        found: how many of them were there already.
        ignored: files that promise no sound, by extension.
    """

    folder: Path
    counts: Counts
    shards: int
    found: int
    ignored: dict[str, int]

    def skipped(self) -> Iterator[Skipped]:
        """Every file that was skipped, in the order of names."""
        return Journal(self.folder).skipped(self.shards)


def clips_of(arguments: tuple[str, str, str], settings: ClipSettings, give: Callable[[tuple], None]) -> int:
    """The task of a process: gives every clip of a file as ``(digest, held, record)``.

    Args:
        arguments: the file's path, name and label.
        settings: what clips are to be like.
        give: takes a clip.

    Returns:
        How many clips were silent.
    """
    path, name, label = arguments
    sound, silent = SoundFile(Path(path), name, label), 0
    with storage.local(storage.path(path)) as file:
        for clip in clips(file, name, settings):
            if clip is None:
                silent += 1
            else:
                give((clip.digest, clip.held, shards.record(clip, sound, settings)))
    return silent


def prepare(data: str | Path, out: str | Path, settings: ClipSettings | None = None, workers: int | None = None,
            shard_files: int = 1024, progress: Progress | None = None, fresh: bool = False,
            limits: decoder_pool.Limits | None = None, by: Callable[..., Preparation] | None = None) -> Result:
    """Turns a folder of sounds into shards, or goes on where an earlier call stopped.

    Equal sounds, names and settings give equal files, whatever the number of workers and the interruptions.

    Args:
        data: folder of sounds, searched at any depth.
        out: folder for the shards; made if missing.
        settings: what clips are to be like.
        workers: number of processes; None for one per available core.
        shard_files: files whose clips make a shard.
        progress: told of every file.
        fresh: forget what was prepared in ``out`` and begin anew.
        limits: what one file may take.
        by: makes the `Preparation` that does the work, for example on a cluster
        (`melgan_tf.data.prepare_beam.Pipeline`).

    Raises:
        UsageError: the folder for the shards is another one's, or was prepared with other settings.
        MelGANError: no sound can be used, or the shards cannot be written. What was finished stays.
    """
    data, out, settings = storage.path(data), storage.path(out), settings or ClipSettings()
    if shard_files < 1 or (workers is not None and workers < 1):
        raise UsageError(f"{workers} workers, shards of {shard_files} files: give 1 or more of each")
    scan(data)  # an unusable folder is told before anything is written
    if shards.is_prepared(data):
        raise UsageError(f"{data} holds prepared sounds: give the folder of the sounds themselves")
    if out.exists() and (not out.is_dir() or (not shards.is_prepared(out) and any(out.iterdir()))):
        raise UsageError(f"{out} holds something else: give another folder for the shards")
    journal = Journal(out)
    with journal.lock():
        if fresh:
            journal.clear()
        wanted = {"kind": shards.KIND, "version": shards.VERSION, "shard_files": shard_files,
                  **dataclasses.asdict(settings)}
        begun = journal.begin(wanted)
        pool = decoder_pool.Pool(f"{__name__}:{clips_of.__name__}", settings, workers or len(os.sched_getaffinity(0)),
                              limits)
        with pool, contextlib.closing(Seen()) as seen:
            return (by or Preparation)(data, journal, wanted, pool, seen, progress or Progress()).run(begun)


@dataclass(frozen=True)
class Entry:
    """What the scan found, its size, and a stamp that changes if the file does."""

    found: SoundFile | Skipped
    size: int
    stamp: str


class Preparation:
    """What is done once the folders are found to be usable; here, by processes of this machine."""

    def __init__(self, data: Path, journal: Journal, wanted: dict[str, Any], pool: decoder_pool.Pool, seen: Seen,
                 progress: Progress) -> None:
        self.data, self.journal, self.out = data, journal, journal.out
        self.wanted, self.pool, self.seen, self.progress = wanted, pool, seen, progress
        self.ignored: Counter[str] = Counter()
        self.counts = Counts()

    def run(self, begun: bool) -> Result:
        entries, found = self._entries(), 0
        total = 0 if storage.is_remote(self.data) else max(1, count(self.data))
        with self.progress.task("preparing", total, "files") as advance:
            if begun:
                found, entries = self._verify(entries, advance)
            made = self._make(entries, found, advance)
        self.journal.remove_from(made)
        ignored = {extension or "no extension": files for extension, files in sorted(self.ignored.items()) if files}
        self.journal.write_report(made, self.counts, ignored)
        if not self.counts.clips:
            raise MelGANError(self._nothing(made))
        self.journal.write_index(made, self.counts, self.wanted)
        return Result(self.out, self.counts, made, found, ignored)

    def _entries(self) -> Iterator[Entry]:
        for found in scan(self.data, self.out, self.ignored):
            size, stamp = 0, ""
            if isinstance(found, Skipped):
                stamp = found.reason
            else:
                with contextlib.suppress(OSError):  # told when it is opened
                    status = found.path.stat()
                    size, stamp = status.st_size, f"{status.st_size} {status.st_mtime_ns}"
            yield Entry(found, size, stamp)

    def _verify(self, entries: Iterator[Entry], advance: Callable[[int], None]) -> tuple[int, Iterator[Entry]]:
        """Passes over the shards that are finished, whole, and made of what is there; tells how many, and the rest."""
        number = 0
        while True:
            batch = list(itertools.islice(entries, self.wanted["shard_files"]))
            if not batch or not self._is_finished(number, batch):
                break
            advance(len(batch))
            number += 1
        if batch:
            self.progress.line(f"going on after {number} finished shards" if number else "no shard is finished yet")
        return number, itertools.chain(batch, entries)

    def _is_finished(self, number: int, batch: list[Entry]) -> bool:
        file, made_of = self.out / shards.shard_name(number), hashlib.sha256()
        for entry in batch:
            made_of.update(f"{entry.found.name}\0{entry.stamp}\n".encode())
        try:
            receipt = self.journal.receipt(number)
            if receipt["made_of"] != made_of.hexdigest():
                return False
            with storage.local(file) as whole, open(whole, "rb") as opened:
                if hashlib.file_digest(opened, "sha256").hexdigest() != receipt["sha256"]:
                    self.progress.warning(f"{file} has changed since it was written: it is made anew")
                    return False
                for features in shards.examples(whole):
                    self.seen.add(bytes.fromhex(features["sha256"].decode()), features["name"].decode())
            self.counts.add(Counts.from_dict(receipt["counts"]))
        except StorageError:  # tells nothing of what is there
            raise
        except (OSError, ValueError, KeyError, TypeError, MelGANError):
            return False
        return True

    def _make(self, entries: Iterator[Entry], number: int, advance: Callable[[int], None]) -> int:
        """Writes the shards from ``number`` on; returns how many there are then."""
        with Prefetcher() as copies, contextlib.closing(self.pool.results(_jobs(entries, copies))) as results:
            for first in results:
                (self.out / shards.INDEX).unlink(missing_ok=True)  # until all is whole again
                with writing(self.out / shards.shard_name(number), self.seen) as shard:
                    for entry, result in itertools.chain([first], results):
                        if enter(shard, entry, result):
                            advance(1)
                            copies.release(getattr(entry.found, "path", None))
                            if shard.counts.files == self.wanted["shard_files"]:
                                break
                self.journal.write_receipt(number, shard.receipt())
                self.counts.add(shard.counts)
                number += 1
                if storage.is_remote(self.data):  # whose total is not known
                    self.progress.line(f"{self.counts.files:,} files done")
        return number

    def _nothing(self, shard_count: int) -> str:
        if not self.counts.files:
            return f"{self.data} holds no sound files (WAV, FLAC, AIFF, OGG, MP3, M4A)"
        first = next(self.journal.skipped(shard_count))
        return (f"none of the {self.counts.files} sound files in {self.data} can be used; the first, {first.name}: "
                f"{first.reason}")


def _jobs(entries: Iterator[Entry], copies: Prefetcher) -> Iterator[tuple[Entry, tuple | None, int]]:
    """What the pool takes: each entry with the task's arguments, which name a local file."""
    for entry, file, reason in copies.prefetch(entries, lambda entry: getattr(entry.found, "path", None)):
        if reason:
            entry = Entry(Skipped(entry.found.name, reason), entry.size, entry.stamp)
        yield entry, None if file is None else (str(file), entry.found.name, entry.found.label), entry.size


def arguments(found: SoundFile | Skipped) -> tuple[str, str, str] | None:
    """What `clips_of` is called with; None if there is nothing to decode."""
    return None if isinstance(found, Skipped) else (str(found.path), found.name, found.label)


def enter(shard: ShardWriter, entry: Entry, result: Any) -> bool:
    """Enters one result of an `decoder_pool.Pool` into a shard; tells whether it was the last of its file."""
    if isinstance(result, tuple):
        shard.add(entry.found, *result)
        return False
    if not isinstance(result, decoder_pool.Done):
        shard.drop()
    if isinstance(result, decoder_pool.Again):
        return False
    if isinstance(entry.found, Skipped):
        shard.end(entry.found.name, "", entry.stamp, failure=entry.found.reason)
    elif isinstance(result, decoder_pool.Failed):
        shard.end(entry.found.name, "", entry.stamp, failure=result.reason)
    else:
        shard.end(entry.found.name, entry.found.label, entry.stamp, silent=result.value)
    return True
