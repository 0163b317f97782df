"""Loops at another tempo: frames by cubic interpolation over time, and the end faded into what precedes the start.

Reference: Keys, "Cubic Convolution Interpolation for Digital Image Processing" (1981).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

#: How long the end of a loop fades into what precedes its beginning.
JOIN_SECONDS = 0.02

Array = TypeVar("Array")


def cubic_weights(t: Array) -> tuple[Array, Array, Array, Array]:
    """The weights of the frames at -1, 0, 1 and 2 for places ``t`` from 0 to 1, arrays or tensors.

    Examples:
        >>> cubic_weights(0.5)
        (-0.0625, 0.5625, 0.5625, -0.0625)
    """
    return ((-t + 2 * t**2 - t**3) / 2, (2 - 5 * t**2 + 3 * t**3) / 2, (t + 4 * t**2 - 3 * t**3) / 2,
            (t**3 - t**2) / 2)


def stretch_loop(mel: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The mel of a loop ``(frames, mel_bins)`` at other times: ``(places, mel_bins)``.

    Args:
        mel: its first frame's center is half a frame behind the loop's start.
        places: times, the loop's length being 1; beyond its ends it repeats.

    Examples:
        >>> stretch_loop(np.array([[0.0], [1.0], [2.0], [1.0]]), np.array([0.125, 0.25, 1.375, -0.125]))[:, 0].tolist()
        [0.0, 0.375, 1.0, 1.0]
    """
    place = places * len(mel) - 0.5
    first = np.floor(place).astype(int)
    return sum(weight * mel[(first - 1 + shift) % len(mel)]
               for shift, weight in enumerate(cubic_weights((place - first)[:, None]))).astype(mel.dtype)


def join_fade(samples: int) -> np.ndarray:
    """The weights ``(samples,)`` of what precedes the start of a loop, at its end."""
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(samples) + 0.5) / samples)
