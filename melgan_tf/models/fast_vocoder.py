"""The fast vocoder: mel spectrogram -> waveform, with all learned work done at frame rate.

::

    log mel --conv 7--> blocks --split every frame into sub-frames--> blocks --> (a, b) for every bin
    mel ----- band energies spread over the bins -----------------------------> magnitude p
                                                    waveform = overlap-add(window * inverse DFT(p * (a + i b)))

The network need not find out how loud a bin is: the mel says so, roughly. What it learns is the complex factor
``a + i b``, of the order of 1, that turns the rough magnitude into the bin of a short Fourier transform. So its outputs
have one scale from the loudest sound to the faintest, and where the mel is at its floor the output is *zero*, not
almost: silence in, silence out.

A MelGAN generator spends its arithmetic at the sample rate, about 70,000 multiplications a sample; this one spends some
6,000. The inverse Fourier transform is a matrix product, which TFLite has.

Reference: H. Siuzdak, "Vocos" (2023), for the ConvNeXt blocks and the Fourier head; T. Kaneko et al., "iSTFTNet"
(2022), for splitting frames before the head. The spread magnitude is this package's own.
"""

from __future__ import annotations

import functools
import math

import keras
import numpy as np
from keras import ops

from melgan_tf.config import AudioConfig, FastVocoderConfig
from melgan_tf.spectral import mel_filterbank

#: Sub-frames that overlap at every sample: the synthesis window is this many sub-frame hops long.
OVERLAP = 4
_SLOPE = 0.2


