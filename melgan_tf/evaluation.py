"""Figures of merit that need no trained judge: generated sounds against real ones, beside a real-vs-real floor.

Every figure compares two sets of points, one point per sound, in the log-mel statistics embedding of :func:`embed`. No
figure says anything by itself: read it beside the floor, the same figure for two disjoint sets of as many real sounds.
:func:`evaluate` does all of it, in NumPy.

Reference:
    Fréchet distance: Heusel et al. 2017, arXiv:1706.08500. Precision and recall: Kynkäänniemi et al. 2019,
    arXiv:1904.06991, equations 1 and 2. Density and coverage: Naeem et al. 2020, arXiv:2002.09797, section 3. They
    use the features of a trained network; here the embedding is another, so no number compares with a published one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from melgan_tf.errors import MelGANError, UsageError

EMBEDDING = "log-mel-statistics-1"  # changes whenever the numbers that `embed` returns change
SPECTRUM_SHAPES, MOVEMENT_SHAPES, ENVELOPE_SHAPES = 12, 6, 6
DYNAMIC_RANGE_DB = 80.0
MIN_DEVIATION_DB = 0.1
DUPLICATE_SHARE = 0.05  # of the mean distance between two real sounds
FEW_SOUNDS, MOST_SOUNDS = 100, 5_000

Better = Literal["lower", "higher", "near the floor"]


def _figure(title: str, better: Better) -> Any:
    return field(metadata={"title": title, "better": better})


@dataclass(frozen=True)
class Figures:
    """One set of sounds against real ones; the functions below explain each figure.

    Spread and nearest are ratios to the spread of the real sounds; duplicates are nearer than 5 % of that.
    """

    frechet: float = _figure("Fréchet distance", "lower")
    precision: float = _figure("precision", "higher")
    recall: float = _figure("recall", "higher")
    density: float = _figure("density", "higher")
    coverage: float = _figure("coverage", "higher")
    spread: float = _figure("spread, ratio to real", "near the floor")
    nearest: float = _figure("distance to nearest real", "near the floor")
    duplicates: float = _figure("near duplicates", "lower")


@dataclass(frozen=True)
class Report:
    """What :func:`evaluate` found.

    Attributes:
        generated: the generated sounds against the first half of the reference.
        floor: as many real sounds, from the other half, against the same first half.
        sounds: how many sounds each compared set has; ``fake_sounds`` and ``reference_sounds`` were given.
        seed, k: as given to :func:`evaluate`.
        embedding: name and version of the embedding.
        floor_db: level that everything softer was raised to.
    """

    generated: Figures
    floor: Figures
    sounds: int
    fake_sounds: int
    reference_sounds: int
    seed: int
    k: int
    embedding: str
    floor_db: float

    @property
    def conclusion(self) -> str:
        """One plain sentence, the worst news first; it begins with "collapsed" where the sounds are too much alike."""
        sentence = _judge(self.generated, self.floor)
        return sentence if self.sounds >= FEW_SOUNDS else f"{sentence}; only {self.sounds} sounds, so figures are rough"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values, the conclusion included."""
        return {**dataclasses.asdict(self), "conclusion": self.conclusion}

    def rows(self) -> list[tuple[str, float, float, Better]]:
        """A table's rows: figure, generated, real-vs-real floor, and which way is better."""
        return [(figure.metadata["title"], getattr(self.generated, figure.name), getattr(self.floor, figure.name),
                 figure.metadata["better"]) for figure in dataclasses.fields(Figures)]


