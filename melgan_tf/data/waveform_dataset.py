"""From a folder of sounds to batches of random clips, the training data of vocoders.

Every sound is decoded once, at full length, and stays in memory as float32 (88 kB per second at 22.05 kHz). A batch
depends only on the seed and the step, so a resumed run continues with the same clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.config import Config
from melgan_tf.data.reading import ClipReader, Memory
from melgan_tf.data.sources import at_intervals
from melgan_tf.progress import Progress


@dataclass(frozen=True)
class WaveformSet:
    """The sounds of a folder as waveforms.

    Attributes:
        waveforms: one float32 array ``(samples,)`` for each sound; lengths differ.
        sounds: the file of each, in order.
        skipped: the skipped files, and the reasons.
        fingerprint: sixteen hexadecimal digits that depend on every sample.
        clip_samples: length of a clip.
    """

    waveforms: list[np.ndarray]
    sounds: list[SoundFile]
    skipped: list[Skipped]
    fingerprint: str
    clip_samples: int

    def __len__(self) -> int:
        return len(self.sounds)

    @property
    def clips(self) -> int:
        """The number of clips in an epoch: for each sound its length in clips, at least one."""
        return sum(clip_count(len(waveform), self.clip_samples) for waveform in self.waveforms)

    def examples(self, count: int) -> np.ndarray:
        """Return the first clips of sounds at regular intervals: ``(count or fewer, clip_samples)``."""
        return np.stack([_clip(self.waveforms[index], 0, self.clip_samples)
                         for index in at_intervals(len(self), count)])


def clip_count(samples: int, clip_samples: int) -> int:
    """Return the number of clips of a sound in an epoch."""
    return max(1, round(samples / clip_samples))


def load_waveforms(folder: str | Path, config: Config, progress: Progress | None = None) -> WaveformSet:
    """Decode every sound in a folder, at full length.

    Args:
        folder: searched recursively.
        config: its ``audio`` and ``data`` parts are used.
        progress: reports every file.

    Raises:
        MelGANError: the folder is missing, contains no readable, audible sound, or more than fits into memory.
    """
    reading = ClipReader(folder, config.audio.sample_rate, None, progress)
    memory = Memory(folder)
    waveforms = [memory.taken(waveform) for waveform in reading.clips()]
    return WaveformSet(waveforms, reading.kept, reading.skipped, reading.fingerprint, config.data.clip_samples)


def clip_batches(sounds: WaveformSet, config: Config, start_step: int = 0) -> tf.data.Dataset:
    """Return endless batches of random clips, of every sound in every epoch, in a new order each time.

    Args:
        sounds: the waveforms.
        config: its ``data`` and ``training`` parts set window, gain, batch size and seed.
        start_step: batches to skip, as if they had been consumed.

    Returns:
        A dataset of float32 ``(batch_size, clip_samples)``.
    """
    size, samples = config.training.batch_size, sounds.clip_samples
    owners = np.repeat(np.arange(len(sounds)), [clip_count(len(w), samples) for w in sounds.waveforms])

    def batches() -> Iterator[np.ndarray]:
        step = start_step
        while True:
            yield _batch(sounds, owners, config, step, size)
            step += 1

    signature = tf.TensorSpec((size, samples), tf.float32)
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(8)


def _batch(sounds: WaveformSet, owners: np.ndarray, config: Config, step: int, size: int) -> np.ndarray:
    seed, samples = config.training.seed, sounds.clip_samples
    positions = np.arange(step * size, (step + 1) * size)
    epochs = positions // len(owners)
    orders = {epoch: np.random.default_rng((seed, 1, epoch)).permutation(owners) for epoch in np.unique(epochs)}
    rng = np.random.default_rng((seed, 2, step))
    places, gains = rng.random(size), 10 ** (-config.data.gain_db / 20 * rng.random(size))
    clips = []
    for position, epoch, place, gain in zip(positions, epochs, places, gains, strict=True):
        waveform = sounds.waveforms[orders[epoch][position % len(owners)]]
        room = max(0, len(waveform) - samples) if config.data.window == "random" else 0
        clips.append(_clip(waveform, int(place * (room + 1)), samples) * np.float32(gain))
    return np.stack(clips)


def _clip(waveform: np.ndarray, start: int, samples: int) -> np.ndarray:
    piece = waveform[start:start + samples]
    return np.pad(piece, (0, samples - len(piece)))
