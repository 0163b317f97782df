"""Metrics that compare two sets of points, one point per sound.

Points are ``(sounds, d)`` in an embedding. No value means anything by itself: read it beside the same metric of real
sounds against real ones, at the same counts.

Reference:
    Fréchet distance: Heusel et al. 2017, arXiv:1706.08500. Inception score: Salimans et al. 2016, arXiv:1606.03498.
    Precision and recall: Kynkäänniemi et al. 2019, arXiv:1904.06991, equations 1 and 2. Density and coverage: Naeem et
    al. 2020, arXiv:2002.09797, section 3. They use the features of large networks; the embeddings here are others, so
    no value is comparable with a published one.
"""

from __future__ import annotations

import numpy as np

from melgan_tf.errors import MelGANError
from melgan_tf.evaluation.arrays import check_array


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance between the normal distributions fitted to points ``(n, d)`` and ``(m, d)``.

    ``|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2))`` with covariances A, B (divided by n - 1). The trace of the root
    is the sum of the singular values of ``A^(1/2) B^(1/2)``, and both roots come from symmetric eigendecompositions:
    finite also with fewer points than dimensions, and exact to rounding if the sets are equal. With fewer than a few
    times d points the value is mostly bias: compare at equal counts only.

    Raises:
        MelGANError: fewer than two points, different dimensions, or a value that is not finite.

    Examples:
        >>> round(frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]])), 9)
        9.0
    """
    a, b = _pair(a, b, min_points=2)
    mean = a.mean(axis=0) - b.mean(axis=0)
    cov_a, cov_b = (np.cov(points, rowvar=False).reshape(points.shape[1], -1) for points in (a, b))
    trace_root = np.linalg.svd(_root(cov_a) @ _root(cov_b), compute_uv=False).sum()
    return max(0.0, float(mean @ mean + np.trace(cov_a) + np.trace(cov_b) - 2 * trace_root))


def frechet_infinity(a: np.ndarray, b: np.ndarray, sizes: int = 8, draws: int = 4) -> float:
    """The Fréchet distance of points ``(n, d)`` and ``(m, d)``, extrapolated to infinitely many.

    With N points in each set the expected distance is about ``c + s / N``: a line is fitted to the distances of random
    subsets of equal sizes, from a third of the smaller set to all of it, and c is where it meets 1 / N = 0. It may be
    slightly negative for two samples of one distribution.

    Raises:
        MelGANError: fewer than six points, different dimensions, or a value that is not finite.

    Reference: Chong and Forsyth 2020, arXiv:1911.07023; for sounds Gui et al. 2024, arXiv:2311.01616.
    """
    a, b = _pair(a, b, min_points=6)
    rng, most = np.random.default_rng(0), min(len(a), len(b))
    counts = np.repeat(1 / np.linspace(3 / most, 1 / most, sizes), draws).round().astype(int)  # at equal steps of 1 / N
    found = [frechet_distance(*(points[rng.permutation(len(points))[:count]] for points in (a, b))) for count in counts]
    return float(np.polyfit(1 / counts, found, 1)[1])


def kernel_audio_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared maximum mean discrepancy of points a ``(n, d)`` from reference points b ``(m, d)``, times 1000: KAD.

    Gaussian kernel ``exp(-|x - y|^2 / 2 s^2)``; s is the median distance between two reference points. Unbiased, unlike
    the Fréchet distance: its expectation does not depend on the counts and is 0 for two samples of one distribution, so
    that it may be slightly negative. It assumes no normal distribution.

    Raises:
        MelGANError: fewer than two points, different dimensions, or a value that is not finite.

    Reference: Chung et al. 2025, arXiv:2502.15602; Gretton et al. 2012, lemma 6.

    Examples:
        >>> a, b = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])  # with e = exp(-1/2): 2 e - (e^9 + 2 e^4 + e) / 2
        >>> round(kernel_audio_distance(a, b), 3)
        768.906
    """
    a, b = _pair(a, b, min_points=2)
    among = _squares(b, b)
    squared = float(np.median(np.sqrt(among[np.triu_indices(len(b), 1)]))) ** 2 or 1.0  # of a reference all alike

    def within(squares: np.ndarray) -> float:
        values = np.exp(-squares / (2 * squared))
        return (values.sum() - len(values)) / (len(values) * (len(values) - 1))

    return 1000 * float(within(_squares(a, a)) + within(among) - 2 * np.exp(-_squares(a, b) / (2 * squared)).mean())


