"""Building blocks of the VAE-GANs: convolutions over frames, written as matrix products.

A mel spectrogram is a sequence of frames, each a vector of mel bins; the layers mix all channels of neighboring frames.
On a CPU a library convolution of maps this small spends its time on packing them, and concatenating the neighbors first
spends it on copies. Here one product computes every tap's contribution, and shifted sums collect them::

    [a | b | c] = x [K0 | K1 | K2]          y[t] = a[t - 1] + b[t] + c[t + 1]

Halving and doubling the number of frames moves no data at all: two neighboring frames are adjacent in memory, so
``(batch, 2 t, c)`` *is* ``(batch, t, 2 c)``.

SELU keeps activations at mean 0 and variance 1 only if weights have variance 1 / fan-in (LeCun) and residual sums are
brought back to variance 1: hence the factor of `residual`.

Reference: Klambauer et al., "Self-Normalizing Neural Networks" (2017), section "Initialization".
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

TAPS = 3


class FrameConv(keras.layers.Layer):
    """Convolution over three neighboring frames; frames beyond the ends are zero.

    Args:
        in_channels, filters: channels of a frame, before and after.
        gain: standard deviation of the output for inputs of variance 1, initially.
        seed: of the initial kernel.

    Input shape: ``(batch, frames, in_channels)``.
    Output shape: ``(batch, frames, filters)``.
    """

    def __init__(self, in_channels: int, filters: int, seed: int, gain: float = 1.0, name: str | None = None) -> None:
        super().__init__(name=name)
        self.in_channels, self.filters, self.seed, self.gain = in_channels, filters, seed, gain
        self.build()

    def build(self, input_shape: object = None) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(TAPS, self.in_channels, self.filters),
                                      initializer=_lecun(TAPS * self.in_channels, self.gain, self.seed))
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        self.built = True

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        # reshaped, it is a tensor: custom gradients take no variables
        return _convolve(x, ops.reshape(self.kernel, (TAPS, self.in_channels, self.filters))) + self.bias


class FrameDense(keras.layers.Layer):
    """The same affine map for every vector along the last axis.

    Args:
        inputs, outputs: lengths of the vectors.
        gain: standard deviation of the output for inputs of variance 1, initially.
        seed: of the initial kernel.
        bias: whether to add a bias.

    Input shape: ``(..., inputs)``.
    Output shape: ``(..., outputs)``.
    """

    def __init__(self, inputs: int, outputs: int, seed: int, gain: float = 1.0, bias: bool = True,
                 name: str | None = None) -> None:
        super().__init__(name=name)
        self.inputs, self.outputs, self.seed, self.gain, self.has_bias = inputs, outputs, seed, gain, bias
        self.build()

    def build(self, input_shape: object = None) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(self.inputs, self.outputs),
                                      initializer=_lecun(self.inputs, self.gain, self.seed))
        self.bias = self.add_weight(name="bias", shape=(self.outputs,), initializer="zeros") if self.has_bias else None
        self.built = True

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        y = ops.reshape(ops.matmul(ops.reshape(x, (-1, self.inputs)), self.kernel),
                        (-1, *ops.shape(x)[1:-1], self.outputs))
        return y if self.bias is None else y + self.bias


class Trunk(keras.layers.Layer):
    """Spectrogram -> feature maps of fewer and fewer frames, the common shape of encoders and discriminators.

    Args:
        bins: of the spectrogram.
        channels: of every map but the first.
        stages: each halves the frames.
        seeds: of the initial weights.
        first_channels: of the first map, which takes the most time; None: as many as the others.

    Input shape: ``(batch, frames, bins)``.
    Output: ``stages + 1`` maps, ``(batch, frames, first_channels)`` first.
    """

    def __init__(self, bins: int, channels: int, stages: int, seeds: Seeds, name: str,
                 first_channels: int | None = None) -> None:
        super().__init__(name=name)
        first = first_channels or channels
        self.first = FrameConv(bins, first, seeds.next(), name=f"{name}_first")
        self.downs = [FrameDense(2 * (channels if index > 1 else first), channels, seeds.next(),
                                 name=f"{name}_down_{index}")
                      for index in range(1, stages + 1)]
        self.convs = [FrameConv(channels, channels, seeds.next(), name=f"{name}_conv_{index}")
                      for index in range(1, stages + 1)]
        self.built = True

    def call(self, x: keras.KerasTensor) -> list[keras.KerasTensor]:
        maps = [ops.selu(self.first(x))]
        for down, conv in zip(self.downs, self.convs, strict=True):
            y = ops.selu(down(halve_frames(maps[-1])))
            maps.append(residual(y, ops.selu(conv(y))))
        return maps


def halve_frames(x: keras.KerasTensor) -> keras.KerasTensor:
    """``(batch, 2 t, c)`` -> ``(batch, t, 2 c)``: neighbors side by side."""
    return ops.reshape(x, (-1, ops.shape(x)[1] // 2, 2 * x.shape[2]))


def double_frames(x: keras.KerasTensor) -> keras.KerasTensor:
    """``(batch, t, 2 c)`` -> ``(batch, 2 t, c)``."""
    return ops.reshape(x, (-1, 2 * ops.shape(x)[1], x.shape[2] // 2))


def smooth_frames(x: keras.KerasTensor) -> keras.KerasTensor:
    """A quarter of either neighbor and half of the frame itself, ``(batch, t, c)``.

    After `double_frames` it keeps even and odd frames from drifting apart, which shows as stripes.

    Reference: Karras et al., "A Style-Based Generator Architecture" (2019), section 2, for the blur after upsampling.
    """
    ends = ops.concatenate([x[:, :1], x, x[:, -1:]], axis=1)
    sums = ends[:, :-1] + ends[:, 1:]
    return 0.25 * (sums[:, :-1] + sums[:, 1:])


def residual(x: keras.KerasTensor, y: keras.KerasTensor) -> keras.KerasTensor:
    """The sum of two maps of variance 1, brought back to variance 1."""
    return (x + y) * 0.5 ** 0.5


class Seeds:
    """Consecutive seeds: with one seed, layers of the same shape would get the same weights."""

    def __init__(self, first: int) -> None:
        self.last = first

    def next(self) -> int:
        """The next seed."""
        self.last += 1
        return self.last


def group_deviation(flat: keras.KerasTensor, group: int) -> keras.KerasTensor:
    """Standard deviation within a group, ``(batch, 1)``: lets a discriminator detect that all sounds are alike.

    Args:
        flat: ``(batch, features)``; groups are neighbors.
        group: sounds per group; divides ``batch``.

    Reference: Karras et al., "Progressive Growing of GANs" (2018), section 3.
    """
    groups = ops.reshape(flat, (-1, group, flat.shape[-1]))
    deviation = ops.sqrt(ops.var(groups, axis=1) + 1e-8)
    return ops.repeat(ops.mean(deviation, axis=-1, keepdims=True), group, axis=0)


def _lecun(fan_in: int, gain: float, seed: int) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=gain * fan_in ** -0.5, seed=seed)


@ops.custom_gradient
def _convolve(x: keras.KerasTensor, kernel: keras.KerasTensor) -> tuple[keras.KerasTensor, Callable]:
    """``y[t] = x[t - 1] K0 + x[t] K1 + x[t + 1] K2``, and its gradients, without copying the neighbors."""
    def gradient(upstream: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        back = ops.transpose(kernel, (2, 0, 1))  # (filters, taps, in)
        # x[t] went to y[t + 1] by K0, to y[t] by K1 and to y[t - 1] by K2
        to_x = _collect(upstream, ops.reshape(ops.flip(back, axis=1), (back.shape[0], -1)))
        pairs = ((x[:, :-1], upstream[:, 1:]), (x, upstream), (x[:, 1:], upstream[:, :-1]))
        to_kernel = ops.stack([ops.matmul(ops.transpose(_rows(before)), _rows(after)) for before, after in pairs])
        return to_x, to_kernel

    wide = ops.reshape(ops.transpose(kernel, (1, 0, 2)), (kernel.shape[1], -1))
    return _collect(x, wide), gradient


def _collect(x: keras.KerasTensor, wide: keras.KerasTensor) -> keras.KerasTensor:
    taps = ops.reshape(ops.matmul(_rows(x), wide), (-1, ops.shape(x)[1], wide.shape[1]))
    first, middle, last = ops.split(taps, TAPS, axis=-1)
    return (ops.pad(first[:, :-1], ((0, 0), (1, 0), (0, 0))) + middle) + ops.pad(last[:, 1:], ((0, 0), (0, 1), (0, 0)))


def _rows(x: keras.KerasTensor) -> keras.KerasTensor:
    return ops.reshape(x, (-1, x.shape[-1]))
