"""How bright a sound is. NumPy only."""

from __future__ import annotations

import numpy as np


def brightness_hz(samples: np.ndarray, sample_rate: int) -> float:
    """The center of gravity of the power spectrum."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(np.fft.rfftfreq(len(samples), 1 / sample_rate) @ power / max(power.sum(), 1e-20))
