"""What every metric starts with: checks, level and rate of waveforms."""

from __future__ import annotations

import numpy as np
import soxr

from melgan_tf.audio.edit import SILENT_PEAK
from melgan_tf.errors import MelGANError


def check_array(values: np.ndarray, rank: int, name: str, dtype: type = np.float64) -> np.ndarray:
    """Returns the values as an array.

    Args:
        values: anything that NumPy converts.
        rank: number of axes.
        name: what the error message calls them.
        dtype: of the result.

    Raises:
        MelGANError: another rank, an empty axis, or values that are not finite.
    """
    values = np.asarray(values, dtype=dtype)
    if values.ndim != rank or not values.size:
        raise MelGANError(f"{name} have shape {values.shape}: give {rank} axes, none of them empty")
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise MelGANError(f"{name} contain {bad} values that are not finite: remove those sounds")
    return values


def peak_normalize(audio: np.ndarray, silent_peak: float = SILENT_PEAK) -> np.ndarray:
    """Scales each waveform of ``(sounds, samples)`` to a peak of 1, float32; silent ones become zeros."""
    audio = check_array(audio, 2, "waveforms", np.float32)
    peak = np.abs(audio).max(axis=1, keepdims=True)
    return np.where(peak < silent_peak, np.float32(0), audio / np.maximum(peak, silent_peak))


def resample_rows(audio: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Waveforms ``(sounds, samples)`` at another rate, Hz."""
    if rate == new_rate:
        return audio
    return soxr.resample(np.ascontiguousarray(audio.T), rate, new_rate, quality="HQ").reshape(-1, len(audio)).T
