"""Short-time Fourier transforms in parts: cutting a waveform into blocks, their spectra, and back.

Spectra are pairs of real tensors. A transform is an FFT or, for runtimes that have no FFT (LiteRT, also in a browser),
a product with constant matrices. A block of N samples splits into an even and an odd part, whose spectra are real and
imaginary, which halves the work. With orthonormal scaling both transforms (a DCT-I and a DST-I) are symmetric and their
own inverses, so that two matrices of ``(N / 2 + 1) ** 2`` numbers serve both directions. Nothing here is windowed.
"""

from __future__ import annotations

import functools

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
    total = tf.add_n([tf.pad(blocks[:, :, i * hop:(i + 1) * hop], [[0, 0], [i, overlap - 1 - i], [0, 0]])
                      for i in range(overlap)])
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
             repeat: bool = False) -> tf.Tensor:
    """A waveform with its mirror images before and after it, and zeros where it is too short for them.

    Args:
        waveform: ``(batch, hops * hop)``.
        hop: divides the waveform's length.
        reach: hops to add at either end, 1 or 2.
        mask: ``(batch, hops, 1)``, 0 for hops that do not count (and are zero): the sound is mirrored at its ends
            within the mask. None: all count.
        repeat: mirror the outermost sample as well.

    Returns:
        ``(batch, (hops + 2 * reach) * hop)``.
    """
    count, skip = tf.shape(waveform)[1], 0 if repeat else 1
    if mask is None:
        longer = tf.pad(waveform, [[0, 0], [reach * hop, reach * hop]])
        before = tf.reverse(longer[:, reach * hop + skip:2 * reach * hop + skip], [1])
        after = tf.reverse(longer[:, count - skip:count + reach * hop - skip], [1])
        return tf.concat([before, waveform, after], axis=1)
    edge = reach + 2  # hops that a mirrored one may lie away from its original, and one
    total = count // hop + 2 * edge
    padded_mask = tf.pad(mask, [[0, 0], [edge, edge], [0, 0]])
    longer = tf.pad(waveform, [[0, 0], [edge * hop, edge * hop]])
    later = tf.pad(longer[:, skip:], [[0, 0], [0, skip]])
    earlier = tf.pad(longer, [[0, 0], [skip, 0]])[:, :total * hop]
    later, earlier = (tf.reverse(tf.reshape(wave, (-1, total, hop)), [2]) for wave in (later, earlier))

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


def forward(blocks: tf.Tensor, use_matmul_dft: bool = False) -> Spectrum:
    """The spectra of blocks ``(batch, blocks, length)``, unscaled.

    Args:
        blocks: of even length.
        use_matmul_dft: multiply by matrices instead of calling an FFT.
    """
    if not use_matmul_dft:
        spectrum = tf.signal.rfft(blocks)
        return tf.math.real(spectrum), tf.math.imag(spectrum)
    length = blocks.shape[2]
    cosine, sine, outer = _bases(length)
    half = length // 2
    blocks = blocks * (outer * np.float32(np.sqrt(length) / 2))
    mirrored = tf.pad(tf.reverse(blocks[:, :, half + 1:], [2]), [[0, 0], [0, 0], [1, 1]])
    first = blocks[:, :, :half + 1]
    return _scale_ends(_product(first + mirrored, cosine), 2 ** 0.5), _product(first - mirrored, sine)


def inverse(spectrum: Spectrum, length: int, use_matmul_dft: bool = False) -> tf.Tensor:
    """The inverse of `forward`: blocks ``(batch, blocks, length)``.

    The imaginary parts of the lowest and highest bin count as zero.
    """
    real, imaginary = spectrum
    if not use_matmul_dft:
        return tf.signal.irfft(tf.complex(real, imaginary), [length])
    cosine, sine, outer = _bases(length)
    even, odd = _product(_scale_ends(real, 0.5 ** 0.5), cosine), _product(imaginary, sine)
    blocks = tf.concat([even + odd, tf.reverse((even - odd)[:, :, 1:-1], [2])], 2)
    return blocks * (outer / np.float32(np.sqrt(length)))


def _scale_ends(spectrum: tf.Tensor, factor: float) -> tf.Tensor:
    """Scales the lowest and the highest bin."""
    # not by a vector: TFLite's converter would merge it into the matrix, so that every direction needs its own copy
    return tf.concat([spectrum[:, :, :1] * factor, spectrum[:, :, 1:-1], spectrum[:, :, -1:] * factor], 2)


def _product(rows: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    """``(batch, blocks, bins)`` times a symmetric matrix ``(bins, bins)``."""
    # "transposed" is the layout that TFLite stores: one copy in the file serves both directions
    product = tf.matmul(tf.reshape(rows, (-1, len(matrix))), tf.constant(matrix), transpose_b=True)
    return tf.reshape(product, (-1, tf.shape(rows)[1], len(matrix)))


@functools.lru_cache(maxsize=16)
def _gains(weight: bytes, hop: int, floor: float) -> np.ndarray:
    """``(overlap ** 2, hop)``: row ``a * overlap + b`` is for a hop that blocks b to a cover."""
    parts = np.frombuffer(weight, np.float32).astype(np.float64).reshape(-1, hop)
    sums = [parts[b:a + 1].sum(axis=0) for a in range(len(parts)) for b in range(len(parts))]
    return (1.0 / np.maximum(sums, floor)).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _bases(length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosine and sine matrix, orthonormal, and factors of a block's samples: sqrt(2) for the first and the middle."""
    n = np.arange(length // 2 + 1)
    angle = 2 * np.pi * (np.outer(n, n) % length) / length
    ends = np.where((n == 0) | (n == length // 2), np.sqrt(0.5), 1.0)
    cosine = np.cos(angle) * np.outer(ends, ends) * (2 / np.sqrt(length))
    sine = -np.sin(angle) * (2 / np.sqrt(length))
    sine[:, [0, -1]] = sine[[0, -1], :] = 0.0
    outer = np.where(np.arange(length) % (length // 2) == 0, np.sqrt(2.0), 1.0)
    return tuple(array.astype(np.float32) for array in (cosine, sine, outer))
