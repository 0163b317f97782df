"""Brings the notes of generated loops into tune.

Bands say a pitch by a few decibels between neighbors. Networks blur that: their harmonics lie between semitones. So in
every sixteenth, the notes of the key that come nearest to its peaks are looked for, one after the other (matching
pursuit), and their harmonics take the place of the peaks. The envelope stays: the notes are a source, and what the
network made is the filter. Sounds with hardly any harmonics, such as drums, stay as they are.

Reference: Mallat & Zhang, "Matching Pursuits With Time-Frequency Dictionaries" (1993); Fant, "Acoustic Theory of Speech
Production" (1960), for source and filter.
"""

from __future__ import annotations

import functools
import math

import keras
import numpy as np
from keras import ops

from melgan_tf.config import AudioConfig
from melgan_tf.dsp.mel_filters import band_centers, mel_filterbank
from melgan_tf.models.loop_gan.config import SIXTEENTH_FRAMES

#: MIDI number of the lowest note, E2, and how many there are; of lower ones bands show nothing.
LOWEST, NOTES = 40, 45
_VOICES = 3
_SCALES = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)  # major and minor
_LOOKED_AT, _WEIGHT_HZ = 1500.0, 1600.0  # the highest band, Hz, and by how much higher ones matter less
_ENVELOPE_HZ = 120.0  # standard deviation of its window
_GAP = 0.02  # level between harmonics, of theirs
_CLEAR = 100.0  # how clearly the nearest note is preferred to others
_APART = 3  # semitones between notes that sound together
_NO_NOTES, _NOTES_ONLY = 0.35, 0.5  # correlation of peaks with harmonics: up to that in drums, from that on in notes
_FAINT = 0.7  # norm of peaks that count half
_WEAK = 0.35  # of the strongest note's strength
_OUT = 9.0  # taken from a correlation: never the nearest


