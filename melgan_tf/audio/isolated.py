"""Sounds that are decoded in processes of their own, within limits: what every command uses.

A file that crashes its decoder, hangs it or exhausts its memory is one that cannot be decoded. The processes know no
TensorFlow (60 MB each), are kept between uses, and end by themselves after some seconds without work.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from melgan_tf.audio import tasks
from melgan_tf.audio.decoder_pool import DecoderPool, Failure, Limits, Retry, Success, Task
from melgan_tf.audio.edit import SILENT_PEAK
from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.errors import DecodeError
from melgan_tf.runtime import system
from melgan_tf.storage.prefetch import Prefetcher

Item = TypeVar("Item")

#: The longest sound that is read whole: 1 GB of float32.
MAX_WHOLE_SAMPLES = 1 << 28
_LIMITS = Limits(megabytes=512)  # a decoder takes less than 100
_FILES_PER_PROCESS = 64  # or as many bytes: fewer are sooner decoded than a process is started
_BYTES_PER_PROCESS = 16 << 20

_idle: list[DecoderPool] = []
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)


@contextlib.contextmanager
def _pool(processes: int) -> Iterator[DecoderPool]:
    """Give a pool, whose processes are kept for the next use."""
    with _lock:
        pool = _idle.pop() if _idle else DecoderPool(tasks.SOUND, processes, _LIMITS)
    pool.size = processes
    try:
        yield pool
    finally:
        pool.abandon()
        with _lock:
            _idle.append(pool)


@atexit.register
def _end() -> None:
    for pool in _idle:
        pool.__exit__()


def start() -> None:
    """Start a process, which takes some tenths of a second, before the first file is known."""
    with _pool(1) as pool:
        pool.start()


@contextlib.contextmanager
def run(task: Task, items: Iterable[Item], path_of: Callable[[Item], Any],
        arguments: Callable[[Item], dict[str, Any]], processes: int = 1) -> Iterator[Iterator[tuple[Item, Any]]]:
    """Give the results of a pool for files, local or remote; those that have no path have nothing but a `Success`.

    Args:
        task: what to do.
        items: what stands for the files, as `SoundFile`.
        path_of: of an item: its path, or None.
        arguments: of an item: those of the task besides ``path``.
        processes: number of processes.
    """
    with (Prefetcher() as prefetcher, _pool(processes) as pool):
        def jobs() -> Iterator[tuple[tuple[Item, str], dict[str, Any] | None, int]]:
            for item, file, reason in prefetcher.prefetch(items, path_of):
                if file is not None and not file.is_absolute():  # the process may have started in another folder
                    file = Path.cwd() / file
                yield (item, reason), None if file is None else {"path": str(file), **arguments(item)}, _size(file)

        def results() -> Iterator[tuple[Item, Any]]:
            for (item, reason), result in found:
                if isinstance(result, Success | Failure):
                    prefetcher.release(path_of(item))
                yield item, Failure(reason) if reason else result

        with contextlib.closing(pool.results(jobs(), task)) as found:
            yield results()


def run_whole(task: Task, sounds: Sequence[SoundFile], arguments: Callable[[SoundFile], dict[str, Any]]
              ) -> Iterator[tuple[SoundFile, np.ndarray, Success | Failure]]:
    """Yield sounds with all of their samples and the last result, of a task that emits samples; in parallel."""
    received = bytearray()
    with run(task, sounds, lambda sound: sound.path, arguments, _processes_for(sounds)) as results:
        for sound, result in results:
            if isinstance(result, np.ndarray):
                received += memoryview(result).cast("B")
                continue
            samples, received = np.frombuffer(received, np.float32), bytearray()
            if not isinstance(result, Retry):
                yield sound, samples, result


def decode_folder(sounds: Iterable[SoundFile], sample_rate: int, clip_samples: int | None,
                  kept_samples: int | None = None) -> Iterator[tuple[SoundFile, np.ndarray | Skipped]]:
    """Decode many sounds to clips of one length, in order and in parallel; only a few are in memory at any time.

    Args:
        sounds: as returned by `find`.
        sample_rate: Hz.
        clip_samples: length of each clip; longer sounds are cut, shorter ones padded with zeros at the end. None: the
            whole sound, of at most `MAX_WHOLE_SAMPLES`.
        kept_samples: of whole sounds, return these first samples only: memory does not grow with their length.

    Yields:
        Each sound with its clip, float32 of shape (samples,), or the reason why it has none.
    """
    limit = clip_samples or (MAX_WHOLE_SAMPLES if kept_samples is None else 1 << 40)
    arguments = {"sample_rate": sample_rate, "limit": limit, "max_samples": clip_samples, "kept_samples": kept_samples,
                 "remedy": ": cut it into parts, or `melgan-tf prepare` the folder with --long consecutive"}
    for sound, samples, result in run_whole(tasks.SOUND, list(sounds), lambda sound: arguments):
        if isinstance(result, Failure):
            yield sound, Skipped(sound.name, result.reason)
            continue
        _, peak, notes = result.value
        if notes:
            sound = dataclasses.replace(sound, notes=notes)
        if peak < SILENT_PEAK:
            yield sound, Skipped(sound.name, "silent")
        else:
            yield sound, samples if clip_samples is None else np.pad(samples, (0, clip_samples - len(samples)))


def _processes_for(sounds: Sequence[SoundFile]) -> int:
    """How many processes are worth their start: one a core for many files, or large ones."""
    size = sum(_size(sound.path) for sound in sounds)
    wanted = max(1, len(sounds) // _FILES_PER_PROCESS, size // _BYTES_PER_PROCESS)
    return min(wanted, system.cores())


def _size(path: Any) -> int:
    with contextlib.suppress(OSError):  # reported when the file is opened
        return path.stat().st_size if isinstance(path, Path) else 0
    return 0


def stream_sounds(paths: Sequence[Path | None], sample_rate: int, max_samples: int, remedy: str,
                  on_note: Callable[[Path, str], None] = lambda path, note: None) -> Iterator[Iterator[np.ndarray]]:
    """Decode sounds block by block: memory does not grow with their length. A little is decoded ahead.

    Args:
        paths: the files; None has no blocks.
        sample_rate: Hz.
        max_samples: samples that a sound may have.
        remedy: for a longer one, the rest of the sentence.
        on_note: is told what is odd about a file, at its end.

    Yields:
        For each file its blocks, float32. They may raise a `DecodeError` at any point.
    """
    arguments = {"sample_rate": sample_rate, "limit": max_samples, "remedy": remedy}
    with run(tasks.SOUND, paths, lambda path: path, lambda path: arguments) as results:
        for path in paths:
            blocks = _blocks(path, results, on_note)
            yield blocks
            with contextlib.suppress(DecodeError):
                for _ in blocks:  # what has not been consumed
                    pass


def _blocks(path: Path | None, results: Iterator[tuple[Path, Any]], on_note: Callable[[Path, str], None]
            ) -> Iterator[np.ndarray]:
    done = repeated = 0  # samples; a file that is decoded again has the same ones
    for _, result in results:
        if isinstance(result, Failure):
            raise DecodeError(path, result.reason)
        if isinstance(result, Success):
            for note in result.value[2] if result.value else ():
                on_note(path, note)
            return
        if isinstance(result, Retry):
            done, repeated = 0, max(done, repeated)
            continue
        new = result[max(0, repeated - done):]
        done += len(result)
        if len(new):
            yield new
    raise RuntimeError("the blocks of a sound were used after their stream was closed")


def measure(sounds: Iterable[SoundFile], seconds: float) -> Iterator[tuple[int, int] | None]:
    """Yield the sample rate of each file, Hz, and its length in samples; None if it cannot be decoded.

    Args:
        sounds: as returned by `find`.
        seconds: to decode of each, about; damage behind is not noticed.
    """
    with run(tasks.LENGTH, sounds, lambda sound: sound.path, lambda sound: {"seconds": seconds}) as results:
        for _, result in results:
            if isinstance(result, Success) and result.value[0]:
                yield result.value
            elif not isinstance(result, Retry):
                yield None


def read_comment(path: str | Path) -> str:
    """Return the comment in a sound file's metadata; "" if it has none.

    Raises:
        DecodeError: the file cannot be read as a sound.
    """
    return _one(tasks.COMMENT, path)


def describe_sound(path: str | Path) -> dict[str, Any]:
    """Return what there is to say of a sound file, from all of its samples.

    Returns:
        ``format``, ``seconds``, ``sample_rate`` (Hz), ``channels``, ``bits`` (0: not integers), ``peak_db`` and
        ``loudness_lufs`` of the channels mixed down (None: silent), ``notes`` and the ``comment``.

    Raises:
        DecodeError: the file cannot be read as a sound.
    """
    return _one(tasks.FACTS, path)


def _one(task: Task, path: str | Path) -> Any:
    with run(task, [Path(path) if isinstance(path, str) else path], lambda path: path, lambda path: {}) as results:
        *_, (_, result) = results
    if isinstance(result, Failure):
        raise DecodeError(path, result.reason)
    return result.value
