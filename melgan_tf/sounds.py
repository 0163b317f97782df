"""Sounds to learn from or to compare with, be they a folder of files or prepared shards: one way to read both."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melgan_tf import storage
from melgan_tf.audio import decode_folder
from melgan_tf.errors import MelGANError
from melgan_tf.progress import Progress
from melgan_tf.scan import Skipped, SoundFile, find
from melgan_tf.shards import Prepared, is_prepared
from melgan_tf.shared_reading import Share, read_together

#: Files that one of several workers reads in a row.
_PART_FILES = 16


@dataclass(frozen=True)
class Sounds:
    """What `open_sounds` found.

    Attributes:
        files: the sound files of a folder; none of prepared shards, whose clips come from `prepared`.
        skipped: what could not be looked into.
        prepared: the shards, if it is shards.
        sample_rate: of the clips, Hz.
        clip_samples: of each clip; None for all of each sound.
    """

    files: list[SoundFile]
    skipped: list[Skipped]
    prepared: Prepared | None
    sample_rate: int
    clip_samples: int | None

    def __len__(self) -> int:
        return len(self.prepared) if self.prepared else len(self.files)

    def parts(self) -> list[Sounds]:
        """The same sounds, some files or one shard in each."""
        if self.prepared:
            return [dataclasses.replace(self, prepared=part) for part in self.prepared.parts()]
        return [dataclasses.replace(self, files=self.files[first:first + _PART_FILES])
                for first in range(0, len(self.files), _PART_FILES)]

    def listing(self) -> str:
        """What there is, without looking into it: names and sizes, or what the index says of the shards."""
        if self.prepared:
            return json.dumps(self.prepared.index)
        sizes = storage.sizes([file.path for file in self.files])
        return json.dumps([(file.name, file.label, size) for file, size in zip(self.files, sizes, strict=True)])

    def clips(self) -> Iterator[tuple[SoundFile, np.ndarray | Skipped]]:
        """Each sound (its ``label`` is its class) with its clip, float32 ``(samples,)``, or why it has none.

        Raises:
            MelGANError: a shard is damaged.
        """
        if self.prepared:
            return self.prepared.clips()
        return decode_folder(self.files, self.sample_rate, self.clip_samples)


def open_sounds(source: str | Path, sample_rate: int, clip_samples: int | None) -> Sounds:
    """Finds the sounds in a folder, or opens prepared shards.

    Args:
        source: a folder of sounds, searched at any depth, or one that `melgan-tf prepare` made.
        sample_rate: wanted rate of the clips, Hz.
        clip_samples: samples of a clip; None for all of each sound.

    Raises:
        UsageError: there is no such folder, or its prepared clips are of another rate or length.
        MelGANError: the folder cannot be read, or was not prepared to the end.
    """
    if is_prepared(source):
        prepared = Prepared.open(source)
        prepared.require(sample_rate, clip_samples)
        return Sounds([], [], prepared, sample_rate, clip_samples)
    files, skipped = find(source)
    return Sounds(files, skipped, None, sample_rate, clip_samples)


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
