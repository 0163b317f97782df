"""A quick survey of a folder of sounds: number, length, sample rate, tempos. The default preset depends on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.audio.isolated import measure
from melgan_tf.audio.loops.loop import Loop
from melgan_tf.audio.loops.names import tempo_of_name
from melgan_tf.audio.loops.reading import read_loops
from melgan_tf.config import presets
from melgan_tf.data.shards import Prepared, is_prepared
from melgan_tf.data.sources import open_sounds
from melgan_tf.errors import MelGANError
from melgan_tf.progress import counted

_MAX_FILES = 48  # decoded
_MAX_SECONDS = 10.0  # decoded of each file, and the length that longer ones count as
_MAX_LOOPS = 16  # of the files that are decoded, those whose tempo is looked for
_SHORTEST_BAR = 0.8  # seconds
_LOOP_RATE = 22_050


@dataclass(frozen=True)
class Survey:
    """The result of `survey`.

    Attributes:
        sounds: number of files, or of prepared clips.
        classes: number of sub-folders with sounds; 0 if all are at the top.
        seconds: median length; 10 for anything longer.
        sample_rate: the most frequent rate, Hz.
        rates: files by sample rate, of those that were measured.
        tempos: slowest and fastest of loops, beats per minute, and their source; None if most sounds are not whole bars
            of a tempo that their chunks, tags or names tell.
    """

    sounds: int
    classes: int
    seconds: float
    sample_rate: int
    rates: dict[int, int] = field(default_factory=dict)
    tempos: tuple[float, float, str] | None = None

    @property
    def preset(self) -> str:
        """The preset that suits these sounds."""
        return presets.suggest(self.seconds, self.sample_rate, self.tempos is not None)

    def __str__(self) -> str:
        folders = f" in {self.classes} class folders" if self.classes > 1 else ""
        length = f"{_MAX_SECONDS:g} s or more" if self.seconds >= _MAX_SECONDS else f"{self.seconds:.2g} s"
        loops = f", whole bars at {tempo_range(self.tempos)}" if self.tempos else ""
        return f"{counted(self.sounds, 'sound')}{folders}, typically {length} at {self.sample_rate} Hz{loops}"


def tempo_range(tempos: tuple[float, float, str]) -> str:
    """The tempos of a survey in words.

    Examples:
        >>> tempo_range((68.0, 178.0, "name")), tempo_range((97.5, 97.5, "acid, name"))
        ('68 to 178 BPM (told by name)', '97.5 BPM (told by acid, name)')
    """
    slowest, fastest, told = tempos
    return f"{slowest:g}{f' to {fastest:g}' if fastest > slowest else ''} BPM (told by {told})"


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
    measured = {file: (found[1] / found[0], found[0]) for file, found in zip(chosen, measure(chosen, _MAX_SECONDS),
                                                                             strict=True) if found}
    if not measured:
        raise MelGANError(f"no sound in {source} can be decoded: give another folder, or the preset with --preset")
    labels, rates = {file.label for file in files}, Counter(rate for _, rate in measured.values())
    seconds = {file: length for file, (length, _) in measured.items()}
    return Survey(len(files), len(labels - {""}), min(_MAX_SECONDS, median(seconds.values())),
                  rates.most_common(1)[0][0], dict(sorted(rates.items())), _tempos(seconds))


def _tempos(seconds: dict[SoundFile, float]) -> tuple[float, float, str] | None:
    """See `Survey.tempos`. What is estimated does not count: a single note is whole bars of some tempo, too."""
    chosen = list(seconds)[::max(1, len(seconds) // _MAX_LOOPS)]
    bars = [file for file in chosen if _SHORTEST_BAR <= seconds[file] < _MAX_SECONDS or tempo_of_name(file.name)]
    loops: list[Loop] = [found[1] for _, found in read_loops(bars, _LOOP_RATE) if not isinstance(found, Skipped)]
    told = [loop for loop in loops if loop.sources["bpm"] != "estimated" and not loop.note]
    if 2 * len(told) <= len(chosen):
        return None
    sources = Counter(loop.sources["bpm"] for loop in told)
    return min(loop.bpm for loop in told), max(loop.bpm for loop in told), ", ".join(
        name for name, _ in sources.most_common())