class FastVocoder(keras.Model):
    """Mel spectrogram -> waveform at frame rate.

    Args:
        audio: the mels it understands; their hop is a multiple of ``config.subframes``.
        config: widths and depths.
        seed: decides the initial weights.

    Call arguments:
        mel: ``(batch, frames, mel_bins)`` on the scale of `audio`; any batch, any number of frames.
        mask: ``(batch, frames)``, 1 where the mel is sound and 0 where it only fills up: the sound ends there as if
            nothing followed. Fixed-length exports need it; without it every frame counts.
        shifted: write depthwise convolutions as sums of shifted products, which XLA compiles well, and other
            executors do not.

    Output shape: ``(batch, frames * hop)``. Block ``i`` of ``hop`` samples belongs to frame ``i``.
    """

    def __init__(self, audio: AudioConfig, config: FastVocoderConfig | None = None, seed: int = 0,
                 name: str = "fast_vocoder") -> None:
        super().__init__(name=name)
        self.audio, self.config = audio, config or FastVocoderConfig()
        config = self.config
        self.sub_hop = audio.hop_samples // config.subframes
        self.bins = OVERLAP * self.sub_hop // 2 + 1
        depth = config.blocks + config.sub_blocks
        self.entry = _dense(config.kernel * audio.mel_bins, config.channels, seed * 1000, "entry")
        self.stages = [Block(config.channels, config.expansion, config.kernel, 1 / depth, seed * 1000 + 10 * i + 1,
                             f"block_{i + 1}") for i in range(config.blocks)]
        self.split = _dense(config.channels, config.subframes * config.sub_channels, seed * 1000 + 997, "split")
        self.sub_stages = [Block(config.sub_channels, config.expansion, config.kernel, 1 / depth,
                                 seed * 1000 + 500 + 10 * i, f"sub_block_{i + 1}") for i in range(config.sub_blocks)]
        self.head = _dense(config.sub_channels, 2 * self.bins, seed * 1000 + 998, "head")
        self.built = True

    @property
    def hop_samples(self) -> int:
        """Samples per frame of mel."""
        return self.audio.hop_samples

    @property
    def context_frames(self) -> int:
        """Frames on either side that a frame's samples depend on: what neighbouring chunks must overlap by."""
        reach = (self.config.kernel - 1) // 2
        frames = reach * (1 + self.config.blocks)
        # sub-frames: their blocks, and the window, which is centred on its sub-frame and OVERLAP of them long; the
        # magnitudes between two frames are read from both
        return frames + max(1, math.ceil((reach * self.config.sub_blocks + OVERLAP / 2) / self.config.subframes))

    def call(self, mel: keras.KerasTensor, mask: keras.KerasTensor | None = None,
             shifted: bool = False) -> keras.KerasTensor:
        mask = None if mask is None else ops.expand_dims(mask, -1)
        x = self._entry(mel, mask)
        for block in self.stages:
            x = block(x, mask=mask, shifted=shifted)
        x = self.split(normalize(x))
        frames, subframes = ops.shape(x)[1], self.config.subframes
        x = ops.reshape(x, (-1, frames * subframes, self.config.sub_channels))
        if mask is not None:
            mask = ops.reshape(mask * np.ones((1, 1, subframes), "float32"), (-1, frames * subframes, 1))
        for block in self.sub_stages:
            x = block(x, mask=mask, shifted=shifted)
        factor = self.head(normalize(x))
        magnitude = self._magnitude(mel)
        spectrum = factor * ops.concatenate([magnitude, magnitude], axis=-1)
        return self._synthesize(spectrum if mask is None else spectrum * mask, mask)

    def _entry(self, mel: keras.KerasTensor, mask: keras.KerasTensor | None) -> keras.KerasTensor:
        x = self._normalized(mel)
        x = x if mask is None else x * mask
        reach, frames = (self.config.kernel - 1) // 2, ops.shape(x)[1]
        x = ops.pad(x, ((0, 0), (reach, reach), (0, 0)))
        return self.entry(ops.concatenate([x[:, i:i + frames] for i in range(self.config.kernel)], axis=-1))

    def _normalized(self, mel: keras.KerasTensor) -> keras.KerasTensor:
        """Powers of ten of magnitude, most of them between -1 and 1."""
        decades = mel / self.audio.power
        return (decades + 1.5) / 2.0

    def _magnitude(self, mel: keras.KerasTensor) -> keras.KerasTensor:
        """Rough magnitudes ``(batch, sub-frames, bins)``: band energies spread over bins, straight lines in time."""
        linear = ops.exp(mel * math.log(10.0))
        linear = ops.where(linear > self.audio.floor * (1 + 1e-4), linear, ops.zeros_like(linear))
        spread = ops.matmul(linear, _spread_matrix(self.audio, self.bins))
        spread = ops.sqrt(spread) if self.audio.power == 2.0 else spread
        before = ops.concatenate([spread[:, :1], spread[:, :-1]], axis=1)
        after = ops.concatenate([spread[:, 1:], spread[:, -1:]], axis=1)
        parts = []
        for position in self._positions():  # of each sub-frame, in frames from the frame's own centre
            other = after if position > 0 else before
            parts.append(spread * (1 - abs(position)) + other * abs(position))
        frames = ops.shape(mel)[1]
        return ops.reshape(ops.stack(parts, axis=2), (-1, frames * self.config.subframes, self.bins))

    def _positions(self) -> list[float]:
        centre = 0.0 if self.audio.padding == "centre" else 0.5
        return [(j + 0.5) / self.config.subframes - centre for j in range(self.config.subframes)]

    def _synthesize(self, spectrum: keras.KerasTensor, mask: keras.KerasTensor | None) -> keras.KerasTensor:
        """``(batch, sub-frames, 2 * bins)`` -> ``(batch, sub-frames * sub_hop)``."""
        blocks = ops.matmul(spectrum, _inverse_dft(OVERLAP * self.sub_hop))
        count = ops.shape(spectrum)[1]
        present = ops.ones_like(spectrum[:1, :, :1]) if mask is None else mask
        weight = self._overlap_add(present * _window(OVERLAP * self.sub_hop), count)
        return self._overlap_add(blocks, count) / ops.maximum(weight, 1e-3)

    def _overlap_add(self, blocks: keras.KerasTensor, count: int) -> keras.KerasTensor:
        hop = self.sub_hop
        total = None
        for j in range(OVERLAP):
            part = ops.pad(blocks[:, :, j * hop:(j + 1) * hop], ((0, 0), (j, OVERLAP - 1 - j), (0, 0)))
            total = part if total is None else total + part
        # a window is centred on its sub-frame: what is before the first sub-frame and behind the last goes
        first = (OVERLAP - 1) * hop // 2
        return ops.reshape(total, (-1, (count + OVERLAP - 1) * hop))[:, first:first + count * hop]


