"""The fast vocoder: mel spectrogram -> waveform, with all learned work done at frame rate.

::

    log mel --convolutions--> split every frame into sub-frames --convolutions--> complex u, c[j] for every bin
    mel ----- band energies spread over the bins -----------------------------> magnitude p
    clock --------------------------------------------------------------------> carriers r[j], |r[j]| = 1
                          waveform = overlap-add(window * inverse DFT(p * (u + c[1] r[1] + c[2] r[2] + ...)))
    waveform and mel -- phase retrieval for the lowest frequencies (optional) --> waveform
    waveform and mel -- once or twice: match the waveform's mel to the given one --> waveform

The mel gives the rough magnitude of a bin. The network learns the complex factor, of the order of 1, that turns the
rough magnitude into the bin of a short Fourier transform. So its outputs have the same scale for loud and faint sounds,
and where the mel is at its floor the output is exactly *zero*: silence in, silence out.

**Carriers.** A network that sees only the mel maps equal frames to equal samples: every steady sound becomes a buzz at
the frame rate, and a note is in tune only at its multiples. So every bin gets phasors that turn with *time*, at a few
frequencies within the bin (four in the lowest quarter of the bins, one above), and a factor without a carrier for
attacks. A steady note is a constant ``c``; a steady noise is a dense set of them. What the factor without a carrier
repeats all the same gets random phases (`melgan_tf.models.fast_vocoder.steady`). All frequencies are multiples of one
that repeats every 16 windows, so the only state is a clock that wraps around.

A MelGAN generator does its arithmetic at the sample rate, about 70,000 multiplications per sample; this one needs about
5,000, in a few large matrix products.

Reference: H. Siuzdak, "Vocos" (2023), for the Fourier head at frame rate; T. Kaneko et al., "iSTFTNet" (2022), for
splitting frames before it. The spread magnitude, the carriers and the correction are new in this package.
"""

from __future__ import annotations

import functools
import math
import operator

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig, Config
from melgan_tf.dsp import banded, stft
from melgan_tf.dsp.mel_correction import match_mel
from melgan_tf.dsp.mel_filters import mel_filterbank
from melgan_tf.dsp.spectral import decompress
from melgan_tf.models.fast_vocoder import low_band, steady
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig

#: Frequency steps per bin for the carriers; also the windows after which the carriers repeat.
_STEPS = 16
_SLOPE = 0.2


