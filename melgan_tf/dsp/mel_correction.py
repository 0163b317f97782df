"""Brings the mel spectrogram of a waveform nearer to a target, keeping the waveform's phases.

One round trip through the short-time Fourier transform: every bin is multiplied by the ratio of target energy to
present energy of its bands, as in one iteration of :func:`melgan_tf.dsp.griffin_lim.mel_to_magnitude`. It is
differentiable, so a vocoder that ends in it learns to leave to it what it does well.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import banded, spectral, stft
from melgan_tf.dsp.mel_filters import mel_filterbank

#: No bin is raised by more than this factor.
MAX_FACTOR = 8.0
#: No bin is lowered by more than this factor, apart from the exponent.
MIN_FACTOR = 1e-4


def match_mel(waveform: tf.Tensor, mel: tf.Tensor, audio: AudioConfig, exponent: tf.Tensor | float = 1.0,
              mask: tf.Tensor | None = None, use_matmul_dft: bool = False, mirror: bool = False) -> tf.Tensor:
    """Corrects a waveform once towards a mel spectrogram.

    Beyond its ends the waveform is taken as zero, and the frames there are compared by their share within it; or, with
    `mirror`, it is mirrored there, as it was in the mel's analysis.

    Args:
        waveform: ``(batch, frames * hop)``.
        mel: ``(batch, frames, mel_bins)``, the target, on the scale of the mel configuration.
        audio: the mel configuration; its hop divides ``n_fft``.
        exponent: of the ratios, a scalar or ``(mel_bins,)``; more than 1 compensates the smear of overlapping windows.
        mask: ``(batch, frames, 1)``, 0 for padding; the waveform must be zero there.
        use_matmul_dft: compute Fourier transforms as matrix products.
        mirror: see above.

    Returns:
        A waveform ``(batch, frames * hop)``; exact zeros where the whole neighborhood was zero.
    """
    n_fft, hop = audio.n_fft, audio.hop_samples
    filters, spread, window = _constants(audio)
    before = spectral.padding_samples(audio)[0]
    count = tf.shape(mel)[1]
    product = banded.product if use_matmul_dft else tf.matmul

    def blocks(samples: tf.Tensor) -> tf.Tensor:
        if mirror:
            reach = -(-max(before, n_fft - hop - before) // hop)
            longer = stft.mirrored(samples, hop, reach, mask, use_matmul_dft=use_matmul_dft)
            first = reach * hop - before
            return stft.cut(longer[:, first:first + (count - 1) * hop + n_fft], n_fft, hop) * window
        return _zero_padded_blocks(samples, audio) * window

    covered = tf.ones((1, 1)) if mirror else coverage(count, audio, mask)
    real, imaginary = stft.forward(blocks(waveform), use_matmul_dft)
    power = tf.square(real) + tf.square(imaginary)
    magnitude = tf.sqrt(power + 1e-14) if audio.power == 1.0 else power
    target = spectral.decompress(mel, audio) * (tf.sqrt(covered) if audio.power == 1.0 else covered)
    ratio = target / (product(magnitude, filters) + 0.1 * audio.floor)
    level = tf.math.log(tf.clip_by_value(ratio, MIN_FACTOR ** audio.power, MAX_FACTOR ** audio.power))
    change = product(tf.exp(level * (exponent / audio.power)), spread) - 1.0
    if mask is not None:
        change = change * mask
    added = stft.inverse((real * change, imaginary * change), n_fft, use_matmul_dft)
    weight = np.square(window)
    floor = 0.05 * float(weight.reshape(-1, hop).sum(axis=0).max())
    correction = stft.overlap_mean(added, window, weight, hop, floor, mask)
    correction = tf.pad(correction, [[0, 0], [0, max(0, hop + before - n_fft)]])[:, before:before + count * hop]
    return waveform + correction if mask is None else (waveform + correction) * _per_sample(mask, hop)


def coverage(count: tf.Tensor, audio: AudioConfig, mask: tf.Tensor | None = None) -> tf.Tensor:
    """The share of each frame's squared window that lies within the waveform: ``(frames, 1)``, or one for each item.

    Args:
        count: frames.
        audio: the mel configuration.
        mask: ``(batch, frames, 1)``, 0 for frames whose hop does not count; None: all count.
    """
    if mask is not None:
        share = np.square(_constants(audio)[2])
        blocks = _zero_padded_blocks(_per_sample(mask, audio.hop_samples), audio)
        return tf.reduce_sum(blocks * share, axis=2, keepdims=True) / share.sum()
    before, after = _missing(audio)
    number = tf.range(count)
    lost = (tf.gather(tf.constant(before), tf.minimum(number, len(before) - 1))
            + tf.gather(tf.constant(after), tf.minimum(count - 1 - number, len(after) - 1)))
    return (1.0 - lost)[:, None]


def _zero_padded_blocks(samples: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """``(batch, frames * hop)`` -> ``(batch, frames, n_fft)``, zeros beyond the ends."""
    before = spectral.padding_samples(audio)[0]
    after = audio.n_fft - audio.hop_samples - before
    cropped = samples[:, :after] if after < 0 else samples
    return stft.cut(tf.pad(cropped, [[0, 0], [before, max(0, after)]]), audio.n_fft, audio.hop_samples)


def _per_sample(mask: tf.Tensor, hop: int) -> tf.Tensor:
    """``(batch, frames, 1)`` -> ``(batch, frames * hop)``."""
    return tf.reshape(tf.tile(mask, [1, 1, hop]), (-1, tf.shape(mask)[1] * hop))


@functools.lru_cache(maxsize=32)
def _constants(audio: AudioConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Filters ``(bins, mel_bins)``, the matrix that spreads ratios over the bins ``(mel_bins, bins)``, the window."""
    filters = mel_filterbank(audio)
    per_bin = filters.sum(1, keepdims=True)
    spread = (filters / np.maximum(per_bin, 1e-12)).T
    return filters, spread.astype(np.float32), stft.hann(audio.n_fft)


@functools.lru_cache(maxsize=32)
def _missing(audio: AudioConfig) -> tuple[np.ndarray, np.ndarray]:
    """By a frame's distance from the first, and from the last: its share before, and after, the waveform."""
    share = np.square(_constants(audio)[2].astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(share / share.sum())])
    distance = np.arange(audio.n_fft // audio.hop_samples + 2) * audio.hop_samples
    before = spectral.padding_samples(audio)[0]
    early = sums[np.clip(before - distance, 0, audio.n_fft)]
    late = 1.0 - sums[np.clip(before + audio.hop_samples + distance, 0, audio.n_fft)]
    return early.astype(np.float32), late.astype(np.float32)