class Tuner:
    """Brings mels into tune.

    Args:
        audio: the mel configuration, with logarithmic compression.
        part: how far they are tuned, from 0 to 1.
    """

    def __init__(self, audio: AudioConfig, part: float) -> None:
        centers, _ = band_centers(audio)
        bands = np.arange(audio.mel_bins)
        near = np.exp(-0.5 * ((bands[:, None] - bands) * (centers[1] - centers[0]) / _ENVELOPE_HZ) ** 2)
        self.window = (near / near.sum(axis=1, keepdims=True)).T.astype("float32")
        self.weights = np.where(centers < _LOOKED_AT, np.exp(-centers / _WEIGHT_HZ), 0.0).astype("float32")
        self.harmonics = harmonics(audio)
        shapes = np.log10(self.harmonics)
        shapes = (shapes - shapes @ self.window) * self.weights
        self.shapes = shapes / np.maximum(np.linalg.norm(shapes, axis=1, keepdims=True), 1e-6)
        degrees = (np.arange(LOWEST, LOWEST + NOTES) - np.arange(12)[:, None]) % 12
        self.in_key = np.concatenate([np.isin(degrees, scale) for scale in _SCALES]).astype("float32")
        self.clash = (np.abs(np.subtract.outer(range(NOTES), range(NOTES))) < _APART).astype("float32")
        self.floor, self.part = audio.floor, part

    def __call__(self, mel: keras.KerasTensor, key: keras.KerasTensor) -> keras.KerasTensor:
        """A mel in tune.

        Args:
            mel: logarithmic, ``(batch, frames, mel_bins)``, of whole sixteenths.
            key: ``(batch, 24)``: 1 for the key, of twelve major and twelve minor ones; or for several: their notes.
        """
        if not self.part:
            return mel
        frames = ops.reshape(mel, (-1, mel.shape[1] // SIXTEENTH_FRAMES, SIXTEENTH_FRAMES, mel.shape[2]))
        # a search for features moves levels; notes would jump
        notes, share = map(ops.stop_gradient, self.notes(ops.mean(frames, axis=2), key))
        source = ops.maximum(ops.matmul(notes, self.harmonics), self.floor)
        heard = ops.relu(ops.exp(frames * math.log(10.0)) - self.floor)  # the floor is silence
        envelope = ops.matmul(heard, self.window) / ops.expand_dims(ops.matmul(source, self.window), 2)
        tuned = ops.maximum(ops.log10(ops.expand_dims(source, 2) * envelope + 1e-30), math.log10(self.floor))
        return ops.reshape(frames + self.part * share[:, :, None, None] * (tuned - frames), (-1, *mel.shape[1:]))

    def notes(self, levels: keras.KerasTensor, key: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """The notes of sixteenths.

        Args:
            levels: mean log mels ``(batch, sixteenths, mel_bins)``.
            key: see a call.

        Returns:
            From 0 to 1: how strong each note is, ``(batch, sixteenths, NOTES)``, and how much of a sixteenth is notes,
            ``(batch, sixteenths)``.
        """
        peaks = (levels - ops.matmul(levels, self.window)) * self.weights
        peaks = peaks / ops.sqrt(ops.sum(ops.square(peaks), axis=-1, keepdims=True) + _FAINT ** 2)
        allowed = ops.expand_dims(ops.minimum(ops.matmul(key, self.in_key), 1.0), 1)
        rest, strengths, found = peaks, [], []
        for _ in range(_VOICES):
            alike = ops.matmul(rest, self.shapes.T)
            nearest = ops.softmax(_CLEAR * (alike - _OUT * (1.0 - allowed)))
            strength = ops.relu(ops.sum(nearest * alike, axis=-1, keepdims=True))
            rest = rest - strength * ops.matmul(nearest, self.shapes)
            strengths.append(strength)
            found.append(nearest * ops.clip((strength / (strengths[0] + 1e-6) - _WEAK) / (1.0 - _WEAK), 0.0, 1.0))
            allowed = allowed * (1.0 - ops.minimum(ops.matmul(nearest, self.clash), 1.0))
        explained = ops.sqrt(ops.relu(ops.sum(ops.square(peaks) - ops.square(rest), axis=-1)) + 1e-12)
        return sum(found), ops.clip((explained - _NO_NOTES) / (_NOTES_ONLY - _NO_NOTES), 0.0, 1.0)


@functools.lru_cache(maxsize=32)
def harmonics(audio: AudioConfig) -> np.ndarray:
    """Mels of the notes ``(NOTES, mel_bins)``, read-only: all harmonics equally strong, relative to their envelopes."""
    finer = 16
    window = np.abs(np.fft.rfft(np.hanning(audio.n_fft + 1)[:-1], finer * audio.n_fft)) / (audio.n_fft / 2)
    hertz = np.arange(audio.n_fft // 2 + 1) * audio.sample_rate / audio.n_fft
    centers, one_over_sum = band_centers(audio)
    filters = mel_filterbank(audio) * one_over_sum
    found = []
    for pitch in 440.0 * 2.0 ** ((np.arange(LOWEST, LOWEST + NOTES) - 69) / 12):
        partials = pitch * np.arange(1, int(audio.sample_rate / 2 / pitch) + 1)
        away = np.abs(hertz[:, None] - partials) * (finer * audio.n_fft / audio.sample_rate)
        power = (np.interp(away, np.arange(len(window)), window) ** 2).sum(axis=1)
        level = power ** (audio.power / 2) @ filters
        near = np.abs(centers[:, None] - centers) <= np.maximum(0.6 * pitch, 50.0)
        envelope = np.max(np.where(near, level, 0.0), axis=1)
        lowest = envelope[np.argmin(np.abs(centers - pitch))]
        found.append(level / np.where(centers < pitch, lowest, envelope))
    levels = np.maximum(np.stack(found), _GAP ** audio.power).astype(np.float32)
    levels.setflags(write=False)
    return levels
