"""What decoder processes do with a sound file, and the checks of what they answer."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import soundfile

from melgan_tf.audio import decode, ffmpeg
from melgan_tf.audio.decoder_pool import Task
from melgan_tf.audio.read import load_blocks
from melgan_tf.dsp.loudness import loudness
from melgan_tf.errors import DecodeError, printable

_MIN_BLOCK, _MAX_BLOCK = 1 << 16, 1 << 20  # samples of a message, except the last
_MAX_NOTES, _MAX_COMMENT = 100, 10_000  # characters of a comment
_MAX_ANSWER_BYTES = 1 << 16  # besides samples
_LARGE_BYTES = 1 << 16
_MIN_LOUDNESS_RATE = 8_000  # what the meter takes
_SILENT_DB = -200.0


def sound(emit: Callable[..., None], path: str, sample_rate: int, limit: int, max_samples: int | None = None,
          kept_samples: int | None = None, remedy: str = "") -> list[Any]:
    """Emit the samples of a sound.

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
            emit_samples(emit, np.concatenate(blocks))
            blocks.clear()
    if blocks:
        emit_samples(emit, np.concatenate(blocks))
    return [count, peak, about.notes]


def emit_samples(emit: Callable[..., None], samples: np.ndarray) -> None:
    """Emit float32 samples in messages that `SAMPLES` accepts."""
    for start in range(0, len(samples), _MAX_BLOCK):
        emit(None, samples[start:start + _MAX_BLOCK])


def _declared_samples(path: str, sample_rate: int) -> float:
    """Return the length that a file's header declares; 0 for small files, whose length is known soon."""
    with contextlib.suppress(OSError, soundfile.SoundFileError, TypeError, ValueError):
        if os.path.getsize(path) > _LARGE_BYTES and (found := soundfile.info(path)).frames < 1 << 62:
            return found.frames / found.samplerate * sample_rate
    return 0.0


def length(emit: Callable[..., None], path: str, seconds: float) -> list[int]:
    """Return the sample rate of a file and its length in samples, of the part before any damage; stops after seconds.

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


def comment(emit: Callable[..., None], path: str) -> str:
    """Return the comment in a sound file's metadata."""
    return ffmpeg.metadata(path).get("comment", "")[:_MAX_COMMENT]


def facts(emit: Callable[..., None], path: str) -> dict[str, Any]:
    """Return what `melgan_tf.audio.isolated.describe_sound` does."""
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
            "notes": about.notes, "comment": comment(emit, path)}


def checked_samples(value: Any, content: bytearray) -> np.ndarray:
    """Return samples that a process sent; raises a `ValueError` if they are none."""
    samples = np.frombuffer(content, "<f4").astype(np.float32)
    if not np.isfinite(samples).all():
        raise ValueError("not samples")
    return samples


def checked_notes(value: Any) -> tuple[str, ...]:
    """Return notes that a process sent; raises a `ValueError` if they are none."""
    if not isinstance(value, list) or len(value) > _MAX_NOTES or not all(isinstance(note, str) for note in value):
        raise ValueError("not notes")
    return tuple(printable(note) for note in value)


def _checked_facts(value: Any) -> dict[str, Any]:
    whole = all(type(value[name]) is int and value[name] >= 0 for name in ("sample_rate", "channels", "bits"))
    numbers = all(value[name] is None or math.isfinite(value[name]) for name in ("seconds", "peak_db", "loudness_lufs"))
    if not whole or not numbers:
        raise ValueError("not facts")
    return {**value, "format": printable(value["format"]), "notes": list(checked_notes(value["notes"])),
            "comment": _text(value["comment"])}


def _nothing(value: Any, content: bytearray) -> None:
    raise ValueError("nothing was asked for")


def _two_numbers(value: Any) -> tuple[int, float]:
    first, second = value  # a rate or number of samples, and a number of samples or a peak
    if type(first) is not int or type(second) not in (int, float) or not (first >= 0 and 0 <= second < math.inf):
        raise ValueError("not two numbers")
    return first, second


def _end_of_sound(value: Any) -> tuple[int, float, tuple[str, ...]]:
    return *_two_numbers(value[:2]), checked_notes(value[2])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def bytes_of_samples(count: int) -> tuple[int, int]:
    """The bytes that one message, and all messages of a file, may have for so many samples."""
    return 4 * _MAX_BLOCK, 5 * count + _MAX_ANSWER_BYTES


def _bytes_of_sound(arguments: dict[str, Any]) -> tuple[int, int]:
    counts = (arguments.get(name) for name in ("max_samples", "kept_samples", "limit"))
    return bytes_of_samples(min(count for count in counts if count is not None))


def _answer_only(function: Callable[..., Any], end: Callable[[Any], Any]) -> Task:
    return Task(f"{__name__}:{function.__name__}", _nothing, end, lambda arguments: (0, _MAX_ANSWER_BYTES))


SOUND = Task(f"{__name__}:{sound.__name__}", checked_samples, _end_of_sound, _bytes_of_sound)
LENGTH, COMMENT, FACTS = (_answer_only(function, end) for function, end in (
    (length, _two_numbers), (comment, _text), (facts, _checked_facts)))
