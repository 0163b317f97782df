"""Adversarial losses and their companions: pure functions of logits, feature maps and distributions, unweighted."""

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

    Examples:
        >>> round(float(binary_cross_entropy(keras.ops.zeros((1, 1)), 1.0)[0]), 4)
        0.6931

    Reference: Goodfellow et al., "Generative Adversarial Nets" (2014), with the non-saturating generator loss.
    """
    x = ops.squeeze(logits, axis=-1)
    return label * ops.softplus(-x) + (1.0 - label) * ops.softplus(x)


def hinge_discriminator(real: list[keras.KerasTensor], fake: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Hinge loss of discriminators: ``mean(max(0, 1 - D(x))) + mean(max(0, 1 + D(G(z))))``, summed over scales.

    Args:
        real, fake: the logits of each scale, any shape.

    Returns:
        A scalar.

    Examples:
        >>> round(float(hinge_discriminator([keras.ops.array([0.5])], [keras.ops.array([-3.0])])), 4)
        0.5

    Reference: Lim & Ye, "Geometric GAN" (2017); MelGAN (2019), equation 1.
    """
    return sum(ops.mean(ops.relu(1.0 - x)) + ops.mean(ops.relu(1.0 + y)) for x, y in zip(real, fake, strict=True))


def hinge_generator(fake: list[keras.KerasTensor]) -> keras.KerasTensor:
    """What the generator minimises against hinge discriminators: ``-mean(D(G(z)))``, summed over scales; a scalar."""
    return sum(-ops.mean(x) for x in fake)


def feature_distance(real: list[keras.KerasTensor], fake: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Mean absolute difference of corresponding feature maps, summed over the maps; a scalar.

    Examples:
        >>> one, two = keras.ops.zeros((1, 4)), keras.ops.ones((1, 4))
        >>> float(feature_distance([one, one], [one, two]))
        1.0

    Reference: Larsen et al., "Autoencoding beyond pixels" (2016), equation 8, there with a normal density.
    """
    return sum(ops.mean(ops.abs(x - y)) for x, y in zip(real, fake, strict=True))


def feature_matching(real: list[list[keras.KerasTensor]], fake: list[list[keras.KerasTensor]]) -> keras.KerasTensor:
    """Mean absolute difference of the discriminators' feature maps, weighted as in the paper's code.

    Every map but the last of a scale (the logits) counts ``4 / (layers + 1) / scales``, where a scale of ``layers``
    strided layers has ``layers + 3`` maps.

    Args:
        real, fake: for each scale its feature maps, the logits last.

    Returns:
        A scalar.

    Reference: MelGAN (2019), equation 3; ``feat_weights`` and ``D_weights`` of its authors' training script.
    """
    total = 0.0
    for ours, theirs in zip(real, fake, strict=True):
        weight = 4.0 / (len(ours) - 3 + 1) / len(real)
        total += weight * feature_distance(ours[:-1], theirs[:-1])
    return total


def kl_divergence(mean: keras.KerasTensor, log_variance: keras.KerasTensor) -> keras.KerasTensor:
    """How far normal distributions are from the standard one: ``sum(mean^2 + variance - log variance - 1) / 2``.

    Args:
        mean, log_variance: ``(batch, dimensions)``.

    Returns:
        ``(batch,)``, natural logarithm.

    Examples:
        >>> float(kl_divergence(keras.ops.array([[3.0, 4.0]]), keras.ops.zeros((1, 2)))[0])
        12.5

    Reference: Kingma & Welling, "Auto-Encoding Variational Bayes" (2014), appendix B.
    """
    return 0.5 * ops.sum(ops.square(mean) + ops.exp(log_variance) - log_variance - 1.0, axis=-1)
