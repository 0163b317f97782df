"""Sounds that are decoded in processes of their own, within limits: what every command uses.

A file that crashes its decoder, hangs it or exhausts its memory is one that cannot be decoded. The processes know no
TensorFlow (60 MB each), are kept between uses, and end by themselves after some seconds without work.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import itertools
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soundfile

from melgan_tf.audio import decode, ffmpeg
from melgan_tf.audio.decoder_pool import DecoderPool, Failure, Limits, Retry, Success, Task
from melgan_tf.audio.edit import SILENT_PEAK
from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.audio.read import load_blocks
from melgan_tf.dsp.loudness import loudness
from melgan_tf.errors import DecodeError, printable
from melgan_tf.runtime import system
from melgan_tf.storage.paths import RemotePath
from melgan_tf.storage.prefetch import Prefetcher

Item = TypeVar("Item")

#: The longest sound that is read whole: 1 GB of float32.
MAX_WHOLE_SAMPLES = 1 << 28
_LIMITS = Limits(megabytes=512)  # a decoder takes less than 100
_MIN_BLOCK, _MAX_BLOCK = 1 << 16, 1 << 20  # samples of a message, except the last
_MAX_NOTES, _MAX_COMMENT = 100, 10_000  # characters of a comment
_FILES_PER_PROCESS = 64  # or as many bytes: fewer are sooner decoded than a process is started
_BYTES_PER_PROCESS = 16 << 20
_LARGE_BYTES = 1 << 16
_MIN_LOUDNESS_RATE = 8_000  # what the meter takes
_SILENT_DB = -200.0


def read_sound(emit: Callable[..., None], path: str, sample_rate: int, limit: int, max_samples: int | None = None,
               kept_samples: int | None = None, remedy: str = "") -> list[Any]:
    """Emit the samples of a sound: the task of a process.

    Args:
        emit: is called with blocks of float32.
        path: the file.
        sample_rate: of the result, Hz.
        limit: samples that a sound may have.
        max_samples: samples to decode; None for all.
        kept_samples: of these, the samples to emit; None for all.
        remedy: for one that has more.

    Returns:
        The number of samples decoded, their peak, and notes (`decode.About`).

    Raises:
        DecodeError: the sound cannot be decoded, or is too long.
    """
    count, peak, about = 0, 0.0, decode.About()
    kept_samples = limit if kept_samples is None else kept_samples
    blocks: list[np.ndarray] = []

    def send() -> None:
        samples = np.concatenate(blocks)
        blocks.clear()
        for start in range(0, len(samples), _MAX_BLOCK):
            emit(None, samples[start:start + _MAX_BLOCK])

    hours = limit / sample_rate / 3600
    too_long = DecodeError(path, f"longer than {limit} samples ({hours:.1f} hours at {sample_rate} Hz){remedy}")
    if max_samples is None and kept_samples == limit and _declared_samples(path, sample_rate) > limit + sample_rate:
        raise too_long  # rather now than after hours
    for block in load_blocks(path, sample_rate, max_samples, about):
        if count < kept_samples:
            blocks.append(block[:kept_samples - count])
        count += len(block)
        if count > limit:
            raise too_long
        peak = max(peak, float(block.max()), -float(block.min()))
        if sum(map(len, blocks)) >= _MIN_BLOCK:
            send()
    if blocks:
        send()
    return [count, peak, about.notes]


def _declared_samples(path: str, sample_rate: int) -> float:
    """Return the length that a file's header declares; 0 for small files, whose length is known soon."""
    with contextlib.suppress(OSError, soundfile.SoundFileError, TypeError, ValueError):
        if os.path.getsize(path) > _LARGE_BYTES and (found := soundfile.info(path)).frames < 1 << 62:
            return found.frames / found.samplerate * sample_rate
    return 0.0


def measure_sound(emit: Callable[..., None], path: str, seconds: float) -> list[float]:
    """Return the sample rate of a file and its length in samples, of the part before any damage: the task of a process.

    Args:
        emit: not used.
        path: the file.
        seconds: length after which it stops.

    Raises:
        DecodeError: nothing can be decoded.
    """
    rate = count = 0
    try:
        with contextlib.closing(decode.decode(path, seconds)) as blocks:
            for rate, samples in blocks:
                count += len(samples)
                if count >= seconds * rate:
                    break
    except DecodeError:
        if not count:
            raise
    return [rate, count]