class FastVocoder(keras.Model):
    """Mel spectrogram -> waveform at frame rate.

    Args:
        audio: its mel configuration; the hop is a multiple of ``config.subframes``.
        config: widths and depths.
        seed: of the initial weights.

    Call arguments:
        mel: ``(batch, frames, mel_bins)`` on the scale of `audio`; any batch, any number of frames.
        frame_mask: ``(batch, frames)``, 1 for sound, 0 for padding, as in fixed-length exports; None: all 1.
        start: the number of the first frame, an integer or one for each sound ``(batch,)``, for pieces of longer ones.
        use_matmul_dft: compute Fourier transforms as matrix products, for runtimes that have no FFT.

    Output shape: ``(batch, frames * hop)``. Block ``i`` of ``hop`` samples belongs to frame ``i``.
    """

    def __init__(self, audio: AudioConfig, config: FastVocoderConfig | None = None, seed: int = 0,
                 name: str = "fast_vocoder") -> None:
        super().__init__(name=name)
        self.audio, self.config = audio, config or FastVocoderConfig()
        config = self.config
        self.sub_hop = audio.hop_samples // config.subframes
        self.window = config.overlap * self.sub_hop
        self.bins = self.window // 2 + 1
        depth = len(config.dilations) + config.sub_blocks
        self.entry = _Linear(config.kernel * audio.mel_bins, config.channels, 1.0, seed * 1000, "entry")
        self.stages = [Block(config.channels, dilation, 1 / depth, seed * 1000 + 10 * i + 1, f"block_{i + 1}")
                       for i, dilation in enumerate(config.dilations)]
        self.split = _Linear(config.channels, config.subframes * config.sub_channels, 1.0, seed * 1000 + 997, "split")
        self.sub_stages = [Block(config.sub_channels, 1, 1 / depth, seed * 1000 + 500 + 10 * i, f"sub_block_{i + 1}")
                           for i in range(config.sub_blocks)]
        low = _low_bins(self.bins)
        widths = {"still_real": self.bins, "still_imaginary": self.bins, "low_real": config.carriers * low,
                  "low_imaginary": config.carriers * low, "high": self.bins - low}
        self.heads = [_Linear(config.sub_channels, width, 1.0, seed * 1000 + 990 + i, name)
                      for i, (name, width) in enumerate(widths.items())]
        self.low_log_gain = None
        if config.low_rounds:
            self.low_log_gain = _Linear(config.channels, low_band.bins(audio), 0.1, seed * 1000 + 980, "low_guess")
        self.exponents = [self.add_weight(name=f"exponent_{i + 1}", shape=(audio.mel_bins,),
                                          initializer=keras.initializers.Constant(1.2))
                          for i in range(config.corrections)]
        self.built = True

    min_frames = 1
    accepts_mask = True

    @property
    def hop_samples(self) -> int:
        """Samples per frame of mel."""
        return self.audio.hop_samples

    @property
    def context_frames(self) -> int:
        """Frames on either side that a frame's samples depend on: the overlap of neighboring chunks."""
        frames = (self.config.kernel - 1) // 2 + sum(self.config.dilations)
        # sub-frames: their blocks, and the window, which is centered on its sub-frame; magnitudes are interpolated
        # between two frames
        frames += max(1, math.ceil((self.config.sub_blocks + self.config.overlap / 2) / self.config.subframes))
        frames += self.config.scatter_frames
        if self.config.low_rounds:
            frames += low_band.context_frames(self.audio, self.config.low_rounds)
        # a correction compares whole windows of the analysis and adds whole windows
        return frames + self.config.corrections * 2 * math.ceil(self.audio.n_fft / self.audio.hop_samples / 2)

    @property
    def clock_period_frames(self) -> int:
        """Frames after which the clock repeats: pieces that start at a multiple of it need no `start`."""
        return self._ticks // math.gcd(self._ticks, self.config.subframes)

    @property
    def _ticks(self) -> int:
        return _STEPS * self.config.overlap

    def call(self, mel: tf.Tensor, frame_mask: tf.Tensor | None = None, start: tf.Tensor | None = None,
             use_matmul_dft: bool = False) -> tf.Tensor:
        mask = None if frame_mask is None else frame_mask[:, :, None]
        subframes, frames = self.config.subframes, tf.shape(mel)[1]
        x = self._entry(mel, mask, frames)
        for block in self.stages:
            x = block(x, frame_mask=mask)
        x = normalize(x)
        low_log_gain = self.low_log_gain(x) if self.low_log_gain else None
        x = tf.reshape(self.split(x), (-1, frames * subframes, self.config.sub_channels))
        sub_mask = None
        if mask is not None:
            sub_mask = tf.reshape(tf.tile(mask, [1, 1, subframes]), (-1, frames * subframes, 1))
        for block in self.sub_stages:
            x = block(x, frame_mask=sub_mask)
        magnitude = self._magnitude(mel, frames, mask, use_matmul_dft)
        if sub_mask is not None:
            magnitude = magnitude * sub_mask
        x = normalize(x)
        spectrum = self._spectrum([head(x) for head in self.heads], magnitude, start, mask)
        waveform = self._synthesize(spectrum, sub_mask, use_matmul_dft)
        if self.low_log_gain:
            waveform = low_band.refine(waveform, mel, low_log_gain, self.audio, self.config.low_rounds, mask,
                                       use_matmul_dft)
        for exponent in self.exponents:
            waveform = match_mel(waveform, mel, self.audio, exponent, mask, use_matmul_dft,
                                 mirror=self.low_log_gain is not None)
        return waveform

    def _entry(self, mel: tf.Tensor, mask: tf.Tensor | None, frames: tf.Tensor) -> tf.Tensor:
        x = (mel / self.audio.power + 1.5) / 2.0  # powers of ten of magnitude, most of them between -1 and 1
        x = x if mask is None else x * mask
        reach = (self.config.kernel - 1) // 2
        x = tf.pad(x, ((0, 0), (reach, reach), (0, 0)))
        return self.entry(tf.concat([x[:, i:i + frames] for i in range(self.config.kernel)], axis=-1))

    def _spectrum(self, heads: list[tf.Tensor], magnitude: tf.Tensor, start: tf.Tensor | None,
                  mask: tf.Tensor | None) -> stft.Spectrum:
        """The heads' factors times rough magnitudes: real and imaginary part ``(batch, sub-frames, bins)``."""
        *still, a, b, high = heads
        config, ticks = self.config, tf.range(tf.shape(magnitude)[1])
        if start is not None:
            ticks = ticks + tf.cast(start, tf.int32)[..., None] * config.subframes
        ticks = tf.math.floormod(ticks, self._ticks)
        cosine, sine, high_cosine, high_sine = (
            tf.gather(tf.constant(table), ticks)
            for table in _phasors(self.bins, config.carriers, config.overlap, config.scatter_frames > 0))
        if config.scatter_frames:
            still = steady.scatter(still, config.scatter_frames, config.subframes, ticks, self._ticks, mask)
        real = tf.concat([self._sum_carriers(a * cosine - b * sine), high * high_cosine], axis=-1)
        imaginary = tf.concat([self._sum_carriers(a * sine + b * cosine), high * high_sine], axis=-1)
        return (still[0] + real) * magnitude, (still[1] + imaginary) * magnitude

    def _sum_carriers(self, x: tf.Tensor) -> tf.Tensor:
        low = _low_bins(self.bins)
        return functools.reduce(operator.add, (x[..., j * low:(j + 1) * low] for j in range(self.config.carriers)))

    def _magnitude(self, mel: tf.Tensor, frames: tf.Tensor, mask: tf.Tensor | None,
                   use_matmul_dft: bool) -> tf.Tensor:
        """Rough magnitudes ``(batch, sub-frames, bins)``: band energies spread over bins, linear in time."""
        product = banded.product if use_matmul_dft else _product
        spread = product(decompress(mel, self.audio), _spread_matrix(self.audio, self.window))
        if self.audio.power == 2.0:
            positive = spread > 0.0  # the square root of 0 has no derivative
            spread = tf.where(positive, tf.sqrt(tf.where(positive, spread, 1.0)), 0.0)
        before = tf.concat([spread[:, :1], spread[:, :-1]], axis=1)
        after = tf.concat([spread[:, 1:], spread[:, -1:]], axis=1)
        if mask is not None:  # a frame without a neighbor repeats itself, as at the ends
            before_mask = tf.concat([mask[:, :1], mask[:, :-1]], axis=1)
            after_mask = tf.concat([mask[:, 1:], mask[:, -1:]], axis=1)
            before = tf.where(before_mask > 0, before, spread)
            after = tf.where(after_mask > 0, after, spread)
        parts = []
        for position in self._positions():  # of each sub-frame, in frames from the frame's center
            other = after if position > 0 else before
            parts.append(spread * (1 - abs(position)) + other * abs(position) if position else spread)
        return tf.reshape(tf.stack(parts, axis=2), (-1, frames * self.config.subframes, self.bins))

    def _positions(self) -> list[float]:
        center = 0.0 if self.audio.padding == "centre" else 0.5
        return [(j + 0.5) / self.config.subframes - center for j in range(self.config.subframes)]

    def _synthesize(self, spectrum: stft.Spectrum, mask: tf.Tensor | None, use_matmul_dft: bool) -> tf.Tensor:
        """Spectra ``(batch, sub-frames, bins)`` -> ``(batch, sub-frames * sub_hop)``."""
        window, hop = stft.hann(self.window), self.sub_hop
        blocks = stft.inverse(spectrum, self.window, use_matmul_dft)
        joined = stft.overlap_mean(blocks, window, window, hop, 1e-3, mask)
        # a window is centered on its sub-frame: drop the part before the first sub-frame and after the last
        first = (self.window - hop) // 2
        waveform = joined[:, first:first + tf.shape(blocks)[1] * hop]
        return waveform if mask is None else waveform * tf.reshape(tf.tile(mask, [1, 1, hop]), tf.shape(waveform))


