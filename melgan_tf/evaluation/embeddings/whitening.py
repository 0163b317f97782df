"""Principal components of reference sounds, each scaled to variance 1: every embedding that is measured in."""

from __future__ import annotations

import numpy as np

FEATURES = 24
SOUNDS_PER_FEATURE = 4  # of the reference, so that variances are estimated well enough to scale by


class Whitening:
    """A map from points ``(sounds, d)`` to up to 24 features, in which the reference has mean 0 and unit covariance.

    In the raw features of a network a few directions have nearly all of the variance, and distances tell little else:
    what a generator lacks is in the others.

    Args:
        reference: points of real sounds, two or more.

    Attributes:
        features: 24, or a quarter of the number of reference points if that is less.

    Examples:
        >>> points = np.random.default_rng(0).normal(size=(200, 3)) * [100, 10, 1]
        >>> np.allclose(np.cov(Whitening(points)(points), rowvar=False, bias=True), np.eye(3), atol=1e-3)
        True
    """

    def __init__(self, reference: np.ndarray) -> None:
        self.mean = reference.mean(axis=0)
        _, scale, directions = np.linalg.svd(reference - self.mean, full_matrices=False)
        self.features = max(1, min(FEATURES, len(scale), len(reference) // SOUNDS_PER_FEATURE))
        scale = scale[:self.features] / np.sqrt(len(reference))
        self.directions = directions[:self.features].T / np.maximum(scale, 1e-4 * scale[0] + 1e-9)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Features ``(sounds, features)`` of points ``(sounds, d)``."""
        return (points - self.mean) @ self.directions


def principal_axes(points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of points ``(n, d)`` and their first principal directions, ``(count or fewer, d)``, of fixed sign."""
    mean = points.mean(axis=0)
    axes = np.linalg.svd(points - mean, full_matrices=False)[2][:count]
    return mean, axes * np.where(axes.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