class Block(keras.layers.Layer):
    """ConvNeXt block: depthwise convolution in time, normalisation, two dense layers; scaled and added to its input.

    Args:
        channels: of input and output.
        expansion: channels between the dense layers, in multiples of `channels`.
        kernel: frames that the convolution sees, odd. Beyond the ends its input counts as zero.
        scale: what the addition is multiplied by at first.
        seed: decides the initial weights.

    Input and output shape: ``(batch, frames, channels)``.

    Reference: Liu et al., "A ConvNet for the 2020s" (2022).
    """

    def __init__(self, channels: int, expansion: int, kernel: int, scale: float, seed: int, name: str) -> None:
        super().__init__(name=name)
        self.channels, self.taps = channels, kernel
        start = keras.initializers.RandomNormal(0.0, 1 / math.sqrt(kernel), seed=seed)
        self.depthwise = self.add_weight(name="depthwise", shape=(kernel, channels), initializer=start)
        self.bias = self.add_weight(name="bias", shape=(channels,), initializer="zeros")
        self.widen = _dense(channels, expansion * channels, seed + 1, f"{name}_widen")
        self.narrow = _dense(expansion * channels, channels, seed + 2, f"{name}_narrow")
        self.scale = self.add_weight(name="scale", shape=(channels,), initializer=keras.initializers.Constant(scale))
        self.built = True

    def call(self, x: keras.KerasTensor, mask: keras.KerasTensor | None = None,
             shifted: bool = False) -> keras.KerasTensor:
        seen = x if mask is None else x * mask
        y = (self._shifted(seen) if shifted else self._convolved(seen)) + self.bias
        return x + self.narrow(_leaky_relu(self.widen(normalize(y)))) * self.scale

    def _convolved(self, x: keras.KerasTensor) -> keras.KerasTensor:
        kernel = ops.reshape(self.depthwise, (1, self.taps, self.channels, 1))
        return ops.depthwise_conv(x[:, None], kernel, padding="same")[:, 0]

    def _shifted(self, x: keras.KerasTensor) -> keras.KerasTensor:
        reach, frames = (self.taps - 1) // 2, x.shape[1]
        x = ops.pad(x, ((0, 0), (reach, reach), (0, 0)))
        return sum(x[:, i:i + frames] * self.depthwise[i] for i in range(self.taps))


def normalize(x: keras.KerasTensor) -> keras.KerasTensor:
    """Zero mean and unit variance over the channels; the dense layer that follows scales and shifts."""
    x = x - ops.mean(x, axis=-1, keepdims=True)
    return x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-5)


def _leaky_relu(x: keras.KerasTensor) -> keras.KerasTensor:
    return ops.maximum(x, _SLOPE * x)


def _dense(inputs: int, outputs: int, seed: int, name: str) -> keras.layers.Dense:
    layer = keras.layers.Dense(outputs, name=name, kernel_initializer=keras.initializers.RandomNormal(
        0.0, 1 / math.sqrt(inputs), seed=seed))
    layer.build((None, inputs))
    return layer


@functools.lru_cache(maxsize=32)
def _window(length: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype("float32")


@functools.lru_cache(maxsize=32)
def _inverse_dft(length: int) -> np.ndarray:
    """``(2 * bins, length)``: [real | imaginary] parts -> windowed samples."""
    bins, samples = np.arange(length // 2 + 1)[:, None], np.arange(length)[None]
    angle = 2 * np.pi * bins * samples / length
    weight = np.where((bins == 0) | (bins == length // 2), 1.0, 2.0) / length
    return (np.concatenate([weight * np.cos(angle), -weight * np.sin(angle)]) * _window(length)).astype("float32")


@functools.lru_cache(maxsize=32)
def _spread_matrix(audio: AudioConfig, bins: int) -> np.ndarray:
    """``(mel_bins, bins)``: the energy of each band shared out over the bins of the synthesis transform.

    A bin gets the mean energy per bin of the bands that cover it, weighted as their filters weight it, scaled from the
    analysis window to the synthesis window. The direct current gets nothing.
    """
    analysis = mel_filterbank(audio).astype("float64")  # (n_fft / 2 + 1, mel_bins)
    centres = np.linspace(0.0, 1.0, len(analysis))
    fine = np.stack([np.interp(np.linspace(0.0, 1.0, bins), centres, column) for column in analysis.T])
    share = fine / np.maximum(fine.max(axis=1, keepdims=True), 1e-12)  # unit area or unit height: alike
    covered = share.sum(axis=0) > 1e-3
    nearest = np.argmin(np.abs(np.arange(bins)[:, None] - np.flatnonzero(covered)[None]), axis=1)
    share = share[:, np.flatnonzero(covered)[nearest]]
    share /= share.sum(axis=0)
    area = np.maximum(analysis.sum(axis=0), 1e-12)[:, None]
    scale = 2 * (2 * (bins - 1)) / audio.n_fft
    matrix = share / area * scale ** audio.power
    matrix[:, 0] = 0.0
    return matrix.astype("float32")
