"""From frames of the musical grid to the vocoder's: cubic interpolation over time."""

from __future__ import annotations

import numpy as np

from melgan_tf.config import AudioConfig
from melgan_tf.dsp.loop_tempo import Array, cubic_weights
from melgan_tf.models.loop_gan.config import BEAT_FRAMES

#: Frames rendered on either side of a loop.
MARGIN = 24
_EIGHTH = BEAT_FRAMES / 2


def unswung(place: Array, swing: Array | float) -> Array:
    """Where on the grid the places of a loop with swing come from, both in frames, arrays or tensors.

    Args:
        swing: how late the second half of every eighth begins: 0 straight, 1 as in triplets.

    Examples:
        >>> unswung(np.array([0.0, 16.0, 20.0, 24.0]), 1.0).tolist()
        [0.0, 12.0, 18.0, 24.0]
    """
    half, late = _EIGHTH / 2, _EIGHTH / 2 + swing * (_EIGHTH / 6)
    inside = place % _EIGHTH
    before, behind = inside * half / late, _EIGHTH - (_EIGHTH - inside) * half / (_EIGHTH - late)
    return place - inside + (before + behind + abs(before - behind)) / 2  # the larger one


def grid_places(frames: int, samples: int, grid: int, hop: int, swing: float = 0.0) -> np.ndarray:
    """Where the vocoder's frames lie on the grid, in frames of it: ``(frames,)``, from `MARGIN` before the loop on.

    Args:
        samples: of the loop at its tempo.
        grid: frames of the loop.
        hop: samples of a frame of the vocoder.
        swing: see `unswung`.
    """
    place = ((np.arange(frames) - MARGIN) * hop + hop / 2) / samples * grid
    return unswung(place, swing) if swing else place


def to_tempo(grid: int, samples: int, audio: AudioConfig, swing: float = 0.0) -> np.ndarray:
    """The matrix ``(frames, grid)`` that makes the vocoder's frames of those of the grid, `MARGIN` more on either side.

    Args:
        grid: frames of the loop.
        samples: of the loop at its tempo.
        audio: the mel configuration.
        swing: see `unswung`.
    """
    frames = 2 * MARGIN - (-samples // audio.hop_samples)
    place = grid_places(frames, samples, grid, audio.hop_samples, swing)
    first = np.floor(place).astype(int)
    matrix = np.zeros((frames, grid), np.float32)
    for neighbor, weight in enumerate(cubic_weights(place - first)):
        np.add.at(matrix, (np.arange(frames), (first - 1 + neighbor) % grid), weight)
    return matrix
