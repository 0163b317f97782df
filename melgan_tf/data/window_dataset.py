"""From a folder of sounds of any length to batches of mel windows, the training data of the sequence GAN.

Every sound is analyzed once, at full length; the mels stay in memory (28 kB per second with the `music` preset). A
batch depends only on the seed and the step, so a resumed run continues with the same windows.

A window may start a little before its sound, so that attacks are not always in its first frame, but does not end after
it, unless the sound is shorter. Windows that are much softer than the rest of their sound are skipped, since recordings
of notes end in long silence. The others can be scaled to one level: a note that has decayed to a third is as good an
example as its beginning, and a texture should not fall silent when its style changes to a soft one.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.config import AudioConfig, Config
from melgan_tf.data.reading import ClipReader, Memory
from melgan_tf.data.sources import at_intervals
from melgan_tf.dsp import spectral
from melgan_tf.dsp.streaming_mel import StreamingMel
from melgan_tf.progress import Progress

_LEAD_FRACTION = 0.25  # of a window, that may precede its sound
_FLOOR = 1e-2  # times the floor of the mel configuration: soft windows are amplified, and should keep their ends
_HEADROOM = 0.5  # powers of ten below the ceiling: the context may be louder than the window
#: Frames of the longest sound that is analyzed at once.
WHOLE_FRAMES = 1 << 15


@dataclass(frozen=True)
class WindowSet:
    """The mels of the sounds in a folder, and the windows in them.

    Attributes:
        frames: ``(all frames, mel_bins)`` float32: one sound after the other, with silence between. Their floor is
            lower than that of the mel configuration.
        starts: first frame of every window, in order.
        first: for each sound the index into `starts` of its first window.
        counts: for each sound its number of windows.
        clips: for each sound its number of windows without overlap, which is its weight in an epoch.
        window: frames of a window.
        level: log10 of the mel value that the loudest point of every window is scaled to; None: no scaling.
        floor: log10 of the mel value of silence.
        sounds: the file of each, in order.
        skipped: the skipped files, and the reasons.
        fingerprint: sixteen hexadecimal digits that depend on every sample.
    """

    frames: np.ndarray
    starts: np.ndarray
    first: np.ndarray
    counts: np.ndarray
    clips: np.ndarray
    window: int
    level: float | None
    floor: float
    sounds: list[SoundFile]
    skipped: list[Skipped]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.sounds)

    def examples(self, count: int) -> np.ndarray:
        """Return windows at regular intervals of the folder: ``(count or fewer, window, mel_bins)``."""
        spread = np.concatenate([first + np.linspace(0, own - 1, clips).round().astype(int)
                                 for first, own, clips in zip(self.first, self.counts, self.clips, strict=True)])
        chosen = at_intervals(len(spread), count)
        found = np.stack([self.frames[start:start + self.window] for start in self.starts[spread[chosen]]])
        return self.leveled(tf.constant(found), 0).numpy()

    def leveled(self, mels: tf.Tensor, context: int) -> tf.Tensor:
        """Scale windows ``(batch, window + 2 * context, mel_bins)`` to `level` and clip them to `floor`."""
        if self.level is not None:
            inner = mels[:, context:context + self.window]
            mels += self.level - tf.reduce_max(inner, axis=(1, 2), keepdims=True)
        return tf.maximum(mels, self.floor)


def load_window_set(folder: str | Path, config: Config, context: int, progress: Progress | None = None) -> WindowSet:
    """Decode every sound in a folder and compute its mel spectrogram.

    Args:
        folder: searched recursively.
        config: its ``audio``, ``data`` and ``model`` parts are used.
        context: frames on either side of a window that batches include: the silence between sounds.
        progress: reports every file.

    Raises:
        MelGANError: the folder is missing or contains no readable, audible sound.
    """
    audio, window = dataclasses.replace(config.audio, floor=config.audio.floor * _FLOOR), config.mel_shape[1]
    reading = ClipReader(folder, audio.sample_rate, None, progress)
    mels, starts, lead, position, memory = [], [], round(_LEAD_FRACTION * window), 0, Memory(folder, copies=2)
    for samples in reading.clips():
        mel = _analyze(samples, audio)
        long = np.pad(mel, ((context + lead, context + max(0, window - len(mel))), (0, 0)),
                      constant_values=np.log10(audio.floor))
        starts.append(position + _loud(long, window, context, config.model.quietest_db / 20 * audio.power))
        position += len(long)
        mels.append(memory.taken(long))
    counts = np.array([len(own) for own in starts])
    clips = np.maximum(1, np.round((counts + lead) / window)).astype(int)
    level = config.model.ceiling - _HEADROOM if config.data.level == "peak" else None
    return WindowSet(np.concatenate(mels), np.concatenate(starts), np.cumsum(counts) - counts, counts, clips, window,
                     level, math.log10(config.audio.floor), reading.kept, reading.skipped,
                     reading.fingerprint)


def _analyze(samples: np.ndarray, audio: AudioConfig) -> np.ndarray:
    """Return the mel ``(frames, mel_bins)`` of a sound, padded with silence to at least one analysis window."""
    if len(samples) > WHOLE_FRAMES * audio.hop_samples:  # its spectrum takes twenty times as much memory
        return np.concatenate(list(StreamingMel(audio).mels([samples])))
    samples = np.pad(samples, (0, max(-len(samples) % audio.hop_samples, audio.n_fft - len(samples))))
    return spectral.mel_spectrogram(tf.constant(samples[None]), audio).numpy()[0].astype(np.float32)


def _loud(mel: np.ndarray, window: int, context: int, below: float) -> np.ndarray:
    """Return the first frames of windows that come within ``below`` (powers of ten) of the loudest frame."""
    level = mel.max(axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(level, window)[context:len(mel) - context - window + 1]
    return context + np.flatnonzero(windows.max(axis=1) >= level.max() - below)


def window_batches(sounds: WindowSet, batch_size: int, context: int, seed: int, start_step: int = 0) -> tf.data.Dataset:
    """Return endless batches of random windows with their context; a batch depends only on seed and step.

    The probability of a sound is proportional to its length in windows.

    Args:
        sounds: the windows.
        batch_size: windows per batch.
        context: frames on either side of each.
        seed: of the random choice.
        start_step: batches to skip, as if they had been consumed.

    Returns:
        A dataset of ``(mels, labels)``: ``(batch_size, window + 2 * context, mel_bins)``, and zeros ``(batch_size,)``.
    """
    pool, starts = tf.constant(sounds.frames), tf.constant(sounds.starts, tf.int32)
    owners = np.repeat(np.arange(len(sounds)), sounds.clips)
    first, counts = (tf.constant(values[owners], tf.int32) for values in (sounds.first, sounds.counts))
    around = tf.range(-context, sounds.window + context)

    def batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        drawn = tf.random.stateless_uniform((2, batch_size), tf.stack([np.int64(seed), step]))
        owner = tf.cast(drawn[0] * len(owners), tf.int32)
        count = tf.gather(counts, owner)
        place = tf.minimum(tf.cast(drawn[1] * tf.cast(count, tf.float32), tf.int32), count - 1)
        begin = tf.gather(starts, tf.gather(first, owner) + place)
        return (sounds.leveled(tf.gather(pool, begin[:, None] + around), context),
                tf.zeros((batch_size,), tf.int32))

    return tf.data.Dataset.range(start_step, np.iinfo(np.int64).max).map(batch).prefetch(8)
