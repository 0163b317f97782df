"""Synthesis in chunks, for all vocoders.

A vocoder is a callable model: mel ``(batch, frames, mel_bins)`` -> waveform ``(batch, frames * hop)``. Its attributes:
``hop_samples``; ``context_frames``, the frames on either side that a frame's samples depend on; ``min_frames``, the
fewest that it takes; ``clock_period_frames``, the period of its clock in frames (1: it has none); ``accepts_mask``,
whether it takes ``frame_mask``. Its argument ``start`` is the number of the first frame, for the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.errors import UsageError
from melgan_tf.runtime import system
from melgan_tf.storage.arrays import finite_array

#: Mel ``(batch, frames, mel_bins)`` and the number of its first frame -> waveform ``(batch, frames * hop)``.
Vocode = Callable[[np.ndarray, int], np.ndarray]


class StreamingVocoder:
    """Synthesis of one sound in pieces: the joined pieces equal the whole.

    A vocoder's output at a frame depends on `context_frames` on either side, no further. Every piece is rendered with
    that much context, and the sound of the context is cut off. Memory does not grow with the length;
    the sound comes `context_frames` later than the mel.

    Args:
        vocode: mel ``(1, frames, mel_bins)`` and the number of its first frame -> waveform ``(1, frames * hop)``, for
            any number of frames.
        hop_samples: samples per frame.
        context_frames: how far its output depends on neighboring frames.

    Examples:
        >>> stream = StreamingVocoder(lambda mel, start: np.repeat(mel[..., 0], 4, axis=1), 4, 2)
        >>> [len(stream.push(np.ones((1, 3)))) for _ in range(3)], len(stream.finish())
        ([0, 0, 4], 8)
    """

    def __init__(self, vocode: Vocode, hop_samples: int, context_frames: int) -> None:
        self.vocode, self.hop, self.context = vocode, hop_samples, context_frames
        self._reset()

    def _reset(self) -> None:
        self._kept: np.ndarray | None = None  # frames whose sound, or whose neighbors' sound, is still to come
        self._done = 0  # of these, how many are rendered already
        self._start = 0  # the number of the first of them

    def push(self, mel: np.ndarray) -> np.ndarray:
        """Takes the next frames ``(frames, mel_bins)``; returns the samples that are complete, possibly none.

        Raises:
            UsageError: another shape, or a value is not finite; the stream goes on as if it had not been given.
        """
        mel = finite_array(mel, "the mel")
        if mel.ndim != 2 or self._kept is not None and self._kept.shape[1] != mel.shape[1]:
            raise UsageError(f"the mel has shape {mel.shape}: give (frames, mel_bins), the same bins every time")
        self._kept = mel if self._kept is None else np.concatenate([self._kept, mel])
        return self._render(len(self._kept) - self.context)

    def finish(self, mel: np.ndarray | None = None) -> np.ndarray:
        """Takes the last frames, if there are any; returns the rest. The next `push` starts another sound."""
        if mel is not None:
            self._kept = mel if self._kept is None else np.concatenate([self._kept, mel])
        rest = np.zeros(0, np.float32) if self._kept is None else self._render(len(self._kept))
        self._reset()
        return rest

    def _render(self, end: int) -> np.ndarray:
        if end <= self._done:
            return np.zeros(0, np.float32)
        made = self.vocode(np.asarray(self._kept[None], np.float32), self._start)
        made = np.asarray(made)[0, self._done * self.hop:end * self.hop]
        surplus = max(0, end - self.context)
        self._kept, self._done, self._start = self._kept[surplus:], end - surplus, self._start + surplus
        return made


def in_chunks(vocode: Vocode, mels: Iterable[np.ndarray], hop_samples: int,
              context_frames: int) -> Iterator[np.ndarray]:
    """Renders a stream of mel pieces ``(frames, mel_bins)`` to a stream of waveform pieces."""
    stream, last = StreamingVocoder(vocode, hop_samples, context_frames), None
    for mel in mels:
        if last is not None:
            yield stream.push(last)
        last = mel
    yield stream.finish(last)


def pieces(mel: np.ndarray, frames: int) -> Iterator[np.ndarray]:
    """Cuts a mel ``(frames, mel_bins)`` into pieces of ``frames``; the last may be shorter."""
    if frames < 1:
        raise UsageError(f"chunks of {frames} frames: give 1 or more")
    for start in range(0, len(mel), frames):
        yield mel[start:start + frames]


def compiled(model: keras.Model, mel_bins: int, cores: int | None = None) -> Vocode:
    """The model as a function of arrays, traced once for every batch and length.

    Its operations are too small to share among cores. So a long sound is cut into as many pieces as there are cores,
    which overlap by the context and are rendered side by side; a batch is cut into smaller batches. TensorFlow's own
    threads within operations only stand in their way: `tf.config.threading.set_intra_op_parallelism_threads(1)`, as
    the command line has it. A mel of fewer than ``min_frames`` is lengthened by its last frame, and the surplus of
    sound cut off.

    Args:
        model: a vocoder.
        mel_bins: of its mels.
        cores: to use; all that this process may use without.
    """
    function = tf.function(lambda mel, start: model(mel, start=start), autograph=False, input_signature=[
        tf.TensorSpec((None, None, mel_bins), tf.float32), tf.TensorSpec((), tf.int32)])
    cores = system.cores() if cores is None else cores

    def render(mel: np.ndarray, start: int) -> np.ndarray:
        return function(mel, start % model.clock_period_frames).numpy()

    def vocode(mel: np.ndarray, start: int = 0) -> np.ndarray:
        mel, missing = np.asarray(mel, np.float32), max(0, model.min_frames - mel.shape[1])
        mel = np.pad(mel, ((0, 0), (0, missing), (0, 0)), mode="edge")
        parts = min(cores, len(mel) if len(mel) > 1 else mel.shape[1] // (2 * model.context_frames))
        if parts <= 1:
            made = render(mel, start)
        elif len(mel) > 1:
            with ThreadPoolExecutor(parts) as pool:
                made = np.concatenate(list(pool.map(lambda part: render(part, start), np.array_split(mel, parts))))
        else:
            made = _side_by_side(render, mel, start, parts, model.hop_samples, model.context_frames)
        return made[:, :(mel.shape[1] - missing) * model.hop_samples]

    return vocode


def _side_by_side(render: Vocode, mel: np.ndarray, start: int, parts: int, hop: int, context: int) -> np.ndarray:
    """Renders one sound ``(1, frames, mel_bins)`` in ``parts`` pieces at once, each with its context."""
    edges = np.linspace(0, mel.shape[1], parts + 1).round().astype(int)

    def piece(left: int, right: int) -> np.ndarray:
        first = max(0, left - context)
        return render(mel[:, first:right + context], start + first)[:, (left - first) * hop:(right - first) * hop]

    with ThreadPoolExecutor(parts) as pool:
        return np.concatenate(list(pool.map(piece, edges[:-1], edges[1:])), axis=1)
