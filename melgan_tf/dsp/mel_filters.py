"""The filters of mel spectrograms. No TensorFlow."""

from __future__ import annotations

import functools
import math

import numpy as np

from melgan_tf.config import AudioConfig

#: The floor of `melgan_tf.dsp.spectral.log_mel` as a power: -100 dB.
POWER_FLOOR = 1e-10


@functools.lru_cache(maxsize=32)
def mel_filterbank(audio: AudioConfig) -> np.ndarray:
    """Weights that sum the bins of a spectrum into mel bands.

    The triangles are straight lines over *Hz*, as in librosa, torchaudio and the published MelGAN.
    ``tf.signal.linear_to_mel_weight_matrix`` draws them straight over *mel* instead, which is another spectrogram: the
    two cannot be chained.

    Args:
        audio: sample rate, transform size and filters.

    Returns:
        A read-only float32 array ``(n_fft // 2 + 1, mel_bins)``. A filter narrower than the distance between two bins
        may be all zero, as in librosa.

    Reference:
        S. Young et al., The HTK Book, section 5.4 ("htk"); M. Slaney, Auditory Toolbox, 1998 ("slaney").
    """
    hz = np.linspace(0.0, audio.sample_rate / 2, audio.n_fft // 2 + 1)[:, None]
    mels = np.linspace(_to_mel(audio.min_hz, audio), _to_mel(audio.max_hz, audio), audio.mel_bins + 2)
    edges = _to_hz(mels, audio)
    left, peak, right = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((hz - left) / (peak - left), (right - hz) / (right - peak)))
    if audio.mel_norm == "slaney":
        weights *= 2.0 / (right - left)
    weights = weights.astype(np.float32)
    weights.setflags(write=False)
    return weights


def band_centers(audio: AudioConfig) -> tuple[np.ndarray, np.ndarray]:
    """The frequency around which each filter of `mel_filterbank` lies, Hz, and one over its sum: ``(mel_bins,)`` each.

    A band times the second is a mean over bins instead of a sum, so that wide bands do not count more.
    """
    weights = mel_filterbank(audio)
    hz = np.linspace(0.0, audio.sample_rate / 2, len(weights))[:, None]
    area = np.maximum(weights.sum(axis=0), 1e-12)
    return (weights * hz).sum(axis=0) / area, (1.0 / area).astype(np.float32)


def band_levels(audio: np.ndarray, window: np.ndarray, hop: int, filters: np.ndarray, least: float) -> np.ndarray:
    """Levels of the bands of waveforms in all windows that lie within: ``(sounds, frames, bands)`` float32, dB.

    Args:
        audio: ``(sounds, samples)`` float32.
        window: ``(n_fft,)`` float32.
        hop: samples between windows.
        filters: see `mel_filterbank`.
        least: power of the floor.
    """
    frames = np.lib.stride_tricks.sliding_window_view(audio, len(window), axis=1)[:, ::hop]
    power = np.abs(np.fft.rfft(frames * window)).astype(np.float32) ** 2
    return 10 * np.log10(np.maximum(power @ filters, np.float32(least)))


def frequency_ticks(audio: AudioConfig) -> list[tuple[float, str]]:
    """Ticks of the frequency axis of mels: the place, from 0 at the bottom to 1, and its text.

    Examples:
        >>> [text for _, text in frequency_ticks(AudioConfig())]
        ['100', '500', '1k', '2k', '4k']
    """
    low, high = _to_mel(audio.min_hz, audio), _to_mel(audio.max_hz, audio)
    found: list[tuple[float, str]] = []
    for hz in (100, 500, 1_000, 2_000, 4_000, 8_000, 16_000):
        place = ((_to_mel(hz, audio) - low) / (high - low) * (audio.mel_bins + 1) - 0.5) / audio.mel_bins
        if audio.min_hz < hz < audio.max_hz and 0 <= place <= 0.97 and place - (found[-1][0] if found else -1) >= 0.09:
            found.append((round(place, 3), f"{hz // 1000}k" if hz >= 1_000 else str(hz)))
    return found


def _to_mel(hz: float, audio: AudioConfig) -> float:
    if audio.mel_scale == "htk":
        return 2595.0 * math.log10(1.0 + hz / 700.0)
    # linear below 1 kHz (15 mel), then 27 steps to a factor of 6.4
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def _to_hz(mel: np.ndarray, audio: AudioConfig) -> np.ndarray:
    if audio.mel_scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    return np.where(mel < 15, 200 * mel / 3, 1000 * 6.4 ** ((mel - 15) / 27))
