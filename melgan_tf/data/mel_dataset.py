"""From a folder of sounds to batches of mel spectrograms.

The folder is decoded once; the mels stay in memory (4 kB per sound with the seed preset), so a training step never
waits for a file. The order of an epoch depends only on the seed and the epoch's number, so a resumed run continues in
the same order.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.config import Config
from melgan_tf.data.reading import ClipReader, Memory
from melgan_tf.data.sources import at_intervals, held_out
from melgan_tf.dsp import spectral
from melgan_tf.errors import UsageError
from melgan_tf.progress import Progress, counted

_ANALYSIS_BATCH = 64


@dataclass(frozen=True)
class SoundSet:
    """The sounds of a folder as mel spectrograms.

    Attributes:
        mels: ``(sounds, frames, mel_bins)`` float32, as the configuration's `AudioConfig` defines.
        sounds: the file of each, in order.
        skipped: the skipped files, and the reasons.
        fingerprint: sixteen hexadecimal digits that depend on every sample of every clip.
    """

    mels: np.ndarray
    sounds: list[SoundFile]
    skipped: list[Skipped]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.sounds)

    @property
    def classes(self) -> dict[str, int]:
        """The number of sounds in each sub-folder, by name; sounds that are not in one are of class ""."""
        return dict(sorted(Counter(sound.label for sound in self.sounds).items()))

    def seen(self, hold_out: int) -> SoundSet:
        """Return the sounds that training sees; see `melgan_tf.data.sources.held_out`."""
        kept = np.flatnonzero(~held_out([(sound.name, sound.label) for sound in self.sounds], hold_out))
        return dataclasses.replace(self, mels=self.mels[kept], sounds=[self.sounds[index] for index in kept])

    @property
    def labels(self) -> np.ndarray:
        """The class of each sound: ``(sounds,)`` int32, indices into `classes`."""
        positions = {name: index for index, name in enumerate(self.classes)}
        return np.array([positions[sound.label] for sound in self.sounds], np.int32)

    def examples(self, count: int) -> np.ndarray:
        """Return the mels of sounds at regular intervals: ``(count or fewer, frames, mel_bins)``."""
        return self.mels[at_intervals(len(self), count)]

    def images(self) -> np.ndarray:
        """Return the mels in the layout of the patch GAN: ``(sounds, mel_bins, frames, 1)``."""
        return np.ascontiguousarray(np.transpose(self.mels, (0, 2, 1)))[..., None]


def load_folder(folder: str | Path, config: Config, progress: Progress | None = None) -> SoundSet:
    """Decode every sound in a folder and compute its mel spectrogram in-graph.

    Args:
        folder: searched recursively.
        config: its ``audio`` and ``data`` parts are used.
        progress: reports every file.

    Raises:
        MelGANError: the folder is missing or contains no readable, audible sound.
    """
    audio, samples = config.audio, config.data.clip_samples
    reading = ClipReader(folder, audio.sample_rate, samples, progress)
    clips = reading.clips(to_peak if config.data.level == "peak" else None)
    analyze = tf.function(lambda waveform: spectral.mel_spectrogram(waveform, audio), autograph=False,
                          input_signature=[tf.TensorSpec((None, samples), tf.float32)])
    mels, memory = [], Memory(folder, copies=2)
    with tf.device("CPU"):  # a GPU may round products of float32 to 10 bits
        while batch := list(itertools.islice(clips, _ANALYSIS_BATCH)):
            mels.append(memory.taken(analyze(np.stack(batch)).numpy()))
    return SoundSet(np.concatenate(mels), reading.kept, reading.skipped, reading.fingerprint)


def to_peak(samples: np.ndarray) -> np.ndarray:
    """Scale a sound that is not silent to a peak of 1."""
    return samples / np.max(np.abs(samples))


def steps_per_epoch(sounds: int, batch_size: int) -> int:
    """Batches that one pass over the sounds takes; the last may be partly filled."""
    return math.ceil(sounds / batch_size)


def batches(images: np.ndarray, batch_size: int, seed: int, start_step: int = 0) -> tf.data.Dataset:
    """Return endless batches of sounds, shuffled in every epoch.

    All batches have the same shape, so XLA compiles once: the last batch of an epoch is padded with sounds of weight
    zero. The weights of a batch sum to 1.

    Args:
        images: ``(sounds, mel_bins, frames, 1)``.
        batch_size: at most the number of sounds.
        seed: of the order.
        start_step: batches to skip, as if they had been consumed.

    Returns:
        A dataset of ``(images, weights)``: ``(batch_size, mel_bins, frames, 1)`` and ``(batch_size,)``.

    Raises:
        UsageError: there are fewer sounds than ``batch_size``.
    """
    count = len(images)
    if count < batch_size:
        raise UsageError(f"{counted(count, 'sound')} are too few for batches of {batch_size}: add sounds or set "
                          f"training.batch_size={max(1, count // 2)}")
    per_epoch = steps_per_epoch(count, batch_size)
    padded = per_epoch * batch_size
    pool = tf.constant(images)
    weights = np.full((per_epoch, batch_size), 1.0 / batch_size, "float32")
    in_last = count - (per_epoch - 1) * batch_size
    weights[-1] = np.where(np.arange(batch_size) < in_last, 1.0 / in_last, 0.0)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.argsort(tf.random.stateless_uniform((count,), tf.stack([np.int64(seed), number])), stable=True)
        order = tf.reshape(tf.pad(order, [[0, padded - count]]), (per_epoch, batch_size))
        return tf.data.Dataset.from_tensor_slices((order, weights))

    first_epoch, done = divmod(start_step, per_epoch)
    dataset = tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max).flat_map(epoch).skip(done)
    return dataset.map(lambda order, weight: (tf.gather(pool, order), weight)).prefetch(8)


def labeled_batches(mels: np.ndarray, labels: np.ndarray, batch_size: int, seed: int, start_step: int = 0,
                     balance: float = 0.0, further: Sequence[np.ndarray] = ()) -> tf.data.Dataset:
    """Return endless batches of random sounds with their classes; a batch depends only on seed and step.

    Args:
        mels: ``(sounds, frames, mel_bins)``.
        labels: ``(sounds,)``, class numbers.
        batch_size: any; sounds of a small set occur several times in a batch.
        seed: of the random choice.
        start_step: batches to skip, as if they had been consumed.
        balance: 0 draws all sounds with equal probability, 1 all classes; see `class_probabilities`.
        further: more that batches have of every sound: ``(sounds, ...)`` each.

    Returns:
        A dataset of ``(mels, labels, *further)``: ``(batch_size, frames, mel_bins)``, ``(batch_size,)`` int32, and so
        on.
    """
    counts = np.bincount(labels)
    weight = class_probabilities(counts, balance) / np.maximum(counts, 1)
    bounds = tf.constant(np.cumsum(weight[labels]) / np.sum(weight[labels]), tf.float32)
    pools = [tf.constant(mels), tf.constant(labels, tf.int32), *map(tf.constant, further)]

    def batch(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        drawn = tf.random.stateless_uniform((batch_size,), tf.stack([np.int64(seed), step]))
        chosen = tf.minimum(tf.searchsorted(bounds, drawn, side="right"), len(labels) - 1)
        return tuple(tf.gather(pool, chosen) for pool in pools)

    return tf.data.Dataset.range(start_step, np.iinfo(np.int64).max).map(batch).prefetch(8)


def class_probabilities(counts: np.ndarray, balance: float) -> np.ndarray:
    """Return the probability of each class: ``counts ** (1 - balance)``, divided by its sum.

    Examples:
        >>> class_probabilities(np.array([90, 10]), 0.5).round(2).tolist()
        [0.75, 0.25]
    """
    shares = np.where(counts > 0, np.maximum(counts, 1.0) ** (1.0 - balance), 0.0)
    return shares / shares.sum()
