"""Sources of sounds: a folder of files, or prepared shards."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melgan_tf.audio.find import Skipped, SoundFile, find
from melgan_tf.audio.isolated import decode_folder
from melgan_tf.data.shards import Prepared, is_prepared


@dataclass(frozen=True)
class SoundSource:
    """A folder of sound files, or prepared shards.

    Attributes:
        files: the sound files of a folder; empty for prepared shards.
        skipped: what could not be accessed.
        prepared: the shards; None for a folder of files.
        sample_rate: of the clips, Hz.
        clip_samples: length of each clip; None: the whole sound.
        kept_samples: of whole sounds, the first samples to return; None for all.
    """

    files: list[SoundFile]
    skipped: list[Skipped]
    prepared: Prepared | None
    sample_rate: int
    clip_samples: int | None
    kept_samples: int | None = None

    def __len__(self) -> int:
        return len(self.prepared) if self.prepared else len(self.files)

    def clips(self) -> Iterator[tuple[SoundFile, np.ndarray | Skipped]]:
        """Yield each sound (its ``label`` is its class) with its clip, float32 ``(samples,)``, or why it has none.

        Raises:
            MelGANError: a shard is damaged.
        """
        if self.prepared:
            return ((sound, clip[:self.kept_samples].copy()) for sound, clip in self.prepared.clips())
        return decode_folder(self.files, self.sample_rate, self.clip_samples, self.kept_samples)


def open_sounds(source: str | Path, sample_rate: int, clip_samples: int | None,
                kept_samples: int | None = None) -> SoundSource:
    """Find the sounds in a folder, or open prepared shards.

    Args:
        source: a folder of sounds, searched recursively, or one written by `melgan-tf prepare`.
        sample_rate: of the clips, Hz.
        clip_samples: length of a clip; None: the whole sound.
        kept_samples: of whole sounds, the first samples that are needed; None for all.

    Raises:
        UsageError: the folder does not exist, or its prepared clips have another rate or length.
        MelGANError: the folder cannot be read, or is not completely prepared.
    """
    if is_prepared(source):
        prepared = Prepared.open(source)
        prepared.require(sample_rate, clip_samples)
        return SoundSource([], [], prepared, sample_rate, clip_samples, kept_samples)
    files, skipped = find(source)
    return SoundSource(files, skipped, None, sample_rate, clip_samples, kept_samples)


def held_out(sounds: Sequence[tuple[str, str]], one_in: int) -> np.ndarray:
    """Return which sounds training does not see: a boolean each. Those of other sounds make no difference to one.

    Args:
        sounds: name and class of each.
        one_in: about one in this many; a class of fewer keeps all. 0: none.

    Examples:
        >>> held_out([(f"kick/{index}.wav", "kick") for index in range(100)], 10).sum().item()
        6
    """
    counts = Counter(label for _, label in sounds)
    return np.array([counts[label] >= one_in > 0 and zlib.crc32(name.encode(errors="replace")) % one_in == 0
                     for name, label in sounds], bool)


def at_intervals(count: int, wanted: int) -> np.ndarray:
    """Return at most ``wanted`` indices at regular intervals of ``count``, so from all classes of a sorted folder.

    Examples:
        >>> at_intervals(100, 4).tolist(), at_intervals(2, 4).tolist()
        ([0, 33, 66, 99], [0, 1])
    """
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int))
