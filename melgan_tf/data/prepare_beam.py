"""`melgan-tf prepare` on Apache Beam: the same shards, written by a cluster.

::

    sorted files ─► decode ─┬─► files by shard ────────────────┬─► shard, receipt
                            └─► first occurrence of each clip ─┘

Decoding and writing run on all machines, which need access to the sounds and to the output folder under the same names.
The process that starts the pipeline sorts the files and writes the report and the index. Beam is imported lazily.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melgan_tf import storage
from melgan_tf.audio import decoder_pool
from melgan_tf.data import prepare, shards
from melgan_tf.data.journal import Journal
from melgan_tf.data.shard_writer import Counts, writing
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.runtime import muted

RUNNERS = ("DirectRunner", "FlinkRunner", "SparkRunner", "DataflowRunner")
_CHUNK = 16  # files per element of the pipeline


@dataclass(frozen=True)
class Pipeline:
    """Runs a preparation on Apache Beam.

    Args:
        runner: one of `RUNNERS`, or another one of Beam.
        options: pipeline options, as on Beam's own command lines.

    Raises:
        UsageError: Beam is not installed, or rejects the options.
    """

    runner: str
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.parsed()

    def parsed(self) -> Any:
        """Return the options as Beam's own object."""
        try:
            with _unlogged():
                from apache_beam.options.pipeline_options import PipelineOptions
        except ImportError:
            raise UsageError(f"--runner {self.runner} needs Apache Beam, which is not installed: pip install "
                             "'melgan-tf[beam]'") from None
        stderr = io.StringIO()
        try:
            with contextlib.redirect_stderr(stderr), _unlogged():
                options = PipelineOptions([f"--runner={self.runner}", *self.options])
                options.get_all_options()
        except SystemExit:
            reason = (stderr.getvalue().strip().splitlines() or ["no reason given"])[-1]
            raise UsageError(f"Apache Beam rejects {' '.join(self.options)}: "
                             f"{reason.rpartition('error: ')[2]}") from None
        return options

    def __call__(self, *arguments: Any) -> prepare.Preparation:
        return _OnBeam(self, *arguments)


