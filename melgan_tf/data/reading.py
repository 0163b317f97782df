"""Sounds to learn from or to compare with, be they a folder of files or prepared shards: one way to read both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.data.exchange import Share, read_together
from melgan_tf.data.sources import open_sounds
from melgan_tf.errors import MelGANError
from melgan_tf.progress import Progress


class Reading:
    """All clips of some sounds, once, in order; what was left out, and a digest of all that was read.

    Args:
        source: the folder or the shards.
        sample_rate: of the clips, Hz.
        clip_samples: samples of a clip; None for all of each sound.
        progress: told of every file, under the name ``title``.
        silent_too: silent sounds are kept, as one sample of zero.
        share: where several workers read the same sounds, each its part of the files: how they exchange them.

    Attributes:
        kept: the sound of each clip so far.
        skipped: the sounds that were left out so far, and why.

    Raises:
        UsageError, MelGANError: as `open_sounds`.
    """

    def __init__(self, source: str | Path, sample_rate: int, clip_samples: int | None,
                 progress: Progress | None = None, title: str = "reading sounds", silent_too: bool = False,
                 share: Share | None = None) -> None:
        self.source, self.progress, self.title = source, progress or Progress(), title
        self.silent_too, self.share = silent_too, share
        self.found = open_sounds(source, sample_rate, clip_samples)
        self.kept: list[SoundFile] = []
        self.skipped = list(self.found.skipped)
        self._digest = hashlib.sha256()

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change if any sample of any clip does."""
        return self._digest.hexdigest()[:16]

    def clips(self, change: Callable[[np.ndarray], np.ndarray] | None = None) -> Iterator[np.ndarray]:
        """The clips that can be used, float32 ``(samples,)``.

        Args:
            change: made with every clip before it is given and entered in the digest.

        Raises:
            MelGANError: there is none, or a shard is damaged.
            UsageError: another worker has other sounds.
        """
        clips = read_together(self.found, self.share) if self.share else self.found.clips()
        with self.progress.task(self.title, len(self.found), "files") as advance:
            for sound, clip in clips:
                advance(1)
                if self.silent_too and isinstance(clip, Skipped) and clip.reason == "silent":
                    clip = np.zeros(1, np.float32)
                if isinstance(clip, Skipped):
                    self.skipped.append(clip)
                    continue
                clip = change(clip) if change else clip
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
