"""The pitch of a sound, if it has a clear one, and the names of notes. No TensorFlow.

Method: the normalized difference function of de Cheveigné and Kawahara, "YIN, a fundamental frequency estimator for
speech and music" (2002), in overlapping frames; a sound has a pitch if its loud frames agree on one.
"""

from __future__ import annotations

import math

import numpy as np

_MIN_HZ, _MAX_HZ = 40.0, 2_000.0
_SECONDS = 1.5  # of sound from its onset on
_FRAMES_PER_SECOND = 25
_FRAME_PERIODS = 2.5  # of the lowest pitch in a frame
_CLEAR = 0.12  # of the difference function; the paper's threshold is 0.1
_AGREE = 0.7  # fraction of the loud frames
_LOUD_DB = 25.0  # below the loudest frame
_SEMITONES = 0.5  # within which frames agree
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def pitch_hz(samples: np.ndarray, sample_rate: int) -> float | None:
    """The pitch of a one-shot or a note; None where there is none, or none that is clear.

    Args:
        samples: ``(samples,)``; the first 1.5 seconds are measured.
        sample_rate: Hz.

    Returns:
        Hz, from 40 to 2,000.

    Examples:
        >>> time = np.arange(16_000) / 16_000
        >>> round(pitch_hz(np.sin(2 * np.pi * 220 * time), 16_000))
        220
        >>> pitch_hz(np.random.default_rng(0).normal(size=16_000), 16_000) is None
        True
    """
    step = max(1, sample_rate // 12_000)  # nothing above 2 kHz matters: fewer samples, and no hiss
    samples = np.asarray(samples[:round(_SECONDS * sample_rate)], np.float64)
    samples = samples[:len(samples) // step * step].reshape(-1, step).mean(axis=1)
    rate, longest = sample_rate / step, math.ceil(sample_rate / step / _MIN_HZ)
    size, hop = round(_FRAME_PERIODS * longest), round(rate / _FRAMES_PER_SECOND)
    if len(samples) < size:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    power = np.square(frames).mean(axis=1)
    frames = frames[power > max(power.max() * 10 ** (-_LOUD_DB / 10), 1e-12)]
    found = np.array([value for value in map(_period, _differences(frames, longest)) if value])
    if len(frames) < 3 or len(found) < _AGREE * len(frames):
        return None
    found = rate / found
    middle = float(np.median(found))
    near = np.abs(12 * np.log2(found / middle)) < _SEMITONES
    return middle if near.sum() >= _AGREE * len(frames) and _MIN_HZ <= middle <= _MAX_HZ else None


def _differences(frames: np.ndarray, longest: int) -> np.ndarray:
    """YIN's normalized difference ``(frames, longest + 1)`` of each lag: 0 where the frame repeats after it."""
    size = frames.shape[1]
    window = size - longest
    length = 1 << (size + window - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(frames, length) * np.conj(np.fft.rfft(frames[:, :window], length)), length)
    energy = np.cumsum(np.pad(np.square(frames), ((0, 0), (1, 0))), axis=1)
    energy = energy[:, window:window + longest + 1] - energy[:, :longest + 1]
    difference = np.maximum(energy[:, :1] + energy - 2 * products[:, :longest + 1], 0.0)
    sums = np.cumsum(difference[:, 1:], axis=1)
    normalized = difference[:, 1:] * np.arange(1, longest + 1) / np.maximum(sums, 1e-12)
    return np.concatenate([np.ones((len(frames), 1)), normalized], axis=1)


def _period(difference: np.ndarray) -> float | None:
    """The first lag at a clear minimum, between samples."""
    below = np.flatnonzero(difference < _CLEAR)
    if not len(below):
        return None
    lag = int(below[0])
    while lag + 1 < len(difference) and difference[lag + 1] < difference[lag]:
        lag += 1
    if not 0 < lag < len(difference) - 1:
        return None
    before, here, after = difference[lag - 1:lag + 2]
    bend = before - 2 * here + after
    return lag + 0.5 * (before - after) / bend if bend > 0 else float(lag)


def midi_note(hertz: float) -> int:
    """The nearest MIDI note.

    Examples:
        >>> midi_note(440.0), midi_note(65.4)
        (69, 36)
    """
    return min(127, max(0, round(69 + 12 * math.log2(hertz / 440.0))))


def note_name(note: int) -> str:
    """The name of a MIDI note; 60 is C4.

    Examples:
        >>> note_name(69), note_name(36)
        ('A4', 'C2')
    """
    return f"{_NAMES[note % 12]}{note // 12 - 1}"
