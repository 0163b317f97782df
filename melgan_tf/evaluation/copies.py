"""How near every generated sound is to a training sound, and which are near copies. NumPy.

Near is what held-out real sounds hardly ever are: the threshold is that distance below which only one in a hundred of
them has a training sound. A near copy is below it in both senses: in the class embedding and in log mel. Real sounds
may be near copies of each other (one drum struck twice), so a few are to be expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HELD_OUT_SHARE = 0.01
MOST_NAMED = 20
SAME_DB = 0.01


@dataclass(frozen=True)
class Copy:
    """A generated sound that is nearly a training sound; distances in the embedding and in log mel (dB)."""

    generated: str
    training: str
    embedding: float
    log_mel_db: float


@dataclass(frozen=True)
class Copies:
    """Distances to the nearest training sound.

    Attributes:
        embedding, log_mel_db: medians over the generated sounds.
        real_embedding, real_log_mel_db: medians over held-out real sounds.
        embedding_threshold, log_mel_threshold_db: what counts as near.
        share: of generated sounds that are near copies; ``real_share`` of held-out real ones.
        shared: how many of the held-out real sounds are training sounds themselves; should be none.
        named: the nearest twenty.
    """

    embedding: float
    log_mel_db: float
    real_embedding: float
    real_log_mel_db: float
    embedding_threshold: float
    log_mel_threshold_db: float
    share: float
    real_share: float
    shared: int
    named: tuple[Copy, ...]

    def rows(self) -> list[tuple[str, float, float]]:
        """A table's rows: figure, generated, held-out real."""
        return [("nearest training sound, embedding", self.embedding, self.real_embedding),
                ("nearest training sound, log mel, dB", self.log_mel_db, self.real_log_mel_db),
                ("near copies of training sounds, share", self.share, self.real_share)]


@dataclass(frozen=True)
class Described:
    """A set of sounds in both senses: ``features`` (sounds, d) and ``pictures`` (sounds, frames, bands), dB."""

    features: np.ndarray
    pictures: np.ndarray


def find_copies(fake: Described, real: Described, train: Described, fake_names: Sequence[str],
                train_names: Sequence[str]) -> Copies:
    """Finds near copies.

    Args:
        fake: generated sounds.
        real: held-out real ones, which set the thresholds.
        train: the training sounds.
        fake_names, train_names: what they are called.
    """
    nearest = {}
    for name, own in (("fake", fake), ("real", real)):
        features = distances(own.features, train.features)
        pictures = distances(_flat(own.pictures), _flat(train.pictures)) / np.sqrt(_flat(train.pictures).shape[1])
        nearest[name] = (features, pictures)
    thresholds = [float(np.quantile(found.min(axis=1), HELD_OUT_SHARE)) for found in nearest["real"]]
    pairs, shares = [], {}
    for name, (features, pictures) in nearest.items():
        near = (features <= thresholds[0]) & (pictures <= thresholds[1])
        shares[name] = float(near.any(axis=1).mean())
        if name == "fake":
            best = np.where(near, pictures, np.inf).argmin(axis=1)
            pairs = [Copy(fake_names[i], train_names[j], round(float(features[i, j]), 4),
                          round(float(pictures[i, j]), 3)) for i, j in enumerate(best) if near[i, j]]
    medians = [float(np.median(found.min(axis=1))) for found in (*nearest["fake"], *nearest["real"])]
    pairs.sort(key=lambda pair: (pair.log_mel_db, pair.generated))
    shared = int((nearest["real"][1].min(axis=1) < SAME_DB).sum())
    return Copies(*medians, *thresholds, shares["fake"], shares["real"], shared, tuple(pairs[:MOST_NAMED]))


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances of points ``(n, d)`` and ``(m, d)``, by matrix product: exact to about 1e-6 of their size."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    centre = b.mean(axis=0)
    a, b = a - centre, b - centre
    squares = (a ** 2).sum(axis=1)[:, None] + (b ** 2).sum(axis=1) - 2 * (a @ b.T)
    return np.sqrt(np.maximum(squares, 0.0))


def _flat(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1)
