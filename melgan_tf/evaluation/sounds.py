"""Folders of sounds as one array, as `evaluate` compares them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melgan_tf import storage
from melgan_tf.audio.find import Skipped, SoundFile, find, scan
from melgan_tf.audio.isolated import measure
from melgan_tf.audio.loops.loop import Loop
from melgan_tf.audio.loops.names import is_marked
from melgan_tf.audio.loops.reading import read_loops
from melgan_tf.data.clips import split_windows
from melgan_tf.data.reading import ClipReader, Memory, note_lines
from melgan_tf.data.shards import Prepared, is_prepared
from melgan_tf.errors import MelGANError
from melgan_tf.inference.output_folder import recorded_labels
from melgan_tf.progress import Progress
from melgan_tf.storage.run_directory import RunDirectory

#: Longer sounds are cut to this length.
MAX_SECONDS = 2.0
DEFAULT_SAMPLE_RATE = 16_000
#: Loops are repeated or cut to this length where their timbre is compared.
LOOP_SECONDS = 4.0


@dataclass(frozen=True)
class SoundSet:
    """Sounds of one rate and length.

    Attributes:
        audio: ``(sounds, samples)`` float32.
        sample_rate: Hz.
        names: one for each sound.
        labels: the class of each sound; None if unknown.
    """

    audio: np.ndarray
    sample_rate: int
    names: tuple[str, ...]
    labels: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def with_recorded_labels(self, folder: str | Path) -> SoundSet:
        """The sounds with the labels recorded in the sounds.json or the shards of a folder, if all have one."""
        try:
            recorded = recorded_labels(storage.path(folder))
            return dataclasses.replace(self, labels=tuple(recorded[name] for name in self.names))
        except (OSError, ValueError, KeyError, TypeError):
            return self


@dataclass(frozen=True)
class LoopSet(SoundSet):
    """Loops, which repeat in ``audio`` until all are of one length.

    Attributes:
        whole: every loop once, float32 ``(samples,)``.
        loops: its tempo, bars and key.
    """

    whole: tuple[np.ndarray, ...] = ()
    loops: tuple[Loop, ...] = ()

    @classmethod
    def of(cls, whole: Sequence[np.ndarray], loops: Sequence[Loop], sample_rate: int, names: Sequence[str],
           labels: Sequence[str] | None) -> LoopSet:
        """A set of these loops."""
        samples = round(LOOP_SECONDS * sample_rate)
        audio = np.stack([np.resize(sound, samples) for sound in whole])
        return cls(audio, sample_rate, tuple(names), tuple(labels) if labels and any(labels) else None, tuple(whole),
                   tuple(loops))


def is_loop_folder(folder: str | Path) -> bool:
    """Whether the names of most sounds in a folder tell a tempo, marked by "bpm"."""
    if is_prepared(folder):
        return False
    names = [sound.name for sound in find(folder)[0]]
    return 2 * sum(map(is_marked, names)) > len(names)


def load_loop_set(folder: str | Path, sample_rate: int | None = None, progress: Progress | None = None) -> LoopSet:
    """Decodes every loop in a folder; names of sub-folders are labels.

    Args:
        folder: searched recursively.
        sample_rate: Hz; by default the most common one of the files.
        progress: receives progress, and a warning for each file that is no loop.

    Raises:
        MelGANError: no loop can be used.
    """
    progress, rate = progress or Progress(), sample_rate or _most_common_rate(folder)
    files, _ = find(folder)
    found, memory = [], Memory(folder, copies=2)
    with progress.task(f"reading {storage.path(folder).name}", len(files), "files") as advance:
        for sound, result in read_loops(files, rate):
            advance(1)
            if isinstance(result, Skipped):
                progress.warning(f"skipped {result.name}: {result.reason}")
            else:
                found.append((memory.taken(result[0]), result[1], sound))
    if not found:
        raise MelGANError(f"no sound in {folder} is a loop: give a folder of loops")
    whole, loops, sounds = zip(*found, strict=True)
    return LoopSet.of(whole, loops, rate, [sound.name for sound in sounds], [sound.label for sound in sounds])


def is_sound_folder(place: str | Path) -> bool:
    """Whether a place is a folder with sounds, and not a run directory."""
    place = storage.path(place)
    return place.is_dir() and not RunDirectory(place).exists() and any(
        isinstance(entry, SoundFile) for entry in scan(place))


def load_sound_set(folder: str | Path, sample_rate: int | None = None, seconds: float = MAX_SECONDS,
                   progress: Progress | None = None, include_silent: bool = False) -> SoundSet:
    """Decodes every sound in a folder, or reads prepared shards; names of sub-folders are labels.

    Args:
        folder: searched recursively.
        sample_rate: Hz; by default the most common one of the files.
        seconds: longer sounds are cut; then all are padded to the longest.
        progress: receives progress, and a warning for each skipped file.
        include_silent: keep silent sounds, which count as an artifact of generated ones.

    Raises:
        MelGANError: no sound can be used.
    """
    progress = progress or Progress()
    rate = sample_rate or _most_common_rate(folder)
    reader = ClipReader(folder, rate, None, progress, f"reading {storage.path(folder).name}", include_silent,
                        round(seconds * rate))
    memory = Memory(folder, copies=2)
    clips = [memory.taken(clip) for clip in reader.clips()]
    warn_of_skipped(reader, progress)
    longest = max(map(len, clips))
    audio = np.stack([np.pad(samples, (0, longest - len(samples))) for samples in clips])
    labels = tuple(sound.label for sound in reader.kept)
    return SoundSet(audio, rate, tuple(sound.name for sound in reader.kept), labels if any(labels) else None)


def load_window_set(folder: str | Path, sample_rate: int, samples: int, quietest_db: float,
                    progress: Progress | None = None) -> SoundSet:
    """Cuts every sound in a folder, or in prepared shards, into consecutive windows.

    Args:
        folder: searched recursively.
        sample_rate: Hz.
        samples: of a window; shorter sounds and remainders are zero-padded.
        quietest_db: windows with a peak further below that of their sound are skipped.
        progress: receives progress, and a warning for each skipped file.

    Raises:
        MelGANError: no sound can be used.
    """
    progress = progress or Progress()
    reader = ClipReader(folder, sample_rate, None, progress, f"reading {storage.path(folder).name}")
    windows, names, memory = [], [], Memory(folder, copies=2)
    for whole in reader.clips():
        threshold = np.max(np.abs(whole)) * 10 ** (-quietest_db / 20)
        for start, window in split_windows([whole], samples):
            if np.max(np.abs(window)) >= threshold:
                windows.append(memory.taken(window.astype(np.float32)))
                names.append(f"{reader.kept[-1].name} at {start / sample_rate:.2f} s")
    warn_of_skipped(reader, progress)
    if not windows:  # the peak may lie in a remainder that makes no window
        raise MelGANError(f"no sound in {folder} has a window of {samples / sample_rate:.2g} s within {quietest_db:g} "
                          "dB of its peak")
    return SoundSet(np.stack(windows), sample_rate, tuple(names))


def warn_of_skipped(reader: ClipReader, progress: Progress) -> None:
    """Warns of files that were skipped, and of what is odd about others."""
    for item in reader.skipped:
        progress.warning(f"skipped {item.name}: {item.reason}")
    for line in note_lines((sound.name, note) for sound in reader.kept for note in sound.notes):
        progress.warning(line)


def _most_common_rate(folder: str | Path) -> int:
    if is_prepared(folder):
        return Prepared.open(folder).index["sample_rate"]
    rates = Counter(rate for rate, _ in filter(None, measure(find(folder)[0], 0.01)))
    return rates.most_common(1)[0][0] if rates else DEFAULT_SAMPLE_RATE
