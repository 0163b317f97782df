"""The tempos and lengths of loops that are made. No TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from melgan_tf.errors import UsageError

#: Slowest and fastest tempo, beats per minute.
TEMPOS = (40.0, 300.0)
MOST_BARS = 64


def require_tempo(bpm: float | None, bars: int = 1, tempos: Sequence[float] = TEMPOS) -> None:
    """Raises a `UsageError` unless loops can be made of a tempo, None being any, and of a number of bars."""
    if bpm is not None and not tempos[0] <= bpm <= tempos[1]:
        raise UsageError(f"--bpm {bpm:g}: give {tempos[0]:g} to {tempos[1]:g} beats per minute")
    if not 1 <= bars <= MOST_BARS:
        raise UsageError(f"--bars {bars}: give 1 to {MOST_BARS}")


def require_swing(swing: float) -> float:
    """Returns the swing of loops, 0 to 1; raises a `UsageError` for any other."""
    if not 0 <= swing <= 1:
        raise UsageError(f"--swing {swing}: give 0 to 1")
    return swing
