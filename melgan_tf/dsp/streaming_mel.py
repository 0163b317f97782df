"""The mel spectrogram of a sound that arrives in blocks, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import spectral

#: Frames that are analyzed, and by `vocode` rendered, at a time: of these, MelGAN takes 0.2 GB, of 4,096 0.8 GB.
PIECE_FRAMES = 1024


class StreamingMel:
    """The mel of one sound that arrives in blocks: the same values as the mel of the whole, zero-padded to whole hops.

    Args:
        audio: the mel configuration.

    Attributes:
        samples: the length of the sound; None until its end has arrived.

    Examples:
        >>> sound = np.sin(np.arange(8_000, dtype=np.float32))
        >>> [mel.shape for mel in StreamingMel(AudioConfig()).mels([sound[:300], sound[300:]])]
        [(17, 64)]
    """

    def __init__(self, audio: AudioConfig) -> None:
        self.audio, self.samples = audio, None
        self._before, self._after = spectral.padding_samples(audio)

    def mels(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yields pieces ``(frames, mel_bins)`` of at most `PIECE_FRAMES`."""
        hop, before, after = self.audio.hop_samples, self._before, self._after
        whole = (PIECE_FRAMES - 1) * hop + self.audio.n_fft  # samples of a piece
        kept, count, reflected = np.zeros(0, np.float32), 0, False
        for block in blocks:
            count += len(block)
            kept = np.concatenate([kept, block])
            if not reflected and count > before:
                kept, reflected = np.concatenate([kept[before:0:-1], kept]), True
            while len(kept) > whole + after:  # whatever comes, at the end there is enough to reflect
                yield self._mel(kept[:whole])
                kept = kept[PIECE_FRAMES * hop:]
        self.samples = count
        kept = np.pad(kept, (0, max(0, -count % hop, before + 1 - count, after + 1 - count)))
        kept = np.pad(kept, (0 if reflected else before, after), mode="reflect")
        frames = (len(kept) - self.audio.n_fft) // hop + 1
        for first in range(0, frames, PIECE_FRAMES):
            last = min(first + PIECE_FRAMES, frames)
            yield self._mel(kept[first * hop:(last - 1) * hop + self.audio.n_fft])

    def _mel(self, samples: np.ndarray) -> np.ndarray:
        return spectral.mel_of_padded(tf.constant(samples[None]), self.audio).numpy()[0]
