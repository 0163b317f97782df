"""Phase retrieval for the lowest frequencies, in the middle of a vocoder.

A tone of 60 Hz takes three frames for one period: a network that answers frame by frame does not keep it in step, and
most of what a spectrum can be wrong by is there. Griffin-Lim is good at it, and for an eighth of the bandwidth it costs
an eighth: the waveform is thinned out to every eighth sample, a few iterations run on transforms of 128 instead of
1,024, and what they changed is interpolated and added.

The magnitudes to reach come from the mel: a first guess and what the network says to it, then brought to agree with the
bands. Everything can be differentiated, so the network learns phases that the iterations make the most of.

Reference: N. Perraudin et al., "A fast Griffin-Lim algorithm" (2013), for the momentum.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from melgan_tf import short_time, spectral
from melgan_tf.config import AudioConfig
from melgan_tf.mel_correction import coverage

#: Samples of which one is kept.
THINNING = 8
#: Bins below the thinned signal's highest that stay as they are: its filter has no sharp edge.
_EDGE = 8
#: How much of the previous projection is taken away; see `melgan_tf.griffin_lim.retrieve_phase`.
_PULL = 0.5
#: Times that the magnitudes are brought nearer to the bands.
_AGREEMENTS = 3


def bins(audio: AudioConfig) -> int:
    """How many bins have magnitudes of their own: what the network says something to."""
    return audio.n_fft // THINNING // 2 - _EDGE


def refine(waveform: tf.Tensor, mel: tf.Tensor, guess: tf.Tensor, audio: AudioConfig, rounds: int,
           present: tf.Tensor | None = None, products: bool = False) -> tf.Tensor:
    """The waveform with other low frequencies.

    Args:
        waveform: ``(batch, frames * hop)``. Beyond its ends it counts as zero.
        mel: ``(batch, frames, mel_bins)``, on the scale of the contract.
        guess: ``(batch, frames, bins(audio))``: logarithms of what the first guess at a magnitude is multiplied by.
        audio: the contract; `n_fft` and hop are multiples of 8, and the hop divides `n_fft`.
        rounds: iterations.
        present: ``(batch, frames, 1)``, 0 where neither counts; the waveform must be zero there.
        products: without an FFT.

    Returns:
        ``(batch, frames * hop)``; exact zeros where all of its surroundings were zero.
    """
    count, length, hop = tf.shape(mel)[1], audio.n_fft // THINNING, audio.hop_samples // THINNING
    constants = _constants(audio)
    thin = _resample(waveform, constants.thin, audio.hop_samples)
    inside = None if present is None else tf.reshape(tf.tile(present, [1, 1, hop]), (-1, count * hop))
    before = spectral.padding_samples(audio)[0] // THINNING
    after, weight = length - hop - before, np.square(constants.window)
    floor = 0.05 * float(weight.reshape(-1, hop).sum(axis=0).max())

    def to_spectrum(wave: tf.Tensor) -> short_time.Spectrum:
        cropped = wave[:, :after] if after < 0 else wave
        padded = tf.pad(cropped, [[0, 0], [before, max(0, after)]])
        return short_time.forward(short_time.cut(padded, length, hop) * constants.window, products)

    def to_wave(spectrum: short_time.Spectrum) -> tf.Tensor:
        wave = short_time.overlap_mean(short_time.inverse(spectrum, length, products), constants.window, weight, hop,
                                       floor, present)
        wave = tf.pad(wave, [[0, 0], [0, max(0, hop + before - length)]])[:, before:before + count * hop]
        return wave if inside is None else wave * inside

    spectrum = to_spectrum(thin)
    wanted = _magnitudes(mel, guess, constants, audio) * tf.sqrt(coverage(count, audio, present))
    if present is not None:
        wanted = wanted * present
    edge = _magnitude(spectrum)[:, :, wanted.shape[2]:]  # the highest bins keep their magnitudes
    wanted = tf.concat([wanted, edge], axis=2)
    least = tf.square(0.1 * wanted) + 1e-12  # bounds the derivative where a bin vanishes
    last, wave = None, thin
    for _ in range(rounds):
        real, imaginary = spectrum
        if last is not None:
            real, imaginary = real - _PULL * last[0], imaginary - _PULL * last[1]
        factor = wanted * tf.math.rsqrt(tf.square(real) + tf.square(imaginary) + least)
        wave, last = to_wave((real * factor, imaginary * factor)), spectrum
        spectrum = to_spectrum(wave)
    added = _resample(wave - thin, constants.fill, hop)
    waveform = waveform + added
    return waveform if present is None else waveform * tf.reshape(tf.tile(present, [1, 1, audio.hop_samples]),
                                                                  tf.shape(waveform))


def context_frames(audio: AudioConfig, rounds: int) -> int:
    """Frames on either side that a frame's samples depend on: filters, and whole windows there and back each round."""
    return 2 + rounds * 2 * -(-audio.n_fft // audio.hop_samples // 2)


def _magnitude(spectrum: short_time.Spectrum) -> tf.Tensor:
    return tf.sqrt(tf.square(spectrum[0]) + tf.square(spectrum[1]) + 1e-12)


def _magnitudes(mel: tf.Tensor, guess: tf.Tensor, constants: _Constants, audio: AudioConfig) -> tf.Tensor:
    """What the low bins should be like ``(batch, frames, bins)``, as the mel's transform has them, thinned."""
    bands = constants.filters.shape[1]
    target = spectral.decompress(mel[:, :, :bands + constants.partial], audio)
    silent = tf.cast(mel[:, :, :bands + constants.partial] > np.log10(audio.floor * (1 + 1e-4)), tf.float32)
    target = target * silent
    estimate = tf.matmul(target, constants.start) * tf.exp(audio.power * guess)
    for _ in range(_AGREEMENTS):
        ratio = (target[:, :, :bands] + 1e-9) / (tf.matmul(estimate, constants.filters) + 1e-9)
        estimate = estimate * tf.matmul(tf.minimum(ratio, 30.0), constants.spread)
    if audio.power == 2.0:
        estimate = tf.sqrt(estimate + 1e-14)
    return estimate / THINNING


def _resample(waveform: tf.Tensor, matrix: np.ndarray, hop: int) -> tf.Tensor:
    """Multiplies every hop, and half as much as the matrix has more rows on either side, by the matrix."""
    reach = (matrix.shape[0] - hop) // 2
    hops = tf.reshape(waveform, (-1, tf.shape(waveform)[1] // hop, hop))
    before = tf.pad(hops[:, :-1, hop - reach:], [[0, 0], [1, 0], [0, 0]])
    after = tf.pad(hops[:, 1:, :reach], [[0, 0], [0, 1], [0, 0]])
    y = tf.matmul(tf.concat([before, hops, after], axis=2), tf.constant(matrix))
    return tf.reshape(y, (-1, tf.shape(hops)[1] * matrix.shape[1]))


class _Constants(NamedTuple):
    """Matrices.

    Attributes:
        thin: ``(hop + 2 * reach, hop / 8)``, from samples to thinned ones.
        fill: ``((hop + 2 * reach) / 8, hop)``, back.
        window: ``(n_fft / 8,)``, the analysis window where the thinned samples are.
        filters: ``(bins, bands)`` of the bands that lie among the low bins.
        start: ``(bands + partial, bins)``, mels to magnitudes.
        spread: ``(bands, bins)``, ratios of bands to ratios of bins.
        partial: bands that lie among them in part.
    """

    thin: np.ndarray
    fill: np.ndarray
    window: np.ndarray
    filters: np.ndarray
    start: np.ndarray
    spread: np.ndarray
    partial: int


@functools.lru_cache(maxsize=8)
def _constants(audio: AudioConfig) -> _Constants:
    hop, reach, low = audio.hop_samples, 16 * THINNING, bins(audio)
    position = np.arange(-reach, hop + reach)
    centres = np.arange(hop // THINNING) * THINNING + (THINNING - 1) / 2
    distance = position[:, None] - centres[None]
    taper = np.where(np.abs(distance) < reach, np.i0(6 * np.sqrt(np.maximum(0, 1 - (distance / reach) ** 2))), 0)
    thin = np.sinc(distance / THINNING) * taper
    thin /= thin.sum(axis=0)
    thin_centres = (np.arange(-reach // THINNING, (hop + reach) // THINNING) * THINNING + (THINNING - 1) / 2)
    distance = np.arange(hop)[None] - thin_centres[:, None]
    taper = np.where(np.abs(distance) < reach, np.i0(6 * np.sqrt(np.maximum(0, 1 - (distance / reach) ** 2))), 0)
    fill = np.sinc(distance / THINNING) * taper
    fill /= fill.sum(axis=0)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(audio.n_fft // THINNING) * THINNING + (THINNING - 1) / 2)
                                / audio.n_fft)
    whole = spectral.mel_filterbank(audio).astype(np.float64)
    partial = int((whole[:low] > 0).any(axis=0).sum())
    bands = int(((whole[:low] > 0).any(axis=0) & ~(whole[low:] > 0).any(axis=0)).sum())
    per_bin = np.maximum(whole.sum(axis=1), 1e-12)[:low, None]
    start = (whole[:low, :partial] / per_bin / np.maximum(whole.sum(axis=0), 1e-12)[:partial]).T
    filters = whole[:low, :bands]
    covered = np.maximum(filters.sum(axis=1, keepdims=True), 1e-12)
    spread = (filters / covered).T
    spread[-1, spread.sum(axis=0) < 0.5] = 1.0  # bins above the highest whole band go with it
    return _Constants(*(matrix.astype(np.float32) for matrix in (thin, fill, window, filters, start, spread)),
                      partial - bands)
