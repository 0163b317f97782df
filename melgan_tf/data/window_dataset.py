"""From a folder of sounds of any length to batches of windows of mel: what the sequence GAN learns from.

Every sound is analysed once, at full length; the mels stay in memory (28 kB a second with the `music` preset). Which
windows a batch holds is a function of the seed and the step alone, so a resumed run sees what it would have seen.

A window may begin a little before its sound, so that attacks are not always its first frame, but not end after it,
unless the sound is shorter. Windows that are much softer than the rest of their sound are left out, since recordings of
notes end in long silence. The others are brought to one level, if so configured: a note that has died away to a third
is as good an example as its beginning, and a texture should not fall silent where its style turns to a soft one.
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
from melgan_tf.data.reading import ClipReader
from melgan_tf.dsp import spectral
from melgan_tf.progress import Progress

_LEAD_SHARE = 0.25  # of a window, that may come before its sound
_FLOOR = 1e-2  # of the contract's: soft windows become louder, and are to keep their ends
_HEADROOM = 0.5  # powers of ten below the ceiling: the neighbourhood may be louder than the window


@dataclass(frozen=True)
class WindowSet:
    """The mels of a folder's sounds and the windows in them.

    Attributes:
        frames: ``(all frames, mel_bins)`` float32: one sound after the other, with silence between. Their floor is
            lower than the contract's.
        starts: first frame of every window that there is, in order.
        first: for each sound the position in `starts` of its first window.
        counts: for each sound how many windows it has.
        clips: for each sound how often it counts in an epoch: windows without overlap.
        window: frames of a window.
        level: log10 of the mel that the loudest point of every window is brought to; None leaves them as they are.
        floor: log10 of the mel that silence has.
        sounds: the file of each, in order.
        skipped: the files that were left out, and why.
        fingerprint: sixteen hexadecimal digits that change if any sample does.
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
        """Windows spread evenly over the folder: ``(count or fewer, window, mel_bins)``."""
        spread = np.concatenate([first + np.linspace(0, own - 1, clips).round().astype(int)
                                 for first, own, clips in zip(self.first, self.counts, self.clips, strict=True)])
        chosen = np.unique(np.linspace(0, len(spread) - 1, min(count, len(spread))).round().astype(int))
        found = np.stack([self.frames[start:start + self.window] for start in self.starts[spread[chosen]]])
        return self.levelled(tf.constant(found), 0).numpy()

    def levelled(self, mels: tf.Tensor, context: int) -> tf.Tensor:
        """Windows ``(batch, window + 2 * context, mel_bins)`` at their level, with the contract's floor."""
        if self.level is not None:
            inner = mels[:, context:context + self.window]
            mels += self.level - tf.reduce_max(inner, axis=(1, 2), keepdims=True)
        return tf.maximum(mels, self.floor)


def load_windows(folder: str | Path, config: Config, context: int, progress: Progress | None = None) -> WindowSet:
    """Decodes every sound below a folder and computes its mel spectrogram.

    Args:
        folder: searched at any depth.
        config: its ``audio``, ``data`` and ``model`` parts are used.
        context: frames on either side of a window that will be asked for: so much silence lies between sounds.
        progress: told of every file.

    Raises:
        MelGANError: the folder is missing or holds no readable, audible sound.
    """
    audio, window = dataclasses.replace(config.audio, floor=config.audio.floor * _FLOOR), config.mel_shape[1]
    reading = ClipReader(folder, audio.sample_rate, None, progress)
    mels, starts, lead, position = [], [], round(_LEAD_SHARE * window), 0
    for samples in reading.clips():
        mel = _analyse(samples, audio)
        long = np.pad(mel, ((context + lead, context + max(0, window - len(mel))), (0, 0)),
                      constant_values=np.log10(audio.floor))
        starts.append(position + _loud(long, window, context, config.model.quietest_db / 20 * audio.power))
        position += len(long)
        mels.append(long)
    counts = np.array([len(own) for own in starts])
    clips = np.maximum(1, np.round((counts + lead) / window)).astype(int)
    level = config.model.ceiling - _HEADROOM if config.data.level == "peak" else None
    return WindowSet(np.concatenate(mels), np.concatenate(starts), np.cumsum(counts) - counts, counts, clips, window,
                     level, math.log10(config.audio.floor), reading.kept, reading.skipped,
                     reading.fingerprint)


def _analyse(samples: np.ndarray, audio: AudioConfig) -> np.ndarray:
    """The mel ``(frames, mel_bins)`` of a sound, silence appended to what is shorter than an analysis window."""
    samples = np.pad(samples, (0, max(-len(samples) % audio.hop_samples, audio.n_fft - len(samples))))
    return spectral.mel_spectrogram(tf.constant(samples[None]), audio).numpy()[0].astype(np.float32)


def _loud(mel: np.ndarray, window: int, context: int, below: float) -> np.ndarray:
    """The first frames of windows that come within ``below`` (powers of ten) of the sound's loudest frame."""
    level = mel.max(axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(level, window)[context:len(mel) - context - window + 1]
    return context + np.flatnonzero(windows.max(axis=1) >= level.max() - below)


def window_batches(sounds: WindowSet, batch_size: int, context: int, seed: int, start_step: int = 0) -> tf.data.Dataset:
    """Endless batches of random windows with their neighbourhood, every batch a function of seed and step.

    Longer sounds come more often, in proportion to how many windows fit into them.

    Args:
        sounds: where from.
        batch_size: windows a batch.
        context: frames on either side that come with each.
        seed: decides what is drawn.
        start_step: batches to leave out, as if they had been consumed.

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
        return (sounds.levelled(tf.gather(pool, begin[:, None] + around), context),
                tf.zeros((batch_size,), tf.int32))

    return tf.data.Dataset.range(start_step, np.iinfo(np.int64).max).map(batch).prefetch(8)
