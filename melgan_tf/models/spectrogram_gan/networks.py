"""The spectrogram GAN: noise -> mel spectrogram, and mel spectrogram -> real or not.

Both are stacks of (3, 2) convolutions with SELU; a mel spectrogram is an image of 64 mel bins by 16 frames. The
arithmetic is in `melgan_tf.models.layers.packed_conv`, in a packed layout; these classes speak plain channels-last
images.

Reference: Radford et al., "Unsupervised Representation Learning with Deep Convolutional GANs" (2016) for the
arrangement; Klambauer et al., "Self-Normalizing Neural Networks" (2017) for SELU.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from melgan_tf.config import Config
from melgan_tf.models.layers.packed_conv import (
    DownConv,
    SeedConv,
    SpectrogramConv,
    SpectrogramUpConv,
    UpConv,
    pack,
    selu,
    selu_for_export,
    unpack,
)

MEL_BINS, FRAMES = 64, 16


class Generator(keras.Model):
    """Turns noise into mel spectrograms.

    ======================================  ===========  ==============
    layer                                   stride       (mel, frame, C)
    ======================================  ===========  ==============
    transposed convolution 1                2            (3, 2, 256)
    transposed convolution 2                2            (7, 4, 128)
    transposed convolution 3                2            (15, 8, 32)
    ... 4, output padding (1, 1)            2            (32, 17, 8)
    ... 5, padding 1, output padding (1, 0) (2, 1)       (64, 16, 1)
    ======================================  ===========  ==============

    SELU follows every layer, the last too: outputs lie above -1.76 and have no upper bound.

    Args:
        noise_dim: length of the noise vector.
        weight_std: standard deviation of the initial kernels.
        seed: decides the initial kernels.

    Call arguments:
        noise: ``(batch, noise_dim)``, standard normal.
        packed: return the packed layout of `melgan_tf.models.layers.packed_conv`, ``(mel_bins, batch, frames)``, as
        training does.
        return_all: return a list of the packed outputs of all five layers.
        cached_maps: such a list from an earlier call with the same noise and weights. It replaces the layers' outputs;
            what remains of the call is the way of the gradients back.

    Output shape: ``(batch, 64, 16, 1)``.

    Examples:
        >>> Generator()(keras.ops.zeros((2, 20))).shape
        TensorShape([2, 64, 16, 1])
    """

    def __init__(self, noise_dim: int = 20, weight_std: float = 0.02, seed: int = 0, name: str = "generator") -> None:
        super().__init__(name=name)
        self.noise_dim = noise_dim
        common = [{"weight_std": weight_std, "seed": seed * 10 + i, "name": f"up_{i}"} for i in range(1, 6)]
        self.up_1 = SeedConv(noise_dim, 256, **common[0])
        self.up_2 = UpConv(256, 128, out_rows=7, **common[1])
        self.up_3 = UpConv(128, 32, out_rows=15, **common[2])
        self.up_4 = UpConv(32, 8, out_rows=32, **common[3])
        self.up_5 = SpectrogramUpConv(8, 1, columns=FRAMES, **common[4])
        for layer in (self.up_1, self.up_2, self.up_3, self.up_4, self.up_5):
            layer.build()
        self.built = True

    def call(self, noise: keras.KerasTensor, packed: bool = False, return_all: bool = False,
             cached_maps: list[keras.KerasTensor] | None = None) -> keras.KerasTensor | list[keras.KerasTensor]:
        training = packed or return_all or cached_maps is not None
        maps = self._maps(noise, selu if training else selu_for_export, cached_maps)
        if return_all:
            return maps
        return maps[-1] if packed else unpack(maps[-1], 1)

    def mel(self, noise: keras.KerasTensor) -> keras.KerasTensor:
        """Noise ``(batch, noise_dim)`` -> mel ``(batch, frames, mel_bins)``."""
        return ops.transpose(ops.squeeze(self(noise), axis=-1), (0, 2, 1))

    def feature_maps(self, noise: keras.KerasTensor) -> list[keras.KerasTensor]:
        """The activated output of each layer, ``(batch, mel, frame, channels)`` as in the table above."""
        *inner, last = self._maps(noise, selu)
        maps = [unpack(y, layer.filters) for y, layer in zip(inner, (self.up_1, self.up_2, self.up_3, self.up_4),
                                                             strict=True)]
        border = ops.broadcast_to(self._border(), (*ops.shape(maps[-1])[:2], 1, self.up_4.filters))
        return [*maps[:-1], ops.concatenate([maps[-1], border], axis=2), unpack(last, 1)]

    def _border(self) -> keras.KerasTensor:
        """What output padding leaves in the 17th column of layer 4: nothing but the bias."""
        return selu(ops.reshape(self.up_4.bias, (-1,)))  # a tensor: custom gradients take no variables

    def _maps(self, noise: keras.KerasTensor, activation: Callable[..., keras.KerasTensor],
              cached_maps: list[keras.KerasTensor] | None = None) -> list[keras.KerasTensor]:
        def activate(x: keras.KerasTensor, index: int) -> keras.KerasTensor:
            return activation(x, cached_maps[index]) if cached_maps else activation(x)

        maps = [activate(self.up_1(noise), 0)]
        for index, layer in enumerate((self.up_2, self.up_3, self.up_4), 1):
            maps.append(activate(layer(maps[-1]), index))
        maps.append(activate(self.up_5(maps[-1], self._border()), 4))
        return maps


class Discriminator(keras.Model):
    """Tells real mel spectrograms from generated ones.

    ======================================  ===========  ==============
    layer                                   stride       (mel, frame, C)
    ======================================  ===========  ==============
    convolution 1, padding 1                (2, 1)       (32, 17, 4)
    convolution 2                           2            (15, 8, 16)
    convolution 3                           2            (7, 4, 32)
    convolution 4                           2            (3, 2, 64)
    convolution 5, padding 1                2            (2, 2, 128)
    flatten, dense                                       64
    dense, sigmoid                                       1
    ======================================  ===========  ==============

    SELU follows every layer but the last.

    Args:
        weight_std: standard deviation of the initial convolution kernels (the dense layers start from Glorot's).
        seed: decides the initial weights.

    Call arguments:
        patch: ``(batch, 64, 16, 1)`` mel spectrograms, or packed ``(64, batch, 16)``.
        packed: the patch is in the packed layout of `melgan_tf.models.layers.packed_conv`.
        logits: return the value before the sigmoid, which losses are computed from.

    Output shape: ``(batch, 1)``, probability of being real.
    """

    def __init__(self, weight_std: float = 0.02, seed: int = 0, name: str = "discriminator") -> None:
        super().__init__(name=name)
        common = [{"weight_std": weight_std, "seed": seed * 10 + 100 + i, "name": f"down_{i}"} for i in range(1, 6)]
        self.down_1 = SpectrogramConv(1, 4, columns=FRAMES, **common[0])
        self.down_2 = DownConv(4, 16, **common[1])
        self.down_3 = DownConv(16, 32, **common[2])
        self.down_4 = DownConv(32, 64, **common[3])
        self.down_5 = DownConv(64, 128, padding=1, **common[4])
        self.dense_1 = keras.layers.Dense(64, name="dense_1", kernel_initializer=_fan_in_uniform(512, seed * 10 + 106),
                                          bias_initializer=_fan_in_uniform(512, seed * 10 + 107))
        self.dense_2 = keras.layers.Dense(1, name="dense_2", kernel_initializer=_fan_in_uniform(64, seed * 10 + 108),
                                          bias_initializer=_fan_in_uniform(64, seed * 10 + 109))
        for layer in (self.down_1, self.down_2, self.down_3, self.down_4, self.down_5):
            layer.build()
        self.dense_1.build((None, 512))
        self.dense_2.build((None, 64))
        self.built = True

    def call(self, patch: keras.KerasTensor, packed: bool = False, logits: bool = False) -> keras.KerasTensor:
        last = self._maps(patch if packed else pack(patch), columns=FRAMES)[-1]
        flat = ops.reshape(ops.transpose(last, (1, 0, 2)), (-1, 512))
        y = ops.cast(self.dense_2(selu(self.dense_1(flat))), "float32")
        return y if logits else ops.sigmoid(y)

    def feature_maps(self, patch: keras.KerasTensor) -> list[keras.KerasTensor]:
        """The activated output of each convolution, ``(batch, mel, frame, channels)`` as in the table above."""
        first = selu(self.down_1(pack(patch)))
        maps = self._maps(pack(patch), columns=FRAMES)
        layers = (self.down_1, self.down_2, self.down_3, self.down_4, self.down_5)
        return [unpack(y, layer.filters) for y, layer in zip([first, *maps[1:]], layers, strict=True)]

    def _maps(self, patch: keras.KerasTensor, columns: int) -> list[keras.KerasTensor]:
        # layer 2, stride 2, never reads the 17th column of layer 1: it is not computed
        maps = [selu(self.down_1(patch, columns_out=columns))]
        for layer in (self.down_2, self.down_3, self.down_4, self.down_5):
            maps.append(selu(layer(maps[-1])))
        return maps


def _fan_in_uniform(fan_in: int, seed: int) -> keras.initializers.Initializer:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)): how the original program's dense layers (weights and biases) begin."""
    bound = fan_in ** -0.5
    return keras.initializers.RandomUniform(-bound, bound, seed=seed)


def build(config: Config, classes: None = None) -> Generator:
    """The generator of a configuration, with initial weights. It has no classes."""
    return Generator(config.model.noise_dim, config.model.weight_std)
