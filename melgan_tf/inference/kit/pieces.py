"""The sounds of a kit: chosen, encoded from the user's own, varied for round robins, and put in order."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from melgan_tf.inference.batches import BATCH
from melgan_tf.inference.kit.choose import Candidates, choose, draw
from melgan_tf.inference.kit.finish import decay_seconds, drum_pitch_hz, trimmed
from melgan_tf.inference.kit.plan import Pad
from melgan_tf.inference.kit.style import styled
from melgan_tf.inference.recipe import Recipe
from melgan_tf.progress import Progress

if TYPE_CHECKING:
    from melgan_tf.inference.encode import Encoding
    from melgan_tf.inference.sound_model import SoundModel

_TURN_INTENSITY = 0.08  # of round robins: about 1 dB from the first


@dataclass(frozen=True)
class Piece:
    """What a pad plays.

    Attributes:
        recipes: of each turn.
        made: of each turn, ``(samples,)``, as the model makes it.
        mels: of each turn, ``(frames, mel_bins)``.
        sample_rate: Hz.
        encoding: of the recording that it starts from, if any.
    """

    recipes: Sequence[Recipe]
    made: Sequence[np.ndarray]
    mels: Sequence[np.ndarray]
    sample_rate: int
    encoding: Encoding | None = None

    @functools.cached_property
    def hits(self) -> list[np.ndarray]:
        """Of each turn, without DC and from onset to end, at the level that the model makes."""
        return [trimmed(samples, self.sample_rate) for samples in self.made]

    @property
    def decay_seconds(self) -> float:
        """See `melgan_tf.inference.kit.finish.decay_seconds`."""
        return decay_seconds(self.hits[0], self.sample_rate)

    @property
    def pitch_hz(self) -> float:
        """See `melgan_tf.inference.kit.finish.drum_pitch_hz`."""
        return drum_pitch_hz(self.hits[0], self.sample_rate)


def make_pieces(model: SoundModel, pads: Sequence[Pad], seed: int, style_from: Sequence[str | Path], turns: int,
                progress: Progress) -> list[Piece]:
    """One for each pad, of ``turns`` sounds each."""
    labels = {pad.label for pad in pads}
    with progress.task("choosing", len(labels), "classes") as advance:
        @functools.cache
        def candidates(label: str) -> Candidates:
            found = draw(model, label, seed)
            advance(1)
            return found

        recipes = choose(pads, candidates)
    encodings = styled(model, pads, style_from, candidates, seed, progress) if style_from else {}
    starts = [encodings[pad.number].recipe if pad.number in encodings else recipe
              for pad, recipe in zip(pads, recipes, strict=True)]
    rows = [[start, *(start.vary(_TURN_INTENSITY, direction) for direction in range(turns - 1))] for start in starts]
    made = _rendered(model, [recipe for row in rows for recipe in row], progress)
    rate = model.config.audio.sample_rate
    pieces = []
    for number, (pad, row) in enumerate(zip(pads, rows, strict=True)):
        turn = slice(number * turns, (number + 1) * turns)
        pieces.append(Piece(row, made["audio"][turn], made["mel"][turn], rate, encodings.get(pad.number)))
    return in_order(pads, pieces)


def _rendered(model: SoundModel, recipes: Sequence[Recipe], progress: Progress) -> dict[str, np.ndarray]:
    parts = []
    with progress.task("generating", len(recipes), "sounds") as advance:
        for first in range(0, len(recipes), BATCH):
            parts.append(model.render(recipes[first:first + BATCH]))
            advance(len(parts[-1]["audio"]))
    return {name: np.concatenate([part[name] for part in parts]) for name in ("audio", "mel")}


def in_order(pads: Sequence[Pad], pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces, exchanged among the pads of a class so that toms rise in pitch and open hats are the longest."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, pad in enumerate(pads):
        if pad.choice in _MEASURES:
            groups[pad.label, _MEASURES[pad.choice].__name__].append(index)
    ordered = list(pieces)
    for indices in groups.values():
        measure = _MEASURES[pads[indices[0]].choice]
        for index, piece in zip(indices, sorted((pieces[index] for index in indices), key=measure), strict=True):
            ordered[index] = piece
    return ordered


def _decay(piece: Piece) -> float:
    return piece.decay_seconds


def _pitch(piece: Piece) -> float:
    return piece.pitch_hz


_MEASURES: dict[str, Callable[[Piece], float]] = {
    "shortest": _decay, "longest": _decay, "low": _pitch, "middle": _pitch, "high": _pitch}
