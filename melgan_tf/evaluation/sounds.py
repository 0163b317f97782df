"""Folders of sounds as one array: what `melgan-tf evaluate` compares."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melgan_tf import storage
from melgan_tf.audio.decode import decode
from melgan_tf.audio.find import find
from melgan_tf.data.clips import split_windows
from melgan_tf.data.reading import ClipReader
from melgan_tf.data.shards import Prepared, is_prepared
from melgan_tf.errors import DecodeError, MelGANError
from melgan_tf.progress import Progress

#: Of longer sounds the beginning is taken, seconds.
LONGEST = 2.0


@dataclass(frozen=True)
class Sounds:
    """Some sounds of one rate and length.

    Attributes:
        audio: ``(sounds, samples)`` float32.
        rate: Hz.
        names: what each is called.
        labels: what each is meant to be; None if that is not known.
    """

    audio: np.ndarray
    rate: int
    names: tuple[str, ...]
    labels: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)


def load_sounds(folder: str | Path, rate: int | None = None, seconds: float = LONGEST,
                progress: Progress | None = None, include_silent: bool = False) -> Sounds:
    """Decodes every sound below a folder, or reads prepared shards; names of sub-folders are labels.

    Args:
        folder: searched at any depth.
        rate: Hz; None for that which most of the files have.
        seconds: what is taken of each; all are as long as the longest then.
        progress: told of every file, and of those that are left out.
        include_silent: keep silent sounds, which count as a fault of generated ones.

    Raises:
        MelGANError: no sound can be used.
    """
    progress = progress or Progress()
    rate = rate or _usual_rate(folder)
    reading = ClipReader(folder, rate, None, progress, f"reading {storage.path(folder).name}", include_silent)
    kept = [samples[:round(seconds * rate)].copy() for samples in reading.clips()]
    _warn(reading, progress)
    longest = max(map(len, kept))
    audio = np.stack([np.pad(samples, (0, longest - len(samples))) for samples in kept])
    labels = tuple(sound.label for sound in reading.kept)
    return Sounds(audio, rate, tuple(sound.name for sound in reading.kept), labels if any(labels) else None)


def load_windows(folder: str | Path, rate: int, samples: int, quietest_db: float,
                 progress: Progress | None = None) -> Sounds:
    """Cuts every sound below a folder, or of prepared shards, into consecutive windows.

    Args:
        folder: searched at any depth.
        rate: Hz.
        samples: of a window; shorter sounds, and what is left at an end, are padded with zeros.
        quietest_db: windows whose peak is further below that of their sound are left out.
        progress: told of every file, and of those that are left out.

    Raises:
        MelGANError: no sound can be used.
    """
    progress = progress or Progress()
    reading, windows, names = ClipReader(folder, rate, None, progress, f"reading {storage.path(folder).name}"), [], []
    for whole in reading.clips():
        least = np.max(np.abs(whole)) * 10 ** (-quietest_db / 20)
        for start, window in split_windows([whole], samples):
            if np.max(np.abs(window)) >= least:
                windows.append(window.astype(np.float32))
                names.append(f"{reading.kept[-1].name} at {start / rate:.2f} s")
    _warn(reading, progress)
    if not windows:  # what is left at an end, where they may be loudest, makes no window
        raise MelGANError(f"no sound in {folder} has a window of {samples / rate:.2g} s within {quietest_db:g} dB of "
                          "its peak")
    return Sounds(np.stack(windows), rate, tuple(names))


def _warn(reading: ClipReader, progress: Progress) -> None:
    for item in reading.skipped:
        progress.warning(f"skipped {item.name}: {item.reason}")


def _usual_rate(folder: str | Path) -> int:
    if is_prepared(folder):
        return Prepared.open(folder).index["sample_rate"]
    rates = Counter()
    for sound in find(folder)[0]:
        with (contextlib.suppress(DecodeError, StopIteration, FileNotFoundError), storage.local(sound.path) as file,
              contextlib.closing(decode(file, 0.01)) as blocks):
            rates[next(blocks)[0]] += 1
    return rates.most_common(1)[0][0] if rates else 16_000
