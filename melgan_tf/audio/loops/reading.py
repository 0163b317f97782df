"""Reading the loops of a folder: decoded and understood in processes of their own, within limits."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from melgan_tf.audio.decode import About
from melgan_tf.audio.decoder_pool import Failure, Task
from melgan_tf.audio.edit import is_silent
from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.audio.isolated import run_whole
from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.loop import Loop, read_loop
from melgan_tf.audio.read import load
from melgan_tf.audio.tasks import bytes_of_samples, checked_notes, checked_samples, emit_samples
from melgan_tf.errors import DecodeError, printable

#: Longer sounds are no loops.
MAX_SECONDS = 240.0


def loop_of(emit: Callable[..., None], path: str, name: str, sample_rate: int) -> list[Any]:
    """Emit the samples of a loop: the task of a process.

    Args:
        emit: is called with blocks of float32.
        path: the file.
        name: what it is called in its folder.
        sample_rate: of the result, Hz.

    Returns:
        What is known about the loop, as JSON, and notes (`About`).

    Raises:
        DecodeError: the file cannot be decoded, or is no loop.
    """
    about = About()
    samples, loop = load_loop(path, name, sample_rate, about)
    emit_samples(emit, samples)
    return [loop_to_json(loop), about.notes]


def load_loop(path: str | os.PathLike, name: str, sample_rate: int, about: About) -> tuple[np.ndarray, Loop]:
    """Decode a file and return its loop, float32 ``(loop.samples,)``, and what is known about it.

    ``about`` is filled in.

    Raises:
        DecodeError: the file cannot be decoded, or is no loop.
    """
    limit = round(MAX_SECONDS * sample_rate)
    samples = load(path, sample_rate, limit + 1, about)
    if len(samples) > limit:
        raise DecodeError(path, f"longer than {MAX_SECONDS:g} seconds, which is no loop: cut it")
    if is_silent(samples):
        raise DecodeError(path, "silent")
    loop = read_loop(path, name, samples, sample_rate)
    part = samples[loop.start:loop.end]
    return np.pad(part, (0, loop.samples - len(part))), loop


def loop_to_json(loop: Loop) -> dict[str, Any]:
    """A loop as plain JSON values; its key as text."""
    return {**dataclasses.asdict(loop), "key": str(loop.key) if loop.key else None,
            "mode": loop.key.mode if loop.key else None}


def loop_from_json(value: Any) -> Loop:
    """The inverse of `loop_to_json`.

    Raises:
        ValueError: it is no loop.
    """
    fields = {name: value[name] for name in Loop.__dataclass_fields__}
    if fields["key"] is not None:
        fields["key"] = dataclasses.replace(Key.parse(fields["key"]), mode=value["mode"])
    if not (0 < fields["bpm"] < 1e4 and type(fields["bars"]) is int and 0 < fields["bars"] < 1e4
            and type(fields["meter"]) is int and 0 <= fields["start"] < fields["end"] and
            isinstance(fields["sources"], dict) and isinstance(fields["note"], str)):
        raise ValueError("not a loop")
    sources = {printable(str(name)): printable(str(source)) for name, source in fields["sources"].items()}
    return Loop(**{**fields, "sources": sources, "note": printable(fields["note"])})


def _end(value: Any) -> tuple[Loop, tuple[str, ...]]:
    loop, notes = value
    return loop_from_json(loop), checked_notes(notes)


_LOOP = Task(f"{__name__}:{loop_of.__name__}", checked_samples, _end,
             lambda arguments: bytes_of_samples(round((MAX_SECONDS + 1) * arguments["sample_rate"])))


def read_loops(sounds: Sequence[SoundFile], sample_rate: int
               ) -> Iterator[tuple[SoundFile, tuple[np.ndarray, Loop] | Skipped]]:
    """Decode loops and find their tempo, bars and key, in order and in parallel.

    Args:
        sounds: as returned by `melgan_tf.audio.find.find`.
        sample_rate: Hz.

    Yields:
        Each sound with its samples, float32 ``(loop.samples,)``, and what is known about it; or why it is no loop.
    """
    def arguments(sound: SoundFile) -> dict[str, Any]:
        return {"name": sound.name, "sample_rate": sample_rate}

    for sound, samples, result in run_whole(_LOOP, sounds, arguments):
        if isinstance(result, Failure):
            yield sound, Skipped(sound.name, result.reason)
        else:
            loop, notes = result.value
            yield dataclasses.replace(sound, notes=notes), (samples, loop)
