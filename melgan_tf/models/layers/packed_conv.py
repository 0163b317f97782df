"""Building blocks: the (3, 2) convolutions of the spectrogram GAN, written as matrix products.

Why not ``Conv2D``: on a CPU these maps are so small that a library convolution spends its time on packing them; XLA
makes it worse. As matrix products the same arithmetic runs at the speed of the processor (see benchmarks/).

**The packed layout.** A feature map ``(batch, rows, columns, channels)`` (rows = mel bins, columns = frames) is stored
as ``(rows, batch, columns * channels)``. A kernel of two columns with stride 2 never overlaps along the columns, so
merging or splitting columns is a mere reshape there; only neighboring *rows* meet, and they lie along the leading
axis, where slicing, padding and interleaving move whole contiguous blocks::

    transposed convolution, stride 2:   y[2i]     = x[i] K0 + x[i-1] K2        convolution, stride 2:
                                        y[2i + 1] = x[i] K1                    y[i] = x[2i] K0 + x[2i+1] K1 + x[2i+2] K2

The two layers next to the spectrogram have column stride 1; there the two kernel columns become a band matrix over a
whole row, so that they are one matrix product as well.

Kernels are stored as ``(3, 2, channels in, channels out)`` for both directions.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

KERNEL_ROWS, KERNEL_COLUMNS = 3, 2

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def selu(x: keras.KerasTensor, cached: keras.KerasTensor | None = None) -> keras.KerasTensor:
    """SELU, ``scale * (max(x, 0) + alpha * (exp(min(x, 0)) - 1))``, with a gradient that needs only the output.

    The usual form selects between two branches and computes ``exp(x)`` for large ``x`` only to discard it, which XLA
    compiles to slower code. For export see `selu_for_export`.

    Args:
        cached: the output, if an earlier program computed it: then ``x`` serves only to propagate the gradient, and a
            compiled program need not compute it.

    Reference: Klambauer et al., "Self-Normalizing Neural Networks" (2017), equation 2.
    """
    @ops.custom_gradient
    def activate(x: keras.KerasTensor) -> tuple[keras.KerasTensor, Callable]:
        y = cached
        if y is None:
            y = _SELU_SCALE * ops.relu(x) + (_SELU_SCALE * _SELU_ALPHA) * (ops.exp(-ops.relu(-x)) - 1.0)

        def gradient(upstream: keras.KerasTensor) -> keras.KerasTensor:
            return upstream * ops.where(y > 0, _SELU_SCALE, y + _SELU_SCALE * _SELU_ALPHA)

        return y, gradient

    return activate(x)


def selu_for_export(x: keras.KerasTensor) -> keras.KerasTensor:
    """The same SELU in operations that every export has, and that are precise near 0, as ``exp - 1`` is not.

    The ELU of ``-max(-x, 0)`` was chosen for int8 exports, which are gone; another form would change generated sounds
    in their last bits. In training it would take a quarter more time.
    """
    return _SELU_SCALE * ops.relu(x) + (_SELU_SCALE * _SELU_ALPHA) * ops.elu(-ops.relu(-x))


def pack(maps: keras.KerasTensor) -> keras.KerasTensor:
    """``(batch, rows, columns, channels)`` -> ``(rows, batch, columns * channels)``."""
    _, rows, columns, channels = maps.shape
    return ops.transpose(ops.reshape(maps, (-1, rows, columns * channels)), (1, 0, 2))


def unpack(packed: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    """``(rows, batch, columns * channels)`` -> ``(batch, rows, columns, channels)``."""
    rows, _, width = packed.shape
    return ops.reshape(ops.transpose(packed, (1, 0, 2)), (-1, rows, width // channels, channels))


class _KernelLayer(keras.layers.Layer):
    """Owns a ``(3, 2, in_channels, filters)`` kernel, drawn from N(0, weight_std), and a bias of zeros."""

    def __init__(self, in_channels: int, filters: int, weight_std: float, seed: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.in_channels, self.filters = in_channels, filters
        self.weight_std, self.seed = weight_std, seed

    def build(self, input_shape: object = None) -> None:
        self.kernel = self.add_weight(
            name="kernel", shape=(KERNEL_ROWS, KERNEL_COLUMNS, self.in_channels, self.filters),
            initializer=keras.initializers.RandomNormal(stddev=self.weight_std, seed=self.seed))
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def _biased(self, y: keras.KerasTensor) -> keras.KerasTensor:
        """Adds the bias to the channels of ``(..., columns * filters)``."""
        return _add_bias(y, ops.reshape(self.bias, (1, -1)))

    def _band(self, columns_in: int, columns_out: int, transposed: bool) -> list[keras.KerasTensor]:
        """For each kernel row the matrix ``(columns_in * in_channels, columns_out * filters)`` of a stride-1 map.

        One column of padding on either side: a convolution reads column ``o + q - 1`` for its output column ``o``; a
        transposed convolution writes column ``i + q - 1`` from its input column ``i``.
        """
        place = np.zeros((columns_in, columns_out, KERNEL_COLUMNS), "float32")
        for column in range(columns_in if transposed else columns_out):
            for q in range(KERNEL_COLUMNS):
                i, o = (column, column + q - 1) if transposed else (column + q - 1, column)
                if 0 <= i < columns_in and 0 <= o < columns_out:
                    place[i, o, q] = 1.0
        flat = ops.reshape(ops.transpose(self.kernel, (1, 0, 2, 3)), (KERNEL_COLUMNS, -1))
        band = ops.matmul(ops.cast(ops.reshape(place, (-1, KERNEL_COLUMNS)), flat.dtype), flat)
        band = ops.reshape(band, (columns_in, columns_out, KERNEL_ROWS, self.in_channels, self.filters))
        band = ops.reshape(ops.transpose(band, (2, 0, 3, 1, 4)),
                           (KERNEL_ROWS, columns_in * self.in_channels, columns_out * self.filters))
        return [band[a] for a in range(KERNEL_ROWS)]


def _matrix(packed: keras.KerasTensor, features: int) -> keras.KerasTensor:
    return ops.reshape(packed, (-1, features))


def _interleave(even: keras.KerasTensor, odd: keras.KerasTensor, rows: int) -> keras.KerasTensor:
    """Rows 0, 2, ... from ``even``, rows 1, 3, ... from ``odd``, the first ``rows`` of them."""
    pairs, _, width = even.shape
    return ops.reshape(ops.stack([even, odd], axis=1), (2 * pairs, -1, width))[:rows]


def _patches(x: keras.KerasTensor, features: int) -> keras.KerasTensor:
    """The input of each output position of a convolution, rows ``2i``, ``2i + 1``, ``2i + 2`` side by side.

    ``(rows, batch, columns * features)`` -> ``((rows - 1) // 2 * batch * columns, 3 * features)``.
    """
    out_rows = (x.shape[0] - 1) // 2
    # stacked, then transposed: XLA takes twice as long to join the rows along the last axis, with a branch per element
    taps = ops.stack([x[a:a + 2 * out_rows - 1:2] for a in range(KERNEL_ROWS)])
    taps = ops.transpose(ops.reshape(taps, (KERNEL_ROWS, -1, features)), (1, 0, 2))
    return ops.reshape(taps, (-1, KERNEL_ROWS * features))


def _spread(patches: keras.KerasTensor, rows: int, columns: int, out_rows: int) -> keras.KerasTensor:
    """The adjoint of `_patches`: overlapping patches are added.

    ``(rows * batch * columns, 3 * features)`` -> ``(out_rows, batch, columns * features)``.
    """
    features = patches.shape[1] // KERNEL_ROWS
    taps = [ops.reshape(patches[:, a * features:(a + 1) * features], (rows, -1, columns * features))
            for a in range(KERNEL_ROWS)]
    nothing = ops.zeros_like(taps[0][:1])
    even = ops.concatenate([taps[0], nothing], axis=0) + ops.concatenate([nothing, taps[2]], axis=0)
    return _interleave(even, ops.concatenate([taps[1], nothing], axis=0), out_rows)


# Each of the two maps below is the other's gradient. Automatic differentiation would pad and add every slice on its own
# and multiply by the three kernel rows one by one, in matrices too narrow to be fast.

@ops.custom_gradient
def _convolve(x: keras.KerasTensor, kernel: keras.KerasTensor) -> tuple[keras.KerasTensor, Callable]:
    """``(rows, batch, columns * features)`` by ``(3 * features, filters)`` -> ``(positions, filters)``."""
    rows, _, width = x.shape
    features = kernel.shape[0] // KERNEL_ROWS
    patches = _patches(x, features)

    def gradient(upstream: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        to_patches = ops.matmul(upstream, ops.transpose(kernel))
        return (_spread(to_patches, (rows - 1) // 2, width // features, rows),
                ops.matmul(ops.transpose(patches), upstream))

    return ops.matmul(patches, kernel), gradient


def _convolve_transposed(x: keras.KerasTensor, kernel: keras.KerasTensor, out_rows: int) -> keras.KerasTensor:
    """``(rows, batch, columns * in)`` by ``(in, 3 * features)`` -> ``(out_rows, batch, columns * features)``."""
    @ops.custom_gradient
    def product(x: keras.KerasTensor, kernel: keras.KerasTensor) -> tuple[keras.KerasTensor, Callable]:
        rows, _, width = x.shape
        in_channels, features = kernel.shape[0], kernel.shape[1] // KERNEL_ROWS
        matrix = _matrix(x, in_channels)

        def gradient(upstream: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
            patches = _patches(upstream[:2 * rows + 1], features)
            return (ops.reshape(ops.matmul(patches, ops.transpose(kernel)), (rows, -1, width)),
                    ops.matmul(ops.transpose(matrix), patches))

        return _spread(ops.matmul(matrix, kernel), rows, width // in_channels, out_rows), gradient

    return product(x, kernel)


@ops.custom_gradient
def _add_bias(y: keras.KerasTensor, bias: keras.KerasTensor) -> tuple[keras.KerasTensor, Callable]:
    """Adds a bias ``(1, filters)`` to ``(..., columns * filters)``, as a row; its gradient is one sum down a matrix."""
    filters = bias.shape[1]
    # a product and not ops.tile, which XLA would fuse into the following loops, as a division per element
    once = np.tile(np.array([1, 0], "float32"), (y.shape[-1] // filters, 1))
    row = ops.matmul(ops.cast(once, bias.dtype), ops.pad(bias, ((0, 1), (0, 0))))

    def gradient(upstream: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        return upstream, ops.sum(_matrix(upstream, filters), axis=0, keepdims=True)

    return y + ops.reshape(row, (-1,)), gradient


class SeedConv(_KernelLayer):
    """Transposed convolution of a single point, the noise vector: ``(batch, noise)`` -> ``(3, batch, 2 * filters)``."""

    def call(self, noise: keras.KerasTensor) -> keras.KerasTensor:
        kernel = ops.reshape(ops.transpose(self.kernel, (2, 0, 1, 3)), (self.in_channels, -1))
        y = self._biased(ops.matmul(noise, kernel))
        return ops.transpose(ops.reshape(y, (-1, KERNEL_ROWS, KERNEL_COLUMNS * self.filters)), (1, 0, 2))


class UpConv(_KernelLayer):
    """Transposed convolution, kernel (3, 2), stride 2, no padding.

    Args:
        out_rows: output rows: ``2 * rows + 1``, or one more with an output padding of 1.

    Input shape: ``(rows, batch, columns * in_channels)``.
    Output shape: ``(out_rows, batch, 2 * columns * filters)``.
    """

    def __init__(self, in_channels: int, filters: int, out_rows: int, **kwargs) -> None:
        super().__init__(in_channels, filters, **kwargs)
        self.out_rows = out_rows

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        kernel = ops.reshape(ops.transpose(self.kernel, (2, 0, 1, 3)), (self.in_channels, -1))
        return self._biased(_convolve_transposed(x, kernel, self.out_rows))


class SpectrogramUpConv(_KernelLayer):
    """The last transposed convolution: stride (2, 1), padding 1, output padding (1, 0), to one channel.

    Args:
        columns: columns of the output (frames); the input has one more, of which the last carries no signal: it
            comes from output padding and has the same vector (the activated bias of the layer before) everywhere. It
            is not stored; its vector is passed as ``border``.

    Input shape: ``(rows, batch, columns * in_channels)`` and border ``(in_channels,)``.
    Output shape: ``(2 * rows, batch, columns * filters)``.
    """

    def __init__(self, in_channels: int, filters: int, columns: int, **kwargs) -> None:
        super().__init__(in_channels, filters, **kwargs)
        self.columns = columns

    def call(self, x: keras.KerasTensor, border: keras.KerasTensor) -> keras.KerasTensor:
        rows, width = x.shape[0], self.columns * self.filters
        bands = self._band(self.columns + 1, self.columns, transposed=True)
        stored = self.columns * self.in_channels
        y = ops.matmul(_matrix(x, stored), ops.concatenate([band[:stored] for band in bands], axis=1))
        y = y + ops.concatenate([ops.matmul(border, band[stored:]) for band in bands])
        taps = [ops.reshape(y[:, a * width:(a + 1) * width], (rows, -1, width)) for a in range(KERNEL_ROWS)]
        # padding 1 removes the first row: the even rows are now those of the middle kernel row
        odd = ops.pad(taps[0][1:], ((0, 1), (0, 0), (0, 0))) + taps[2]
        return _interleave(taps[1], odd, 2 * rows) + ops.tile(self.bias, self.columns)


class SpectrogramConv(_KernelLayer):
    """The first convolution: kernel (3, 2), stride (2, 1), padding 1.

    Args:
        columns: columns of the input (frames). The output has one more.

    Input shape: ``(rows, batch, columns * in_channels)``.
    Output shape: ``(rows / 2, batch, (columns + 1) * filters)``, or with ``columns_out`` that many columns.
    """

    def __init__(self, in_channels: int, filters: int, columns: int, **kwargs) -> None:
        super().__init__(in_channels, filters, **kwargs)
        self.columns = columns

    def call(self, x: keras.KerasTensor, columns_out: int | None = None) -> keras.KerasTensor:
        rows = x.shape[0]
        columns_out = columns_out or self.columns + 1
        band = ops.concatenate(self._band(self.columns, columns_out, transposed=False), axis=0)
        y = _convolve(ops.pad(x, ((1, 0), (0, 0), (0, 0))), band)
        return self._biased(ops.reshape(y, (rows // 2, -1, columns_out * self.filters)))


class DownConv(_KernelLayer):
    """Convolution, kernel (3, 2), stride 2.

    Args:
        padding: zeros on every side of the input: 0 or 1.

    Input shape: ``(rows, batch, columns * in_channels)`` with an even number of columns (after padding).
    Output shape: ``((rows + 2 * padding - 1) // 2, batch, (columns / 2 + padding) * filters)``.
    """

    def __init__(self, in_channels: int, filters: int, padding: int = 0, **kwargs) -> None:
        super().__init__(in_channels, filters, **kwargs)
        self.padding = padding

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        if self.padding:
            side = self.padding * self.in_channels
            x = ops.pad(x, ((self.padding, self.padding), (0, 0), (side, side)))
        rows, _, width = x.shape
        y = _convolve(x, ops.reshape(self.kernel, (-1, self.filters))) + self.bias
        columns_out = width // (KERNEL_COLUMNS * self.in_channels)
        return ops.reshape(y, ((rows - 1) // 2, -1, columns_out * self.filters))
