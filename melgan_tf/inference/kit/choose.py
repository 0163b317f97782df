"""Which of a model's sounds a pad gets: many are made, and the best by measure are taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from melgan_tf.audio.edit import is_silent
from melgan_tf.errors import MelGANError
from melgan_tf.inference.kit.finish import decay_seconds, drum_pitch_hz, levels_db
from melgan_tf.inference.kit.plan import Pad
from melgan_tf.inference.recipe import Recipe

if TYPE_CHECKING:
    from melgan_tf.inference.sound_model import SoundModel

#: Sounds of each class among which the pads choose.
CANDIDATES = 32

_RANGE_DB = 60.0  # below the loudest value of a mel; nothing softer is compared
_CLEAN_END_DB, _END_SCALE_DB = -40.0, 10.0  # a sound that ends louder, and louder than others, was cut off


@dataclass(frozen=True)
class Candidates:
    """Sounds of one class.

    Attributes:
        recipes: of each.
        audio: ``(sounds, samples)``.
        features: ``(sounds, features)``: mean spectrum and envelope, dB.
        scores: ``(sounds,)``: how far it is from a typical sound that ends well; infinite for silence.
        sample_rate: Hz.
    """

    recipes: Sequence[Recipe]
    audio: np.ndarray
    features: np.ndarray
    scores: np.ndarray
    sample_rate: int

    @property
    def good(self) -> np.ndarray:
        """The best three quarters, the best first."""
        order = np.argsort(self.scores, kind="stable")
        return order[:max(1, 3 * int(np.isfinite(self.scores).sum()) // 4)]


def draw(model: SoundModel, label: str, seed: int) -> Candidates:
    """The sounds that `melgan-tf generate --label LABEL --seed SEED` makes first.

    Raises:
        MelGANError: all are silent.
    """
    made = model.sampler.generate(seed, CANDIDATES, label=model.label(label or None))
    rate = model.config.audio.sample_rate
    features = describe(model, made["mel"])
    distances = np.abs(features - np.median(features, axis=0)).mean(axis=1)
    ends = np.array([levels_db(samples, rate)[-3:-1].max() for samples in made["audio"]])
    louder = np.maximum(0, ends - max(_CLEAN_END_DB, np.median(ends)))
    scores = distances / max(np.median(distances), 1e-9) + louder / _END_SCALE_DB
    scores[[is_silent(samples) for samples in made["audio"]]] = np.inf
    if not np.isfinite(scores).any():
        raise MelGANError(f"the first {CANDIDATES} sounds {f'of class {label!r} ' * bool(label)}are silent: train the "
                          "model for longer, or give another seed")
    return Candidates([model.recipe(seed, index, label or None) for index in range(CANDIDATES)], made["audio"],
                      features, scores, rate)


def describe(model: SoundModel, mel: np.ndarray) -> np.ndarray:
    """Mels ``(sounds, frames, mel_bins)`` -> spectra and envelopes ``(sounds, mel_bins + frames)``, dB."""
    levels = model.sampler.decibels(mel)
    levels = np.maximum(levels - levels.max(axis=(1, 2), keepdims=True), -_RANGE_DB)
    return np.concatenate([levels.mean(axis=1), levels.mean(axis=2)], axis=1)


def choose(pads: Sequence[Pad], candidates: Callable[[str], Candidates]) -> list[Recipe]:
    """The recipe of each pad's sound.

    Pads of the same label have different sounds, and toms rise in pitch. ``candidates`` is called once for each label.
    """
    chosen: dict[int, Recipe] = {}
    groups: dict[str, list[Pad]] = defaultdict(list)
    for pad in pads:
        groups[pad.label].append(pad)
    for label, group in groups.items():
        found = candidates(label)
        taken: list[int] = []
        for pad in group:
            taken.append(_CHOICES[pad.choice](found, taken))
            chosen[pad.number] = found.recipes[taken[-1]]
    return [chosen[pad.number] for pad in pads]


def _typical(found: Candidates, taken: list[int]) -> int:
    """The best; then the one that differs most from those that are taken."""
    if not taken:
        return int(found.good[0])
    distances = np.abs(found.features[found.good][:, None] - found.features[taken]).mean(axis=2).min(axis=1)
    return int(found.good[distances.argmax()])


def _by_decay(shortest: bool) -> Callable[[Candidates, list[int]], int]:
    def pick(found: Candidates, taken: list[int]) -> int:
        free = _free(found.good, taken)
        decays = np.array([decay_seconds(found.audio[index], found.sample_rate) for index in free])
        return int(free[decays.argmin() if shortest else decays.argmax()])

    return pick


def _by_pitch(share: float) -> Callable[[Candidates, list[int]], int]:
    def pick(found: Candidates, taken: list[int]) -> int:
        best: dict[int, int] = {}  # of each semitone, so that no two toms have one pitch
        for index in found.good:
            best.setdefault(round(12 * np.log2(drum_pitch_hz(found.audio[index], found.sample_rate))), int(index))
        rising = [best[semitone] for semitone in sorted(best)]
        free = [index for index in rising if index not in taken]
        if not free:
            return int(_free(found.good, taken)[0])
        return min(free, key=lambda index: abs(rising.index(index) - share * (len(rising) - 1)))

    return pick


def _free(indices: np.ndarray, taken: list[int]) -> np.ndarray:
    return left if len(left := indices[~np.isin(indices, taken)]) else indices


_CHOICES: dict[str, Callable[[Candidates, list[int]], int]] = {
    "typical": _typical, "shortest": _by_decay(True), "longest": _by_decay(False),
    "low": _by_pitch(0.1), "middle": _by_pitch(0.5), "high": _by_pitch(0.9)}
