"""Sounds to learn from or to compare with, be they a folder of files or prepared shards: one way to read both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.data.sources import open_sounds
from melgan_tf.errors import MelGANError
from melgan_tf.progress import Progress


class ClipReader:
    """All clips of some sounds, once, in order; what was left out, and a digest of all that was read.

    Args:
        source: the folder or the shards.
        sample_rate: of the clips, Hz.
        clip_samples: samples of a clip; None for all of each sound.
        progress: told of every file, under the name ``title``.
        include_silent: silent sounds are kept, as one sample of zero.

    Attributes:
        kept: the sound of each clip so far.
        skipped: the sounds that were left out so far, and why.

    Raises:
        UsageError, MelGANError: as `open_sounds`.
    """

    def __init__(self, source: str | Path, sample_rate: int, clip_samples: int | None,
                 progress: Progress | None = None, title: str = "reading sounds", include_silent: bool = False) -> None:
        self.source, self.progress, self.title = source, progress or Progress(), title
        self.include_silent = include_silent
        self.found = open_sounds(source, sample_rate, clip_samples)
        self.kept: list[SoundFile] = []
        self.skipped = list(self.found.skipped)
        self._digest = hashlib.sha256()

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change if any sample of any clip does."""
        return self._digest.hexdigest()[:16]

    def clips(self, transform: Callable[[np.ndarray], np.ndarray] | None = None) -> Iterator[np.ndarray]:
        """The clips that can be used, float32 ``(samples,)``.

        Args:
            transform: applied to every clip before it is returned and enters the digest.

        Raises:
            MelGANError: there is none, or a shard is damaged.
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
                if self.found.clip_samples is None:  # where one sound ends
                    self._digest.update(b"|")
                yield clip
        if not self.kept:
            raise MelGANError(_nothing_readable(self.source, self.found.files, self.skipped))


def _nothing_readable(folder: str | Path, sounds: list[SoundFile], skipped: list[Skipped]) -> str:
    """Why a folder gives no sound, in one line: it has no files of sound, or these were skipped."""
    if not sounds and not skipped:
        return f"{folder} holds no sound files (WAV, FLAC, AIFF, OGG, MP3, M4A)"
    first = skipped[0]
    return f"none of the {len(skipped)} sound files in {folder} can be used; the first, {first.name}: {first.reason}"