def evaluate(fake_mel_db: np.ndarray, reference_mel_db: np.ndarray, seed: int = 0, k: int = 5) -> Report:
    """Compares generated sounds with real ones, and real ones with real ones at the same count.

    The reference is dealt at random into two disjoint halves. With ``n = min(fake, reference // 2, 5000)``, n generated
    sounds against the first n of half A give the figures, the first n of half B against the same sounds the floor:
    figures of this kind depend on n. Real sounds that are near copies of each other (one drum struck twice) fall into
    both halves and make the floor better than an honest generator can be; that is said here, not corrected.

    Compare like with like: mels analysed from generated waveforms against mels analysed from real ones.

    Args:
        fake_mel_db, reference_mel_db: generated and real sounds ``(sounds, frames, mel_bins)``, dB, as for
            :func:`embed`; best real ones that training has not seen.
        seed: decides the halves, 0 or more.
        k: which nearest neighbour bounds a sound's neighbourhood; 5 as in Naeem et al.

    Raises:
        UsageError: ``k`` or ``seed`` out of range.
        MelGANError: fewer than ``2 (k + 1)`` real or ``k + 1`` generated sounds, shapes that differ, values that are
            not finite, or real sounds that are all alike.
    """
    fake, reference = _finite(fake_mel_db, 3, "generated mels"), _finite(reference_mel_db, 3, "reference mels")
    if fake.shape[1:] != reference.shape[1:]:
        raise MelGANError(f"generated mels have (frames, bins) {fake.shape[1:]}, reference mels {reference.shape[1:]}: "
                          "make both with one configuration")
    if k < 1 or seed < 0:
        raise UsageError(f"k is {k} and seed is {seed}: give 1 or more and 0 or more")
    for name, given, least in (("real", len(reference), 2 * (k + 1)), ("generated", len(fake), k + 1)):
        if given < least:
            raise MelGANError(f"{given} {name} sounds are too few to evaluate: give at least {least}")
    rng = np.random.default_rng(seed)
    half = len(reference) // 2
    n = min(len(fake), half, MOST_SOUNDS)
    order = rng.permutation(len(reference))
    taken = rng.permutation(len(fake))[:n]  # at random, because generated sounds may come sorted by class
    floor_db = float(reference.max()) - DYNAMIC_RANGE_DB
    sets = (reference[order[:n]], reference[order[half:half + n]], fake[taken])
    a, b, generated = standardise(*(embed(mels, floor_db) for mels in sets))
    if not spread(a):
        raise MelGANError(f"the {len(reference)} reference sounds are all alike: give different ones")
    return Report(_figures(a, generated, k), _figures(a, b, k), sounds=n, fake_sounds=len(fake),
                  reference_sounds=len(reference), seed=int(seed), k=int(k), embedding=EMBEDDING, floor_db=floor_db)


def embed(mel_db: np.ndarray, floor_db: float | None = None) -> np.ndarray:
    """Describes each sound by 28 numbers: its spectrum, how the spectrum moves, its envelope and its roughness.

    The first 24 are the lowest coefficients of discrete cosine transforms (DCT-II) of three curves:

    * 12 of the spectrum: each band's mean level over time. Coefficient 0 is the sound's mean level.
    * 6 of the movement: each band's standard deviation over time.
    * 6 of the envelope: each frame's mean level over the bands, without coefficient 0, which is the mean level again.

    Cosines instead of the bands themselves, because neighbouring bands rise and fall together: on 700 drum sounds the
    correlation matrix of 40 band statistics has a condition number near 9,000, that of these near 400, so that a
    covariance is well estimated from a few hundred sounds and the level is one direction among many, not all of them.
    Coefficients are scaled such that their squares add up to the curve's mean square: all are in dB, whatever the
    number of bands and frames. Nothing is normalised: a sound 6 dB softer moves coefficient 0 by 6.

    All these are averages, blind to the grain that gives a poor generator away. The last four see it:

    * 2 along frequency, 2 along time (lower and upper half of the bands): ``10 log10(1 + r)``, r being the root mean
      square of the second difference in dB, over sqrt(6), so that independent noise of x dB has about r = x. An
      exponential decay is a straight line in dB and counts nothing.

    Args:
        mel_db: ``10 log10(max(mel, floor))`` with one fixed floor for all sounds, dB.
        floor_db: raises everything softer to this level, dB; `evaluate` passes 80 dB below the loudest real value, so
            that silence at -100 dB equals silence at -90 dB. None leaves all as it is.

    Shapes:
        ``(sounds, frames, mel_bins)`` to ``(sounds, 28)``, float64; fewer columns below 12 bins or 7 frames.

    Raises:
        MelGANError: another rank, no sounds, or a value that is not finite.

    Example:
        >>> embed(np.full((2, 16, 64), -30.0)).round(6)[:, 0].tolist()
        [-30.0, -30.0]
    """
    mel_db = _finite(mel_db, 3, "mels")
    if floor_db is not None:
        mel_db = np.maximum(mel_db, floor_db)
    bins, frames = _cosines(mel_db.shape[2]), _cosines(mel_db.shape[1])
    spectrum = mel_db.mean(axis=1) @ bins[:, :SPECTRUM_SHAPES]
    movement = mel_db.std(axis=1) @ bins[:, :MOVEMENT_SHAPES]
    envelope = mel_db.mean(axis=2) @ frames[:, 1:1 + ENVELOPE_SHAPES]
    return np.concatenate([spectrum, movement, envelope, _roughness(mel_db, 2), _roughness(mel_db, 1)], axis=1)


