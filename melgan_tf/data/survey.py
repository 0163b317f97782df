"""A quick survey of a folder of sounds: number, length, sample rate. The default preset depends on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from melgan_tf.audio.isolated import measure
from melgan_tf.data.shards import Prepared, is_prepared
from melgan_tf.data.sources import open_sounds
from melgan_tf.errors import MelGANError
from melgan_tf.progress import counted

_MAX_FILES = 48  # decoded
_MAX_SECONDS = 10.0  # decoded of each file, and the length that longer ones count as


@dataclass(frozen=True)
class Survey:
    """The result of `survey`.

    Attributes:
        sounds: number of files, or of prepared clips.
        classes: number of sub-folders with sounds; 0 if all are at the top.
        seconds: median length; 10 for anything longer.
        sample_rate: the most frequent rate, Hz.
        rates: files by sample rate, of those that were measured.
    """

    sounds: int
    classes: int
    seconds: float
    sample_rate: int
    rates: dict[int, int] = field(default_factory=dict)

    def __str__(self) -> str:
        folders = f" in {self.classes} class folders" if self.classes > 1 else ""
        length = f"{_MAX_SECONDS:g} s or more" if self.seconds >= _MAX_SECONDS else f"{self.seconds:.2g} s"
        return f"{counted(self.sounds, 'sound')}{folders}, typically {length} at {self.sample_rate} Hz"


def survey(source: str | Path) -> Survey:
    """Survey a folder of sounds, or prepared shards.

    Args:
        source: as for `melgan_tf.data.sources.open_sounds`.

    Raises:
        UsageError, MelGANError: as `open_sounds`, or no file can be decoded.
    """
    if is_prepared(source):
        index = Prepared.open(source).index
        return Survey(index["clips"], 0, index["clip_samples"] / index["sample_rate"], index["sample_rate"])
    files = open_sounds(source, 44_100, None).files
    chosen = files[::max(1, len(files) // _MAX_FILES)]
    measured = [(samples / rate, rate) for rate, samples in filter(None, measure(chosen, _MAX_SECONDS))]
    if not measured:
        raise MelGANError(f"no sound in {source} can be decoded: give another folder, or the preset with --preset")
    labels, rates = {file.label for file in files}, Counter(rate for _, rate in measured)
    return Survey(len(files), len(labels - {""}), min(_MAX_SECONDS, median(seconds for seconds, _ in measured)),
                  rates.most_common(1)[0][0], dict(sorted(rates.items())))

