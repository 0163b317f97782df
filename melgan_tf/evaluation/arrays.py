"""Checks that every figure begins with. NumPy."""

from __future__ import annotations

import numpy as np

from melgan_tf.errors import MelGANError


def finite(values: np.ndarray, rank: int, name: str, dtype: type = np.float64) -> np.ndarray:
    """The values as an array of a rank, or a `MelGANError` that says what is wrong with the so-called ``name``."""
    values = np.asarray(values, dtype=dtype)
    if values.ndim != rank or not values.size:
        raise MelGANError(f"{name} have shape {values.shape}: give {rank} axes, none of them empty")
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise MelGANError(f"{name} hold {bad} values that are not finite: leave those sounds out")
    return values


def peak_normalised(audio: np.ndarray, silent_peak: float = 1e-4) -> np.ndarray:
    """Waveforms ``(sounds, samples)``, each brought to a peak of 1, float32; one softer than -80 dB becomes zeros."""
    audio = finite(audio, 2, "waveforms", np.float32)
    peak = np.abs(audio).max(axis=1, keepdims=True)
    return np.where(peak < silent_peak, np.float32(0), audio / np.maximum(peak, silent_peak))