def inception_score(probabilities: np.ndarray) -> float:
    """How certain the class of single sounds is, and how evenly all sounds are distributed over the classes.

    ``exp(mean KL(p(class | sound) || p(class)))``: 1 if every sound looks alike to the classifier, the number of
    classes at best. Read it beside that of real sounds, whose classes are neither even nor certain.

    Args:
        probabilities: ``(sounds, classes)``, rows sum to 1.

    Raises:
        MelGANError: another rank, no sounds, or a value that is not finite.

    Examples:
        >>> round(inception_score(np.eye(4)), 9)
        4.0
    """
    p = check_array(probabilities, 2, "probabilities")
    logarithms = np.log(np.maximum(p, 1e-300)) - np.log(np.maximum(p.mean(axis=0), 1e-300))
    return float(np.exp((p * logarithms).sum(axis=1).mean()))


def prdc(real: np.ndarray, fake: np.ndarray, k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage of generated points, from neighborhoods.

    A point's neighborhood is the closed ball out to its k-th nearest neighbor in its own set. ``precision``: the
    fraction of generated points in the neighborhood of any real one, fidelity. ``recall``: of real points in that of
    any generated one, variety; a distant generated point has a vast neighborhood that may contain many, so trust
    coverage first. ``density``: the mean number of real neighborhoods around a generated point, over k; about 1 if
    real. ``coverage``: the fraction of real neighborhoods with a generated point in them; about 0.97 if real.

    Args:
        real, fake: points ``(n, d)`` and ``(m, d)``, standardized.
        k: which nearest neighbor bounds a neighborhood.

    Raises:
        MelGANError: ``k`` or fewer points, different dimensions, or a value that is not finite.
    """
    real, fake = _pair(real, fake)
    return _prdc(_distances(real, real), _distances(fake, fake), _distances(real, fake), k)


def _prdc(among_real: np.ndarray, among_fake: np.ndarray, between: np.ndarray, k: int) -> dict[str, float]:
    held, back = between <= _radii(among_real, k)[:, None], between <= _radii(among_fake, k)
    return {"precision": float(held.any(axis=0).mean()), "recall": float(back.any(axis=1).mean()),
            "density": float(held.sum(axis=0).mean() / k), "coverage": float(held.any(axis=1).mean())}


def prdc_errors(real: np.ndarray, fake: np.ndarray, k: int = 5, draws: int = 10) -> dict[str, float]:
    """The standard errors of `prdc`: its spread over random halves of both sets.

    With half of the points left out, the standard deviation of a statistic over such draws is its standard error
    (delete-d jackknife: Shao and Wu 1989).

    Returns:
        By name; empty if the halves have too few points.
    """
    real, fake = _pair(real, fake)
    if min(len(real), len(fake)) // 2 <= k:
        return {}
    among_real, among_fake, between = _distances(real, real), _distances(fake, fake), _distances(real, fake)
    rng, found = np.random.default_rng(0), []
    for _ in range(draws):
        rows, columns = (rng.permutation(len(points))[:len(points) // 2] for points in (real, fake))
        found.append(_prdc(among_real[np.ix_(rows, rows)], among_fake[np.ix_(columns, columns)],
                           between[np.ix_(rows, columns)], k))
    return {name: float(np.std([one[name] for one in found], ddof=1)) for name in found[0]}


def diversity(points: np.ndarray) -> float:
    """The mean distance between two different points of a set ``(n, d)``: 0 if all sounds are alike."""
    distances = _distances(points, points)
    return float(distances.sum() / max(1, distances.size - len(distances)))


def near_duplicates(points: np.ndarray, radius: float) -> float:
    """The fraction of points with another one of their own set within ``radius``."""
    distances = _distances(points, points)
    np.fill_diagonal(distances, np.inf)
    return float((distances.min(axis=1) <= radius).mean())


def _pair(a: np.ndarray, b: np.ndarray, min_points: int = 1) -> tuple[np.ndarray, np.ndarray]:
    a, b = check_array(a, 2, "points"), check_array(b, 2, "points")
    if a.shape[1] != b.shape[1] or min(len(a), len(b)) < min_points:
        raise MelGANError(f"points have shapes {a.shape} and {b.shape}: give {min_points} or more each, of equal "
                          "dimensions")
    return a, b


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances (n, m), from differences: unlike the expanded square, equal points are exactly 0
    apart."""
    return np.stack([((b - point) ** 2).sum(axis=1) for point in a])


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt(_squares(a, b))


def in_neighborhoods(centers: np.ndarray, points: np.ndarray, k: int) -> np.ndarray:
    """Whether point j lies in the ball around center i out to its k-th nearest other center; (n, m)."""
    centers, points = _pair(centers, points)
    return _distances(centers, points) <= _radii(_distances(centers, centers), k)[:, None]


def _radii(among: np.ndarray, k: int) -> np.ndarray:
    """The distance of each center to its k-th nearest other one, from all distances among them."""
    if not 1 <= k < len(among):
        raise MelGANError(f"k is {k} with {len(among)} points: give 1 or more and less than the number of points")
    return np.partition(among, k, axis=1)[:, k]  # position 0 is the center itself
