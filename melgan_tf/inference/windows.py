"""Windows of fixed length, in NumPy alone: how a file with fixed shapes renders a sound of any length.

A window's frames at either end are only context; its new frames lie between.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: New sound in a window by default: a second, or this multiple of the context, of which a window has two. More is
#: faster for long sounds (of vocoder-22k 86 new frames make 31 times real time on one thread, 172 make 49, 312 make 63,
#: 624 make 74) and slower for short ones, which take a whole window, too.
SECONDS, CONTEXTS = 1.0, 4


def new_frames(frames_per_second: float, context: int, seconds: float | None = None) -> int:
    """The number of new frames in a window.

    Args:
        frames_per_second: of the mels.
        context: frames at either end.
        seconds: of new sound; by default a second, or more if two thirds of the window would not be new.

    Examples:
        >>> new_frames(50.0, 4), new_frames(50.0, 40), new_frames(50.0, 40, seconds=2.0)
        (50, 160, 100)
    """
    frames = max(1, round((SECONDS if seconds is None else seconds) * frames_per_second))
    return max(frames, CONTEXTS * context) if seconds is None else frames


def windows(mel: np.ndarray, frames: int, context: int, masked: bool) -> Iterator[dict[str, np.ndarray]]:
    """The inputs of a TFLite file, one window after the other, that render a mel ``(frames, mel_bins)``.

    Args:
        mel: any length.
        frames, context: of the file.
        masked: whether the file takes ``present`` and ``start``. If not, windows do not go beyond the ends of a sound:
            the first and last ones overlap more, and a sound shorter than a window is lengthened by its last frame.
    """
    for first in _firsts(len(mel), frames, context, masked):
        numbers = np.arange(first, first + frames)
        window = mel[np.clip(numbers, 0, len(mel) - 1)].astype(np.float32)
        if not masked:
            yield {"mel": window}
            continue
        present = (numbers >= 0) & (numbers < len(mel))
        yield {"mel": window, "present": present.astype(np.float32), "start": np.int32(first)}


def join(audio: np.ndarray, length: int, frames: int, context: int, masked: bool) -> np.ndarray:
    """The waveform ``(length * hop,)`` of a sound from its rendered windows ``(windows, frames * hop)``."""
    hop, chunk = audio.shape[1] // frames, frames - 2 * context
    joined = np.empty(length * hop, audio.dtype)
    for index, (first, part) in enumerate(zip(_firsts(length, frames, context, masked), audio, strict=True)):
        begin, end = index * chunk, min(length, (index + 1) * chunk)
        joined[begin * hop:end * hop] = part[(begin - first) * hop:(end - first) * hop]
    return joined


def _firsts(length: int, frames: int, context: int, masked: bool) -> list[int]:
    """The number of every window's first frame."""
    firsts = range(-context, max(1, length) - context, frames - 2 * context)
    return [first if masked else max(0, min(first, length - frames)) for first in firsts]
