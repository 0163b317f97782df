"""Adversarial losses: pure functions of logits, one value per sound, unweighted."""

from __future__ import annotations

import keras
from keras import ops


def binary_cross_entropy(logits: keras.KerasTensor, label: float) -> keras.KerasTensor:
    """Binary cross-entropy of a sigmoid's logits against one label: ``-label log s(x) - (1 - label) log s(-x)``.

    From logits, because the logarithm of a saturated sigmoid is infinite and softplus, ``-log s(-x)``, is not. (Written
    with ``max(x, 0)`` and ``|x|``, as often, it has no derivative at 0.)

    Args:
        logits: ``(batch, 1)``.
        label: 1 for real, 0 for fake.

    Returns:
        ``(batch,)``, natural logarithm.

    Example:
        >>> round(float(binary_cross_entropy(keras.ops.zeros((1, 1)), 1.0)[0]), 4)
        0.6931

    Reference: Goodfellow et al., "Generative Adversarial Nets" (2014), with the non-saturating generator loss.
    """
    x = ops.squeeze(logits, axis=-1)
    return label * ops.softplus(-x) + (1.0 - label) * ops.softplus(x)
