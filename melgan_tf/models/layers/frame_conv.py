"""Building blocks of the VAE-GANs: convolutions over frames, written as matrix products.

A mel spectrogram is a sequence of frames, each a vector of mel bins; the layers mix all channels of neighboring frames.
On a CPU a library convolution of maps this small spends its time on packing them. Here maps have the frames first,
``(frames, batch, channels)``. A map shifted by a frame is then a view of the same memory, and a convolution is three
products; only the frames at the ends take a copy::

    y = x[:-2] K0 + x[1:-1] K1 + x[2:] K2

SELU keeps activations at mean 0 and variance 1 only if weights have variance 1 / fan-in (LeCun) and residual sums are
brought back to variance 1: hence the factor of `residual`.

Reference: Klambauer et al., "Self-Normalizing Neural Networks" (2017), section "Initialization".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import keras
from keras import ops

TAPS = 3

#: What lies beyond the ends of a map: zeros; its other end; or nothing, and the outcome has two frames less.
Ends = Literal["zeros", "ring", "none"]


class FrameConv(keras.layers.Layer):
    """Convolution over three neighboring frames.

    Args:
        in_channels, filters: channels of a frame, before and after.
        gain: standard deviation of the output for inputs of variance 1, initially.
        seed: of the initial kernel.
        ends: what lies beyond the ends.

    Input shape: ``(frames, batch, in_channels)``.
    Output shape: ``(frames, batch, filters)``.
    """

    def __init__(self, in_channels: int, filters: int, seed: int, gain: float = 1.0, ends: Ends = "zeros",
                 name: str | None = None) -> None:
        super().__init__(name=name)
        self._convolve = _CONVOLUTIONS[ends]
        self.in_channels, self.filters, self.seed, self.gain = in_channels, filters, seed, gain
        self.build()

    def build(self, input_shape: object = None) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(TAPS, self.in_channels, self.filters),
                                      initializer=_lecun(TAPS * self.in_channels, self.gain, self.seed))
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        self.built = True

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        # reshaped, it is a tensor: custom gradients take no variables
        return self._convolve(x, ops.reshape(self.kernel, (TAPS, self.in_channels, self.filters))) + self.bias


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
        y = ops.matmul(_rows(x), self.kernel)
        if len(x.shape) > 2:
            y = ops.reshape(y, (*ops.shape(x)[:-1], self.outputs))
        return y if self.bias is None else y + self.bias


class Trunk(keras.layers.Layer):
    """Spectrogram -> feature maps of fewer and fewer frames, the common shape of encoders and discriminators.

    Args:
        inputs: length of a frame.
        channels: of the maps, the longest first.
        steps: by how much each map is shorter than the one before.
        seeds: of the initial weights.
        ends: of the convolutions.

    Input shape: ``(batch, frames, inputs)``.
    Output: the maps, ``(frames, batch, channels)``, the longest first.
    """

    def __init__(self, inputs: int, channels: Sequence[int], steps: Sequence[int], seeds: Seeds, name: str,
                 ends: Ends = "zeros") -> None:
        super().__init__(name=name)
        self.steps = steps
        self.first = FrameConv(inputs, channels[0], seeds.next(), ends=ends, name=f"{name}_first")
        self.downs = [FrameDense(step * before, after, seeds.next(), name=f"{name}_down_{index}") for
                      index, (before, after, step) in enumerate(zip(channels, channels[1:], steps, strict=False), 1)]
        self.convs = [FrameConv(after, after, seeds.next(), ends=ends, name=f"{name}_conv_{index}")
                      for index, after in enumerate(channels[1:], 1)]
        self.built = True

    def call(self, x: keras.KerasTensor) -> list[keras.KerasTensor]:
        maps = [ops.selu(self.first(swap(x)))]
        for down, conv, step in zip(self.downs, self.convs, self.steps, strict=True):
            y = ops.selu(down(gather(maps[-1], step)))
            maps.append(residual(y, ops.selu(conv(y))))
        return maps


def swap(x: keras.KerasTensor) -> keras.KerasTensor:
    """``(batch, frames, channels)`` -> ``(frames, batch, channels)``, and back."""
    return ops.transpose(x, (1, 0, 2))


def gather(x: keras.KerasTensor, step: int) -> keras.KerasTensor:
    """``(step * t, batch, c)`` -> ``(t, batch, step * c)``: neighbors side by side."""
    frames, batch, channels = ops.shape(x)
    apart = ops.reshape(x, (frames // step, step, batch, channels))
    return ops.reshape(ops.transpose(apart, (0, 2, 1, 3)), (frames // step, batch, step * channels))


def spread(x: keras.KerasTensor, step: int) -> keras.KerasTensor:
    """``(t, batch, step * c)`` -> ``(step * t, batch, c)``: the inverse of `gather`."""
    frames, batch, channels = ops.shape(x)
    apart = ops.reshape(x, (frames, batch, step, channels // step))
    return ops.reshape(ops.transpose(apart, (0, 2, 1, 3)), (step * frames, batch, channels // step))


@ops.custom_gradient
def smooth(x: keras.KerasTensor) -> tuple[keras.KerasTensor, Callable]:
    """A quarter of either neighbor and half of the frame itself, ``(frames, batch, channels)``.

    After `spread` it keeps neighboring frames from drifting apart, which shows as stripes.

    Reference: Karras et al., "A Style-Based Generator Architecture" (2019), section 2, for the blur after upsampling.
    """
    return _with_neighbors(ops.concatenate([x[:1], x, x[-1:]], axis=0)), smooth  # its matrix is symmetric


@ops.custom_gradient
def smooth_ring(x: keras.KerasTensor) -> tuple[keras.KerasTensor, Callable]:
    """`smooth` where the last frame leads into the first."""
    return _with_neighbors(ops.concatenate([x[-1:], x, x[:1]], axis=0)), smooth_ring


def _with_neighbors(x: keras.KerasTensor) -> keras.KerasTensor:
    return 0.5 * x[1:-1] + 0.25 * (x[:-2] + x[2:])


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


def _convolution(ends: Ends) -> Callable:
    """A function of map and kernel with those ends, and with gradients that copy as little as it does."""
    @ops.custom_gradient
    def convolve(x: keras.KerasTensor, kernel: keras.KerasTensor) -> tuple[keras.KerasTensor, Callable]:
        longer = _lengthen(x, ends)

        def gradient(upstream: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
            # x[t] went to y[t + 1] by K0, to y[t] by K1 and to y[t - 1] by K2
            back = ops.transpose(ops.flip(kernel, axis=0), (0, 2, 1))
            around = ops.pad(upstream, ((2, 2), (0, 0), (0, 0))) if ends == "none" else _lengthen(upstream, ends)
            to_kernel = ops.stack([ops.matmul(ops.transpose(_rows(part)), _rows(upstream)) for part in _taps(longer)])
            return _products(around, back), to_kernel

        return _products(longer, kernel), gradient

    return convolve


def _lengthen(x: keras.KerasTensor, ends: Ends) -> keras.KerasTensor:
    """A map with a frame more at either end."""
    if ends == "ring":
        return ops.concatenate([x[-1:], x, x[:1]], axis=0)
    return ops.pad(x, ((1, 1), (0, 0), (0, 0))) if ends == "zeros" else x


def _taps(x: keras.KerasTensor) -> tuple[keras.KerasTensor, ...]:
    return x[:-2], x[1:-1], x[2:]


def _products(x: keras.KerasTensor, kernel: keras.KerasTensor) -> keras.KerasTensor:
    first, middle, last = (ops.matmul(_rows(part), kernel[tap]) for tap, part in enumerate(_taps(x)))
    frames, batch, _ = ops.shape(x)
    return ops.reshape(first + middle + last, (frames - 2, batch, kernel.shape[-1]))


def _rows(x: keras.KerasTensor) -> keras.KerasTensor:
    return ops.reshape(x, (-1, x.shape[-1]))


_CONVOLUTIONS = {ends: _convolution(ends) for ends in ("zeros", "ring", "none")}
