"""What all vocoders have in common: how they are built, and synthesis in chunks.

A vocoder is a callable model: mel ``(batch, frames, mel_bins)`` -> waveform ``(batch, frames * hop)``, with the
attributes ``hop_samples`` and ``context_frames``, the frames on either side that a frame's samples depend on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.config import Config, FastVocoderConfig
from melgan_tf.errors import UsageError
from melgan_tf.models.fast_vocoder import FastVocoder
from melgan_tf.models.melgan import Generator


def build_vocoder(config: Config, training: bool = False) -> keras.Model:
    """The vocoder of a configuration, with initial weights.

    Args:
        config: a vocoder's.
        training: with weight norm, where the model has it, as it is trained; else folded away.
    """
    model, seed = config.model, config.training.seed
    if isinstance(model, FastVocoderConfig):
        return FastVocoder(config.audio, model, seed)
    return Generator(config.audio.mel_bins, model.ratios, model.channels, model.residual_layers,
                     weight_norm=training, seed=seed)


class StreamingVocoder:
    """Synthesis of one sound piece by piece: the pieces joined equal the whole.

    A vocoder's output at a frame depends on `context_frames` on either side, no further. Every piece is rendered with
    that much of its neighbours, and what belongs to the neighbours is cut off. Memory does not grow with the length;
    the sound comes `context_frames` later than the mel.

    Args:
        vocode: mel ``(1, frames, mel_bins)`` -> waveform ``(1, frames * hop)``, for any number of frames.
        hop_samples: samples per frame.
        context_frames: how far its output depends on neighbouring frames.

    Example:
        >>> stream = StreamingVocoder(lambda mel: np.repeat(mel[..., 0], 4, axis=1), 4, 2)
        >>> [len(stream.push(np.ones((1, 3)))) for _ in range(3)], len(stream.finish())
        ([0, 8, 0], 8)
    """

    def __init__(self, vocode: Callable[[np.ndarray], np.ndarray], hop_samples: int, context_frames: int) -> None:
        self.vocode, self.hop, self.context = vocode, hop_samples, context_frames
        self._kept: np.ndarray | None = None  # frames whose sound, or whose neighbours' sound, is still to come
        self._done = 0  # of these, how many are rendered already

    def push(self, mel: np.ndarray) -> np.ndarray:
        """Takes the next frames ``(frames, mel_bins)``; returns the samples that are certain by now, maybe none."""
        self._kept = mel if self._kept is None else np.concatenate([self._kept, mel])
        return self._render(len(self._kept) - self.context)

    def finish(self) -> np.ndarray:
        """Returns the rest; the next `push` begins another sound."""
        rest = np.zeros(0, np.float32) if self._kept is None else self._render(len(self._kept))
        self._kept, self._done = None, 0
        return rest

    def _render(self, end: int) -> np.ndarray:
        if end <= self._done:
            return np.zeros(0, np.float32)
        made = np.asarray(self.vocode(self._kept[None].astype("float32")))[0, self._done * self.hop:end * self.hop]
        surplus = max(0, end - self.context)
        self._kept, self._done = self._kept[surplus:], end - surplus
        return made


def in_chunks(vocode: Callable[[np.ndarray], np.ndarray], mels: Iterable[np.ndarray], hop_samples: int,
              context_frames: int) -> Iterator[np.ndarray]:
    """Renders a stream of mel pieces ``(frames, mel_bins)`` to a stream of waveform pieces."""
    stream = StreamingVocoder(vocode, hop_samples, context_frames)
    for mel in mels:
        yield stream.push(mel)
    yield stream.finish()


def pieces(mel: np.ndarray, frames: int) -> Iterator[np.ndarray]:
    """Cuts a mel ``(frames, mel_bins)`` into pieces of so many frames; the last may be shorter."""
    if frames < 1:
        raise UsageError(f"chunks of {frames} frames: give 1 or more")
    for start in range(0, len(mel), frames):
        yield mel[start:start + frames]


def compiled(model: keras.Model, mel_bins: int) -> Callable[[np.ndarray], np.ndarray]:
    """The model as a function of arrays, traced once for every batch and length."""
    function = tf.function(lambda mel: model(mel), autograph=False,
                           input_signature=[tf.TensorSpec((None, None, mel_bins), tf.float32)])
    return lambda mel: function(tf.constant(mel, tf.float32)).numpy()