class Block(keras.layers.Layer):
    """Residual block: normalization, a convolution over three frames, leaky ReLU, a dense layer; added to its input.

    Args:
        channels: of input, output and between.
        dilation: distance of the three frames. Frames beyond the ends are zero.
        scale: of the residual branch's initial weights.
        seed: of the initial weights.

    Input and output shape: ``(batch, frames, channels)``.
    """

    def __init__(self, channels: int, dilation: int, scale: float, seed: int, name: str) -> None:
        super().__init__(name=name)
        self.dilation = dilation
        self.convolution = _Linear(3 * channels, channels, 1.0, seed + 1, f"{name}_convolution")
        self.dense = _Linear(channels, channels, scale, seed + 2, f"{name}_dense")
        self.built = True

    def call(self, x: tf.Tensor, frame_mask: tf.Tensor | None = None) -> tf.Tensor:
        y, reach, frames = normalize(x), self.dilation, tf.shape(x)[1]
        y = tf.pad(y if frame_mask is None else y * frame_mask, ((0, 0), (reach, reach), (0, 0)))
        y = tf.concat([y[:, i * reach:i * reach + frames] for i in range(3)], axis=-1)
        return x + self.dense(tf.nn.leaky_relu(self.convolution(y), _SLOPE))


class _Linear(keras.layers.Layer):
    """A dense layer as one product of two matrices, whatever the rank of its input."""

    def __init__(self, inputs: int, outputs: int, scale: float, seed: int, name: str) -> None:
        super().__init__(name=name)
        start = keras.initializers.RandomNormal(0.0, scale / math.sqrt(inputs), seed=seed)
        self.kernel = self.add_weight(name="kernel", shape=(inputs, outputs), initializer=start)
        self.bias = self.add_weight(name="bias", shape=(outputs,), initializer="zeros")
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return _product(x, self.kernel, self.bias)


