"""Short-time Fourier transforms in parts: cutting a waveform into blocks, their spectra, and back.

Spectra are pairs of real tensors. A transform is an FFT, or a product with constant matrices for runtimes that have no
FFT (TFLite); there a block's first and second half are added and subtracted first, since cosines are even and sines are
odd about its middle, which halves the work. Nothing here is windowed.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

#: Real and imaginary part, each ``(batch, blocks, length / 2 + 1)``.
Spectrum = tuple[tf.Tensor, tf.Tensor]


def cut(waveform: tf.Tensor, length: int, hop: int) -> tf.Tensor:
    """Cuts ``(batch, (blocks - 1) * hop + length)`` into blocks ``(batch, blocks, length)``; `hop` divides `length`."""
    overlap = length // hop
    hops = tf.reshape(waveform, (-1, tf.shape(waveform)[1] // hop, hop))
    blocks = tf.shape(hops)[1] - overlap + 1
    return tf.concat([hops[:, i:i + blocks] for i in range(overlap)], 2)


def overlap_add(blocks: tf.Tensor, hop: int) -> tf.Tensor:
    """Adds up blocks ``(batch, blocks, length)``, each `hop` samples later: the shape that `cut` takes."""
    count, overlap = tf.shape(blocks)[1], blocks.shape[2] // hop
    total = tf.add_n([tf.pad(blocks[:, :, i * hop:(i + 1) * hop], [[0, 0], [i, overlap - 1 - i], [0, 0]])
                      for i in range(overlap)])
    return tf.reshape(total, (-1, (count + overlap - 1) * hop))


def overlap_mean(blocks: tf.Tensor, window: np.ndarray, weight: np.ndarray, hop: int, floor: float,
                 counts: tf.Tensor | None = None) -> tf.Tensor:
    """Adds up windowed blocks and divides by what the windows add up to.

    Args:
        blocks: ``(batch, blocks, length)``.
        window: ``(length,)``, applied to every block.
        weight: ``(length,)``, what a block counts at each sample.
        hop: samples between blocks.
        floor: the least that is divided by.
        counts: ``(batch, blocks, 1)``, 0 for blocks that do not count (and are zero); None: all count.

    Returns:
        ``(batch, (blocks - 1) * hop + length)``.
    """
    total = overlap_add(blocks * window, hop)
    if counts is not None:
        return total / tf.maximum(overlap_add(counts * weight, hop), floor)
    overlap = len(weight) // hop
    # all that differs is how many blocks are missing before and behind a hop
    row, last = tf.range(tf.shape(blocks)[1] + overlap - 1), tf.shape(blocks)[1] - 1
    state = tf.minimum(row, overlap - 1) * overlap + tf.maximum(row - last, 0)
    gain = tf.gather(tf.constant(_gains(weight.tobytes(), hop, floor)), state)
    return total * tf.reshape(gain, (1, -1))


def mirrored(waveform: tf.Tensor, hop: int, reach: int, present: tf.Tensor | None = None,
             repeat: bool = False) -> tf.Tensor:
    """A waveform with its mirror images before and behind it, zeros where it is too short for them.

    Args:
        waveform: ``(batch, hops * hop)``.
        hop: its length is a multiple of.
        reach: hops to add at either end, 1 or 2.
        present: ``(batch, hops, 1)``, 0 for hops that do not count (and are zero): the sound ends there and is mirrored
            there. None: all count.
        repeat: mirror the outermost sample as well.

    Returns:
        ``(batch, (hops + 2 * reach) * hop)``.
    """
    count, skip = tf.shape(waveform)[1], 0 if repeat else 1
    if present is None:
        longer = tf.pad(waveform, [[0, 0], [reach * hop, reach * hop]])
        before = tf.reverse(longer[:, reach * hop + skip:2 * reach * hop + skip], [1])
        behind = tf.reverse(longer[:, count - skip:count + reach * hop - skip], [1])
        return tf.concat([before, waveform, behind], axis=1)
    edge = reach + 2  # hops that a mirrored one may lie away from its original, and one
    total = count // hop + 2 * edge
    here = tf.pad(present, [[0, 0], [edge, edge], [0, 0]])
    longer = tf.pad(waveform, [[0, 0], [edge * hop, edge * hop]])
    later, sooner = tf.pad(longer[:, skip:], [[0, 0], [0, skip]]), tf.pad(longer, [[0, 0], [skip, 0]])[:, :total * hop]
    later, sooner = (tf.reverse(tf.reshape(wave, (-1, total, hop)), [2]) for wave in (later, sooner))

    def at(hops: tf.Tensor, distance: int) -> tf.Tensor:
        """What is so many hops later, for all hops but the two outermost."""
        padded = tf.pad(hops, [[0, 0], [1, 1], [0, 0]])
        return padded[:, 3 + distance:total - 1 + distance]

    images = 0.0
    for originals, sign in ((later, 1), (sooner, -1)):  # before the sound, and behind it
        images = images + at(here, sign) * at(originals, sign)
        if reach > 1:
            images = images + at(here, 2 * sign) * (1.0 - at(here, sign)) * at(originals, 3 * sign)
    made = tf.reshape(longer, (-1, total, hop))[:, 2:-2] + (1.0 - at(here, 0)) * images
    return tf.reshape(made, (-1, count + 2 * reach * hop))


def forward(blocks: tf.Tensor, use_matmul_dft: bool = False) -> Spectrum:
    """The spectra of blocks ``(batch, blocks, length)``, unscaled.

    Args:
        blocks: of even length.
        use_matmul_dft: multiply by matrices instead of calling an FFT.
    """
    if not use_matmul_dft:
        spectrum = tf.signal.rfft(blocks)
        return tf.math.real(spectrum), tf.math.imag(spectrum)
    cosine, sine, _, _ = _matrices(blocks.shape[2])
    half = blocks.shape[2] // 2
    mirrored = tf.pad(tf.reverse(blocks[:, :, half + 1:], [2]), [[0, 0], [0, 0], [1, 1]])
    first = blocks[:, :, :half + 1]
    return tf.matmul(first + mirrored, cosine), tf.matmul(first - mirrored, sine)


def inverse(spectrum: Spectrum, length: int, use_matmul_dft: bool = False) -> tf.Tensor:
    """The inverse of `forward`: blocks ``(batch, blocks, length)``.

    The imaginary parts of the lowest and highest bin count as zero.
    """
    real, imaginary = spectrum
    if not use_matmul_dft:
        return tf.signal.irfft(tf.complex(real, imaginary), [length])
    _, _, cosine, sine = _matrices(length)
    even, odd = tf.matmul(real, cosine), tf.matmul(imaginary, sine)
    return tf.concat([even + odd, tf.reverse((even - odd)[:, :, 1:-1], [2])], 2)


@functools.lru_cache(maxsize=16)
def _gains(weight: bytes, hop: int, floor: float) -> np.ndarray:
    """``(overlap ** 2, hop)``: row ``a * overlap + b`` is for a hop that blocks b to a reach."""
    parts = np.frombuffer(weight, np.float32).astype(np.float64).reshape(-1, hop)
    sums = [parts[b:a + 1].sum(axis=0) for a in range(len(parts)) for b in range(len(parts))]
    return (1.0 / np.maximum(sums, floor)).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _matrices(length: int) -> tuple[np.ndarray, ...]:
    """Each ``(length / 2 + 1)`` squared: forward cosine and sine, inverse cosine and sine."""
    n = np.arange(length // 2 + 1)
    angle = 2 * np.pi * (np.outer(n, n) % length) / length
    cosine, sine = np.cos(angle), -np.sin(angle)
    sine[:, [0, -1]] = sine[[0, -1], :] = 0.0
    weight = np.where((n == 0) | (n == length // 2), 1.0, 2.0)[:, None] / length
    return tuple(matrix.astype(np.float32) for matrix in (cosine, sine, weight * cosine, weight * sine))
