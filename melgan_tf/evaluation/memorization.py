"""How near every generated sound is to a training sound, and which are near copies. NumPy.

What counts as near is what held-out real sounds hardly ever are: each threshold is that value which only one in a
hundred of them stays below. A generated sound is a near copy of a training sound

* if it is below the threshold of distance both in the class embedding and in log mel, or
* if that training sound stands out: blurred (64 ms, two bands), its distance as a share of the distance to the next
  training sound is below the threshold. A copy that went through a mel and a vocoder is 2 to 4 dB from its original,
  as far as another stroke of the same drum, and shows only so: of 288 training sounds copied by a vocoder one in six is
  found, of held-out sounds one in a hundred. A share of near copies far above that of real sounds is the alarm.

Real sounds may be near copies of each other (one drum struck twice), so a few are to be expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HELD_OUT_SHARE = 0.01
MAX_NAMED = 20
SAME_DB = 0.01
BLUR_FRAMES, BLUR_BANDS = 8, 2


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
        embedding_threshold, log_mel_threshold_db, standing_out_threshold: what counts as near.
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
    standing_out_threshold: float
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
    found = {"fake": _nearness(fake, train), "real": _nearness(real, train)}
    limits = [float(np.quantile(values, HELD_OUT_SHARE)) for values in
              (found["real"].features.min(axis=1), found["real"].pictures.min(axis=1), found["real"].standing_out)]
    near = {name: own.near(limits) for name, own in found.items()}
    pairs = []
    for i, row in enumerate(near["fake"]):
        if row.any():
            j = int(np.where(row, found["fake"].pictures[i], np.inf).argmin())
            pairs.append(Copy(fake_names[i], train_names[j], round(float(found["fake"].features[i, j]), 4),
                              round(float(found["fake"].pictures[i, j]), 3)))
    pairs.sort(key=lambda pair: (pair.log_mel_db, pair.generated))
    medians = [float(np.median(values.min(axis=1))) for own in found.values()
               for values in (own.features, own.pictures)]
    return Copies(*medians, *limits, *(float(own.any(axis=1).mean()) for own in near.values()),
                  int((found["real"].pictures.min(axis=1) < SAME_DB).sum()), tuple(pairs[:MAX_NAMED]))


@dataclass(frozen=True)
class _Nearness:
    """Distances of some sounds to all training sounds ``(sounds, train)``; the nearest one when blurred, and its
    distance as a share of the next one's, ``(sounds,)``."""

    features: np.ndarray
    pictures: np.ndarray
    nearest: np.ndarray
    standing_out: np.ndarray

    def near(self, limits: list[float]) -> np.ndarray:
        """Which pairs are near copies: ``(sounds, train)``."""
        near = (self.features <= limits[0]) & (self.pictures <= limits[1])
        near[np.arange(len(near)), self.nearest] |= self.standing_out <= limits[2]
        return near


def _nearness(some: Described, train: Described) -> _Nearness:
    features = distances(some.features, train.features)
    pictures, blurred = (distances(blur(some.pictures, *size), blur(train.pictures, *size)) for size in
                         ((1, 1), (BLUR_FRAMES, BLUR_BANDS)))
    first, second = np.partition(blurred, 1, axis=1)[:, :2].T
    return _Nearness(features, pictures, blurred.argmin(axis=1), first / np.maximum(second, SAME_DB))


def blur(pictures: np.ndarray, frames: int, bands: int) -> np.ndarray:
    """Pictures ``(sounds, frames, bands)`` averaged over cells, as rows whose Euclidean distance is the root mean
    square difference, dB."""
    n, length, height = pictures.shape
    frames = min(frames, length)
    whole = pictures[:, :length // frames * frames].reshape(n, length // frames, frames, height // bands, bands)
    rows = whole.mean(axis=(2, 4), dtype=np.float32).reshape(n, -1)
    return rows / np.sqrt(rows.shape[1])


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances of points ``(n, d)`` and ``(m, d)``, by matrix product: exact to about 1e-6 of their size."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    centre = b.mean(axis=0)
    a, b = a - centre, b - centre
    squares = (a ** 2).sum(axis=1)[:, None] + (b ** 2).sum(axis=1) - 2 * (a @ b.T)
    return np.sqrt(np.maximum(squares, 0.0))
