"""Phase retrieval for the lowest frequencies, in the middle of a vocoder.

A tone of 60 Hz takes more than a frame for one period: a network that answers frame by frame does not keep it in step
with itself, and where drums are loud that is most of what is wrong with their spectra. Griffin-Lim is good at just
that, and for an eighth of the bandwidth it costs an eighth::

    waveform --filter, every 8th sample--> thinned --a few rounds of Griffin-Lim--> thinned'
    waveform + interpolated (thinned' - thinned)

The rounds begin with the waveform's phases. The magnitudes they hold to come from the mel: what its bands say, times
what the network says, then brought to agree with the bands again. Everything can be differentiated: the network learns
to give phases that the rounds make the most of.

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

#: Samples of which one is kept.
THINNING = 8
#: Bins below the thinned signal's highest that keep their magnitudes: its filter has no sharp edge.
_EDGE = 8
#: Thinned samples that the filters reach to either side.
_REACH = 16
#: How much of the projection before is taken away; see `melgan_tf.dsp.griffin_lim.retrieve_phase`.
_PULL = 0.5
#: How often the magnitudes are brought nearer to the bands.
_AGREEMENTS = 10


def bins(audio: AudioConfig) -> int:
    """How many bins have their magnitudes from the mel: what the network says something about."""
    return audio.n_fft // THINNING // 2 - _EDGE


def context_frames(audio: AudioConfig, rounds: int) -> int:
    """Frames on either side that a frame's samples depend on: filters, and whole windows there and back each round."""
    return 2 + rounds * 2 * -(-audio.n_fft // audio.hop_samples // 2)


def refine(waveform: tf.Tensor, mel: tf.Tensor, guess: tf.Tensor, audio: AudioConfig, rounds: int,
           present: tf.Tensor | None = None, use_matmul_dft: bool = False) -> tf.Tensor:
    """The waveform with other low frequencies.

    Args:
        waveform: ``(batch, frames * hop)``. Beyond its ends it is mirrored, as it was for the mel.
        mel: ``(batch, frames, mel_bins)``, on the scale of the contract.
        guess: ``(batch, frames, bins(audio))``: natural logarithms of what the mel's own magnitudes are multiplied by.
        audio: the contract; its hop is a multiple of 128 and divides `n_fft`.
        rounds: of Griffin-Lim.
        present: ``(batch, frames, 1)``, 0 where neither counts; the waveform must be zero there.
        use_matmul_dft: without an FFT.

    Returns:
        ``(batch, frames * hop)``; exact zeros where all of its surroundings were zero.
    """
    constants, transform = _constants(audio), _Transform(audio, tf.shape(mel)[1], present, use_matmul_dft)
    thinned = _resample(waveform, constants.thin, audio.hop_samples)
    thinned = thinned if present is None else thinned * transform.inside  # as beyond the ends, nothing rings on
    wanted = _magnitudes(mel, guess, constants, audio)
    refined = _retrieve_phase(thinned, wanted, transform, rounds)
    waveform = waveform + _resample(refined - thinned, constants.fill, audio.hop_samples // THINNING)
    if present is None:
        return waveform
    return waveform * tf.reshape(tf.tile(present, [1, 1, audio.hop_samples]), tf.shape(waveform))


class _Transform:
    """The mel's transform of thinned waveforms, and back."""

    def __init__(self, audio: AudioConfig, count: tf.Tensor, present: tf.Tensor | None, use_matmul_dft: bool) -> None:
        self.length, self.hop = audio.n_fft // THINNING, audio.hop_samples // THINNING
        self.before = spectral.padding_samples(audio)[0] // THINNING
        self.window = _constants(audio).window
        self.samples, self.present, self.use_matmul_dft = count * self.hop, present, use_matmul_dft
        if present is not None:
            self.inside = tf.reshape(tf.tile(present, [1, 1, self.hop]), (-1, self.samples))

    def forward(self, waveform: tf.Tensor) -> Spectrum:
        reach = -(-max(self.before, self.length - self.hop - self.before) // self.hop)
        longer = stft.mirrored(waveform, self.hop, reach, self.present, repeat=True)
        first = reach * self.hop - self.before
        covered = longer[:, first:first + self.samples - self.hop + self.length]
        return stft.forward(stft.cut(covered, self.length, self.hop) * self.window, self.use_matmul_dft)

    def inverse(self, spectrum: Spectrum) -> tf.Tensor:
        weight = np.square(self.window)
        blocks = stft.inverse(spectrum, self.length, self.use_matmul_dft)
        floor = 0.05 * float(weight.reshape(-1, self.hop).sum(axis=0).max())
        joined = stft.overlap_mean(blocks, self.window, weight, self.hop, floor, self.present)
        joined = tf.pad(joined, [[0, 0], [0, max(0, self.hop + self.before - self.length)]])
        waveform = joined[:, self.before:self.before + self.samples]
        return waveform if self.present is None else waveform * self.inside


def _retrieve_phase(waveform: tf.Tensor, wanted: tf.Tensor, transform: _Transform, rounds: int) -> tf.Tensor:
    """Griffin-Lim towards the magnitudes ``(batch, frames, bins)``; the bins above them keep those they have."""
    spectrum, last = transform.forward(waveform), None
    wanted = tf.concat([wanted, tf.sqrt(_power(spectrum) + 1e-12)[:, :, wanted.shape[2]:]], axis=2)
    if transform.present is not None:
        wanted = wanted * transform.present
    least = tf.square(0.1 * wanted) + 1e-12  # bounds the derivative where a bin vanishes
    for _ in range(rounds):
        real, imaginary = spectrum
        if last is not None:
            real, imaginary = real - _PULL * last[0], imaginary - _PULL * last[1]
        factor = wanted * tf.math.rsqrt(_power((real, imaginary)) + least)
        waveform, last = transform.inverse((real * factor, imaginary * factor)), spectrum
        spectrum = transform.forward(waveform)
    return waveform


def _power(spectrum: Spectrum) -> tf.Tensor:
    return tf.square(spectrum[0]) + tf.square(spectrum[1])


def _magnitudes(mel: tf.Tensor, guess: tf.Tensor, constants: _Constants, audio: AudioConfig) -> tf.Tensor:
    """What the low bins should be like, ``(batch, frames, bins)``, in the thinned waveform's transform."""
    mel, bands = mel[:, :, :constants.start.shape[0]], constants.filters.shape[1]
    heard = tf.cast(mel > np.log10(audio.floor * (1 + 1e-4)), tf.float32)
    target = spectral.decompress(mel, audio) * heard
    estimate = tf.matmul(target, constants.start) * tf.exp(audio.power * guess)
    for _ in range(_AGREEMENTS):
        ratio = (target[:, :, :bands] + 1e-9) / (tf.matmul(estimate, constants.filters) + 1e-9)
        estimate = estimate * tf.matmul(tf.minimum(ratio, 30.0), constants.spread)
    return (tf.sqrt(estimate + 1e-14) if audio.power == 2.0 else estimate) / THINNING


def _resample(waveform: tf.Tensor, matrix: np.ndarray, hop: int) -> tf.Tensor:
    """Multiplies every hop, with what the matrix has rows for on either side, by the matrix."""
    reach = (matrix.shape[0] - hop) // 2
    hops = tf.reshape(waveform, (-1, tf.shape(waveform)[1] // hop, hop))
    before = tf.pad(hops[:, :-1, hop - reach:], [[0, 0], [1, 0], [0, 0]])
    after = tf.pad(hops[:, 1:, :reach], [[0, 0], [0, 1], [0, 0]])
    made = tf.matmul(tf.concat([before, hops, after], axis=2), tf.constant(matrix))
    return tf.reshape(made, (-1, tf.shape(hops)[1] * matrix.shape[1]))


class _Constants(NamedTuple):
    """Matrices.

    Attributes:
        thin: ``(hop + 2 * reach, hop / 8)``, from a hop of samples and its surroundings to thinned ones.
        fill: ``((hop + 2 * reach) / 8, hop)``, back.
        window: ``(n_fft / 8,)``, the analysis window at the thinned samples.
        filters: ``(bins, bands)`` of the bands that lie among the low bins.
        start: ``(bands and those that lie there in part, bins)``, from mels to magnitudes.
        spread: ``(bands, bins)``, from ratios of bands to ratios of bins.
    """

    thin: np.ndarray
    fill: np.ndarray
    window: np.ndarray
    filters: np.ndarray
    start: np.ndarray
    spread: np.ndarray


@functools.lru_cache(maxsize=8)
def _constants(audio: AudioConfig) -> _Constants:
    hop, reach, low, middle = audio.hop_samples, _REACH * THINNING, bins(audio), (THINNING - 1) / 2
    thinned = np.arange(-reach // THINNING, (hop + reach) // THINNING) * THINNING + middle  # a hop's, with surroundings
    thin = _low_pass(np.arange(-reach, hop + reach)[:, None] - thinned[None, _REACH:-_REACH], reach)
    fill = _low_pass(np.arange(hop)[None] - thinned[:, None], reach)
    times = np.arange(audio.n_fft // THINNING) * THINNING + middle
    window = 0.5 - 0.5 * np.cos(2 * np.pi * times / audio.n_fft)
    filters = spectral.mel_filterbank(audio).astype(np.float64)
    reaching = int((filters[:low] > 0).any(axis=0).sum())
    whole = int(((filters[:low] > 0).any(axis=0) & ~(filters[low:] > 0).any(axis=0)).sum())
    per_bin, area = filters.sum(axis=1)[:low, None], filters.sum(axis=0)[:reaching]
    start = (filters[:low, :reaching] / np.maximum(per_bin, 1e-12) / np.maximum(area, 1e-12)).T
    filters = filters[:low, :whole]
    spread = (filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-12)).T
    spread[-1, spread.sum(axis=0) < 0.5] = 1.0  # bins that no whole band covers go with the highest
    return _Constants(*(matrix.astype(np.float32) for matrix in (thin, fill, window, filters, start, spread)))


def _low_pass(distance: np.ndarray, reach: int) -> np.ndarray:
    """A windowed sinc (Kaiser, 6), columns of sum 1."""
    inside = np.maximum(0, 1 - (distance / reach) ** 2)
    taps = np.sinc(distance / THINNING) * np.where(inside > 0, np.i0(6 * np.sqrt(inside)), 0)
    return taps / taps.sum(axis=0)
