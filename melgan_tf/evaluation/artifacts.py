"""Artifacts of waveforms that an embedding hardly shows: late onset, DC, clicks at the ends, hum, silence, clipping.

Every metric is also measured on real sounds, cut to the same length, and only means something beside that: a real sound
may start at full level, and a set of kicks has its spectral lines near 50 Hz.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from melgan_tf.evaluation.arrays import check_array
from melgan_tf.evaluation.tables import metric

INAUDIBLE_PEAK = 1e-3  # -60 dB of full scale
FULL_SCALE = 0.999
ONSET_LEVEL = 0.1  # of the peak: -20 dB
END_SAMPLES = 16
HUM_HZ = (20.0, 1_000.0)
HUM_NEIGHBORHOOD_HZ = 40.0
HUM_RANGE_DB = 90.0  # below the peak; softer lines are ignored


@dataclass(frozen=True)
class Artifacts:
    """Artifacts of a set of sounds; fractions are of all sounds, the rest is of those that are not silent.

    Attributes:
        silent: fraction with a peak below 0.001 of full scale.
        clipped: fraction with three or more consecutive samples at full scale, of one sign.
        peak: median.
        onset_ms: median time at which a sound first exceeds a tenth of its own peak.
        onset_error_ms: mean shift that would give the onsets the distribution of the real ones.
        dc_offset: mean of the absolute mean, relative to the peak.
        click_begin, click_end: mean of the largest step between samples within 16 samples of either end, from the
            silence outside on, relative to the peak.
        hum_db: how far the strongest line between 20 Hz and 1 kHz common to all sounds rises above its neighborhood.
        hum_hz: its frequency.
    """

    silent: float = metric("silent, fraction")
    clipped: float = metric("clipped, fraction")
    peak: float | None = metric("peak")
    onset_ms: float | None = metric("onset, ms")
    onset_error_ms: float | None = metric("onset error, ms")
    dc_offset: float | None = metric("DC offset, of peak")
    click_begin: float | None = metric("step at the start, of peak")
    click_end: float | None = metric("step at the end, of peak")
    hum_db: float | None = metric("hum, dB")
    hum_hz: float | None = metric("hum at, Hz")

    def beyond(self, real: Artifacts) -> list[str]:
        """What is clearly worse than in real sounds, in words: each by more than sets of real sounds differ."""
        found = []
        for name, factor, margin, text in _AUDIBLE:
            own, other = getattr(self, name), getattr(real, name)
            if own is not None and other is not None and own > factor * other + margin:
                found.append(text.format(own, other))
        return found


#: What counts as audible: field, the factor and the amount by which it exceeds that of real sounds, and its sentence.
_AUDIBLE = (
    ("silent", 1.0, 0.02, "silence in {:.0%} of the sounds (real {:.0%})"),
    ("clipped", 1.0, 0.05, "clipping in {:.0%} of the sounds (real {:.0%})"),
    ("onset_error_ms", 2.0, 0.5, "onsets off by {:.1f} ms (real {:.1f} ms)"),
    ("dc_offset", 3.0, 0.005, "a DC offset of {:.1%} of the peak (real {:.1%})"),
    ("click_begin", 1.5, 0.05, "clicks at the start, {:.0%} of the peak (real {:.0%})"),
    ("click_end", 2.0, 0.02, "clicks at the end, {:.0%} of the peak (real {:.0%})"),
    ("hum_db", 1.0, 3.0, "hum of {:.1f} dB (real {:.1f} dB)"),
)


def measure_artifacts(audio: np.ndarray, sample_rate: int, real: np.ndarray | None = None) -> Artifacts:
    """Measures a set of waveforms.

    Args:
        audio: ``(sounds, samples)``, full scale 1.
        sample_rate: Hz.
        real: real ones at the same rate, for the onset error.

    Raises:
        MelGANError: another rank, no sounds, or a value that is not finite.
    """
    audio = check_array(audio, 2, "waveforms")
    peak = np.abs(audio).max(axis=1)
    audible = peak >= INAUDIBLE_PEAK
    runs = [full[:, :-2] & full[:, 1:-1] & full[:, 2:] for full in (audio >= FULL_SCALE, audio <= -FULL_SCALE)]
    clipped = float((runs[0] | runs[1]).any(axis=1).mean())
    silent = float(1 - audible.mean())
    if not audible.any():
        return Artifacts(silent, clipped, *[None] * (len(dataclasses.fields(Artifacts)) - 2))
    audio, peak = audio[audible], peak[audible]
    sounds = audio / peak[:, None]
    onsets = onset_times(sounds, sample_rate)
    hum_db, hum_hz = hum(sounds, sample_rate)
    return Artifacts(silent, clipped, float(np.median(peak)), float(np.median(onsets)),
                     None if real is None else onset_shift_ms(onsets, _audible_onset_times(real, sample_rate)),
                     float(np.abs(sounds.mean(axis=1)).mean()), float(_first_step(sounds).mean()),
                     float(_first_step(sounds[:, ::-1]).mean()), hum_db, hum_hz)


def onset_times(sounds: np.ndarray, sample_rate: int) -> np.ndarray:
    """The time at which each of ``(sounds, samples)``, without its mean, first exceeds a tenth of its peak, ms."""
    level = np.abs(sounds - sounds.mean(axis=1, keepdims=True))
    return (level > ONSET_LEVEL * level.max(axis=1, keepdims=True)).argmax(axis=1) * 1000 / sample_rate


def onset_shift_ms(fake: np.ndarray, real: np.ndarray) -> float | None:
    """The mean shift that gives onset times the distribution of real ones (Wasserstein-1 distance), ms.

    Examples:
        >>> onset_shift_ms(np.zeros(3), np.full(2, 4.0))
        4.0
    """
    if not len(fake) or not len(real):
        return None
    ranks = (np.arange(1000) + 0.5) / 1000
    quantiles = [np.sort(times)[np.floor(ranks * len(times)).astype(int)] for times in (fake, real)]
    return float(np.abs(quantiles[0] - quantiles[1]).mean())


def hum(sounds: np.ndarray, sample_rate: int) -> tuple[float | None, float | None]:
    """The strongest steady line common to all sounds: mains hum, or a vocoder's trace of its frame rate.

    Searched where drums have died away, in the second half of each sound, from 20 Hz to 1 kHz, in the level in dB
    averaged over all sounds: a line in one sound is a note, a line in every sound is hum. The measure is its level
    above the median of the levels within 40 Hz.

    Args:
        sounds: ``(sounds, samples)`` of peak 1.
        sample_rate: Hz.

    Returns:
        dB and Hz; None for sounds too short (below 0.2 s) to tell.
    """
    tail = sounds[:, sounds.shape[1] // 2:]
    samples = tail.shape[1]
    if samples < 0.1 * sample_rate:
        return None, None
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples)
    length = 4 * samples  # finer than the width of a line, so that none falls between two bins
    level = np.zeros(length // 2 + 1)
    for sound in tail:
        magnitude = np.abs(np.fft.rfft((sound - sound.mean()) * window, length)) * 2 / window.sum()
        level += 20 * np.log10(np.maximum(magnitude, 10 ** (-HUM_RANGE_DB / 20)))
    level /= len(tail)
    width = max(3, round(HUM_NEIGHBORHOOD_HZ * length / sample_rate))
    neighborhood = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(level, width, mode="reflect"),
                                                                         2 * width + 1), axis=1)
    hz = np.arange(len(level)) * sample_rate / length
    searched = (hz >= HUM_HZ[0]) & (hz <= min(HUM_HZ[1], sample_rate / 2))
    excess = np.where(searched, level - neighborhood, -np.inf)
    best = int(excess.argmax())
    return float(excess[best]), float(hz[best])


def _audible_onset_times(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    return onset_times(audio[np.abs(audio).max(axis=1) >= INAUDIBLE_PEAK], sample_rate)


def _first_step(sounds: np.ndarray) -> np.ndarray:
    return np.abs(np.diff(sounds[:, :END_SAMPLES], axis=1, prepend=0.0)).max(axis=1)
