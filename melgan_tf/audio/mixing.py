"""Several channels -> one: their mean; or the loudest one, if they cancel.

The rule: channels cancel if in the first ten seconds the energy of their mean stays more than 17 dB below that
of as many independent channels, which ordinary stereo is never far from. The first windows in which the mean is audible
and does not cancel decide for the mean, so that not more is decoded than is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

_CANCELED = 0.02  # energy of the mean, relative to that of independent channels
_AUDIBLE_PEAK = 1e-2  # of the mean: noise below 40 dB does not decide
_WINDOW = 4096  # frames; decisions do not depend on the size of blocks
_DECIDING_SECONDS = 10.0
_MAX_HELD_VALUES = 1 << 24  # less than ten seconds of more than 34 channels at 48 kHz
CANCELED = "its channels cancel each other: the loudest one is read"

Block = tuple[int, np.ndarray]


def mixed(blocks: Iterable[Block], note: Callable[[str], None]) -> Iterator[Block]:
    """Mix blocks down as they come; they are held back while it is undecided how.

    Args:
        blocks: sample rate and samples ``(frames, channels)`` each, float32, full scale +-1.
        note: is told if the channels cancel.

    Yields:
        Sample rate and samples, ``(frames,)`` float32, of each block.
    """
    held: list[Block] = []
    decision = _Decision()
    for rate, frames in blocks:
        if frames.shape[1] == 1:
            yield from ((rate, _mean(frames)) for rate, frames in held)
            held.clear()
            yield rate, frames[:, 0]
            continue
        if decision.open:
            held.append((rate, frames))
            decision.add(frames, rate)
            if decision.open:
                continue
            yield from decision.apply(held, note)
            held.clear()
        else:
            yield from decision.apply([(rate, frames)], note)
    decision.close()
    yield from decision.apply(held, note)


class _Decision:
    """Whether to take the mean."""

    def __init__(self) -> None:
        self.open, self.cancels = True, False
        self._rest: np.ndarray | None = None  # less than a window
        self._frames = 0
        self._mean = self._channels = None
        self._noted = False

    def add(self, frames: np.ndarray, rate: int) -> None:
        """Look at a block, in windows of constant length."""
        if self._rest is not None and self._rest.shape[1] != frames.shape[1]:
            self.close()
            return
        joined = frames if self._rest is None else np.concatenate([self._rest, frames])
        whole = len(joined) // _WINDOW * _WINDOW
        self._rest = joined[whole:]
        for start in range(0, whole, _WINDOW):
            self._look_at(joined[start:start + _WINDOW])
            if self.open and (self._frames >= _DECIDING_SECONDS * rate
                              or self._frames * joined.shape[1] >= _MAX_HELD_VALUES):
                self._rest = None
                self.close()
            if not self.open:
                return

    def _look_at(self, window: np.ndarray) -> None:
        mean = _mean(window)
        with np.errstate(all="ignore"):
            own, channels = float(mean @ mean), np.einsum("ij,ij->j", window, window).astype(np.float64)
            self._mean = own + (self._mean or 0.0)
            self._channels = channels if self._channels is None else self._channels + channels
            self._frames += len(window)
            if max(mean.max(), -mean.min()) >= _AUDIBLE_PEAK and not self._canceled():
                self.open = False

    def _canceled(self) -> bool:
        return self._mean < _CANCELED * float(self._channels.sum()) / len(self._channels)**2

    def close(self) -> None:
        """Decide with what there is."""
        if not self.open:
            return
        if self._rest is not None and len(self._rest):
            self._look_at(self._rest)
        if self.open and self._channels is not None:
            self.cancels = self._canceled()
        self.open = False

    def apply(self, blocks: Iterable[Block], note: Callable[[str], None]) -> Iterator[Block]:
        """Yield mixed blocks."""
        for rate, frames in blocks:
            if not self.cancels or frames.shape[1] != len(self._channels):
                yield rate, _mean(frames)
                continue
            if not self._noted:
                self._noted = True
                note(CANCELED)
            yield rate, np.ascontiguousarray(frames[:, int(np.argmax(self._channels))])


def _mean(frames: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):  # `decode` reports infinities
        return frames @ np.full(frames.shape[1], 1 / frames.shape[1], frames.dtype)
