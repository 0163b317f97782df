"""Adversarial losses: pure functions of logits, one value per sound, unweighted."""

from __future__ import annotations

import keras
from keras import ops


def binary_cross_entropy(logits: keras.KerasTensor, label: float) -> keras.KerasTensor:
    """Binary cross-entropy of a sigmoid's logits against one label: ``max(x, 0) - x * label + log(1 + exp(-|x|))``.

    From logits, because the logarithm of a saturated sigmoid is infinite and this is not.

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
    return ops.relu(x) - x * label + ops.softplus(-ops.abs(x))
