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


def relativistic_discriminator(real: list[keras.KerasTensor], fake: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Loss of discriminators that compare: ``mean(softplus(D(G(z)) - D(x)))``, summed over scales.

    Args:
        real, fake: the logits of each scale, in pairs: of the same shape.

    Returns:
        A scalar: ``log 2`` for each scale where nothing can be told apart.

    Examples:
        >>> round(float(relativistic_discriminator([keras.ops.array([3.0])], [keras.ops.array([3.0])])), 4)
        0.6931

    Reference: Jolicoeur-Martineau, "The relativistic discriminator" (2019); Huang et al., "The GAN is dead; long live
    the GAN!" (R3GAN, 2024), equation 2. With every fake sound measured against a real one, the generator gains nothing
    by leaving some of them out.
    """
    return sum(ops.mean(ops.softplus(y - x)) for x, y in zip(real, fake, strict=True))


def relativistic_generator(real: list[keras.KerasTensor], fake: list[keras.KerasTensor]) -> keras.KerasTensor:
    """What the generator minimizes against `relativistic_discriminator`: the same with real and fake exchanged."""
    return relativistic_discriminator(fake, real)


def gradient_penalty(logits: list[keras.KerasTensor], moved: list[keras.KerasTensor],
                     distance: float) -> keras.KerasTensor:
    """Mean squared norm of a discriminator's gradient, ``mean(|grad D(x)|^2)``, summed over scales, by differences.

    Needs no second derivative: the squared difference quotient along a random direction is on average the squared norm.

    Args:
        logits: of each scale, of ``x``.
        moved: the same of ``x + distance * n``, where ``n`` is noise of mean 0 and variance 1.
        distance: of the two.

    Returns:
        A scalar.

    Examples:
        >>> float(gradient_penalty([keras.ops.array([1.0])], [keras.ops.array([2.0])], 0.5))
        4.0

    Reference: Mescheder et al., "Which Training Methods for GANs do actually Converge?" (2018), R1 on real sounds and
    R2 on fake ones; Lin et al., "Diffusion Adversarial Post-Training" (2025), equation 5, for the differences.
    """
    return sum(ops.mean(ops.square((y - x) / distance)) for x, y in zip(logits, moved, strict=True))


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
