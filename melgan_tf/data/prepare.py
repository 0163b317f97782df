"""Turning a folder of sounds into shards of clips: the work of `melgan-tf prepare`.

Files are processed in the order of their names, a fixed number per shard, by a pool of processes. A shard is written
atomically and then entered in a journal with a digest of its input; the index comes last. After an interruption the
same call verifies the shards in the journal and continues after them, and the output is byte for byte that of an
uninterrupted call. Memory does not grow with the number of files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melgan_tf import storage
from melgan_tf.audio import decoder_pool
from melgan_tf.audio.decode import About
from melgan_tf.audio.find import Skipped, SoundFile, count, scan
from melgan_tf.audio.loops.loop import Loop
from melgan_tf.audio.loops.reading import loop_from_json
from melgan_tf.audio.tasks import checked_notes
from melgan_tf.data import shards, tfrecord
from melgan_tf.data.clips import ClipSettings, clips
from melgan_tf.data.journal import Journal
from melgan_tf.data.reading import nothing_usable
from melgan_tf.data.shard_writer import Counts, DedupIndex, ShardWriter, writing
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.progress import Progress
from melgan_tf.runtime import system
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.backend import StorageError
from melgan_tf.storage.prefetch import Prefetcher
from melgan_tf.weights.licenses import folder_license

#: What the folder of sounds states of its license, beside the shards.
LICENSE = "LICENSE"

_MAX_RECORD_OVERHEAD = 1 << 10  # bytes of a record besides samples and names
_MAX_BYTES_OF_A_FILE = 1 << 36  # more than a day of sound


@dataclass(frozen=True)
class PrepareResult:
    """The outcome of a preparation.

    Attributes:
        folder: contains the shards.
        counts: statistics of the files.
        shards: number of shards.
        found: number of them that existed already.
        ignored: files that are not sounds, by extension.
    """

    folder: Path
    counts: Counts
    shards: int
    found: int
    ignored: dict[str, int]

    def skipped(self) -> Iterator[Skipped]:
        """Yield every skipped file, sorted by name."""
        return Journal(self.folder).skipped(self.shards)

    def loops(self) -> Iterator[dict[str, Any]]:
        """Yield ``name``, ``bpm``, ``bars``, ``key``, ``sources`` and ``note`` of every loop, sorted by name."""
        return Journal(self.folder).loops(self.shards)

    def noted(self) -> Iterator[tuple[str, str]]:
        """Yield the name of every kept file that is odd, and a note, sorted by name."""
        return Journal(self.folder).noted(self.shards)


def clips_of(emit: Callable[..., None], path: str, name: str, label: str, settings: dict[str, Any]) -> list[Any]:
    """Emit the digest, the number of clipped samples and the record of every clip of a file: the task of a process.

    Args:
        emit: is called with each clip.
        path, name, label: the file's.
        settings: format of the clips: the fields of `ClipSettings`.

    Returns:
        The number of silent clips, notes about the file, and what is known about it as a loop, or None.
    """
    form, sound, silent, about = ClipSettings(**settings), SoundFile(Path(path), name, label), 0, About()
    with storage.local(storage.path(path)) as file:
        for clip in clips(file, name, form, about):
            if clip is None:
                silent += 1
            else:
                emit([clip.digest.hex(), clip.clipped], shards.record(clip, sound, form))
    return [silent, about.notes, about.loop]


def _clip(value: Any, content: bytearray) -> tuple[bytes, int, bytes]:
    digest, clipped = bytes.fromhex(value[0]), value[1]
    if len(digest) != hashlib.sha256().digest_size or type(clipped) is not int or clipped < 0:
        raise ValueError("not a clip")
    tfrecord.check_frame(content)
    return digest, clipped, bytes(content)


def _end_of_file(value: Any) -> tuple[int, tuple[str, ...], Loop | None]:
    number, notes, loop = value
    if type(number) is not int or number < 0:
        raise ValueError("not a number of clips")
    return number, checked_notes(notes), loop and loop_from_json(loop)


def _bytes_of_clips(arguments: dict[str, Any]) -> tuple[int, int]:
    names = 4 * (len(arguments["name"]) + len(arguments["label"]))
    return 4 * arguments["settings"]["clip_samples"] + names + _MAX_RECORD_OVERHEAD, _MAX_BYTES_OF_A_FILE


#: What the processes of a preparation do.
CLIPS = decoder_pool.Task(f"{__name__}:{clips_of.__name__}", _clip, _end_of_file, _bytes_of_clips)


def prepare(data: str | Path, out: str | Path, settings: ClipSettings | None = None, workers: int | None = None,
            shard_files: int = 1024, progress: Progress | None = None, fresh: bool = False,
            limits: decoder_pool.Limits | None = None,
            runner: Callable[..., Preparation] | None = None) -> PrepareResult:
    """Turn a folder of sounds into shards, or continue an interrupted call.

    Equal sounds, names and settings result in equal files, whatever the number of workers and interruptions.

    Args:
        data: folder of sounds, searched recursively.
        out: folder for the shards; created if missing.
        settings: format of the clips.
        workers: number of processes; None for one per available core.
        shard_files: files whose clips make a shard.
        progress: reports every file.
        fresh: discard what was prepared in ``out`` and start again.
        limits: for each file.
        runner: constructs the `Preparation` that does the work, for example on a cluster
            (`melgan_tf.data.prepare_beam.Pipeline`).

    Raises:
        UsageError: the output folder contains other files, or was prepared with other settings.
        MelGANError: no sound can be used, or the shards cannot be written. Finished shards are kept.
    """
    data, out, settings = storage.path(data), storage.path(out), settings or ClipSettings()
    if shard_files < 1 or (workers is not None and workers < 1):
        raise UsageError(f"{workers} workers, shards of {shard_files} files: give 1 or more of each")
    scan(data)  # raises for an unusable folder before anything is written
    if shards.is_prepared(data):
        raise UsageError(f"{data} contains prepared sounds: give the folder of the original sounds")
    if out.exists() and (not out.is_dir() or (not shards.is_prepared(out) and any(out.iterdir()))):
        raise UsageError(f"{out} contains other files: give another folder for the shards")
    journal = Journal(out)
    with journal.lock():
        if fresh:
            journal.clear()
        wanted = {"kind": shards.KIND, "version": shards.VERSION, "shard_files": shard_files,
                  **dataclasses.asdict(settings)}
        resuming = journal.begin(wanted)
        pool = decoder_pool.DecoderPool(CLIPS, workers or system.cores(), limits)
        with pool, contextlib.closing(DedupIndex()) as dedup:
            result = (runner or Preparation)(data, journal, wanted, pool, dedup, progress or Progress()).run(resuming)
        if found := folder_license(data):  # so that models which learn from the shards know it
            write_text(out / LICENSE, found["text"] + "\n")
        return result


@dataclass(frozen=True)
class Entry:
    """A result of the scan, the file's size in bytes, and a key that changes if the file does."""

    found: SoundFile | Skipped
    size: int
    mtime_key: str