def comment_of(emit: Callable[..., None], path: str) -> str:
    """Return the comment in a sound file's metadata: the task of a process."""
    return ffmpeg.metadata(path).get("comment", "")[:_MAX_COMMENT]


def facts_of(emit: Callable[..., None], path: str) -> dict[str, Any]:
    """Return what `describe_sound` does: the task of a process."""
    about, rate, count, peak = decode.About(), 0, 0, 0.0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal rate, count, peak
        for found, block in decode.decode(path, about=about):
            rate, count, peak = found, count + len(block), max(peak, float(np.abs(block).max()))
            yield block

    measured = blocks()
    first = next(measured, np.zeros(0, np.float32))
    if not rate:
        raise DecodeError(path, "no samples")
    kind, channels = ffmpeg.format_of(path)
    heard = loudness(itertools.chain([first], measured), rate, channels) if rate >= _MIN_LOUDNESS_RATE else -math.inf
    for _ in measured:
        pass
    levels = {"peak_db": 20 * math.log10(max(peak, 1e-30)), "loudness_lufs": heard}
    return {"format": kind, "seconds": count / rate, "sample_rate": rate, "channels": channels, "bits": about.bits,
            **{name: round(level, 2) if level > _SILENT_DB else None for name, level in levels.items()},
            "notes": about.notes, "comment": comment_of(emit, path)}


def _facts(value: Any) -> dict[str, Any]:
    whole = all(type(value[name]) is int and value[name] >= 0 for name in ("sample_rate", "channels", "bits"))
    numbers = all(value[name] is None or math.isfinite(value[name]) for name in ("seconds", "peak_db", "loudness_lufs"))
    if not whole or not numbers:
        raise ValueError("not facts")
    return {**value, "format": printable(value["format"]), "notes": list(notes_of(value["notes"])),
            "comment": _text(value["comment"])}


def _samples(value: Any, content: bytearray) -> np.ndarray:
    samples = np.frombuffer(content, "<f4").astype(np.float32)
    if not np.isfinite(samples).all():
        raise ValueError("not samples")
    return samples


def _nothing(value: Any, content: bytearray) -> None:
    raise ValueError("nothing was asked for")


def _two_numbers(value: Any) -> tuple[int, float]:
    first, second = value  # a rate or number of samples, and a number of samples or a peak
    if type(first) is not int or type(second) not in (int, float) or not (first >= 0 and 0 <= second < math.inf):
        raise ValueError("not two numbers")
    return first, second


def _numbers_and_notes(value: Any) -> tuple[int, float, tuple[str, ...]]:
    return *_two_numbers(value[:2]), notes_of(value[2])


def notes_of(value: Any) -> tuple[str, ...]:
    """Return the notes that a process sent.

    Raises:
        ValueError: they are none.
    """
    if not isinstance(value, list) or len(value) > _MAX_NOTES or not all(isinstance(note, str) for note in value):
        raise ValueError("not notes")
    return tuple(printable(note) for note in value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _bytes_of_samples(arguments: dict[str, Any]) -> tuple[int, int]:
    counts = (arguments.get(name) for name in ("max_samples", "kept_samples", "limit"))
    return 4 * _MAX_BLOCK, 5 * min(count for count in counts if count is not None) + (1 << 16)


_READ = Task(f"{__name__}:{read_sound.__name__}", _samples, _numbers_and_notes, _bytes_of_samples)
_MEASURE = Task(f"{__name__}:{measure_sound.__name__}", _nothing, _two_numbers, lambda arguments: (0, 1 << 16))
_COMMENT = Task(f"{__name__}:{comment_of.__name__}", _nothing, _text, lambda arguments: (0, 1 << 16))
_FACTS = Task(f"{__name__}:{facts_of.__name__}", _nothing, _facts, lambda arguments: (0, 1 << 16))

_idle: list[DecoderPool] = []
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)


