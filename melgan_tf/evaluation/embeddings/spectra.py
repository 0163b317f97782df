"""The untrained embedding: log spectra of two resolutions, in time cells that widen from the attack on.

It has no weights and so has heard no sound before: what a generator learned from cannot favor it. Waveforms of any rate
pass the same front end::

    waveform -> 44.1 kHz -> peak 1 -> 48 bands, windows of 23 ms: levels in nine cells, each wider than the last
                                   -> 96 bands, windows of 93 ms: levels in three cells
             -> principal components of the reference, each scaled to variance 1 -> up to 24 features

A cell is a stretch of time. Bands reach to 22.05 kHz; softer than 80 dB below a full-scale sine is silence. Short
windows and narrow early cells show attacks, long windows show pitch and partials. Because every component counts alike,
details that have little power, like the shape of an attack, weigh as much as the sound's loudness and brightness.
"""

from __future__ import annotations

import functools

import numpy as np

from melgan_tf.config import AudioConfig
from melgan_tf.dsp.mel_filters import band_levels, mel_filterbank
from melgan_tf.errors import UsageError
from melgan_tf.evaluation.arrays import check_array, peak_normalize, resample_rows

EMBEDDING = "log-spectra-1"  # changes whenever the numbers change
SAMPLE_RATE = 44_100
FLOOR_DB = -80.0  # of a full-scale sine
SHORT, LONG = (1024, 256, 48), (4096, 1024, 96)  # samples of a window, samples between windows, bands
SHORT_CELLS, LONG_CELLS = 9, (0, 3, 8)
_BATCH = 32


def log_spectra(waveforms: np.ndarray, sample_rate: int) -> np.ndarray:
    """Levels of all bands in all time cells: ``(sounds, samples)`` to ``(sounds, levels)``, float64, dB.

    Both resolutions have equal weight: each is divided by the root of its number of levels. `Whitening` makes features
    of them.

    Raises:
        UsageError: ``sample_rate`` below 1.
        MelGANError: another rank, no sounds, or a value that is not finite.
    """
    if sample_rate < 1:
        raise UsageError(f"sample_rate is {sample_rate!r}: give a positive number of Hz")
    waveforms, found = check_array(waveforms, 2, "waveforms", np.float32), []
    for start in range(0, len(waveforms), _BATCH):
        batch = peak_normalize(resample_rows(waveforms[start:start + _BATCH], sample_rate, SAMPLE_RATE))
        short, long = (_decibels(batch, *resolution) for resolution in (SHORT, LONG))
        found.append(np.concatenate([widening_cells(short, 2), _cells(long, [*LONG_CELLS, long.shape[1]])], axis=1))
    return np.concatenate(found).astype(np.float64)


def widening_cells(levels: np.ndarray, first: int = 1) -> np.ndarray:
    """Mean levels of up to nine time cells, of which the first has ``first`` frames and each is longer than the last.

    Args:
        levels: ``(sounds, frames, bands)``, dB.
        first: frames.

    Returns:
        ``(sounds, cells * bands)``, divided by the root of their number.
    """
    frames = levels.shape[1]
    return _cells(levels, [0, *np.geomspace(min(first, frames), frames, SHORT_CELLS).round().astype(int)])


def _decibels(audio: np.ndarray, n_fft: int, hop: int, bands: int) -> np.ndarray:
    window, filters = _analysis(n_fft, hop, bands)
    padded = np.pad(audio, ((0, 0), (n_fft // 2, n_fft // 2)))
    return band_levels(padded, window, hop, filters, 10 ** (FLOOR_DB / 10))


@functools.cache
def _analysis(n_fft: int, hop: int, bands: int) -> tuple[np.ndarray, np.ndarray]:
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    config = AudioConfig(sample_rate=SAMPLE_RATE, n_fft=n_fft, hop_samples=hop, mel_bins=bands, min_hz=0.0,
                         max_hz=SAMPLE_RATE / 2, mel_scale="slaney", mel_norm="none")
    return window * 2 / window.sum(), mel_filterbank(config)


def _cells(levels: np.ndarray, edges: list[int]) -> np.ndarray:
    """Means of ``(sounds, frames, bands)`` between frames, flattened and divided by the root of their number."""
    edges = sorted({min(int(edge), levels.shape[1]) for edge in edges})
    means = np.stack([levels[:, begin:end].mean(axis=1) for begin, end in zip(edges, edges[1:], strict=False)], axis=1)
    return means.reshape(len(levels), -1) / np.sqrt(means[0].size)