def standardise(real: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Shifts and scales all sets alike: the real one to mean 0 and standard deviation 1 (from 0.1 up) per dimension."""
    mean, deviation = real.mean(axis=0), np.maximum(real.std(axis=0), MIN_DEVIATION_DB)
    return [(points - mean) / deviation for points in (real, *others)]


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance between the normal distributions fitted to points ``(n, d)`` and ``(m, d)``.

    ``|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2))`` with covariances A, B (divided by n - 1). The trace of the root
    is the sum of the singular values of ``A^(1/2) B^(1/2)``, and both roots come from symmetric eigendecompositions:
    finite also where there are fewer points than dimensions, and exact to rounding where the two are equal. With less
    than a few times d points the value is mostly bias: compare at equal counts only.

    Raises:
        MelGANError: fewer than two points, different dimensions, or a value that is not finite.

    Example:
        >>> round(frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]])), 9)
        9.0
    """
    a, b = _pair(a, b, least=2)
    mean = a.mean(axis=0) - b.mean(axis=0)
    cov_a, cov_b = (np.cov(points, rowvar=False).reshape(points.shape[1], -1) for points in (a, b))
    trace_root = np.linalg.svd(_root(cov_a) @ _root(cov_b), compute_uv=False).sum()
    return max(0.0, float(mean @ mean + np.trace(cov_a) + np.trace(cov_b) - 2 * trace_root))


def precision(real: np.ndarray, fake: np.ndarray, k: int = 5) -> float:
    """The share of generated points in the neighbourhood of any real one (Kynkäänniemi et al. 2019): fidelity.

    A point's neighbourhood is the closed ball that reaches to its k-th nearest neighbour in its own set. Points are
    ``(n, d)`` and ``(m, d)``, standardised.

    Raises:
        MelGANError: ``k`` or fewer points, different dimensions, or a value that is not finite.
    """
    return float(_in_balls(real, fake, k).any(axis=0).mean())


def recall(real: np.ndarray, fake: np.ndarray, k: int = 5) -> float:
    """The share of real points in the neighbourhood of any generated one (Kynkäänniemi et al. 2019): variety.

    A far-off generated point has a vast neighbourhood that may hold many real ones: trust `coverage` first.
    """
    return precision(fake, real, k)


def density(real: np.ndarray, fake: np.ndarray, k: int = 5) -> float:
    """How many real neighbourhoods hold a generated point, on average, over k; about 1 if real (Naeem et al. 2020)."""
    return float(_in_balls(real, fake, k).sum(axis=0).mean() / k)


def coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> float:
    """The share of real points whose neighbourhood holds a generated one; about 0.97 if real (Naeem et al. 2020)."""
    return float(_in_balls(real, fake, k).any(axis=1).mean())


def spread(points: np.ndarray) -> float:
    """The mean distance between two different points of a set ``(n, d)``: 0 where all sounds are alike."""
    distances = _distances(points, points)
    return float(distances.sum() / max(1, distances.size - len(distances)))


def nearest_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """The median distance from a generated point to its nearest real one: large if they stray, small if they copy."""
    return float(np.median(_distances(*_pair(real, fake)).min(axis=0)))


def near_duplicates(points: np.ndarray, radius: float) -> float:
    """The share of points that have another one of their own set within ``radius``."""
    distances = _distances(points, points)
    np.fill_diagonal(distances, np.inf)
    return float((distances.min(axis=1) <= radius).mean())


def waveform_figures(audio: np.ndarray, sample_rate: int) -> dict[str, float | int | None]:
    """Simple faults of waveforms ``(sounds, samples)``, full scale 1, that a spectrogram does not show.

    Returns:
        JSON-able figures: the number of ``sounds``; the shares that are ``silent`` (peak below 0.001, -60 dBFS) and
        ``clipped`` (three or more samples in a row at 0.999 or more, of one sign); the medians of the absolute mean
        (``dc_offset``), of the ``peak`` and of the time at which a sound first exceeds a tenth (-20 dB) of its own peak
        (``onset_ms``), the last two over the sounds that are not silent, None where all are.

    Raises:
        UsageError: ``sample_rate`` (Hz) below 1.
        MelGANError: another rank, no sounds, or a value that is not finite.
    """
    audio = _finite(audio, 2, "waveforms")
    if sample_rate < 1:
        raise UsageError(f"sample_rate is {sample_rate!r}: give a positive number of Hz")
    level = np.abs(audio)
    peak = level.max(axis=1)
    heard = peak >= 1e-3
    onset_ms = (level > 0.1 * peak[:, None]).argmax(axis=1)[heard] * 1000 / sample_rate
    runs = [full[:, :-2] & full[:, 1:-1] & full[:, 2:] for full in (audio >= 0.999, audio <= -0.999)]
    return {"sounds": len(audio), "silent": float(1 - heard.mean()),
            "clipped": float((runs[0] | runs[1]).any(axis=1).mean()),
            "dc_offset": float(np.median(np.abs(audio.mean(axis=1)))),
            "peak": float(np.median(peak[heard])) if heard.any() else None,
            "onset_ms": float(np.median(onset_ms)) if heard.any() else None}


def _figures(real: np.ndarray, fake: np.ndarray, k: int) -> Figures:
    scale = spread(real)
    return Figures(frechet=frechet_distance(real, fake), precision=precision(real, fake, k),
                   recall=recall(real, fake, k), density=density(real, fake, k), coverage=coverage(real, fake, k),
                   spread=spread(fake) / scale, nearest=nearest_distance(real, fake) / scale,
                   duplicates=near_duplicates(fake, DUPLICATE_SHARE * scale))


def _judge(fake: Figures, floor: Figures) -> str:
    if fake.spread < 0.5:
        return (f"collapsed: the sounds are much more alike than the real ones (spread {fake.spread:.2f} of the real, "
                f"coverage {fake.coverage:.2f})")
    if fake.duplicates > floor.duplicates + 0.5:
        return f"collapsed: {fake.duplicates:.0%} of the sounds have a near copy among themselves"
    if fake.coverage < 0.2 and fake.precision >= 0.5:
        return f"collapsed: the sounds are like only a few of the real ones (coverage {fake.coverage:.2f})"
    faults = []
    if fake.precision < 0.75 * floor.precision:
        faults.append(f"many sounds lie far from any real one (precision {fake.precision:.2f})")
    if fake.coverage < 0.6 * floor.coverage or fake.recall < 0.6 * floor.recall:
        faults.append(f"much of the real variety is missing (coverage {fake.coverage:.2f}, recall {fake.recall:.2f})")
    if faults:
        return " and ".join(faults)
    if fake.coverage >= 0.9 * floor.coverage and fake.frechet <= 1.25 * floor.frechet:
        return "close to the real-vs-real floor: hard to tell from real sounds by these figures"
    return "varied and near the real sounds, yet short of the real-vs-real floor"


def _finite(values: np.ndarray, rank: int, name: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != rank or not values.size:
        raise MelGANError(f"{name} have shape {values.shape}: give {rank} axes, none of them empty")
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise MelGANError(f"{name} hold {bad} values that are not finite: leave those sounds out")
    return values


def _pair(a: np.ndarray, b: np.ndarray, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    a, b = _finite(a, 2, "points"), _finite(b, 2, "points")
    if a.shape[1] != b.shape[1] or min(len(a), len(b)) < least:
        raise MelGANError(f"points have shapes {a.shape} and {b.shape}: give {least} or more each, in equal dimensions")
    return a, b


def _cosines(n: int) -> np.ndarray:
    """DCT-II as columns (n, n): the squares of ``x @ _cosines(n)`` add up to the mean square of x."""
    angles = np.pi / n * np.outer(np.arange(n) + 0.5, np.arange(n))
    return np.cos(angles) * np.where(np.arange(n) == 0, 1.0, np.sqrt(2.0)) / n


def _roughness(mel_db: np.ndarray, axis: int) -> np.ndarray:
    """Second differences along time (1) or frequency (2), one column per half of the bands; (sounds, 2)."""
    difference = np.diff(mel_db, 2, axis=axis) / np.sqrt(6.0)
    parts = np.array_split(difference, min(2, difference.shape[2]), axis=2) if difference.size else []
    columns = [10 * np.log10(1 + np.sqrt((part ** 2).mean(axis=(1, 2)))) for part in parts]
    return np.stack(columns, axis=1) if columns else np.empty((len(mel_db), 0))


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances (n, m), from differences: unlike the expanded square, equal points are exactly 0 apart."""
    return np.stack([np.sqrt(((b - point) ** 2).sum(axis=1)) for point in a])


def _in_balls(centres: np.ndarray, points: np.ndarray, k: int) -> np.ndarray:
    """Whether point j lies in the ball around centre i that reaches to its k-th nearest other centre; (n, m)."""
    centres, points = _pair(centres, points)
    if not 1 <= k < len(centres):
        raise MelGANError(f"k is {k} with {len(centres)} points: give 1 or more and less than the number of points")
    radii = np.partition(_distances(centres, centres), k, axis=1)[:, k]  # position 0 is the centre itself
    return _distances(centres, points) <= radii[:, None]
