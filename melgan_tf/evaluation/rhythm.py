"""How loops keep time and key: where their levels rise on the grid of sixteenths, whether they go on at their ends.

Every value means something beside that of real loops only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melgan_tf.audio.loops import onsets
from melgan_tf.audio.loops.estimate import estimate_key, tempo_of_pulse
from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.loop import Loop
from melgan_tf.evaluation.embeddings.log_mel import log_mels
from melgan_tf.evaluation.tables import metric

#: Sixteenths of a rhythm: two bars of 4/4.
STEPS = 32
_STEPS_PER_BEAT = 4
_NEAR_SECONDS = 0.025
_SEAM_SECONDS = 0.003
_WHOLE_BEATS = 8
_MEL_FRAMES = 512
_SAME_TEMPO = 0.01
_RATIOS = (1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2, 2, 3)


@dataclass(frozen=True)
class LoopMetrics:
    """How a set of loops keeps time and key.

    Attributes:
        tight: share of all rises of level within 25 ms of a sixteenth.
        seam: median of the sharpest bend of a waveform where it repeats, over that where its other beats begin.
        tempo_kept: fraction that beats at the tempo that it should have, or a simple fraction or multiple of it.
        key_heard: fraction that is heard to be in a key, whichever.
        key_kept: of the loops with a key that are heard to have one, the fraction in which it is that key, its
            relative, or one a fifth away; None if there is no such loop.
    """

    tight: float = metric("rises within 25 ms of a sixteenth", "near baseline")
    seam: float = metric("roughness of the seam", "near baseline")
    tempo_kept: float = metric("tempo kept, fraction", "near baseline")
    key_heard: float = metric("heard in a key, fraction", "near baseline")
    key_kept: float | None = metric("key kept, fraction", "near baseline")


def measure_loops(sounds: Sequence[np.ndarray], loops: Sequence[Loop], rate: int) -> LoopMetrics:
    """Measures loops.

    Args:
        sounds: whole loops, float ``(samples,)`` each.
        loops: the tempo, bars and key that each should have.
        rate: Hz.
    """
    pairs = list(zip(sounds, loops, strict=True))
    heard = [estimate_key(sound, rate) for sound in sounds]
    kept = [_has_the_notes(key, loop.key) for key, loop in zip(heard, loops, strict=True)
            if key and loop.key and loop.sources.get("key") != "estimated"]
    return LoopMetrics(float(np.mean([tightness(sound, rate, loop.beats) for sound, loop in pairs])),
                       float(np.median([seam(sound, rate, loop.beats) for sound, loop in pairs])),
                       float(np.mean([tempo_is_kept(sound, rate, loop) for sound, loop in pairs])),
                       float(np.mean([key is not None for key in heard])), float(np.mean(kept)) if kept else None)


def rhythm_vectors(sounds: Sequence[np.ndarray], loops: Sequence[Loop], rate: int) -> np.ndarray:
    """The rhythm of each loop: `rhythm_vector`, ``(loops, 96)``; arguments as for `measure_loops`."""
    return np.stack([rhythm_vector(sound, rate, loop.beats) for sound, loop in zip(sounds, loops, strict=True)])


def rhythm_vector(samples: np.ndarray, rate: int, beats: int) -> np.ndarray:
    """How much of all rises of level is at each sixteenth of two bars, in each of three bands; each band's sum is 1.

    A shorter loop is repeated, of a longer one the first two bars count.

    Args:
        samples: a whole loop.
        rate: Hz.
        beats: of the loop.

    Returns:
        ``(96,)``: low, middle and high band.
    """
    beat = len(samples) / beats
    index = np.arange(round(_WHOLE_BEATS * beat)) % len(samples)
    rise = onsets.clear_rises(samples[index], rate)
    step = np.rint(np.arange(len(rise)) * (STEPS / len(rise))).astype(int) % STEPS
    found = np.stack([np.bincount(step, band, STEPS) for band in rise.T])
    return (found / np.maximum(found.sum(axis=1, keepdims=True), 1e-9)).ravel()


def loop_mels(sounds: Sequence[np.ndarray], loops: Sequence[Loop], rate: int) -> np.ndarray:
    """Log mels of two bars of each loop, with as many frames at every tempo, dB: ``(loops, 512, 64)``.

    Shorter loops are repeated; arguments as for `measure_loops`.
    """
    found = []
    for sound, loop in zip(sounds, loops, strict=True):
        mel = log_mels(np.resize(sound, round(_WHOLE_BEATS * len(sound) / loop.beats))[None], rate)[0]
        found.append(mel[np.rint(np.linspace(0, len(mel) - 1, _MEL_FRAMES)).astype(int)])
    return np.stack(found)


def tightness(samples: np.ndarray, rate: int, beats: int) -> float:
    """The share of all clear rises of level of a loop within 25 ms of a sixteenth."""
    rise = onsets.clear_rises(samples, rate).sum(axis=1)
    step = len(rise) / (_STEPS_PER_BEAT * beats)
    place = np.arange(len(rise)) / step
    near = np.abs(place - np.rint(place)) * step * onsets.CLEAR_HOP / onsets.RATE <= _NEAR_SECONDS
    return float(rise[near].sum() / max(rise.sum(), 1e-9))


def seam(samples: np.ndarray, rate: int, beats: int) -> float:
    """The sharpest bend of the waveform where the loop repeats, over the mean of those where its other beats begin."""
    samples = np.asarray(samples, np.float64)
    bend = np.abs(np.roll(samples, 1) - 2 * samples + np.roll(samples, -1))
    width = max(2, round(_SEAM_SECONDS * rate))
    around = np.arange(-width, width)
    starts = np.rint(np.arange(beats) * len(samples) / beats).astype(int)
    sharpest = bend[(starts[:, None] + around) % len(samples)].max(axis=1)
    return float(sharpest[0] / max(sharpest[1:].mean() if beats > 1 else bend.max(), 1e-6))


def tempo_is_kept(samples: np.ndarray, rate: int, loop: Loop) -> bool:
    """Whether a loop beats most at its own tempo, or at a simple fraction or multiple of it."""
    ratios = tempo_of_pulse(samples, rate) / (loop.bpm * np.array(_RATIOS))
    return bool(np.abs(ratios - 1).min() < _SAME_TEMPO)


def _has_the_notes(heard: Key, wanted: Key) -> bool:
    """Whether it is that key, its relative, or one a fifth away."""
    majors = [(key.tonic + 3 * key.is_minor) % 12 for key in (heard, wanted)]  # of the same notes
    return (majors[0] - majors[1]) % 12 in (0, 5, 7)
