"""Tempo and key of a loop by its sound, where nothing tells them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from melgan_tf.audio.loops import onsets
from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.read import resample

#: Tempos among which to choose, beats per minute.
SLOWEST, FASTEST = 60.0, 200.0
_WHOLE = 0.02  # by which whole numbers may be missed: lengths are whole samples
_NEAR = 0.025  # seconds around a place of the grid
_PADDED = 1 << 17  # steps of 0.08 beats per minute
_MULTIPLES = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 3 / 2, 2, 3, 4)
# What speaks for a tempo, after how much: see `evidence`. A conditional logit, fitted to 1,000 rendered loops of one to
# eight bars, whole (with most weight), with silence at the end, and cut within a bar. Of 510 others it is right for
# 97 % of whole ones and 88 % of those of two bars and more that are not.
_WEIGHTS = np.array([-1.96, -6.01, 3.05, 3.11, -4.21, 6.62, 7.07, 7.64, 1.8, 1.43, -3.34, 2.22, -3.9, 4.66, 0.42, 2.29,
                     -1.08, -5.52, 5.4, 3.36])

# How often the degrees of a key are heard (Albrecht & Shanahan, "The use of large corpora to train a new type of
# key-finding algorithm", Music Perception 31, 2013).
_MAJOR = (.238, .006, .111, .006, .137, .094, .016, .214, .009, .080, .008, .081)
_MINOR = (.220, .006, .104, .123, .019, .103, .012, .214, .062, .022, .061, .052)
_CHROMA_WINDOW, _CHROMA_HOP, _CHROMA_RANGE = 8192, 2048, (60.0, 1000.0)
_TONAL = 0.35  # between drums (0.34 and less for 9 of 10) and notes (0.38 and more for 9 of 10)


def estimate_tempo(samples: np.ndarray, rate: int, meter: int = 4) -> float:
    """The tempo of a loop, beats per minute, between 60 and 200.

    A loop has a whole number of bars: that leaves few tempi, among which rhythm decides. Where one that makes no whole
    bars keeps time much better, the sound ends within a bar.

    Args:
        samples: float32; it starts with a bar.
        rate: Hz.
        meter: beats of a bar.
    """
    rise, seconds = onsets.rises(samples, rate), len(samples) / rate
    tempi, whole = candidates(rise, seconds, meter)
    tempo = float(tempi[np.argmax(evidence(rise, tempi, whole, seconds, meter) @ _WEIGHTS)])
    return float(round(tempo)) if abs(tempo - round(tempo)) < _WHOLE else tempo


def tempo_of_pulse(samples: np.ndarray, rate: int) -> float:
    """The tempo at which a sound beats most, wherever its bars begin and end, beats per minute; octaves are by chance.

    Args:
        samples: float32, not empty.
        rate: Hz.
    """
    return float(_free_tempi()[np.argmax(_pulse(onsets.rises(samples, rate), _free_tempi(), np.abs))])


def candidates(rise: np.ndarray, seconds: float, meter: int) -> tuple[np.ndarray, np.ndarray]:
    """The tempi to choose from, and which of them make whole bars of the sound."""
    bars = np.arange(1, max(1, int(FASTEST * seconds / 60 / meter)) + 1)
    whole = 60 * meter * bars / seconds
    whole = whole[(whole >= SLOWEST) & (whole <= FASTEST)]
    free = _refined(rise, float(_free_tempi()[np.argmax(_pulse(rise, _free_tempi()))]))
    others = [free * multiple for multiple in _MULTIPLES if SLOWEST <= free * multiple <= FASTEST]
    others = [tempo for tempo in others if not np.any(np.abs(whole / tempo - 1) < 0.005)]
    return np.append(whole, others), np.arange(len(whole) + len(others)) < len(whole)


def _refined(rise: np.ndarray, tempo: float) -> float:
    """A tempo found on a coarse grid, exactly; a whole number if one is near."""
    near = tempo * (1 + np.linspace(-0.003, 0.003, 31))
    tempo = float(near[np.argmax(_pulse(rise, near))])
    return float(round(tempo)) if abs(tempo - round(tempo)) < 0.003 * tempo else tempo


@functools.cache
def _free_tempi() -> np.ndarray:
    return SLOWEST * (FASTEST / SLOWEST) ** np.linspace(0, 1, 500)


def _pulse(rise: np.ndarray, tempi: np.ndarray, part: Callable[[np.ndarray], np.ndarray] = np.real) -> np.ndarray:
    """How well rises keep to the beats, eighths and sixteenths of tempi, counted from the start: ``part`` of their
    spectrum; its magnitude, from anywhere."""
    total = rise.sum(axis=1)
    spectrum = part(np.fft.rfft(total - (total.mean() if part is np.abs else 0), max(_PADDED, 2 * len(total))))
    step = onsets.RATE / onsets.HOP * 60 / max(_PADDED, 2 * len(total))  # beats per minute
    sums = [spectrum[np.rint(tempi * parts / step).astype(int)] for parts in (1, 2, 4)]
    return np.array([0.5, 0.7, 1.0]) @ sums / max(float(total.sum()), 1e-9)


def evidence(rise: np.ndarray, tempi: np.ndarray, whole: np.ndarray, seconds: float, meter: int) -> np.ndarray:
    """What speaks for tempi: how usual they are, where on their grids rises are, how these repeat, ``(tempi, 20)``."""
    total, (low, middle, high) = rise.sum(axis=1), rise.T
    spectrum = np.fft.rfft(total - total.mean())
    alike = np.fft.irfft(np.abs(spectrum) ** 2, len(total))
    alike = np.append(alike, alike[0]) / (alike[0] + 1e-9)
    pulse = _pulse(rise, tempi)

    def row(tempo: float, whole: bool, pulse: float) -> list[float]:
        beat = 60 / tempo
        place = np.arange(len(total)) * (onsets.HOP / onsets.RATE) / beat
        usual, bars = np.log2(tempo / 120), seconds / beat / meter

        def share(rises: np.ndarray, step: float, shift: float = 0.0) -> float:
            off = (place - shift + step / 2) % step - step / 2
            return rises[np.abs(off) < _NEAR / beat].sum() / (rises.sum() + 1e-9)

        def repeats(beats: float) -> float:
            lag = beats * beat * onsets.RATE / onsets.HOP
            return np.interp(lag % len(total), np.arange(len(alike)), alike)

        return [usual, usual ** 2, not whole or 2 ** round(np.log2(bars)) == round(bars),
                abs(tempo - round(tempo)) < _WHOLE,
                share(total, 1), share(total, 1, 0.5), share(total, 0.5, 0.25), share(low, 1), share(low, 1, 0.5),
                share(middle, 1), share(middle, 1, 0.5), share(high, 1, 0.5), share(high, 0.5, 0.25),
                repeats(0.5), repeats(1), repeats(2), repeats(0.75), repeats(1 / 3), pulse, whole]

    return np.array([row(*one) for one in zip(tempi, whole, pulse, strict=True)], np.float64)


def estimate_key(samples: np.ndarray, rate: int) -> Key | None:
    """The key of a loop; None if it has hardly any notes.

    Args:
        samples: float32.
        rate: Hz.
    """
    heard, tuned = chroma(samples, rate)
    if not heard.any():
        return None
    keys = [Key(tonic, mode) for mode in ("major", "minor") for tonic in range(12)]
    alike = np.array([np.corrcoef(np.roll(_MAJOR if key.mode == "major" else _MINOR, key.tonic), heard)[0, 1]
                      for key in keys])
    return keys[int(np.argmax(alike))] if alike.max() * tuned > _TONAL else None


def chroma(samples: np.ndarray, rate: int) -> tuple[np.ndarray, float]:
    """How much of every pitch class is heard, ``(12,)`` from C, and which share of all peaks is near a semitone.

    Peaks of the spectrum between 60 and 1000 Hz count, with the square root of their magnitude.

    Args:
        samples: float32, not empty.
        rate: Hz.
    """
    samples = resample(samples, rate, onsets.RATE)
    samples = np.pad(samples, (0, max(0, _CHROMA_WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _CHROMA_WINDOW)[::_CHROMA_HOP]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(_CHROMA_WINDOW).astype(np.float32), axis=1)) + 1e-9
    first, end = (round(hertz * _CHROMA_WINDOW / onsets.RATE) for hertz in _CHROMA_RANGE)
    below2, below, here, above, above2 = (magnitude[:, first + shift:end + shift] for shift in range(-2, 3))
    peak = (here > below) & (here >= above) & (here > below2) & (here >= above2)
    row, column = np.nonzero(peak)
    left, middle, right = (np.log(part[row, column]) for part in (below, here, above))
    offset = 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-9)  # of a parabola through three points
    pitch = 69 + 12 * np.log2((first + column + offset) * (onsets.RATE / _CHROMA_WINDOW) / 440)
    strength = np.sqrt(here[row, column])
    tuned = strength * np.exp(-0.5 * ((pitch - np.round(pitch)) / 0.2) ** 2)
    heard = np.bincount(np.round(pitch).astype(int) % 12, tuned, 12)
    return heard, float(tuned.sum() / (strength.sum() + 1e-9))
