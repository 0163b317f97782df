"""The distance of every generated sound to its nearest training sound, and which are near copies.

Thresholds come from held-out real sounds: each is the value that only one in a hundred of them stays below. A generated
sound is a near copy of a training sound

* if it is below the distance thresholds both in the class embedding and in log mel, or
* if that training sound stands out: in downsampled mels (64 ms, two bands), the ratio of its distance to that of the
  second nearest training sound is below the threshold. A copy that went through a mel and a vocoder is 2 to 4 dB from
  its original, as far as another stroke of the same drum, and only shows this way: of 288 training sounds copied by a
  vocoder, one in six is found; of held-out sounds, one in a hundred. A fraction of near copies far above that of real
  sounds is the alarm.

Real sounds may be near copies of each other (one drum struck twice), so a few are expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melgan_tf.evaluation.tables import Row, number

HELD_OUT_QUANTILE = 0.01
MAX_NAMED = 20
SAME_DB = 0.01
CELL_FRAMES, CELL_BANDS = 8, 2


@dataclass(frozen=True)
class NearCopy:
    """A generated sound that is nearly a training sound; distances in the embedding and in log mel (dB)."""

    generated: str
    training: str
    embedding: float
    log_mel_db: float


@dataclass(frozen=True)
class Memorization:
    """Distances to the nearest training sound.

    Attributes:
        embedding, log_mel_db: medians over the generated sounds.
        real_embedding, real_log_mel_db: medians over held-out real sounds.
        embedding_threshold, log_mel_threshold_db, standing_out_threshold: what counts as near.
        share: fraction of the generated sounds that are near copies; ``real_share`` that of held-out real ones.
        shared: number of held-out real sounds that are themselves training sounds; should be 0.
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
    named: tuple[NearCopy, ...]

    def rows(self) -> list[Row]:
        """The rows of a table: metric, generated, held-out real."""
        return [("nearest training sound, embedding", number(self.embedding), number(self.real_embedding)),
                ("nearest training sound, log mel, dB", number(self.log_mel_db), number(self.real_log_mel_db)),
                ("near copies of training sounds, fraction", number(self.share), number(self.real_share))]


@dataclass(frozen=True)
class EmbeddedSounds:
    """A set of sounds in both senses: ``features`` (sounds, d) and ``mels`` (sounds, frames, bands), dB."""

    features: np.ndarray
    mels: np.ndarray


def measure_memorization(fake: EmbeddedSounds, real: EmbeddedSounds | None, train: EmbeddedSounds,
                         fake_names: Sequence[str], train_names: Sequence[str]) -> Memorization:
    """Finds near copies.

    Args:
        fake: generated sounds.
        real: held-out real sounds, which set the thresholds; None: each training sound beside all others, where there
            are too few to hold some out.
        train: training sounds.
        fake_names, train_names: their names.
    """
    fake_distances = _Distances.between(fake, train)
    real_distances = _Distances.between(real, train) if real else _Distances.between(train, train, others=True)
    thresholds = [float(np.quantile(values, HELD_OUT_QUANTILE)) for values in
                  (real_distances.features.min(axis=1), real_distances.mels.min(axis=1), real_distances.ratio)]
    near, real_near = fake_distances.near(thresholds), real_distances.near(thresholds)
    named = []
    for i in np.flatnonzero(near.any(axis=1)):
        j = int(np.where(near[i], fake_distances.mels[i], np.inf).argmin())
        named.append(NearCopy(fake_names[i], train_names[j], round(float(fake_distances.features[i, j]), 4),
                              round(float(fake_distances.mels[i, j]), 3)))
    named.sort(key=lambda pair: (pair.log_mel_db, pair.generated))
    medians = [float(np.median(values.min(axis=1))) for one in (fake_distances, real_distances)
               for values in (one.features, one.mels)]
    return Memorization(*medians, *thresholds, float(near.any(axis=1).mean()), float(real_near.any(axis=1).mean()),
                        int((real_distances.mels.min(axis=1) < SAME_DB).sum()), tuple(named[:MAX_NAMED]))


@dataclass(frozen=True)
class _Distances:
    """From some sounds to all training sounds, ``(sounds, train)``; and, in downsampled mels, the index of the nearest
    and the ratio of its distance to the second nearest, ``(sounds,)``."""

    features: np.ndarray
    mels: np.ndarray
    nearest: np.ndarray
    ratio: np.ndarray

    @classmethod
    def between(cls, sounds: EmbeddedSounds, train: EmbeddedSounds, others: bool = False) -> _Distances:
        """``others``: the sounds are the training sounds, each of which is compared with all but itself."""
        features = distances(sounds.features, train.features)
        mels, coarse = (distances(downsample(sounds.mels, *cell), downsample(train.mels, *cell)) for cell in
                        ((1, 1), (CELL_FRAMES, CELL_BANDS)))
        for values in (features, mels, coarse) if others else ():
            np.fill_diagonal(values, np.inf)
        first, second = np.partition(coarse, 1, axis=1)[:, :2].T
        return cls(features, mels, coarse.argmin(axis=1), first / np.maximum(second, SAME_DB))

    def near(self, thresholds: list[float]) -> np.ndarray:
        """Which pairs are near copies: ``(sounds, train)``."""
        near = (self.features <= thresholds[0]) & (self.mels <= thresholds[1])
        near[np.arange(len(near)), self.nearest] |= self.ratio <= thresholds[2]
        return near


def downsample(mels: np.ndarray, frames: int, bands: int) -> np.ndarray:
    """Averages mels ``(sounds, frames, bands)`` over cells; rows whose Euclidean distance is the root mean square
    difference in dB."""
    n, length, height = mels.shape
    frames = min(frames, length)
    whole = mels[:, :length // frames * frames].reshape(n, length // frames, frames, height // bands, bands)
    cells = whole.mean(axis=(2, 4), dtype=np.float32).reshape(n, -1)
    return cells / np.sqrt(cells.shape[1])


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances of points ``(n, d)`` and ``(m, d)`` by matrix product: exact to about 1e-6 of their size."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    center = b.mean(axis=0)
    a, b = a - center, b - center
    squares = (a ** 2).sum(axis=1)[:, None] + (b ** 2).sum(axis=1) - 2 * (a @ b.T)
    return np.sqrt(np.maximum(squares, 0.0))
