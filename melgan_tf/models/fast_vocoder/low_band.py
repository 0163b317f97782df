"""Phase retrieval for the lowest frequencies, in the middle of a vocoder.

A tone of 60 Hz takes more than a frame for one period: a network that works frame by frame does not keep its phase
continuous, and in loud drums that is most of the spectral error. Griffin-Lim is good at exactly that, and for an eighth
of the bandwidth it costs an eighth::

    waveform --filter, every 8th sample--> decimated --a few rounds of Griffin-Lim--> decimated'
    waveform + interpolated (decimated' - decimated)

The rounds start from the waveform's phases. Their magnitudes come from the mel: its bands spread over the bins, times a
gain from the network, then matched to the bands again. Everything is differentiable: the network learns to give phases
that the rounds make the most of.

Why not `melgan_tf.dsp.griffin_lim.retrieve_phase`: it starts from magnitudes rather than from a waveform, divides
without the bound that keeps derivatives finite, and is a loop in the graph, where gradients need the rounds unrolled.

Reference: N. Perraudin, P. Balazs, P. L. Sondergaard: "A fast Griffin-Lim algorithm" (2013), for the momentum.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import spectral, stft
from melgan_tf.dsp.stft import Spectrum

#: Every eighth sample is kept.
DECIMATION = 8
#: Bins below the decimated signal's highest that keep their magnitudes: its filter has no sharp edge.
_EDGE = 8
#: Decimated samples that the filters reach to either side.
_REACH = 16
#: Momentum m / (1 + m) of the fast Griffin-Lim algorithm.
_MOMENTUM_FACTOR = 0.5
#: Iterations that match the magnitudes to the bands.
_MATCHING_ROUNDS = 10


def bins(audio: AudioConfig) -> int:
    """The number of bins whose magnitudes come from the mel and for which the network gives a gain."""
    return audio.n_fft // DECIMATION // 2 - _EDGE


def context_frames(audio: AudioConfig, rounds: int) -> int:
    """Frames on either side that a frame's samples depend on: filters, and whole windows there and back each round."""
    return 2 + rounds * 2 * -(-audio.n_fft // audio.hop_samples // 2)


def refine(waveform: tf.Tensor, mel: tf.Tensor, log_gain: tf.Tensor, audio: AudioConfig, rounds: int,
           mask: tf.Tensor | None = None, use_matmul_dft: bool = False) -> tf.Tensor:
    """Refines the low frequencies of a waveform.

    Args:
        waveform: ``(batch, frames * hop)``. Beyond its ends it is mirrored, as in the mel's analysis.
        mel: ``(batch, frames, mel_bins)``, on the scale of the mel configuration.
        log_gain: ``(batch, frames, bins(audio))``, natural logarithms of gains on the mel's own magnitudes.
        audio: the mel configuration; its hop is a multiple of 128 and divides `n_fft`.
        rounds: iterations of Griffin-Lim.
        mask: ``(batch, frames, 1)``, 0 for padding; the waveform must be zero there.
        use_matmul_dft: compute Fourier transforms as matrix products.

    Returns:
        ``(batch, frames * hop)``; exact zeros where the whole neighborhood was zero.
    """
    constants, transform = _constants(audio), _Transform(audio, tf.shape(mel)[1], mask, use_matmul_dft)
    decimated = _resample(waveform, constants.decimate, audio.hop_samples)
    decimated = decimated if mask is None else decimated * transform.inside  # no ringing beyond the ends
    refined = _retrieve_phase(decimated, _magnitudes(mel, log_gain, constants, audio), transform, rounds)
    waveform = waveform + _resample(refined - decimated, constants.interpolate, audio.hop_samples // DECIMATION)
    if mask is None:
        return waveform
    return waveform * tf.reshape(tf.tile(mask, [1, 1, audio.hop_samples]), tf.shape(waveform))


class _Transform:
    """The short-time Fourier transform of the mel configuration on decimated waveforms, and its inverse."""

    def __init__(self, audio: AudioConfig, count: tf.Tensor, mask: tf.Tensor | None, use_matmul_dft: bool) -> None:
        self.length, self.hop = audio.n_fft // DECIMATION, audio.hop_samples // DECIMATION
        self.before = spectral.padding_samples(audio)[0] // DECIMATION
        self.window = _constants(audio).window
        self.samples, self.mask, self.use_matmul_dft = count * self.hop, mask, use_matmul_dft
        if mask is not None:
            self.inside = tf.reshape(tf.tile(mask, [1, 1, self.hop]), (-1, self.samples))

    def forward(self, waveform: tf.Tensor) -> Spectrum:
        reach = -(-max(self.before, self.length - self.hop - self.before) // self.hop)
        longer = stft.mirrored(waveform, self.hop, reach, self.mask, True, self.use_matmul_dft)
        first = reach * self.hop - self.before
        covered = longer[:, first:first + self.samples - self.hop + self.length]
        return stft.forward(stft.cut(covered, self.length, self.hop) * self.window, self.use_matmul_dft)

    def inverse(self, spectrum: Spectrum) -> tf.Tensor:
        weight = np.square(self.window)
        blocks = stft.inverse(spectrum, self.length, self.use_matmul_dft)
        floor = 0.05 * float(weight.reshape(-1, self.hop).sum(axis=0).max())
        joined = stft.overlap_mean(blocks, self.window, weight, self.hop, floor, self.mask)
        joined = tf.pad(joined, [[0, 0], [0, max(0, self.hop + self.before - self.length)]])
        waveform = joined[:, self.before:self.before + self.samples]
        return waveform if self.mask is None else waveform * self.inside


def _retrieve_phase(waveform: tf.Tensor, magnitude: tf.Tensor, transform: _Transform, rounds: int) -> tf.Tensor:
    """Griffin-Lim towards the magnitudes ``(batch, frames, bins)``; the bins above them keep their own."""
    spectrum, last = transform.forward(waveform), None
    magnitude = tf.concat([magnitude, tf.sqrt(_power(spectrum) + 1e-12)[:, :, magnitude.shape[2]:]], axis=2)
    if transform.mask is not None:
        magnitude = magnitude * transform.mask
    bound = tf.square(0.1 * magnitude) + 1e-12  # of the derivative where a bin vanishes
    for _ in range(rounds):
        real, imaginary = spectrum
        if last is not None:
            real, imaginary = real - _MOMENTUM_FACTOR * last[0], imaginary - _MOMENTUM_FACTOR * last[1]
        factor = magnitude * tf.math.rsqrt(_power((real, imaginary)) + bound)
        waveform, last = transform.inverse((real * factor, imaginary * factor)), spectrum
        spectrum = transform.forward(waveform)
    return waveform


def _power(spectrum: Spectrum) -> tf.Tensor:
    return tf.square(spectrum[0]) + tf.square(spectrum[1])


def _magnitudes(mel: tf.Tensor, log_gain: tf.Tensor, constants: _Constants, audio: AudioConfig) -> tf.Tensor:
    """Target magnitudes of the low bins, ``(batch, frames, bins)``, in the decimated waveform's transform."""
    mel, bands = mel[:, :, :constants.start.shape[0]], constants.filters.shape[1]
    target = spectral.decompress(mel, audio)
    estimate = tf.matmul(target, constants.start) * tf.exp(audio.power * log_gain)
    for _ in range(_MATCHING_ROUNDS):
        ratio = (target[:, :, :bands] + 1e-9) / (tf.matmul(estimate, constants.filters) + 1e-9)
        estimate = estimate * tf.matmul(tf.minimum(ratio, 30.0), constants.spread)
    return (tf.sqrt(estimate + 1e-14) if audio.power == 2.0 else estimate) / DECIMATION


def _resample(waveform: tf.Tensor, matrix: np.ndarray, hop: int) -> tf.Tensor:
    """Multiplies every hop, with the context on either side that the matrix has rows for, by the matrix."""
    reach = (matrix.shape[0] - hop) // 2
    hops = tf.reshape(waveform, (-1, tf.shape(waveform)[1] // hop, hop))
    before = tf.pad(hops[:, :-1, hop - reach:], [[0, 0], [1, 0], [0, 0]])
    after = tf.pad(hops[:, 1:, :reach], [[0, 0], [0, 1], [0, 0]])
    product = tf.matmul(tf.concat([before, hops, after], axis=2), tf.constant(matrix))
    return tf.reshape(product, (-1, tf.shape(hops)[1] * matrix.shape[1]))


class _Constants(NamedTuple):
    """Matrices.

    Attributes:
        decimate: ``(hop + 2 * reach, hop / 8)``, from a hop of samples with context to decimated samples.
        interpolate: ``((hop + 2 * reach) / 8, hop)``, back.
        window: ``(n_fft / 8,)``, the analysis window at the decimated samples.
        filters: ``(bins, bands)`` of the bands that lie entirely in the low bins.
        start: ``(bands that lie there at least in part, bins)``, from mels to magnitudes.
        spread: ``(bands, bins)``, from ratios of bands to ratios of bins.
    """

    decimate: np.ndarray
    interpolate: np.ndarray
    window: np.ndarray
    filters: np.ndarray
    start: np.ndarray
    spread: np.ndarray


@functools.lru_cache(maxsize=8)
def _constants(audio: AudioConfig) -> _Constants:
    hop, reach, low, middle = audio.hop_samples, _REACH * DECIMATION, bins(audio), (DECIMATION - 1) / 2
    decimated = np.arange(-reach // DECIMATION, (hop + reach) // DECIMATION) * DECIMATION + middle  # with context
    decimate = _low_pass(np.arange(-reach, hop + reach)[:, None] - decimated[None, _REACH:-_REACH], reach)
    interpolate = _low_pass(np.arange(hop)[None] - decimated[:, None], reach)
    times = np.arange(audio.n_fft // DECIMATION) * DECIMATION + middle
    window = 0.5 - 0.5 * np.cos(2 * np.pi * times / audio.n_fft)
    filters = spectral.mel_filterbank(audio).astype(np.float64)
    reaching = int((filters[:low] > 0).any(axis=0).sum())
    whole = int(((filters[:low] > 0).any(axis=0) & ~(filters[low:] > 0).any(axis=0)).sum())
    per_bin, area = filters.sum(axis=1)[:low, None], filters.sum(axis=0)[:reaching]
    start = (filters[:low, :reaching] / np.maximum(per_bin, 1e-12) / np.maximum(area, 1e-12)).T
    filters = filters[:low, :whole]
    spread = (filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-12)).T
    spread[-1, spread.sum(axis=0) < 0.5] = 1.0  # bins that no whole band covers follow the highest band
    matrices = decimate, interpolate, window, filters, start, spread
    return _Constants(*(matrix.astype(np.float32) for matrix in matrices))


def _low_pass(distance: np.ndarray, reach: int) -> np.ndarray:
    """A windowed sinc (Kaiser, 6), columns of sum 1."""
    inside = np.maximum(0, 1 - (distance / reach) ** 2)
    taps = np.sinc(distance / DECIMATION) * np.where(inside > 0, np.i0(6 * np.sqrt(inside)), 0)
    return taps / taps.sum(axis=0)