class Preparation:
    """The preparation of a checked folder, by processes of this machine."""

    def __init__(self, data: Path, journal: Journal, wanted: dict[str, Any], pool: decoder_pool.DecoderPool,
                 dedup: DedupIndex, progress: Progress) -> None:
        self.data, self.journal, self.out = data, journal, journal.out
        self.wanted, self.pool, self.dedup, self.progress = wanted, pool, dedup, progress
        self.settings = {name: wanted[name] for name in ClipSettings.__dataclass_fields__}
        self.ignored: Counter[str] = Counter()
        self.counts = Counts()

    def run(self, resuming: bool) -> PrepareResult:
        entries, found = self._entries(), 0
        total = 0 if storage.is_remote(self.data) else max(1, count(self.data))
        with self.progress.task("preparing", total, "files") as advance:
            if resuming:
                found, entries = self._verify(entries, advance)
            total_shards = self._write_shards(entries, found, advance)
        self.journal.remove_from(total_shards)
        ignored = {extension or "no extension": files for extension, files in sorted(self.ignored.items()) if files}
        self.journal.write_report(total_shards, self.counts, ignored)
        if not self.counts.clips:
            first = next(self.journal.skipped(total_shards), None)
            raise MelGANError(nothing_usable(self.data, self.counts.files, first))
        self.journal.write_index(total_shards, self.counts, self.wanted)
        return PrepareResult(self.out, self.counts, total_shards, found, ignored)

    def _entries(self) -> Iterator[Entry]:
        for found in scan(self.data, self.out, self.ignored):
            size, mtime_key = 0, ""
            if isinstance(found, Skipped):
                mtime_key = found.reason
            else:
                with contextlib.suppress(OSError):  # reported when the file is opened
                    status = found.path.stat()
                    size, mtime_key = status.st_size, f"{status.st_size} {status.st_mtime_ns}"
            yield Entry(found, size, mtime_key)

    def _verify(self, entries: Iterator[Entry], advance: Callable[[int], None]) -> tuple[int, Iterator[Entry]]:
        """Skip finished shards that are intact and up to date; returns their number and the other entries."""
        number = 0
        while True:
            batch = list(itertools.islice(entries, self.wanted["shard_files"]))
            if not batch or not self._is_finished(number, batch):
                break
            advance(len(batch))
            number += 1
        if batch:
            self.progress.line(f"continuing after {number} finished shards" if number else
                               "no finished shard is usable")
        return number, itertools.chain(batch, entries)

    def _is_finished(self, number: int, batch: list[Entry]) -> bool:
        file, input_digest = self.out / shards.shard_name(number), hashlib.sha256()
        for entry in batch:
            input_digest.update(f"{entry.found.name}\0{entry.mtime_key}\n".encode())
        try:
            receipt = self.journal.receipt(number)
            if receipt["made_of"] != input_digest.hexdigest():
                return False
            with storage.local(file) as local_file, open(local_file, "rb") as opened:
                if hashlib.file_digest(opened, "sha256").hexdigest() != receipt["sha256"]:
                    self.progress.warning(f"{file} has changed since it was written; writing it again")
                    return False
                for features in shards.examples(local_file):
                    self.dedup.add(bytes.fromhex(features["sha256"].decode()), features["name"].decode())
            self.counts.add(Counts.from_dict(receipt["counts"]))
        except StorageError:  # says nothing about what exists there
            raise
        except (OSError, ValueError, KeyError, TypeError, MelGANError):
            return False
        return True

    def _write_shards(self, entries: Iterator[Entry], number: int, advance: Callable[[int], None]) -> int:
        """Write the shards from ``number`` on; returns the total number of shards."""
        with (Prefetcher() as prefetcher,
              contextlib.closing(self.pool.results(self._jobs(entries, prefetcher))) as results):
            for first in results:
                (self.out / shards.INDEX).unlink(missing_ok=True)  # until all shards are complete again
                with writing(self.out / shards.shard_name(number), self.dedup) as shard:
                    for entry, result in itertools.chain([first], results):
                        if add_result(shard, entry, result):
                            advance(1)
                            prefetcher.release(getattr(entry.found, "path", None))
                            if shard.counts.files == self.wanted["shard_files"]:
                                break
                self.journal.write_receipt(number, shard.receipt())
                self.counts.add(shard.counts)
                number += 1
                if storage.is_remote(self.data):  # whose number of files is unknown
                    self.progress.line(f"{self.counts.files:,} files done")
        return number

    def _jobs(self, entries: Iterator[Entry], prefetcher: Prefetcher) -> Iterator[tuple[Entry, dict | None, int]]:
        """Yield the items of the pool: each entry with the task's arguments, for a local file."""
        for entry, file, reason in prefetcher.prefetch(entries, lambda entry: getattr(entry.found, "path", None)):
            if reason:
                entry = Entry(Skipped(entry.found.name, reason), entry.size, entry.mtime_key)
            yield entry, task_arguments(entry.found, file, self.settings), entry.size


def task_arguments(found: SoundFile | Skipped, file: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of `clips_of`; None if there is nothing to decode."""
    if isinstance(found, Skipped):
        return None
    return {"path": storage.address(file), "name": found.name, "label": found.label, "settings": settings}


def add_result(shard: ShardWriter, entry: Entry, result: Any) -> bool:
    """Add a result of the `decoder_pool.DecoderPool` to a shard; returns whether it was the last one of its file."""
    if isinstance(result, tuple):
        shard.add(entry.found, *result)
        return False
    if not isinstance(result, decoder_pool.Success):
        shard.discard_file()
    if isinstance(result, decoder_pool.Retry):
        return False
    if isinstance(entry.found, Skipped):
        shard.end_file(entry.found.name, "", entry.mtime_key, failure=entry.found.reason)
    elif isinstance(result, decoder_pool.Failure):
        shard.end_file(entry.found.name, "", entry.mtime_key, failure=result.reason)
    else:
        shard.end_file(entry.found.name, entry.found.label, entry.mtime_key, *result.value)
    return True
