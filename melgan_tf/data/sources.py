"""Where sounds come from: a folder of files, or prepared shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melgan_tf import storage
from melgan_tf.audio.find import Skipped, SoundFile, find
from melgan_tf.audio.read import decode_folder
from melgan_tf.data.shards import Prepared, is_prepared


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
