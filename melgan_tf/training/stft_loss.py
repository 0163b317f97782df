"""The distance between two waveforms through Fourier transforms of several lengths: a loss of vocoders."""

from __future__ import annotations

import tensorflow as tf

#: (transform length = window, hop), samples: fine in time, balanced, fine in frequency.
RESOLUTIONS = ((256, 64), (512, 128), (1024, 256), (2048, 512))

#: Magnitudes below this share of a full-scale sine count as equal.
_FLOOR = 1e-5


def multi_resolution_stft(fake: tf.Tensor, real: tf.Tensor,
                          resolutions: tuple[tuple[int, int], ...] = RESOLUTIONS) -> tuple[tf.Tensor, tf.Tensor]:
    """Spectral convergence and log-magnitude distance, averaged over resolutions.

    Args:
        fake, real: ``(batch, samples)``.
        resolutions: pairs of transform length and hop; transforms longer than the waveforms are left out.

    Returns:
        Two tensors ``(batch,)``: ``||R - F|| / ||R||`` over the magnitudes of a sound, and the mean of
        ``|ln R - ln F|``.

    Reference: Yamamoto et al., "Parallel WaveGAN" (2020), equations 3 to 6.
    """
    pairs = [_distances(fake, real, *resolution) for resolution in resolutions if resolution[0] <= fake.shape[1]]
    convergence, logarithmic = zip(*pairs, strict=True)
    return tf.add_n(convergence) / len(pairs), tf.add_n(logarithmic) / len(pairs)


def _distances(fake: tf.Tensor, real: tf.Tensor, length: int, hop: int) -> tuple[tf.Tensor, tf.Tensor]:
    fake, real = _power(fake, length, hop), _power(real, length, hop)
    least = (_FLOOR * length / 4) ** 2
    fake_magnitude, real_magnitude = tf.sqrt(fake + least), tf.sqrt(real + least)
    difference = tf.reduce_sum(tf.square(real_magnitude - fake_magnitude), axis=(1, 2))
    energy = tf.reduce_sum(real + least, axis=(1, 2))
    logarithmic = 0.5 * tf.reduce_mean(tf.abs(tf.math.log(fake + least) - tf.math.log(real + least)), axis=(1, 2))
    return tf.sqrt(difference / energy + 1e-12), logarithmic


def _power(waveform: tf.Tensor, length: int, hop: int) -> tf.Tensor:
    """``(batch, frames, bins)``, centered frames, periodic Hann window."""
    padded = tf.pad(waveform, [[0, 0], [length // 2, length // 2]], mode="REFLECT")
    spectrum = tf.signal.stft(padded, length, hop, length)
    return tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
