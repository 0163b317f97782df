"""Metrics of two sets of points: hand-made points, independent references, plain loops."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from melgan_tf.errors import MelGANError
from melgan_tf.evaluation import metrics

# -- Fréchet distance ------------------------------------------------------------------------------------------------

def test_frechet_distance_by_hand():
    """One dimension: (1 - 4)^2 + (s1 - s2)^2, with variances 2 and 8 from (0, 2) and (2, 6)."""
    distance = metrics.frechet_distance(np.array([[0.0], [2.0]]), np.array([[2.0], [6.0]]))
    assert distance == pytest.approx(9 + (np.sqrt(8) - np.sqrt(2)) ** 2)


def test_frechet_distance_agrees_with_scipy():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    b = rng.normal(size=(150, 6)) @ rng.normal(size=(6, 6)) + 0.7
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    mean = a.mean(axis=0) - b.mean(axis=0)
    expected = mean @ mean + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_equal_sets_is_nothing_even_with_a_singular_covariance():
    points = np.random.default_rng(0).normal(size=(4, 28)) * 100
    assert 0 <= metrics.frechet_distance(points, points) < 1e-7


def test_frechet_distance_of_two_single_repeated_points_is_the_squared_step():
    assert metrics.frechet_distance(np.zeros((5, 3)), np.full((7, 3), 2.0)) == pytest.approx(12)


# -- neighborhoods, on a line --------------------------------------------------------------------------------------

REAL = np.array([[0.0], [1.0], [2.0], [10.0]])  # radii for k = 1: 1, 1, 1, 8


def test_neighborhood_figures_by_hand():
    fake = np.array([[0.5], [1.5], [30.0], [31.0]])  # radii for k = 1: 1, 1, 1, 1
    assert metrics.prdc(REAL, fake, k=1)["precision"] == 0.5  # 0.5 and 1.5
    assert metrics.prdc(REAL, fake, k=1)["coverage"] == 0.75  # all but 10, whose ball [2, 18] is empty
    assert metrics.prdc(REAL, fake, k=1)["density"] == pytest.approx((2 + 2) / 4)  # 0.5 in two balls, 1.5 in two
    assert metrics.prdc(REAL, fake, k=1)["recall"] == 0.75  # 0 to 1 and 2 lie within 1 of 0.5 or 1.5


def test_the_ball_is_closed_and_k_counts_others_only():
    assert metrics.prdc(REAL, np.array([[-1.0], [-1.0 - 1e-9]]), k=1)["precision"] == 0.5
    outside = np.array([[-2.0], [-2.0 - 1e-9], [-3.0]])
    assert metrics.prdc(REAL, outside, k=2)["precision"] == pytest.approx(1 / 3)  # radii 2, 1, 2, 9


def test_density_divides_by_k():
    # 0 lies in the balls of 0, 1 and 2
    assert metrics.prdc(REAL, REAL[[0] * 3], k=2)["density"] == pytest.approx(3 / 2)


def test_coverage_of_equal_distributions_is_near_its_expectation():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 1000, 5))
    assert metrics.prdc(real, fake, k=5)["coverage"] == pytest.approx(1 - 2 ** -5, abs=0.015)
    assert metrics.prdc(real, fake, k=5)["density"] == pytest.approx(1, abs=0.07)


def test_diversity_and_duplicates_by_hand():
    points = np.array([[0.0], [1.0], [5.0]])
    assert metrics.diversity(points) == pytest.approx((1 + 5 + 4) / 3)
    assert metrics.diversity(np.ones((4, 2))) == 0
    assert metrics.near_duplicates(points, 1.0) == pytest.approx(2 / 3)
    assert metrics.near_duplicates(points, 0.9) == 0


# -- kernel audio distance, inception score, extrapolation --------------------------------------------------------

def test_kernel_audio_distance_agrees_with_a_double_loop():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(9, 4)), rng.normal(0.5, 2, size=(7, 4))
    width = np.median([np.linalg.norm(b[i] - b[j]) for i in range(7) for j in range(i)])

    def kernel(x, y):
        return np.exp(-sum((p - q) ** 2 for p, q in zip(x, y, strict=True)) / (2 * width ** 2))

    within = [sum(kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j) / (len(s) * (len(s) - 1))
              for s in (a, b)]
    across = sum(kernel(x, y) for x in a for y in b) / (len(a) * len(b))
    assert metrics.kernel_audio_distance(a, b) == pytest.approx(1000 * (sum(within) - 2 * across), rel=1e-10)


def test_kernel_audio_distance_agrees_with_scikit_learn():
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(40, 6)), rng.normal(0.3, 1.2, size=(50, 6))
    among = pairwise.euclidean_distances(b)
    gamma = 0.5 / np.median(among[np.triu_indices(50, 1)]) ** 2
    aa, bb, ab = (pairwise.rbf_kernel(x, y, gamma) for x, y in ((a, a), (b, b), (a, b)))
    expected = (aa.sum() - 40) / (40 * 39) + (bb.sum() - 50) / (50 * 49) - 2 * ab.mean()
    assert metrics.kernel_audio_distance(a, b) == pytest.approx(1000 * expected, rel=1e-9)


def test_kernel_audio_distance_of_equal_distributions_is_nothing_on_average_at_any_count():
    rng = np.random.default_rng(0)
    for n in (10, 80):
        found = [metrics.kernel_audio_distance(*rng.normal(size=(2, n, 3))) for _ in range(200)]
        assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(200)
        assert min(found) < 0 < max(found)


def test_reference_sounds_all_alike_have_a_kernel_audio_distance():
    assert metrics.kernel_audio_distance(np.zeros((4, 2)), np.zeros((5, 2))) == 0


def test_extrapolated_frechet_distance_has_no_bias_of_few_points():
    """Of two samples of 200 from normal distributions in 20 dimensions, whose means are 1 apart."""
    rng, found = np.random.default_rng(0), []
    for _ in range(12):
        a, b = rng.normal(size=(2, 200, 20))
        b[:, 0] += 1
        found.append((metrics.frechet_distance(a, b), metrics.frechet_infinity(a, b)))
    few, extrapolated = np.mean(found, axis=0)
    assert few > 1.8
    assert extrapolated == pytest.approx(1, abs=0.25)


def test_extrapolation_is_the_line_through_distances_over_the_inverse_count(monkeypatch):
    monkeypatch.setattr(metrics, "frechet_distance", lambda a, b: 3.0 + 40 / len(a))
    assert metrics.frechet_infinity(np.zeros((90, 2)), np.zeros((120, 2))) == pytest.approx(3)


def test_standard_errors_are_those_of_independent_samples():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        real, fake = rng.normal(size=(2, 120, 4))
        fake *= 0.7
        found.append([metrics.prdc(real, fake)["recall"], metrics.prdc(real, fake)["coverage"]])
    errors = metrics.prdc_errors(real, fake, draws=40)
    for name, spread in zip(("recall", "coverage"), np.std(found, axis=0, ddof=1), strict=True):
        assert spread / 2 < errors[name] < 2 * spread
    assert metrics.prdc_errors(real[:11], fake) == {}


def test_inception_score_by_hand():
    assert metrics.inception_score(np.full((5, 4), 0.25)) == pytest.approx(1)
    assert metrics.inception_score(np.eye(3)) == pytest.approx(3)
    # p = (3/4, 1/4) and (1/4, 3/4), on average (1/2, 1/2): KL = 3/4 ln(3/2) + 1/4 ln(1/2) for both
    expected = np.exp(0.75 * np.log(1.5) + 0.25 * np.log(0.5))
    assert metrics.inception_score(np.array([[0.75, 0.25], [0.25, 0.75]])) == pytest.approx(expected)


# -- neighborhoods, by plain loops ----------------------------------------------------------------------------------

@pytest.mark.parametrize("k", [1, 3])
def test_neighborhood_figures_agree_with_plain_loops(k):
    rng = np.random.default_rng(k)
    real, fake = rng.normal(size=(30, 3)), rng.normal(0.7, 1.2, size=(23, 3))

    def radii(points):
        return [sorted(np.linalg.norm(p - q) for j, q in enumerate(points) if j != i)[k - 1]
                for i, p in enumerate(points)]

    def holds(centres, points):
        return [[np.linalg.norm(c - p) <= r for p in points] for c, r in zip(centres, radii(centres), strict=True)]

    held, back = holds(real, fake), holds(fake, real)
    assert metrics.prdc(real, fake, k)["precision"] == np.mean([any(row[j] for row in held) for j in range(23)])
    assert metrics.prdc(real, fake, k)["recall"] == np.mean([any(row[j] for row in back) for j in range(30)])
    assert metrics.prdc(real, fake, k)["density"] == pytest.approx(sum(map(sum, held)) / (k * 23))
    assert metrics.prdc(real, fake, k)["coverage"] == np.mean([any(row) for row in held])


@pytest.mark.parametrize("call", [
    lambda: metrics.frechet_distance(np.zeros((1, 2)), np.zeros((5, 2))),
    lambda: metrics.frechet_distance(np.zeros((5, 2)), np.zeros((5, 3))),
    lambda: metrics.prdc(REAL, REAL, k=4)["precision"],
    lambda: metrics.prdc(REAL, REAL, k=0)["coverage"],
    lambda: metrics.prdc(REAL, np.zeros((4, 2)), k=1)["recall"],
    lambda: metrics.kernel_audio_distance(np.zeros((1, 2)), np.zeros((5, 2))),
    lambda: metrics.frechet_infinity(np.zeros((5, 2)), np.zeros((9, 2))),
    lambda: metrics.inception_score(np.full((2, 2), np.nan)),
])
def test_unusable_points_are_refused(call):
    with pytest.raises(MelGANError):
        call()
