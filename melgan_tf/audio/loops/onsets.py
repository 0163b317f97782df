"""Where sounds begin: rises of level in bands of frequency.

Sounds count as loops: the first value is the rise from the end.
"""

from __future__ import annotations

import functools

import numpy as np

from melgan_tf.audio.read import resample

#: Rate at which sounds are analyzed, Hz; samples between two values; length of the window.
RATE, HOP, WINDOW = 22_050, 128, 512
#: The same distance for clear rises.
CLEAR_HOP = 256
_CLEAR_DB = 2.0
#: Upper edges of the three groups of bands, Hz.
GROUPS = (300.0, 1800.0, 9500.0)
_EDGES = (60, 120, 200, 300, 450, 650, 900, 1300, 1800, 2600, 3600, 5000, 7000, 9500)
_FLOOR = 3.0  # energy of a window in a band, of a sound whose peak is 1, above which rises count: about -45 dB


def rises(samples: np.ndarray, rate: int) -> np.ndarray:
    """How fast the level rises, in low, middle and high bands, ``(samples / 128 at 22050 Hz, 3)``: every little rise.

    Args:
        samples: float32, not empty.
        rate: Hz.
    """
    level = np.log1p(_FLOOR * (_power(samples, rate, WINDOW, HOP) @ _bands(WINDOW, _EDGES)))
    rise = np.maximum(level - np.roll(level, 1, axis=0), 0.0)
    group = np.searchsorted(GROUPS, _EDGES[1:])
    return np.stack([rise[:, group == number].sum(axis=1) for number in range(len(GROUPS))], axis=1)


def clear_rises(samples: np.ndarray, rate: int) -> np.ndarray:
    """How many dB the level rises in low, middle and high bands, if 2 dB or more; ``(samples / 256 at 22050 Hz, 3)``.

    Arguments as for `rises`. What is 40 dB below a sine at the peak of the sound counts as silence.
    """
    power = _power(samples, rate, 2 * WINDOW, CLEAR_HOP) / (WINDOW / 2) ** 2
    level = 10 * np.log10(power @ _bands(2 * WINDOW, (30, *GROUPS)) + 1e-4)
    rise = level - np.roll(level, 1, axis=0)
    return np.where(rise >= _CLEAR_DB, rise, 0.0)


def _power(samples: np.ndarray, rate: int, window: int, hop: int) -> np.ndarray:
    """The power spectrum of every window, ``(samples / hop, window / 2 + 1)``, of a loop whose peak is 1."""
    samples = resample(np.asarray(samples, np.float32), rate, RATE)
    samples = samples / max(float(np.max(np.abs(samples))), 1e-6)
    around = np.take(samples, range(-window // 2, len(samples) + window // 2), mode="wrap")
    frames = np.lib.stride_tricks.sliding_window_view(around, window)[:-1:hop]
    return np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32), axis=1)) ** 2


@functools.cache
def _bands(window: int, edges: tuple[float, ...]) -> np.ndarray:
    """Which frequencies make which band, ``(window / 2 + 1, bands)``."""
    band = np.digitize(np.fft.rfftfreq(window, 1 / RATE), edges) - 1
    return (band[:, None] == np.arange(len(edges) - 1)).astype(np.float32)
