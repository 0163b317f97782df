"""Brings the mel spectrogram of a waveform nearer to a wanted one, keeping the waveform's phases.

One round trip through the short-time Fourier transform: every bin is multiplied by the ratio of wanted to present
energy of the bands that it lies in, as in one iteration of :func:`melgan_tf.dsp.griffin_lim.mel_to_magnitude`. It can
be differentiated, so a vocoder that ends in it learns to leave to it what it does well.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import spectral, stft

#: No bin is raised by more than this factor.
MOST = 8.0
#: Nor lowered by more, but for the exponent.
LEAST = 1e-4


def correct(waveform: tf.Tensor, mel: tf.Tensor, audio: AudioConfig, exponent: tf.Tensor | float = 1.0,
            present: tf.Tensor | None = None, use_matmul_dft: bool = False, mirror: bool = False) -> tf.Tensor:
    """One correction.

    Beyond its ends the waveform counts as zero, and the frames there are compared by what of them is within. Or it is
    mirrored there, as it was for the mel.

    Args:
        waveform: ``(batch, frames * hop)``.
        mel: ``(batch, frames, mel_bins)``, the wanted one, on the scale of the contract.
        audio: the contract; its hop divides ``n_fft``.
        exponent: of the ratios, one or ``(mel_bins,)``; more than 1 makes up for what overlapping windows smear.
        present: ``(batch, frames, 1)``, 0 where neither counts; the waveform must be zero there.
        use_matmul_dft: without an FFT.
        mirror: see above.

    Returns:
        A waveform ``(batch, frames * hop)``; exact zeros where all of its surroundings were zero.
    """
    n_fft, hop = audio.n_fft, audio.hop_samples
    filters, spread, window = _constants(audio)
    before = spectral.padding_samples(audio)[0]
    count = tf.shape(mel)[1]

    def blocks(samples: tf.Tensor) -> tf.Tensor:
        after = n_fft - hop - before
        if mirror:
            reach = -(-max(before, after) // hop)
            longer = stft.mirrored(samples, hop, reach, present)
            first = reach * hop - before
            return stft.cut(longer[:, first:first + (count - 1) * hop + n_fft], n_fft, hop) * window
        cropped = samples[:, :after] if after < 0 else samples
        return stft.cut(tf.pad(cropped, [[0, 0], [before, max(0, after)]]), n_fft, hop) * window

    inside = None if present is None else tf.reshape(tf.tile(present, [1, 1, hop]), (-1, count * hop))
    covered = tf.ones((1, 1)) if mirror else coverage(count, audio, present)
    real, imaginary = stft.forward(blocks(waveform), use_matmul_dft)
    power = tf.square(real) + tf.square(imaginary)
    magnitude = tf.sqrt(power + 1e-14) if audio.power == 1.0 else power
    wanted = spectral.decompress(mel, audio) * (tf.sqrt(covered) if audio.power == 1.0 else covered)
    ratio = wanted / (tf.matmul(magnitude, filters) + 0.1 * audio.floor)
    level = tf.math.log(tf.clip_by_value(ratio, LEAST ** audio.power, MOST ** audio.power))
    change = tf.matmul(tf.exp(level * (exponent / audio.power)), spread) - 1.0
    if present is not None:
        change = change * present
    added = stft.inverse((real * change, imaginary * change), n_fft, use_matmul_dft)
    weight = np.square(window)
    fill = stft.overlap_mean(added, window, weight, hop,
                                   0.05 * float(weight.reshape(-1, hop).sum(axis=0).max()), present)
    fill = tf.pad(fill, [[0, 0], [0, max(0, hop + before - n_fft)]])[:, before:before + count * hop]
    return waveform + fill if present is None else (waveform + fill) * inside


@functools.lru_cache(maxsize=32)
def _constants(audio: AudioConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Filters ``(bins, mel_bins)``, what spreads ratios over the bins ``(mel_bins, bins)``, the window."""
    filters = spectral.mel_filterbank(audio)
    per_bin = filters.sum(1, keepdims=True)
    spread = (filters / np.maximum(per_bin, 1e-12)).T
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(audio.n_fft) / audio.n_fft)
    return filters, spread.astype(np.float32), window.astype(np.float32)


def coverage(count: tf.Tensor, audio: AudioConfig, present: tf.Tensor | None = None) -> tf.Tensor:
    """The share of each frame's window, squared, that lies within the waveform: ``(frames, 1)``, or one for each item.

    Args:
        count: frames.
        audio: the contract.
        present: ``(batch, frames, 1)``, 0 for frames whose hop does not count; None: all count.
    """
    if present is not None:
        return _present_coverage(count, audio, present)
    before, after = _missing(audio)
    number = tf.range(count)
    lost = (tf.gather(tf.constant(before), tf.minimum(number, len(before) - 1))
            + tf.gather(tf.constant(after), tf.minimum(count - 1 - number, len(after) - 1)))
    return (1.0 - lost)[:, None]


def _present_coverage(count: tf.Tensor, audio: AudioConfig, present: tf.Tensor) -> tf.Tensor:
    n_fft, hop, before = audio.n_fft, audio.hop_samples, spectral.padding_samples(audio)[0]
    share = np.square(_constants(audio)[2])
    inside = tf.reshape(tf.tile(present, [1, 1, hop]), (-1, count * hop))
    after = n_fft - hop - before
    cropped = inside[:, :after] if after < 0 else inside
    blocks = stft.cut(tf.pad(cropped, [[0, 0], [before, max(0, after)]]), n_fft, hop)
    return tf.reduce_sum(blocks * share, axis=2, keepdims=True) / share.sum()


@functools.lru_cache(maxsize=32)
def _missing(audio: AudioConfig) -> tuple[np.ndarray, np.ndarray]:
    """By a frame's distance from the first, and from the last: the share that lies before, and behind, the waveform."""
    share = np.square(_constants(audio)[2].astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(share / share.sum())])
    distance = np.arange(audio.n_fft // audio.hop_samples + 2) * audio.hop_samples
    before = spectral.padding_samples(audio)[0]
    early = sums[np.clip(before - distance, 0, audio.n_fft)]
    late = 1.0 - sums[np.clip(before + audio.hop_samples + distance, 0, audio.n_fft)]
    return early.astype(np.float32), late.astype(np.float32)
