"""What decides which sound a pad gets: decay and pitch. NumPy only."""

from __future__ import annotations

import numpy as np

_BLOCK_SECONDS = 0.01
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 800.0  # of a drum's pitch
_SPECTRUM = 1 << 16


def levels_db(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """The root mean square of each 10 ms ``(blocks,)``, dB below the loudest of them."""
    size = block_samples(sample_rate)
    blocks = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size).astype(np.float64)
    power = np.mean(blocks ** 2, axis=1)
    return 10 * np.log10(np.maximum(power, 1e-20) / max(power.max(), 1e-20))


def block_samples(sample_rate: int) -> int:
    """The number of samples in 10 ms."""
    return max(1, round(_BLOCK_SECONDS * sample_rate))


def decay_seconds(samples: np.ndarray, sample_rate: int, fall_db: float = 20.0) -> float:
    """The time from the loudest moment until the sound stays more than ``fall_db`` softer.

    Examples:
        >>> time = np.arange(8_000) / 8_000
        >>> round(decay_seconds(10 ** (-2 * time) * np.sin(800 * np.pi * time), 8_000), 1)  # 40 dB a second
        0.5
    """
    levels = levels_db(samples, sample_rate)
    return float(np.flatnonzero(levels >= -fall_db)[-1] - levels.argmax()) * _BLOCK_SECONDS


def drum_pitch_hz(samples: np.ndarray, sample_rate: int) -> float:
    """The strongest partial between 50 and 800 Hz.

    Examples:
        >>> round(drum_pitch_hz(np.sin(2 * np.pi * 180 * np.arange(8_000) / 8_000), 8_000))
        180
    """
    power = np.abs(np.fft.rfft(samples * np.hanning(2 * len(samples))[len(samples):], _SPECTRUM))
    hz = np.fft.rfftfreq(_SPECTRUM, 1 / sample_rate)
    return float(hz[np.argmax(np.where((hz >= _LOWEST_HZ) & (hz <= _HIGHEST_HZ), power, 0.0))])
