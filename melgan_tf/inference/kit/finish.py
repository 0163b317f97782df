"""From a model's sound to a sample of a kit: no DC, from onset to natural end, softer and darker; and its measures.

NumPy only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from melgan_tf.audio.edit import fade_out, onset_sample
from melgan_tf.dsp.brightness import brightness_hz
from melgan_tf.dsp.loudness import gain_to, loudness

#: Peak of the loudest sample of a kit: -1 dB of full scale.
PEAK = 10 ** (-1 / 20)
#: Level and treble of a hit of no velocity; layers lie between that and the sound itself.
SOFTEST_DB, DARKEST_DB = -6.0, -15.0

_LOWEST_HZ = 8.0
_LOWEST_PITCH_HZ, _HIGHEST_PITCH_HZ = 50.0, 800.0
_SPECTRUM = 1 << 16
_BLOCK_SECONDS = 0.01
_CORNER = 0.7  # of the brightness: what is above becomes softer
_END_DB = -50.0  # below the loudest 10 ms: what follows is not heard
_BEFORE_ONSET_SECONDS = 0.001
_FADE_SECONDS = 0.02
_CUT_FADE = 0.3  # of the length, where the model's clip ends before the sound does


@dataclass(frozen=True)
class Hit:
    """How a kit plays a sound.

    Attributes:
        kit: name of the kit.
        pad: what the pad plays.
        note: of the pad, a MIDI number.
        softness: 0, as the model makes it, to 1.
        lufs: loudness after ITU-R BS.1770.
    """

    kit: str
    pad: str
    note: int
    softness: float
    lufs: float

    def played(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """What a model made ``(samples,)``, as it is in the kit."""
        samples = softened(trimmed(samples, sample_rate), sample_rate, self.softness)
        gain = gain_to(self.lufs, loudness(samples, sample_rate), float(np.abs(samples).max()), PEAK)
        return (samples * gain).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, which `from_json` reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Hit:
        """The inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: the values are of nothing like it.
        """
        hit = cls(str(values["kit"]), str(values["pad"]), int(values["note"]), float(values["softness"]),
                  float(values["lufs"]))
        if not (0 <= hit.note < 128 and 0 <= hit.softness <= 1 and -200 <= hit.lufs <= 0):
            raise ValueError(f"a hit of {hit.note}, {hit.softness}, {hit.lufs}")
        return hit


def trimmed(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """A sound without DC, from its onset to its end; one that the model's clip cuts off is faded out for longer."""
    samples = samples - np.median(samples)  # a constant offset does not become a thump
    samples = samples - _low_passed(samples, sample_rate, _LOWEST_HZ)
    samples = samples[max(0, onset_sample(samples) - round(_BEFORE_ONSET_SECONDS * sample_rate)):]
    block = block_samples(sample_rate)
    end = (int(np.flatnonzero(levels_db(samples, sample_rate) >= _END_DB)[-1]) + 1) * block
    cut = end > len(samples) - block
    fade = _CUT_FADE * len(samples) / sample_rate if cut else _FADE_SECONDS
    return fade_out(samples[:end + round(_FADE_SECONDS * sample_rate)], fade, sample_rate)


def softened(samples: np.ndarray, sample_rate: int, softness: float) -> np.ndarray:
    """A sound ``(samples,)`` as if hit more softly, from 0, as it is, to 1: its upper half darker. The level stays."""
    if not softness:
        return samples
    rest, corner = 10 ** (DARKEST_DB * softness / 20), _CORNER * brightness_hz(samples, sample_rate)
    return rest * samples + (1 - rest) * _low_passed(samples, sample_rate, corner)


def _low_passed(samples: np.ndarray, sample_rate: int, hz: float) -> np.ndarray:
    """A filter of first order, which does not ring before the sound; its gain at 0 Hz is 1."""
    size, pole = 2 * len(samples), np.exp(-2 * np.pi * hz / sample_rate)
    response = (1 - pole) / (1 - pole * np.exp(-2j * np.pi * np.fft.rfftfreq(size)))
    return np.fft.irfft(np.fft.rfft(samples.astype(np.float64), size) * response, size)[:len(samples)]


def levels_db(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """The root mean square of each 10 ms ``(blocks,)``, dB below the loudest of them."""
    size = block_samples(sample_rate)
    blocks = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size).astype(np.float64)
    power = np.mean(blocks ** 2, axis=1)
    return 10 * np.log10(np.maximum(power, 1e-20) / max(power.max(), 1e-20))


def block_samples(sample_rate: int) -> int:
    """The number of samples in 10 ms."""
    return max(1, round(_BLOCK_SECONDS * sample_rate))


def decay_seconds(samples: np.ndarray, sample_rate: int, fall_db: float = 20.0) -> float:
    """The time from the loudest moment until the sound stays more than ``fall_db`` softer.

    Examples:
        >>> time = np.arange(8_000) / 8_000
        >>> round(decay_seconds(10 ** (-2 * time) * np.sin(800 * np.pi * time), 8_000), 1)  # 40 dB a second
        0.5
    """
    levels = levels_db(samples, sample_rate)
    return float(np.flatnonzero(levels >= -fall_db)[-1] - levels.argmax()) * _BLOCK_SECONDS


def drum_pitch_hz(samples: np.ndarray, sample_rate: int) -> float:
    """The strongest partial between 50 and 800 Hz.

    Examples:
        >>> round(drum_pitch_hz(np.sin(2 * np.pi * 180 * np.arange(8_000) / 8_000), 8_000))
        180
    """
    power = np.abs(np.fft.rfft(samples * np.hanning(2 * len(samples))[len(samples):], _SPECTRUM))
    hz = np.fft.rfftfreq(_SPECTRUM, 1 / sample_rate)
    return float(hz[np.argmax(np.where((hz >= _LOWEST_PITCH_HZ) & (hz <= _HIGHEST_PITCH_HZ), power, 0.0))])