def _product(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
    """``(batch, frames, inputs)`` times ``(inputs, outputs)``."""
    y = tf.matmul(tf.reshape(x, (-1, kernel.shape[0])), kernel)
    y = y if bias is None else tf.nn.bias_add(y, bias)
    return tf.reshape(y, (-1, tf.shape(x)[1], kernel.shape[1]))


def normalize(x: tf.Tensor) -> tf.Tensor:
    """Scales to a mean square of 1 over the channels; the next layer scales and shifts."""
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + 1e-5)


def _low_bins(bins: int) -> int:
    """The number of bins, from the lowest, that have several carriers."""
    return bins // 4


@functools.lru_cache(maxsize=32)
def _phasors(bins: int, carriers: int, overlap: int, moving: bool) -> tuple[np.ndarray, ...]:
    """Cosines and sines of the low bins' carriers ``(ticks, carriers * low)``, and of the high bins' ``(ticks, high)``.

    The low bins' are in order: all first carriers, all second carriers, ... They are spread evenly within a bin, and
    each is shifted randomly, a little in the low bins and within half a bin in the high ones: equal distances would
    make their sum pulsate. High carriers start at random phases, since their factor is real. Where all are `moving`,
    no high carrier stays at the middle of its bin, which can be a multiple of the frame rate.
    """
    low, rng = _low_bins(bins), np.random.default_rng(0)
    within = np.round(((np.arange(carriers) + 0.5) / carriers - 0.5) * _STEPS)
    low_steps = (np.arange(low) * _STEPS + within[:, None] + rng.integers(-1, 2, (carriers, low))).ravel()
    shifts = rng.integers(-7, 8, bins - low)
    shifts = np.where((shifts == 0) & moving, 1, shifts)
    high_steps = np.arange(low, bins) * _STEPS + shifts
    # a frequency of one bin turns once in a window of `overlap` ticks
    turns = np.arange(_STEPS * overlap)[:, None] / (_STEPS * overlap)
    low_angle, high_angle = turns * low_steps, turns * high_steps + rng.random(bins - low)
    return tuple(function(2 * np.pi * angle).astype("float32")
                 for angle in (low_angle, high_angle) for function in (np.cos, np.sin))


@functools.lru_cache(maxsize=32)
def _spread_matrix(audio: AudioConfig, window: int) -> np.ndarray:
    """``(mel_bins, bins)``: distributes the energy of each band over the bins of the synthesis transform.

    A bin gets the mean energy per bin of the bands that cover it, weighted by their filters, scaled from the analysis
    window to the synthesis window. The bin of 0 Hz gets nothing.
    """
    bins = window // 2 + 1
    analysis = mel_filterbank(audio).astype("float64")  # (n_fft / 2 + 1, mel_bins)
    centers = np.linspace(0.0, 1.0, len(analysis))
    fine = np.stack([np.interp(np.linspace(0.0, 1.0, bins), centers, column) for column in analysis.T])
    share = fine / np.maximum(fine.max(axis=1, keepdims=True), 1e-12)  # the same for unit area and unit height
    covered = share.sum(axis=0) > 1e-3
    nearest = np.argmin(np.abs(np.arange(bins)[:, None] - np.flatnonzero(covered)[None]), axis=1)
    share = share[:, np.flatnonzero(covered)[nearest]]
    share /= share.sum(axis=0)
    area = np.maximum(analysis.sum(axis=0), 1e-12)[:, None]
    scale = 2 * window / audio.n_fft
    matrix = share / area * scale ** audio.power
    matrix[:, 0] = 0.0
    return matrix.astype("float32")


def build(config: Config, training: bool = False) -> FastVocoder:
    """Builds the vocoder of a configuration with initial weights, the same for training and inference."""
    return FastVocoder(config.audio, config.model, config.training.seed)
