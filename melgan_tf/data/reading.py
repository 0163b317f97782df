"""Reading the clips of a folder of files or of prepared shards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.data.sources import open_sounds
from melgan_tf.errors import MelGANError
from melgan_tf.progress import Progress
from melgan_tf.runtime import memory_bytes

_MEMORY_SHARE = 0.8


class ClipReader:
    """Reads all clips of a source once, in order; collects the skipped files and a digest of the samples.

    Args:
        source: the folder of files or shards.
        sample_rate: of the clips, Hz.
        clip_samples: length of a clip; None: the whole sound.
        progress: reports every file, under the name ``title``.
        include_silent: yield silent sounds as one sample of zero instead of skipping them.
        kept_samples: of whole sounds, the first samples that are needed; None for all.

    Attributes:
        kept: the sound of each clip so far.
        skipped: the skipped sounds so far, and the reasons.

    Raises:
        UsageError, MelGANError: as `open_sounds`.
    """

    def __init__(self, source: str | Path, sample_rate: int, clip_samples: int | None,
                 progress: Progress | None = None, title: str = "reading sounds", include_silent: bool = False,
                 kept_samples: int | None = None) -> None:
        self.source, self.progress, self.title = source, progress or Progress(), title
        self.include_silent = include_silent
        self.found = open_sounds(source, sample_rate, clip_samples, kept_samples)
        self.kept: list[SoundFile] = []
        self.skipped = list(self.found.skipped)
        self._digest = hashlib.sha256()

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that depend on every sample of every clip."""
        return self._digest.hexdigest()[:16]

    def clips(self, transform: Callable[[np.ndarray], np.ndarray] | None = None) -> Iterator[np.ndarray]:
        """Yield the usable clips, float32 ``(samples,)``.

        Args:
            transform: applied to every clip before it is returned and added to the digest.

        Raises:
            MelGANError: no clip is usable, or a shard is damaged.
        """
        with self.progress.task(self.title, len(self.found), "files") as advance:
            for sound, clip in self.found.clips():
                advance(1)
                if self.include_silent and isinstance(clip, Skipped) and clip.reason == "silent":
                    clip = np.zeros(1, np.float32)
                if isinstance(clip, Skipped):
                    self.skipped.append(clip)
                    continue
                clip = transform(clip) if transform else clip
                self.kept.append(sound)
                self._digest.update(np.ascontiguousarray(clip, "<f4"))
                if self.found.clip_samples is None:  # the end of a sound
                    self._digest.update(b"|")
                yield clip
        if not self.kept:
            raise MelGANError(nothing_usable(self.source, len(self.skipped), next(iter(self.skipped), None)))


class Memory:
    """Counts what a folder of sounds takes in memory; refuses what does not fit before the system kills the program.

    Args:
        folder: for the message.
        copies: how many of everything there will be for a moment.
    """

    def __init__(self, folder: str | Path, copies: int = 1) -> None:
        self.folder, self.copies, self.bytes = folder, copies, 0

    def taken(self, array: np.ndarray) -> np.ndarray:
        """Return the array.

        Raises:
            MelGANError: there is no memory for more.
        """
        self.bytes += array.nbytes
        if self.bytes * self.copies > _MEMORY_SHARE * (there := memory_bytes()):
            raise MelGANError(f"the sounds in {self.folder} need more than {_MEMORY_SHARE:.0%} of the memory of "
                              f"{there / 1e9:.1f} GB: give fewer or shorter sounds, or a lower sample rate")
        return array


def note_lines(noted: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for every note about files that were kept: how many, and the first name.

    Args:
        noted: names of files, each with a note.

    Examples:
        >>> note_lines([("a.wav", "odd"), ("b.wav", "odd")])
        ['note: odd: 2 files, the first is a.wav']
    """
    names: dict[str, dict[str, None]] = {}
    for name, note in noted:
        names.setdefault(note, {})[name] = None
    return [f"note: {note}: " + (f"{len(found)} files, the first is " if len(found) > 1 else "") + next(iter(found))
            for note, found in names.items()]


def nothing_usable(folder: str | Path, files: int, first: Skipped | None) -> str:
    """Return the one-line reason why a folder has no usable sound: how many were skipped, and the first of them."""
    if first is None:
        return f"{folder} contains no sound files (WAV, FLAC, AIFF, OGG, MP3, M4A)"
    return f"none of the {files} sound files in {folder} can be used; the first, {first.name}: {first.reason}"
