"""Choosing among sounds: the most different ones, those that keep away from others, and each only once.

Distances are Euclidean, in both embeddings of the evaluation side by side: the class embedding, which knows drums from
their first half second, and the log-mel statistics, which know every sound. Both weigh alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melgan_tf.audio.delivery import ended
from melgan_tf.audio.edit import is_silent
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.evaluation.compare import DUPLICATE_RADIUS, MAX_SOUNDS, resampled
from melgan_tf.evaluation.embeddings import log_mel
from melgan_tf.evaluation.embeddings.drums import FEATURES, DrumEmbedding
from melgan_tf.evaluation.memorization import HELD_OUT_QUANTILE, distances
from melgan_tf.evaluation.metrics import diversity
from melgan_tf.evaluation.sounds import load_sound_set
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.progress import Progress

#: Sounds to choose from for each that is chosen.
CANDIDATES = 8

#: The most isolated of the candidates, as a fraction, are not chosen: what is most different from all is a fault.
OUTLIERS = 0.05

_AT_ONCE = 128


@dataclass(frozen=True)
class Choice:
    """Sounds of a seed that were chosen.

    Attributes:
        indices: of the chosen sounds, rising.
        candidates: how many there were to choose from.
        near: how many of them were too near to a sound that is to be avoided.
    """

    indices: tuple[int, ...]
    candidates: int
    near: int = 0


def choose(model: SoundModel, count: int, *, seed: int = 0, label: str | None = None, candidates: int | None = None,
           diverse: bool = True, avoid: str | Path | None = None, progress: Progress | None = None) -> Choice:
    """Chooses among the first sounds of a seed; see `melgan_tf.api.choose`."""
    candidates = candidates or min(MAX_SOUNDS, CANDIDATES * count)
    if not count <= candidates <= MAX_SOUNDS:
        raise UsageError(f"{count} of {candidates} sounds: give {count} to {MAX_SOUNDS} candidates")
    progress = progress or Progress()
    raw, silent, rate, samples = _candidates(model, candidates, seed, label, progress)
    usable, centers = ~silent, np.empty((0, raw.shape[1]))
    points, = standardized(raw)
    if avoid is not None:
        theirs = load_sound_set(avoid, rate, samples / rate + 0.1, progress)
        centers, points = standardized(describe(resampled(theirs.audio, rate, rate, samples), rate), raw)
        usable &= ~near(points, centers)
    close = int((~silent & ~usable).sum())
    if usable.sum() < count:
        raise MelGANError(f"only {usable.sum()} of {candidates} sounds are left to choose {count} from: give fewer "
                          "sounds, or more candidates")
    if diverse:
        calm = usable & ~isolated(points)
        usable = calm if calm.sum() >= count else usable
    found = np.flatnonzero(usable)
    if diverse:
        found = found[farthest(points[found], count, centers)]
    return Choice(tuple(sorted(map(int, found[:count]))), candidates, close)


def _candidates(model: SoundModel, count: int, seed: int, label: str | None, progress: Progress
                ) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Descriptions, which are silent, sample rate and samples of each."""
    network, wanted = DrumEmbedding(), model.label(label)
    found, silent = [], []
    with progress.task("choosing", count, "sounds") as advance:
        for first in range(0, count, _AT_ONCE):
            made = model.sampler.generate(seed, min(_AT_ONCE, count - first), first, advance, wanted)["audio"]
            audio = np.stack([ended(samples, model.config.audio.sample_rate) for samples in made])
            found.append(describe(audio, model.config.audio.sample_rate, network))
            silent += [is_silent(samples) for samples in audio]
    return np.concatenate(found), np.array(silent), model.config.audio.sample_rate, audio.shape[1]


def describe(audio: np.ndarray, sample_rate: int, network: DrumEmbedding | None = None) -> np.ndarray:
    """Waveforms ``(sounds, samples)`` by the network and by log-mel statistics: ``(sounds, 92)``."""
    network = network or DrumEmbedding()
    return np.concatenate([network.embed(audio, sample_rate), log_mel.embed_waveforms(audio, sample_rate)], axis=1)


def standardized(reference: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Points of descriptions in which both embeddings weigh alike; statistics are scaled by those of the first set."""
    parts = log_mel.standardize(*(one[:, FEATURES:] for one in (reference, *others)))
    return [np.concatenate([one[:, :FEATURES] / np.sqrt(FEATURES), part / np.sqrt(part.shape[1])], axis=1)
            for one, part in zip((reference, *others), parts, strict=True)]


def near(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which points are too near to one of some others.

    That is, nearer than 99 of 100 of the others are to each other: the threshold of near copies in
    `melgan_tf.evaluation.memorization`, with the others themselves as the held-out sounds. A few others that are far
    from each other would forbid everything between them: so the distance is at most what half of the points keep from
    each other, and at least the radius of near duplicates.
    """
    theirs = _nearest(others, HELD_OUT_QUANTILE)
    threshold = max(DUPLICATE_RADIUS * diversity(points), min(theirs, _nearest(points, 0.5)))
    return distances(points, others).min(axis=1) <= threshold


def _nearest(points: np.ndarray, quantile: float) -> float:
    """A quantile of the distances from points to their nearest neighbors; 0 for a single point."""
    among = distances(points, points)
    np.fill_diagonal(among, np.inf)
    return float(np.quantile(among.min(axis=1), quantile)) if len(points) > 1 else 0.0


def unique(points: np.ndarray) -> np.ndarray:
    """The indices of points ``(n, d)`` without the near duplicates of earlier ones, as `evaluate` counts them."""
    radius, kept = DUPLICATE_RADIUS * diversity(points), np.zeros(len(points), bool)
    for index, point in enumerate(points):
        kept[index] = not (np.linalg.norm(points[kept] - point, axis=1) <= radius).any()
    return np.flatnonzero(kept)


def isolated(points: np.ndarray, k: int = 5) -> np.ndarray:
    """Which points have their k-th nearest neighbor farther away than 95 of 100 have."""
    radii = np.partition(distances(points, points), min(k, len(points) - 1), axis=1)[:, min(k, len(points) - 1)]
    return radii > np.quantile(radii, 1 - OUTLIERS)


def farthest(points: np.ndarray, count: int, centers: np.ndarray) -> np.ndarray:
    """Chooses points, each the farthest from those before it.

    Args:
        points: ``(n, d)``.
        count: how many, at most n.
        centers: ``(m, d)``, points to be far from as well; without any, the first is the most ordinary point.

    Returns:
        Their indices, in the order in which they were chosen.

    Reference: Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985).

    Examples:
        >>> farthest(np.array([[0.0], [1.0], [9.0]]), 3, np.empty((0, 1))).tolist()
        [1, 2, 0]
    """
    far = distances(points, centers).min(axis=1) if len(centers) else -np.linalg.norm(
        points - np.median(points, axis=0), axis=1)
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(int(far.argmax()))
        new = np.linalg.norm(points - points[chosen[-1]], axis=1)
        far = new if len(chosen) == 1 and not len(centers) else np.minimum(far, new)
        far[chosen] = -np.inf
    return np.array(chosen)
