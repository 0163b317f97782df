"""A first look at a folder of sounds: how many, how long, at which rate. It decides which preset suits them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from melgan_tf.audio.decode import decode
from melgan_tf.audio.find import SoundFile
from melgan_tf.data.shards import Prepared, is_prepared
from melgan_tf.data.sources import open_sounds
from melgan_tf.errors import DecodeError, MelGANError

_FILES = 48  # that are looked into
_SECONDS = 10.0  # of each; longer ones count as this long


@dataclass(frozen=True)
class Survey:
    """What a folder holds.

    Attributes:
        sounds: number of files, or of prepared clips.
        classes: number of sub-folders that hold sounds; 0 if all lie at the top.
        seconds: median length; 10 for anything longer.
        sample_rate: the most frequent rate, Hz.
    """

    sounds: int
    classes: int
    seconds: float
    sample_rate: int

    def __str__(self) -> str:
        folders = f" in {self.classes} class folders" if self.classes > 1 else ""
        length = f"{_SECONDS:g} seconds or more" if self.seconds >= _SECONDS else f"{self.seconds:.2g} seconds"
        return f"{self.sounds} sounds{folders}, typically {length} at {self.sample_rate} Hz"


def survey(source: str | Path) -> Survey:
    """Looks into a folder of sounds, or into prepared shards.

    Args:
        source: as for `melgan_tf.data.sources.open_sounds`.

    Raises:
        UsageError, MelGANError: as there, or no file can be decoded.
    """
    if is_prepared(source):
        index = Prepared.open(source).index
        return Survey(index["clips"], 0, index["clip_samples"] / index["sample_rate"], index["sample_rate"])
    files = open_sounds(source, 44_100, None).files
    looked = [found for file in files[::max(1, len(files) // _FILES)] if (found := _look(file))]
    if not looked:
        raise MelGANError(f"no sound in {source} can be decoded: give another folder, or the preset with --preset")
    labels = {file.label for file in files}
    return Survey(len(files), len(labels - {""}), min(_SECONDS, median(seconds for seconds, _ in looked)),
                  Counter(rate for _, rate in looked).most_common(1)[0][0])


def _look(file: SoundFile) -> tuple[float, int] | None:
    """Length, at most `_SECONDS`, and rate of a file; None if it cannot be decoded."""
    seconds, rate = 0.0, 0
    try:
        for rate, samples in decode(file.path, _SECONDS):
            seconds += len(samples) / rate
    except DecodeError:
        pass  # what came before the damage counts
    return (seconds, rate) if seconds else None
