"""Short-time Fourier transforms in parts: cutting a waveform into blocks, their spectra, and back.

Spectra are pairs of real tensors. A transform is an FFT or, for runtimes that have no FFT (LiteRT, also in a browser),
a few products with small matrices: a block of N = A x B samples is transformed in columns of A, turned, and transformed
in rows of B (Cooley and Tukey's factorization), so that 32 x 32 numbers do the work of 1024 x 1024. Nothing here is
windowed.

Reference: J. Cooley, J. Tukey: An algorithm for the machine calculation of complex Fourier series, 1965.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

#: Real and imaginary part, each ``(batch, blocks, length / 2 + 1)``.
Spectrum = tuple[tf.Tensor, tf.Tensor]


@functools.lru_cache(maxsize=32)
def hann(length: int) -> np.ndarray:
    """The periodic Hann window, float32 ``(length,)``."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def cut(waveform: tf.Tensor, length: int, hop: int) -> tf.Tensor:
    """Cuts ``(batch, (blocks - 1) * hop + length)`` into blocks ``(batch, blocks, length)``; `hop` divides `length`."""
    overlap = length // hop
    hops = tf.reshape(waveform, (-1, tf.shape(waveform)[1] // hop, hop))
    blocks = tf.shape(hops)[1] - overlap + 1
    return tf.concat([hops[:, i:i + blocks] for i in range(overlap)], 2)


def overlap_add(blocks: tf.Tensor, hop: int) -> tf.Tensor:
    """Adds blocks ``(batch, blocks, length)``, each shifted by `hop` samples; the result has the shape `cut` takes."""
    count, overlap = tf.shape(blocks)[1], blocks.shape[2] // hop
    total = functools.reduce(operator.add, (
        tf.pad(blocks[:, :, i * hop:(i + 1) * hop], [[0, 0], [i, overlap - 1 - i], [0, 0]]) for i in range(overlap)))
    return tf.reshape(total, (-1, (count + overlap - 1) * hop))


def overlap_mean(blocks: tf.Tensor, window: np.ndarray, weight: np.ndarray, hop: int, floor: float,
                 mask: tf.Tensor | None = None) -> tf.Tensor:
    """Adds windowed blocks and divides by the sum of the windows.

    Args:
        blocks: ``(batch, blocks, length)``.
        window: ``(length,)``, applied to every block.
        weight: ``(length,)``, the weight of a block at each sample.
        hop: samples between blocks.
        floor: smallest divisor.
        mask: ``(batch, blocks, 1)``, 0 for blocks that do not count (and are zero); None: all count.

    Returns:
        ``(batch, (blocks - 1) * hop + length)``.
    """
    total = overlap_add(blocks * window, hop)
    if mask is not None:
        return total / tf.maximum(overlap_add(mask * weight, hop), floor)
    overlap = len(weight) // hop
    # hops differ only in the number of blocks missing before and after them
    row, last = tf.range(tf.shape(blocks)[1] + overlap - 1), tf.shape(blocks)[1] - 1
    state = tf.minimum(row, overlap - 1) * overlap + tf.maximum(row - last, 0)
    gain = tf.gather(tf.constant(_gains(weight.tobytes(), hop, floor)), state)
    return total * tf.reshape(gain, (1, -1))


def mirrored(waveform: tf.Tensor, hop: int, reach: int, mask: tf.Tensor | None = None,
             repeat: bool = False, use_matmul_dft: bool = False) -> tf.Tensor:
    """A waveform with its mirror images before and after it, and zeros where it is too short for them.

    Args:
        waveform: ``(batch, hops * hop)``.
        hop: divides the waveform's length.
        reach: hops to add at either end, 1 or 2.
        mask: ``(batch, hops, 1)``, 0 for hops that do not count (and are zero): the sound is mirrored at its ends
            within the mask. None: all count.
        repeat: mirror the outermost sample as well.
        use_matmul_dft: reverse by products with matrices, too, which LiteRT's fast kernels take.

    Returns:
        ``(batch, (hops + 2 * reach) * hop)``.
    """
    count, skip = tf.shape(waveform)[1], 0 if repeat else 1
    if mask is None:
        longer = tf.pad(waveform, [[0, 0], [reach * hop, reach * hop]])
        before = _reversed(longer[:, reach * hop + skip:2 * reach * hop + skip], reach * hop, use_matmul_dft)
        after = _reversed(longer[:, count - skip:count + reach * hop - skip], reach * hop, use_matmul_dft)
        return tf.concat([before, waveform, after], axis=1)
    edge = reach + 2  # hops that a mirrored one may lie away from its original, and one
    total = count // hop + 2 * edge
    padded_mask = tf.pad(mask, [[0, 0], [edge, edge], [0, 0]])
    longer = tf.pad(waveform, [[0, 0], [edge * hop, edge * hop]])
    later = tf.pad(longer[:, skip:], [[0, 0], [0, skip]])
    earlier = tf.pad(longer, [[0, 0], [skip, 0]])[:, :total * hop]
    later, earlier = (_reversed(tf.reshape(wave, (-1, total, hop)), hop, use_matmul_dft) for wave in (later, earlier))

    def at(hops: tf.Tensor, distance: int) -> tf.Tensor:
        """The hops `distance` later, for all hops but the two outermost."""
        padded = tf.pad(hops, [[0, 0], [1, 1], [0, 0]])
        return padded[:, 3 + distance:total - 1 + distance]

    images = 0.0
    for originals, sign in ((later, 1), (earlier, -1)):  # before the sound, and after it
        images = images + at(padded_mask, sign) * at(originals, sign)
        if reach > 1:
            images = images + at(padded_mask, 2 * sign) * (1.0 - at(padded_mask, sign)) * at(originals, 3 * sign)
    extended = tf.reshape(longer, (-1, total, hop))[:, 2:-2] + (1.0 - at(padded_mask, 0)) * images
    return tf.reshape(extended, (-1, count + 2 * reach * hop))


def _reversed(samples: tf.Tensor, length: int, use_matmul_dft: bool) -> tf.Tensor:
    """Samples ``(..., length)`` in reverse order; products with zeros and ones are exact."""
    if not use_matmul_dft:
        return tf.reverse(samples, [-1])
    inner, outer = _factors(length)[:2]
    rows = _product(tf.reshape(samples, (-1, inner, outer)), np.eye(outer, dtype=np.float32)[::-1])
    return tf.reshape(_turned(_product(_turned(rows), np.eye(inner, dtype=np.float32)[::-1])), tf.shape(samples))


def forward(blocks: tf.Tensor, use_matmul_dft: bool = False) -> Spectrum:
    """The spectra of blocks ``(batch, blocks, length)``, unscaled.

    Args:
        blocks: of even length.
        use_matmul_dft: multiply by matrices instead of calling an FFT.
    """
    if not use_matmul_dft:
        spectrum = tf.signal.rfft(blocks)
        return tf.math.real(spectrum), tf.math.imag(spectrum)
    return _forward_products(blocks)


def inverse(spectrum: Spectrum, length: int, use_matmul_dft: bool = False) -> tf.Tensor:
    """The inverse of `forward`: blocks ``(batch, blocks, length)``.

    The imaginary parts of the lowest and highest bin count as zero.
    """
    real, imaginary = spectrum
    if not use_matmul_dft:
        return tf.signal.irfft(tf.complex(real, imaginary), [length])
    return _inverse_products(real, imaginary, length)


def _forward_products(blocks: tf.Tensor) -> Spectrum:
    """See `forward`. With n = B a + b and k = j + A l, X[k] = sum_b w^(b k) (sum_a x[n] w^(B a j))."""
    length, count = blocks.shape[2], tf.shape(blocks)[1]
    factors = _factors(length)
    columns = _turned(tf.reshape(blocks, (-1, factors.inner, factors.outer)))
    real, imaginary = _product(columns, factors.columns.real), -_product(columns, factors.columns.imag)
    rows = map(_turned, _times(real, imaginary, factors.between.conj()))
    real, imaginary = _complex_product(*rows, factors.rows.conj())
    return tuple(tf.reshape(_turned(part), (-1, count, factors.kept * factors.inner))[:, :, :length // 2 + 1]
                 for part in (real, imaginary))


def _inverse_products(real: tf.Tensor, imaginary: tf.Tensor, length: int) -> tf.Tensor:
    """See `inverse`: the steps of `_forward_products`, from the last to the first."""
    count, factors = tf.shape(real)[1], _factors(length)
    missing = factors.kept * factors.inner - length // 2 - 1
    rows = (_turned(tf.reshape(tf.pad(part, [[0, 0], [0, 0], [0, missing]]), (-1, factors.kept, factors.inner))
                    * factors.weight) for part in (real, imaginary))
    columns = _times(*map(_turned, _complex_product(*rows, factors.rows.T)), factors.between)
    blocks = _product(columns[0], factors.columns.real) - _product(columns[1], factors.columns.imag)
    return tf.reshape(_turned(blocks), (-1, count, length))


def _turned(matrices: tf.Tensor) -> tf.Tensor:
    return tf.transpose(matrices, (0, 2, 1))


def _times(real: tf.Tensor, imaginary: tf.Tensor, factor: np.ndarray) -> Spectrum:
    return real * factor.real - imaginary * factor.imag, real * factor.imag + imaginary * factor.real


def _complex_product(real: tf.Tensor, imaginary: tf.Tensor, matrix: np.ndarray) -> Spectrum:
    return (_product(real, matrix.real) - _product(imaginary, matrix.imag),
            _product(real, matrix.imag) + _product(imaginary, matrix.real))


def _product(rows: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    """``(matrices, rows, inputs)`` times ``(inputs, outputs)``."""
    product = tf.matmul(tf.reshape(rows, (-1, len(matrix))), tf.constant(matrix))
    return tf.reshape(product, (-1, rows.shape[1], matrix.shape[1]))


@functools.lru_cache(maxsize=16)
def _gains(weight: bytes, hop: int, floor: float) -> np.ndarray:
    """``(overlap ** 2, hop)``: row ``a * overlap + b`` is for a hop that blocks b to a cover."""
    parts = np.frombuffer(weight, np.float32).astype(np.float64).reshape(-1, hop)
    sums = [parts[b:a + 1].sum(axis=0) for a in range(len(parts)) for b in range(len(parts))]
    return (1.0 / np.maximum(sums, floor)).astype(np.float32)


class _Factors(NamedTuple):
    """Matrices of a transform of ``inner * outer`` samples, complex64.

    Attributes:
        inner, outer: the factors of the length.
        kept: of the ``outer`` results of a row, those that have bins up to the middle.
        columns: ``(inner, inner)``.
        rows: ``(outer, kept)``.
        between: ``(outer, inner)``, by which columns are turned before they become rows.
        weight: ``(kept, inner)``, float32: what a bin counts in a block; those in the middle stand for two.
    """

    inner: int
    outer: int
    kept: int
    columns: np.ndarray
    rows: np.ndarray
    between: np.ndarray
    weight: np.ndarray


@functools.lru_cache(maxsize=8)
def _factors(length: int) -> _Factors:
    inner = max(factor for factor in range(1, math.isqrt(length) + 1) if length % factor == 0)
    outer = length // inner
    kept = -(-(length // 2 + 1) // inner)

    def waves(rows: int, columns: int, turn: int) -> np.ndarray:
        return np.exp(2j * np.pi * (np.outer(np.arange(rows), np.arange(columns)) % turn) / turn).astype(np.complex64)

    bins = np.arange(inner) + inner * np.arange(kept)[:, None]
    weight = np.where((bins == 0) | (2 * bins == length), 1.0, 2.0) / length
    return _Factors(inner, outer, kept, waves(inner, inner, inner), waves(outer, kept, outer),
                    waves(outer, inner, length), weight.astype(np.float32))
