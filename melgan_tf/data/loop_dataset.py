"""From a folder of loops to mels on a musical grid, the training data of the loop GAN.

Every loop is analyzed once, at equal fractions of a beat, as if it repeated for ever. Then loops of all tempos have the
same number of frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from melgan_tf.audio.find import SoundFile
from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.loop import METER, read_loop
from melgan_tf.config import AudioConfig, Config
from melgan_tf.data.mel_dataset import SoundSet, to_peak
from melgan_tf.data.reading import ClipReader, Memory
from melgan_tf.dsp import spectral
from melgan_tf.errors import DecodeError
from melgan_tf.progress import Progress


@dataclass(frozen=True)
class LoopSet(SoundSet):
    """The loops of a folder as mel spectrograms on the grid. See `SoundSet`; a long loop is several.

    Attributes:
        keys: of each, or None.
    """

    keys: list[Key | None]


def load_loops(folder: str | Path, config: Config, beats: int, beat_frames: int, progress: Progress | None = None
               ) -> LoopSet:
    """Decode every loop in a folder and compute its mel spectrogram on the grid.

    Args:
        folder: searched recursively.
        config: its ``audio`` and ``data`` parts are used.
        beats: of an example, a power of two. A shorter loop is repeated; of a longer one there are several.
        beat_frames: frames in a beat.
        progress: reports every file.

    Raises:
        MelGANError: the folder is missing or contains no readable, audible sound.
    """
    audio = config.audio
    reading = ClipReader(folder, audio.sample_rate, None, progress)
    mels, sounds, keys, memory = [], [], [], Memory(folder, copies=2)
    for samples in reading.clips(to_peak if config.data.level == "peak" else None):
        sound = reading.kept[-1]
        loop, bpm, key = _understood(sound, samples, audio.sample_rate)
        for piece in _pieces(loop, beats, 60.0 * audio.sample_rate / bpm):
            mels.append(memory.taken(grid_mel(piece, beats * beat_frames, audio)))
            sounds.append(sound)
            keys.append(key)
    return LoopSet(np.stack(mels), sounds, reading.skipped, reading.fingerprint, keys)


def grid_mel(loop: np.ndarray, frames: int, audio: AudioConfig) -> np.ndarray:
    """The mel ``(frames, mel_bins)`` of a loop ``(samples,)`` at equal distances, the first at its beginning.

    What a frame sees beyond an end is the loop's other end.
    """
    windows = loop[grid_windows(len(loop), frames, audio).numpy()]
    return spectral.mel_of_padded(tf.constant(windows, tf.float32), audio).numpy()[:, 0]


def grid_windows(samples: int | tf.Tensor, frames: int, audio: AudioConfig) -> tf.Tensor:
    """The samples of a loop that each frame of the grid is computed from: ``(frames, n_fft)``, indices."""
    samples = tf.cast(samples, tf.int64)
    centers = (2 * tf.range(frames, dtype=tf.int64) * samples + frames) // (2 * frames)  # floats miss ties
    return (centers[:, None] + tf.range(audio.n_fft, dtype=tf.int64) - audio.n_fft // 2) % samples


def _understood(sound: SoundFile, samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float, Key | None]:
    """The whole bars of a file, their tempo and key. What is no loop of whole bars is taken as 1, 2, 4, ... beats."""
    try:
        loop = read_loop(sound.path, sound.name, samples, sample_rate)
    except (DecodeError, OSError):
        return samples, _likely_tempo(len(samples) / sample_rate), None
    return samples[loop.start:loop.end], loop.bpm * METER / loop.meter, loop.key


def _pieces(samples: np.ndarray, beats: int, beat_samples: float) -> Iterator[np.ndarray]:
    """Stretches of that many beats; what is missing at the end is silent, what is left over is dropped."""
    whole = max(1, round(len(samples) / beat_samples))
    samples = np.pad(samples, (0, max(0, round(whole * beat_samples) - len(samples))))
    if whole < beats:
        kept = 1 << (whole.bit_length() - 1)  # 1, 2 or 4 beats: they fit
        yield np.tile(samples[:round(kept * beat_samples)], beats // kept)
    for first in range(0, whole - beats + 1, beats):
        yield samples[round(first * beat_samples):round((first + beats) * beat_samples)]


def _likely_tempo(seconds: float) -> float:
    """The tempo next to 120 at which a loop has 1, 2, 4, 8, ... beats."""
    return 60.0 / seconds * 2.0 ** max(0, round(math.log2(2.0 * seconds)))

