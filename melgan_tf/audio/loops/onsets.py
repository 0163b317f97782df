"""Where sounds begin: rises of level in bands of frequency."""

from __future__ import annotations

import functools

import numpy as np

from melgan_tf.audio.read import resample

#: Rate at which sounds are analyzed, Hz; samples between two values; length of the window.
RATE, HOP, WINDOW = 22_050, 128, 512
#: Upper edges of the three groups of bands, Hz.
GROUPS = (300.0, 1800.0, 9500.0)
_EDGES = (60, 120, 200, 300, 450, 650, 900, 1300, 1800, 2600, 3600, 5000, 7000, 9500)
_FLOOR = 3.0  # energy of a window in a band, of a sound whose peak is 1, above which rises count: about -45 dB


def rises(samples: np.ndarray, rate: int) -> np.ndarray:
    """How fast the level rises, in low, middle and high bands, ``(samples / 128 at 22050 Hz, 3)``.

    The sound counts as a loop: the first value is the rise from its end.

    Args:
        samples: float32, not empty.
        rate: Hz.
    """
    samples = resample(samples, rate, RATE)
    samples = samples / max(float(np.max(np.abs(samples))), 1e-6)
    around = np.take(samples, range(-WINDOW // 2, len(samples) + WINDOW // 2), mode="wrap")
    frames = np.lib.stride_tricks.sliding_window_view(around, WINDOW)[:-1:HOP]
    energy = np.abs(np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32), axis=1)) ** 2 @ _bands()
    level = np.log1p(_FLOOR * energy)
    rise = np.maximum(level - np.roll(level, 1, axis=0), 0.0)
    group = np.searchsorted(GROUPS, _EDGES[1:])
    return np.stack([rise[:, group == number].sum(axis=1) for number in range(len(GROUPS))], axis=1)


@functools.cache
def _bands() -> np.ndarray:
    """Which frequencies make which band, ``(257, bands)``."""
    band = np.digitize(np.fft.rfftfreq(WINDOW, 1 / RATE), _EDGES) - 1
    return (band[:, None] == np.arange(len(_EDGES) - 1)).astype(np.float32)