class _OnBeam(prepare.Preparation):
    """A preparation whose shards are all written by one pipeline."""

    def __init__(self, pipeline: Pipeline, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.pipeline = pipeline

    def _verify(self, entries: Iterator[prepare.Entry],
                advance: Callable[[int], None]) -> tuple[int, Iterator[prepare.Entry]]:
        return 0, entries

    def _write_shards(self, entries: Iterator[prepare.Entry], number: int, advance: Callable[[int], None]) -> int:
        (self.out / shards.INDEX).unlink(missing_ok=True)  # until all shards are complete again
        chunks, files = list(_chunks(entries, self.wanted["shard_files"])), 0
        if chunks:
            self._run(chunks)
            files = chunks[-1].first + len(chunks[-1].entries)
        total = -(-files // self.wanted["shard_files"])
        for shard in range(total):
            self.counts.add(Counts.from_dict(self.journal.receipt(shard)["counts"]))
        advance(files)
        return total

    def _run(self, chunks: list[_Chunk]) -> None:
        import apache_beam as beam

        decode = functools.partial(_decode, settings=self.settings, limits=self.pool.limits)
        pipeline = beam.Pipeline(options=self.pipeline.parsed())
        files = (pipeline | "files" >> beam.Create(chunks) | "spread" >> beam.Reshuffle()
                 | "decode" >> beam.FlatMap(decode))
        repeated = (files | "clips" >> beam.FlatMap(_occurrences) | "by samples" >> beam.GroupByKey()
                    | "repeated" >> beam.FlatMap(_repeats))
        ({"files": files | "shard of file" >> beam.Map(lambda file: (file.shard, file)), "repeated": repeated}
         | "by shard" >> beam.CoGroupByKey() | "write" >> beam.Map(_write, out=storage.address(self.out)))
        try:
            with _unlogged(), muted():  # the runner's own processes write to stderr, too
                state = pipeline.run().wait_until_finish()
        except Exception as error:
            raise MelGANError(f"the pipeline failed on {self.pipeline.runner}: {_last_line(error)}") from error
        if state not in (None, "DONE"):
            raise MelGANError(f"the pipeline ended as {state} on {self.pipeline.runner}: see the log of the runner")


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Disable logging: Beam logs errors that are reported in one line anyway."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@dataclass(frozen=True)
class _Chunk:
    """Consecutive files of one shard."""

    shard: int
    first: int
    entries: list[prepare.Entry]


@dataclass
class _File:
    """The results of a file."""

    shard: int
    index: int
    entry: prepare.Entry
    clips: list[tuple[bytes, int, bytes]] = field(default_factory=list)
    end: Any = None


def _chunks(entries: Iterator[prepare.Entry], shard_files: int) -> Iterator[_Chunk]:
    first = 0
    for shard in itertools.count():
        files = list(itertools.islice(entries, shard_files))
        if not files:
            return
        for start in range(0, len(files), _CHUNK):
            yield _Chunk(shard, first + start, files[start:start + _CHUNK])
        first += len(files)


@functools.cache
def _decoder(limits: decoder_pool.Limits) -> tuple[ThreadPoolExecutor, decoder_pool.DecoderPool]:
    """Start the decoding process of this worker, and the thread that uses it: it ends with that thread."""
    return ThreadPoolExecutor(1), decoder_pool.DecoderPool(prepare.CLIPS, 1, limits)


def _decode(chunk: _Chunk, settings: dict[str, Any], limits: decoder_pool.Limits) -> list[_File]:
    executor, pool = _decoder(limits)
    return executor.submit(_decode_here, chunk, settings, pool).result()


def _decode_here(chunk: _Chunk, settings: dict[str, Any], pool: decoder_pool.DecoderPool) -> list[_File]:
    files = [_File(chunk.shard, chunk.first + place, entry) for place, entry in enumerate(chunk.entries)]
    jobs = ((file, prepare.task_arguments(file.entry.found, getattr(file.entry.found, "path", None), settings),
             file.entry.size) for file in files)
    with contextlib.closing(pool.results(jobs)) as results:
        for file, result in results:
            if isinstance(result, tuple):
                file.clips.append(result)
                continue
            file.end = result
            if not isinstance(result, decoder_pool.Success):  # retried or failed
                file.clips.clear()
    return files


def _occurrences(file: _File) -> Iterator[tuple[bytes, tuple[int, int, int, str]]]:
    for place, (digest, _, _) in enumerate(file.clips):
        yield digest, (file.index, place, file.shard, file.entry.found.name)


def _repeats(same: tuple[bytes, Iterable[tuple[int, int, int, str]]]) -> Iterator[tuple[int, tuple]]:
    """Yield by shard all occurrences of a clip but the first, with the name of the file of the first."""
    (_, _, _, name), *others = sorted(same[1])
    for index, place, shard, _ in others:
        yield shard, ((index, place), name)


class _KnownRepeats:
    """A `melgan_tf.data.shard_writer.DedupIndex` of duplicates that are known in advance."""

    def __init__(self, repeated: dict[tuple[int, int], str]) -> None:
        self.repeated, self.file, self.place = repeated, -1, 0

    def start_file(self, file: int) -> None:
        self.file, self.place = file, 0

    def add(self, digest: bytes, name: str) -> str | None:
        self.place += 1
        return self.repeated.get((self.file, self.place - 1))

    def remove(self, digest: bytes) -> None:
        pass


def _write(shard: tuple[int, dict[str, Iterable]], out: str) -> None:
    number, parts = shard
    dedup = _KnownRepeats(dict(parts["repeated"]))
    with writing(Path(out) / shards.shard_name(number), dedup) as writer:
        for file in sorted(parts["files"], key=lambda file: file.index):
            dedup.start_file(file.index)
            for result in (*file.clips, file.end):
                prepare.add_result(writer, file.entry, result)
    Journal(Path(out)).write_receipt(number, writer.receipt())


def _last_line(error: Exception) -> str:
    return next((line for line in reversed(str(error).strip().splitlines()) if line.strip()), type(error).__name__)
