"""Drums made up from tones and noise, of eight classes: no recording is in them.

They teach the drum embedding what differs between drums, so that it need not learn from the recordings that generators
learn from. Each is half a second at 16 kHz; pitch, sweep, decay, brightness and mixture are drawn at random.
"""

from __future__ import annotations

import numpy as np

SAMPLE_RATE, SAMPLES = 16_000, 8_000
_TIME = np.arange(SAMPLES) / SAMPLE_RATE


def made_up_drum(name: str, rng: np.random.Generator) -> np.ndarray:
    """A sound of a class, ``(8000,)`` float32, of peak 1.

    Args:
        name: clap, cymbal, hat, kick, perc, rim, snare or tom.
        rng: what is drawn from.
    """
    sound = _MAKERS[name](rng)
    if rng.random() < 0.3:  # a room
        echo = rng.standard_normal(SAMPLES // 2) * _decay(rng, 0.03, 0.2)[:SAMPLES // 2]
        echo[0] = _log(rng, 5, 60)
        sound = np.fft.irfft(np.fft.rfft(sound, 2 * SAMPLES) * np.fft.rfft(echo, 2 * SAMPLES))[:SAMPLES]
    return (sound / np.abs(sound).max()).astype(np.float32)


def _kick(rng: np.random.Generator) -> np.ndarray:
    body = _sweep(rng, _log(rng, 35, 90), rng.uniform(1, 9), _log(rng, 0.004, 0.06)) * _decay(rng, 0.03, 0.3)
    click = _band(rng, 300, 7_000) * _decay(rng, 0.002, 0.02)
    return np.tanh(rng.uniform(0.6, 4) * body) + rng.uniform(0, 0.5) * click


def _tom(rng: np.random.Generator) -> np.ndarray:
    body = _sweep(rng, _log(rng, 70, 320), rng.uniform(1, 2.2), _log(rng, 0.01, 0.15)) * _decay(rng, 0.06, 0.4)
    return (body + rng.uniform(0, 0.4) * _modes(rng, 3, (150, 1_500), (0.01, 0.1))
            + rng.uniform(0, 0.3) * _band(rng, 200, 5_000) * _decay(rng, 0.003, 0.08))


def _snare(rng: np.random.Generator) -> np.ndarray:
    body = _sweep(rng, _log(rng, 130, 380), rng.uniform(1, 1.8), 0.02) * _decay(rng, 0.02, 0.15)
    wires = _band(rng, _log(rng, 200, 2_500), _log(rng, 3_000, 8_000)) * _decay(rng, 0.03, 0.25)
    return (rng.uniform(0.1, 1) * body + rng.uniform(0.2, 1.2) * wires
            + rng.uniform(0, 0.4) * _modes(rng, 3, (300, 2_500), (0.01, 0.1)))


def _rim(rng: np.random.Generator) -> np.ndarray:
    return (_modes(rng, int(rng.integers(2, 6)), (350, 3_500), (0.003, 0.04))
            + rng.uniform(0, 0.8) * _band(rng, 500, 7_000) * _decay(rng, 0.001, 0.01))


def _clap(rng: np.random.Generator) -> np.ndarray:
    level, start = np.zeros(SAMPLES), 0
    for _ in range(int(rng.integers(2, 6))):
        level[start:] += _decay(rng, 0.003, 0.01)[:SAMPLES - start]
        start += round(rng.uniform(0.006, 0.02) * SAMPLE_RATE)
    level[start:] += _decay(rng, 0.02, 0.15)[:SAMPLES - start]
    return _band(rng, _log(rng, 400, 1_500), _log(rng, 1_800, 6_000)) * level


def _hat(rng: np.random.Generator) -> np.ndarray:
    return _metal(rng, rng.uniform(0, 1), _log(rng, 2_500, 7_000)) * _decay(rng, 0.01, 0.2)


def _cymbal(rng: np.random.Generator) -> np.ndarray:
    return (_metal(rng, rng.uniform(0.2, 1), _log(rng, 300, 4_000)) * _decay(rng, 0.15, 1.2)
            + rng.uniform(0, 0.4) * _modes(rng, 6, (250, 5_000), (0.1, 0.8)))


def _perc(rng: np.random.Generator) -> np.ndarray:
    return (_modes(rng, int(rng.integers(1, 8)), (150, 4_500), (0.01, 0.4))
            + rng.uniform(0, 0.6) * _band(rng, _log(rng, 200, 4_000), 8_000) * _decay(rng, 0.003, 0.15))


_MAKERS = {"clap": _clap, "cymbal": _cymbal, "hat": _hat, "kick": _kick, "perc": _perc, "rim": _rim, "snare": _snare,
           "tom": _tom}


def _log(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _decay(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """An exponential decay with a time constant in seconds."""
    return np.exp(-_TIME / _log(rng, low, high))


def _sweep(rng: np.random.Generator, hz: float, ratio: float, seconds: float) -> np.ndarray:
    """A sine that falls to ``hz`` from ``ratio`` times that."""
    return np.sin(2 * np.pi * np.cumsum(hz * (1 + (ratio - 1) * np.exp(-_TIME / seconds))) / SAMPLE_RATE
                  + rng.uniform(0, 2 * np.pi))


def _modes(rng: np.random.Generator, count: int, hz: tuple[float, float], seconds: tuple[float, float]) -> np.ndarray:
    """Decaying sines of random frequencies."""
    return sum(10 ** -rng.uniform(0, 1.2) * np.sin(2 * np.pi * _log(rng, *hz) * _TIME + rng.uniform(0, 2 * np.pi))
               * _decay(rng, *seconds) for _ in range(count))


def _band(rng: np.random.Generator, low: float, high: float, source: np.ndarray | None = None) -> np.ndarray:
    """Noise, or another source, between two frequencies, with slopes of random steepness."""
    spectrum = np.fft.rfft(rng.standard_normal(SAMPLES) if source is None else source)
    hz = np.maximum(np.fft.rfftfreq(SAMPLES, 1 / SAMPLE_RATE), 1.0)
    gain = (1 + (low / hz) ** rng.uniform(2, 8)) * (1 + (hz / high) ** rng.uniform(2, 8))
    return np.fft.irfft(spectrum / np.sqrt(gain), SAMPLES)


def _metal(rng: np.random.Generator, share: float, low: float) -> np.ndarray:
    """Square waves of inharmonic frequencies, and noise, above a frequency."""
    base = _log(rng, 200, 900)
    waves = sum(np.sign(np.sin(2 * np.pi * base * rng.uniform(1, 4) * _TIME)) for _ in range(6)) / 3
    return _band(rng, low, 8_000, share * waves + rng.uniform(0.1, 1) * rng.standard_normal(SAMPLES))
