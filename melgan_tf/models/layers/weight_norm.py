"""Weight-normalized one-dimensional convolutions, channels last.

The discriminators' convolutions are written as matrix products: TensorFlow has no gradient for grouped convolutions on
a CPU, and XLA's convolutions are slow there. The generator's are Keras's own operations, which every runtime has.

Reference: Salimans & Kingma, "Weight Normalization" (2016).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

_SLOPE = 0.2


def leaky_relu(x: keras.KerasTensor) -> keras.KerasTensor:
    """Slope 0.2 below zero."""
    return ops.maximum(x, _SLOPE * x)


def reflect(x: keras.KerasTensor, samples: int) -> keras.KerasTensor:
    """Mirrors ``(batch, length, channels)`` at both ends, without repeating the outermost sample."""
    return ops.pad(x, ((0, 0), (samples, samples), (0, 0)), mode="reflect")


class NormalizedKernel(keras.layers.Layer):
    """A kernel ``g * v / ||v||`` and a bias.

    Args:
        shape: of the kernel.
        axis: the axis with one norm for every index, 0 in PyTorch's layout of the kernel.
        filters: length of the bias.
        weight_norm: without it, `kernel` is a plain variable.
        seed: of the initial kernel and bias.
    """

    def __init__(self, shape: tuple[int, ...], axis: int, filters: int, weight_norm: bool, seed: int,
                 name: str) -> None:
        super().__init__(name=name)
        self.weight_norm, self.axes = weight_norm, tuple(i for i in range(len(shape)) if i != axis)
        # PyTorch's default. (The paper's code draws from a normal distribution of deviation 0.02 instead, but after
        # weight norm has copied it: there it has no effect, and with it the first layers would not learn.)
        bound = float(np.prod(shape) / shape[axis]) ** -0.5

        @functools.cache
        def start() -> np.ndarray:
            return np.random.default_rng((seed, 7)).uniform(-bound, bound, shape).astype("float32")

        self.v = self.add_weight(name="v" if weight_norm else "kernel", shape=shape, initializer=_exactly(start))
        if weight_norm:
            norms = tuple(length if i == axis else 1 for i, length in enumerate(shape))
            self.g = self.add_weight(name="g", shape=norms, initializer=_exactly(
                lambda: np.sqrt(np.sum(np.square(start()), axis=self.axes, keepdims=True))))
        self.bias = self.add_weight(name="bias", shape=(filters,),
                                    initializer=keras.initializers.RandomUniform(-bound, bound, seed=seed))
        self.built = True

    def kernel(self) -> keras.KerasTensor:
        """The kernel as it is applied."""
        v = ops.convert_to_tensor(self.v)
        if not self.weight_norm:
            return v
        return v * (self.g * ops.rsqrt(ops.sum(ops.square(v), axis=self.axes, keepdims=True)))


class Conv(NormalizedKernel):
    """Convolution without padding: ``(batch, length, in)`` -> ``(batch, length - dilation * (taps - 1), filters)``."""

    def __init__(self, inputs: int, filters: int, taps: int, dilation: int = 1, weight_norm: bool = True, seed: int = 0,
                 name: str = "conv") -> None:
        super().__init__((taps, inputs, filters), 2, filters, weight_norm, seed, name)
        self.dilation = dilation

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return ops.conv(x, self.kernel(), padding="valid", dilation_rate=self.dilation) + self.bias


class UpsamplingConv(NormalizedKernel):
    """Transposed convolution that upsamples by ``ratio``; its kernel has ``2 * ratio`` taps.

    The kernel is ``(2 * ratio, filters, in)``; the norm is taken for every *input* channel, as PyTorch's weight norm
    does by default. Of the result, the first ``ratio // 2 + ratio % 2`` samples are dropped, and as many
    at the end as leave ``ratio * length``.

    As a matrix product: input sample ``i`` adds the kernel to samples ``ratio * i ... ratio * (i + 2) - 1``.
    """

    def __init__(self, inputs: int, filters: int, ratio: int, weight_norm: bool = True, seed: int = 0,
                 name: str = "up") -> None:
        super().__init__((2 * ratio, filters, inputs), 2, filters, weight_norm, seed, name)
        self.ratio, self.filters, self.inputs = ratio, filters, inputs

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        length, width = ops.shape(x)[1], self.ratio * self.filters
        kernel = ops.reshape(ops.transpose(self.kernel(), (2, 0, 1)), (self.inputs, 2 * width))
        both = ops.matmul(x, kernel)
        total = (ops.pad(both[..., :width], ((0, 0), (0, 1), (0, 0)))
                 + ops.pad(both[..., width:], ((0, 0), (1, 0), (0, 0))))
        y = ops.reshape(total, (-1, (length + 1) * self.ratio, self.filters))
        first = self.ratio // 2 + self.ratio % 2
        return y[:, first:first + length * self.ratio] + self.bias


class WaveConv(NormalizedKernel):
    """The discriminators' first layer: reflection, then a convolution of one channel with an odd number of taps.

    A matrix with the kernel on its diagonals maps sixteen samples and their neighbors to sixteen outputs: twice the
    arithmetic of the convolution at many times its speed.

    Input shape: ``(batch, length)``. Output shape: ``(batch, length, filters)``.
    """

    BLOCK = 16

    def __init__(self, filters: int, taps: int, seed: int, name: str) -> None:
        super().__init__((taps, 1, filters), 2, filters, True, seed, name)
        self.taps, self.filters = taps, filters

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        length, reach = x.shape[1], self.taps // 2
        rows = -(-length // self.BLOCK)
        x = ops.pad(x, ((0, 0), (reach, reach)), mode="reflect")
        x = ops.pad(x, ((0, 0), (0, (rows + 1) * self.BLOCK - x.shape[1])))
        x = ops.reshape(x, (-1, rows + 1, self.BLOCK))
        patches = ops.concatenate([x[:, :-1], x[:, 1:]], axis=-1)
        kernel = self.kernel()[:, 0]
        columns = [ops.pad(kernel, ((i, 2 * self.BLOCK - self.taps - i), (0, 0))) for i in range(self.BLOCK)]
        y = ops.matmul(patches, ops.concatenate(columns, axis=1))
        return ops.reshape(y, (-1, rows * self.BLOCK, self.filters))[:, :length] + self.bias


class GroupedConv(NormalizedKernel):
    """Strided convolution in groups: kernel ``10 * stride + 1``, padding ``5 * stride``.

    One batched matrix product over the groups. `ROWS` outputs are computed from one row of patches: a little more
    arithmetic, much less copying.

    Input shape: ``(batch, length, inputs)``. Output shape: ``(batch, ceil(length / stride), filters)``.
    """

    ROWS = 4

    def __init__(self, inputs: int, filters: int, groups: int, stride: int, seed: int, name: str) -> None:
        super().__init__((10 * stride + 1, inputs // groups, filters), 2, filters, True, seed, name)
        self.groups, self.stride, self.inputs, self.filters = groups, stride, inputs, filters

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        rows, groups = self.ROWS, self.groups
        inputs, filters = self.inputs // groups, self.filters // groups
        length = -(-x.shape[1] // self.stride)  # of the output
        count = -(-length // rows)
        spans = -(-(10 + rows) // rows)  # pieces of rows * stride samples that a patch spans
        padded = (count + spans - 1) * rows * self.stride
        x = ops.pad(x, ((0, 0), (5 * self.stride, padded - x.shape[1] - 5 * self.stride), (0, 0)))
        x = ops.reshape(x, (-1, count + spans - 1, rows * self.stride, groups, inputs))
        x = ops.reshape(ops.transpose(x, (3, 0, 1, 2, 4)), (groups, -1, count + spans - 1, rows * self.stride * inputs))
        patches = ops.concatenate([x[:, :, i:i + count] for i in range(spans)], axis=-1)
        patches = ops.reshape(patches, (groups, -1, spans * rows * self.stride * inputs))
        y = ops.matmul(patches, self._matrix(spans * rows * self.stride))
        y = ops.reshape(y, (groups, -1, count * rows, filters))
        y = ops.reshape(ops.transpose(y, (1, 2, 0, 3)), (-1, count * rows, self.filters))
        return y[:, :length] + self.bias

    def _matrix(self, taps: int) -> keras.KerasTensor:
        """``(groups, taps * inputs per group, ROWS * filters per group)``: the kernel, shifted for each row."""
        length, inputs, _ = self.v.shape
        filters = self.filters // self.groups
        kernel = ops.transpose(ops.reshape(self.kernel(), (length, inputs, self.groups, filters)), (2, 0, 1, 3))
        shifted = [ops.pad(kernel, ((0, 0), (i * self.stride, taps - length - i * self.stride), (0, 0), (0, 0)))
                   for i in range(self.ROWS)]
        return ops.reshape(ops.stack(shifted, axis=3), (self.groups, taps * inputs, self.ROWS * filters))


class PatchConv(NormalizedKernel):
    """Dense convolution with padding, as one matrix product over patches; keeps the length."""

    def __init__(self, inputs: int, filters: int, taps: int, seed: int, name: str) -> None:
        super().__init__((taps, inputs, filters), 2, filters, True, seed, name)
        self.taps, self.inputs, self.filters = taps, inputs, filters

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        reach, length = self.taps // 2, x.shape[1]
        x = ops.pad(x, ((0, 0), (reach, reach), (0, 0)))
        patches = ops.concatenate([x[:, i:i + length] for i in range(self.taps)], axis=-1)
        return ops.matmul(patches, ops.reshape(self.kernel(), (-1, self.filters))) + self.bias


def _exactly(values: Callable[[], np.ndarray]) -> keras.initializers.Initializer:
    return lambda shape, dtype=None: ops.convert_to_tensor(values(), dtype=dtype)
