"""Griffin-Lim without complex numbers or an FFT, for runtimes that have neither (LiteRT, also in a browser).

The same algorithm as :mod:`melgan_tf.dsp.griffin_lim`, iteration by iteration. The Fourier transform is a product with
constant matrices, framing and overlapping are slices and sums of whole hops: everything lowers to builtin TFLite
operations. The number of frames must be known when the graph is built.

A real block of N samples splits into an even and an odd part, whose spectra are real and imaginary. That halves the
work, and with orthonormal scaling both transforms (a DCT-I and a DST-I) are symmetric and their own inverses, so that
two matrices of ``(N/2 + 1)**2`` numbers serve both directions.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import spectral
from melgan_tf.dsp.griffin_lim import (
    Spectrum,
    covered_samples,
    fit_length,
    initial_phase,
    inverse_weight,
    plan,
    retrieve_phase,
)
from melgan_tf.errors import MelGANError


def griffin_lim_matmul(magnitude: tf.Tensor, audio: AudioConfig, iterations: int = 32, momentum: float = 0.99,
                     seed: int = 0, length: int | None = None) -> tf.Tensor:
    """Finds a waveform whose spectrum has the given magnitudes; see :func:`melgan_tf.dsp.griffin_lim.griffin_lim`.

    Agrees with that function up to what its iterations make of rounding errors: after 32 of them usually less than
    1/1000 of the peak.

    Args:
        magnitude: ``(batch, frames, n_fft // 2 + 1)`` with a static number of frames.
        audio: window, hop and padding; the hop must divide ``n_fft``.
        iterations, momentum, seed, length: as there.

    Returns:
        float32 waveform ``(batch, length)``.

    Raises:
        MelGANError: the hop does not divide ``n_fft``, the number of frames is not static, or as there.
    """
    if audio.n_fft % audio.hop_samples:
        raise MelGANError(f"hop_samples is {audio.hop_samples}, no divisor of n_fft={audio.n_fft}: Griffin-Lim without "
                          "an FFT needs one")
    magnitude, frames, samples, length = plan(magnitude, audio, iterations, length)
    if not isinstance(frames, int):
        raise MelGANError("the number of frames is unknown: Griffin-Lim without an FFT needs a static shape")
    transform = _Transform(frames, samples, audio)
    with tf.init_scope():  # now, not in the graph: TFLite has no unsigned integers to hash
        phase = initial_phase(frames, audio, seed).numpy()
    magnitude = magnitude * transform.scale
    start = magnitude * np.cos(phase), magnitude * np.sin(phase)
    found = retrieve_phase(magnitude, start, lambda spectrum: transform.to_spectrum(transform.to_waveform(spectrum)),
                           iterations, momentum)
    return fit_length(transform.to_waveform(found), samples, length)


class _Transform:
    """The short-time Fourier transform and its least-squares inverse, orthonormal, as matrix products.

    Attributes:
        scale: what an unscaled magnitude has to be multiplied by, ``(n_fft // 2 + 1,)``.
    """

    def __init__(self, frames: int, samples: int, audio: AudioConfig) -> None:
        self.frames, self.samples, self.audio = frames, samples, audio
        self.cosine, self.sine, self.window, self.scale = _bases(audio.n_fft)
        with tf.init_scope():
            self.gain = inverse_weight(frames, samples, audio).numpy()

    def to_waveform(self, spectrum: Spectrum) -> tf.Tensor:
        """``(batch, samples)`` from two ``(batch, frames, bins)``."""
        even, odd = self._product(spectrum[0], self.cosine), self._product(spectrum[1], self.sine)
        mirrored = tf.reverse((even - odd)[:, :, 1:-1], [2])
        blocks = tf.concat([even + odd, mirrored], 2) * self.window
        hop, overlap = self.audio.hop_samples, self.audio.n_fft // self.audio.hop_samples
        # slice i of every block lies i hops after the block's beginning
        waveform = tf.add_n([tf.pad(blocks[:, :, i * hop:(i + 1) * hop], [[0, 0], [i, overlap - 1 - i], [0, 0]])
                             for i in range(overlap)])
        before = spectral.padding_samples(self.audio)[0]
        waveform = tf.reshape(waveform, (-1, covered_samples(self.frames, self.audio)))
        return waveform[:, before:before + self.samples] * self.gain

    def to_spectrum(self, waveform: tf.Tensor) -> Spectrum:
        """Two ``(batch, frames, bins)`` from ``(batch, samples)``."""
        hop, overlap = self.audio.hop_samples, self.audio.n_fft // self.audio.hop_samples
        padded = spectral.reflect(waveform, self.audio)[:, :covered_samples(self.frames, self.audio)]
        hops = tf.reshape(padded, (-1, self.frames + overlap - 1, hop))
        blocks = tf.concat([hops[:, i:i + self.frames] for i in range(overlap)], 2) * self.window
        half = self.audio.n_fft // 2
        first = blocks[:, :, :half + 1]
        second = tf.pad(tf.reverse(blocks[:, :, half + 1:], [2]), [[0, 0], [0, 0], [1, 1]])
        return self._product(first + second, self.cosine), self._product(first - second, self.sine)

    def _product(self, rows: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
        bins = len(matrix)
        # (symmetric; "transposed" is the layout that TFLite stores, so one copy in the file serves both directions)
        product = tf.matmul(tf.reshape(rows, (-1, bins)), tf.constant(matrix), transpose_b=True)
        return tf.reshape(product, (-1, self.frames, bins))


@functools.lru_cache(maxsize=4)
def _bases(n_fft: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cosine and sine matrix, the window, and the scale of the magnitudes.

    The even part of a block is ``(x[n] + x[N-n]) / sqrt(2)`` but ``x[N/2]`` itself in the middle: the factors are in
    the window. (Nothing is left to do for n = 0, where the window is 0.)
    """
    n = np.arange(n_fft // 2 + 1)
    angle = 2 * np.pi * (np.outer(n, n) % n_fft) / n_fft
    ends = np.where((n == 0) | (n == n_fft // 2), np.sqrt(0.5), 1.0)
    cosine = np.cos(angle) * np.outer(ends, ends) * (2 / np.sqrt(n_fft))
    sine = -np.sin(angle) * (2 / np.sqrt(n_fft))
    sine[:, [0, -1]] = sine[[0, -1], :] = 0.0
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)) * np.sqrt(0.5)
    window[n_fft // 2] = 1.0
    scale = ends * np.sqrt(2 / n_fft)
    return tuple(array.astype(np.float32) for array in (cosine, sine, window, scale))
