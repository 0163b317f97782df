"""Artifacts of waveforms that an embedding hardly shows: late onset, DC, clicks at the ends, hum, silence, clipping.

Every figure is measured on real sounds too, cut to the same length, and means something only beside that: a real sound
may begin in full swing, and a set of kicks has its lines near 50 Hz.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from melgan_tf.errors import UsageError
from melgan_tf.evaluation.arrays import finite

SILENT_PEAK = 1e-3  # -60 dB of full scale
FULL_SCALE = 0.999
ONSET_SHARE = 0.1  # of the peak: -20 dB
END_SAMPLES = 16
HUM_HZ = (20.0, 1_000.0)
HUM_NEIGHBOURS_HZ = 40.0
HUM_RANGE_DB = 90.0  # below the peak; softer lines count for nothing


def _figure(title: str) -> Any:
    return field(metadata={"title": title})


@dataclass(frozen=True)
class Artifacts:
    """What is wrong with a set of sounds; shares are of all sounds, the rest of those that are not silent.

    Attributes:
        silent: share whose peak is below 0.001 of full scale.
        clipped: share with three or more samples in a row at full scale, of one sign.
        peak: median.
        onset_ms: median time at which a sound first exceeds a tenth of its own peak.
        onset_error_ms: by how much onsets have to be moved, on average, to come as those of the real set do.
        dc_offset: mean of the absolute mean, as a share of the peak.
        click_begin, click_end: mean of the largest step between samples within 16 samples of either end, silence
            outside included, as a share of the peak.
        hum_db: how far the strongest line between 20 Hz and 1 kHz that all sounds share rises above its neighbourhood.
        hum_hz: where it is.
    """

    silent: float = _figure("silent, share")
    clipped: float = _figure("clipped, share")
    peak: float | None = _figure("peak")
    onset_ms: float | None = _figure("onset, ms")
    onset_error_ms: float | None = _figure("onset error, ms")
    dc_offset: float | None = _figure("DC offset, of peak")
    click_begin: float | None = _figure("step at the beginning, of peak")
    click_end: float | None = _figure("step at the end, of peak")
    hum_db: float | None = _figure("hum, dB")
    hum_hz: float | None = _figure("hum at, Hz")


def measure_artifacts(audio: np.ndarray, sample_rate: int, real: np.ndarray | None = None) -> Artifacts:
    """Measures a set of waveforms.

    Args:
        audio: ``(sounds, samples)``, full scale 1.
        sample_rate: Hz.
        real: real ones at the same rate, for the onset error.

    Raises:
        UsageError: ``sample_rate`` below 1.
        MelGANError: another rank, no sounds, or a value that is not finite.
    """
    if sample_rate < 1:
        raise UsageError(f"sample_rate is {sample_rate!r}: give a positive number of Hz")
    audio = finite(audio, 2, "waveforms")
    peak = np.abs(audio).max(axis=1)
    heard = peak >= SILENT_PEAK
    runs = [full[:, :-2] & full[:, 1:-1] & full[:, 2:] for full in (audio >= FULL_SCALE, audio <= -FULL_SCALE)]
    clipped = float((runs[0] | runs[1]).any(axis=1).mean())
    silent = float(1 - heard.mean())
    if not heard.any():
        return Artifacts(silent, clipped, *[None] * (len(dataclasses.fields(Artifacts)) - 2))
    audio, peak = audio[heard], peak[heard]
    sounds = audio / peak[:, None]
    onsets = onset_times(sounds, sample_rate)
    hum_db, hum_hz = hum(sounds, sample_rate)
    return Artifacts(silent, clipped, float(np.median(peak)), float(np.median(onsets)),
                  None if real is None else onset_error(onsets, _onsets_of(real, sample_rate)),
                  float(np.abs(sounds.mean(axis=1)).mean()), float(_step(sounds).mean()),
                  float(_step(sounds[:, ::-1]).mean()), hum_db, hum_hz)


def onset_times(sounds: np.ndarray, sample_rate: int) -> np.ndarray:
    """When each of ``(sounds, samples)``, freed of its mean, first exceeds a tenth of its peak, ms: ``(sounds,)``."""
    level = np.abs(sounds - sounds.mean(axis=1, keepdims=True))
    return (level > ONSET_SHARE * level.max(axis=1, keepdims=True)).argmax(axis=1) * 1000 / sample_rate


def onset_error(made: np.ndarray, real: np.ndarray) -> float | None:
    """The mean distance that made onset times have to be moved to be distributed as real ones (Wasserstein-1), ms.

    Example:
        >>> onset_error(np.array([0.0, 5.0]), np.array([5.0, 0.0, 5.0, 0.0])), onset_error(np.zeros(3), np.full(2, 4.0))
        (0.0, 4.0)
    """
    if not len(made) or not len(real):
        return None
    share = (np.arange(1000) + 0.5) / 1000
    quantiles = [np.sort(times)[np.floor(share * len(times)).astype(int)] for times in (made, real)]
    return float(np.abs(quantiles[0] - quantiles[1]).mean())


def hum(sounds: np.ndarray, sample_rate: int) -> tuple[float | None, float | None]:
    """The strongest steady line that all sounds share: mains, or what a vocoder leaves at its frame rate.

    Looked for where drums have died away, in the second half of each sound, in the mean over all sounds of the level in
    dB (a line in one sound is a note, a line in every sound is hum), at 20 Hz to 1 kHz. It counts by what it exceeds
    the median of the levels within 40 Hz by.

    Args:
        sounds: ``(sounds, samples)`` of peak 1.
        sample_rate: Hz.

    Returns:
        dB and Hz; None where sounds are too short (below 0.2 s) to tell.
    """
    tail = sounds[:, sounds.shape[1] // 2:]
    samples = tail.shape[1]
    if samples < 0.1 * sample_rate:
        return None, None
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples)
    length = 4 * samples  # finer than the lines are wide, so that none falls between two bins
    level = np.zeros(length // 2 + 1)
    for sound in tail:
        magnitude = np.abs(np.fft.rfft((sound - sound.mean()) * window, length)) * 2 / window.sum()
        level += 20 * np.log10(np.maximum(magnitude, 10 ** (-HUM_RANGE_DB / 20)))
    level /= len(tail)
    width = max(3, round(HUM_NEIGHBOURS_HZ * length / sample_rate))
    around = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(level, width, mode="reflect"), 2 * width + 1),
                       axis=1)
    hz = np.arange(len(level)) * sample_rate / length
    looked_at = (hz >= HUM_HZ[0]) & (hz <= min(HUM_HZ[1], sample_rate / 2))
    excess = np.where(looked_at, level - around, -np.inf)
    best = int(excess.argmax())
    return float(excess[best]), float(hz[best])


def _onsets_of(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    audio = finite(audio, 2, "waveforms")
    return onset_times(audio[np.abs(audio).max(axis=1) >= SILENT_PEAK], sample_rate)


def _step(sounds: np.ndarray) -> np.ndarray:
    return np.abs(np.diff(sounds[:, :END_SAMPLES], axis=1, prepend=0.0)).max(axis=1)