@contextlib.contextmanager
def _pool(processes: int) -> Iterator[DecoderPool]:
    """Give a pool, whose processes are kept for the next use."""
    with _lock:
        pool = _idle.pop() if _idle else DecoderPool(_READ, processes, _LIMITS)
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
    sounds = list(sounds)
    limit = clip_samples or (MAX_WHOLE_SAMPLES if kept_samples is None else 1 << 40)
    arguments = {"sample_rate": sample_rate, "limit": limit, "max_samples": clip_samples, "kept_samples": kept_samples,
                 "remedy": ": cut it into parts, or `melgan-tf prepare` the folder with --long consecutive"}
    received = bytearray()
    with run(_READ, sounds, lambda sound: sound.path, arguments, processes_for(sounds)) as results:
        for sound, result in results:
            if isinstance(result, np.ndarray):
                received += memoryview(result).cast("B")
                continue
            samples, received = np.frombuffer(received, np.float32), bytearray()
            if isinstance(result, Retry):
                continue
            if isinstance(result, Success) and result.value[2]:
                sound = dataclasses.replace(sound, notes=result.value[2])
            yield sound, _clip(sound, samples, result, clip_samples)


def _clip(sound: SoundFile, samples: np.ndarray, result: Success | Failure, clip_samples: int | None
          ) -> np.ndarray | Skipped:
    if isinstance(result, Failure):
        return Skipped(sound.name, result.reason)
    if result.value[1] < SILENT_PEAK:
        return Skipped(sound.name, "silent")
    if clip_samples is None:
        return samples
    clip = np.zeros(clip_samples, np.float32)
    clip[:len(samples)] = samples
    return clip


def processes_for(sounds: Sequence[SoundFile]) -> int:
    """How many processes are worth their start: one a core for many files, or large ones."""
    size = sum(_size(sound.path) for sound in sounds)
    wanted = max(1, len(sounds) // _FILES_PER_PROCESS, size // _BYTES_PER_PROCESS)
    return min(wanted, system.cores())


def _size(path: Path | RemotePath | None) -> int:
    with contextlib.suppress(OSError):  # reported when the file is opened
        return path.stat().st_size if isinstance(path, Path) else 0
    return 0


@contextlib.contextmanager
def run(task: Task, items: Iterable[Item], path_of: Callable[[Item], Any],
        arguments: dict[str, Any] | Callable[[Item], dict[str, Any]], processes: int = 1
        ) -> Iterator[Iterator[tuple[Item, Any]]]:
    """Give the results of a pool for files, local or remote; those that have no path have nothing but a `Success`.

    Args:
        task: what to do.
        items: what stands for the files, as `SoundFile`.
        path_of: of an item: its path, or None.
        arguments: of the task besides ``path``, the same for all files; or a function of the item that returns them.
        processes: number of processes.
    """
    with (Prefetcher() as prefetcher, _pool(processes) as pool):
        def jobs() -> Iterator[tuple[tuple[Item, str], dict[str, Any] | None, int]]:
            for item, file, reason in prefetcher.prefetch(items, path_of):
                if file is not None and not file.is_absolute():  # the process may have started in another folder
                    file = Path.cwd() / file
                more = arguments(item) if callable(arguments) else arguments
                yield (item, reason), None if file is None else {"path": str(file), **more}, _size(file)

        def results() -> Iterator[tuple[Item, Any]]:
            for (item, reason), result in found:
                if isinstance(result, Success | Failure):
                    prefetcher.release(path_of(item))
                yield item, Failure(reason) if reason else result

        with contextlib.closing(pool.results(jobs(), task)) as found:
            yield results()


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
    with run(_READ, paths, lambda path: path, arguments) as results:
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
    with run(_MEASURE, sounds, lambda sound: sound.path, {"seconds": seconds}) as results:
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
    return _one(_COMMENT, path)


def describe_sound(path: str | Path) -> dict[str, Any]:
    """Return what there is to say of a sound file, from all of its samples.

    Returns:
        ``format``, ``seconds``, ``sample_rate`` (Hz), ``channels``, ``bits`` (0: not integers), ``peak_db`` and
        ``loudness_lufs`` of the channels mixed down (None: silent), ``notes`` and the ``comment``.

    Raises:
        DecodeError: the file cannot be read as a sound.
    """
    return _one(_FACTS, path)


def _one(task: Task, path: str | Path) -> Any:
    with run(task, [Path(path) if isinstance(path, str) else path], lambda path: path, {}) as results:
        *_, (_, result) = results
    if isinstance(result, Failure):
        raise DecodeError(path, result.reason)
    return result.value
