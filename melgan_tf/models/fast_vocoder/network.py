"""The fast vocoder: mel spectrogram -> waveform, with all learned work done at frame rate.

::

    log mel --convolutions--> split every frame into sub-frames --convolutions--> complex u, c[j] for every bin
    mel ----- band energies spread over the bins -----------------------------> magnitude p
    clock --------------------------------------------------------------------> carriers r[j], |r[j]| = 1
                          waveform = overlap-add(window * inverse DFT(p * (u + c[1] r[1] + c[2] r[2] + ...)))
    waveform and mel -- phase retrieval for the lowest frequencies, if asked for --> waveform
    waveform and mel -- once or twice: bring the waveform's mel nearer to the wanted one --> waveform

The network need not find out how loud a bin is: the mel says so, roughly. What it learns is the complex factor, of the
order of 1, that turns the rough magnitude into the bin of a short Fourier transform. So its outputs have one scale from
the loudest sound to the faintest, and where the mel is at its floor the output is *zero*, not almost: silence in,
silence out.

**Carriers.** A network that sees nothing but the mel must answer equal frames with equal samples: every steady sound
becomes a buzz at the frame rate, and a note is in tune only at its multiples. So every bin is offered phasors that turn
with the *time*, at a few frequencies within the bin (four in the lowest quarter of the bins, one above), and a factor
that stands still for attacks. A steady note is a constant ``c``; a steady noise is a thicket of them. All frequencies
are multiples of one that repeats every 16 windows, so a clock that runs over is all the state there is.

A MelGAN generator spends its arithmetic at the sample rate, about 70,000 multiplications a sample; this one spends some
5,000, in a few large matrix products.

Reference: H. Siuzdak, "Vocos" (2023), for the Fourier head at frame rate; T. Kaneko et al., "iSTFTNet" (2022), for
splitting frames before it. The spread magnitude, the carriers and the correction are this package's own.
"""

from __future__ import annotations

import functools
import math

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig, Config
from melgan_tf.dsp import stft
from melgan_tf.dsp.mel_correction import correct
from melgan_tf.dsp.spectral import mel_filterbank
from melgan_tf.models.fast_vocoder import low_band
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig

#: Steps that a bin is divided into for the frequencies of carriers; windows after which the carriers begin anew.
_STEPS = 16
_SLOPE = 0.2


class FastVocoder(keras.Model):
    """Mel spectrogram -> waveform at frame rate.

    Args:
        audio: the mels it understands; their hop is a multiple of ``config.subframes``.
        config: widths and depths.
        seed: decides the initial weights.

    Call arguments:
        mel: ``(batch, frames, mel_bins)`` on the scale of `audio`; any batch, any number of frames.
        present: ``(batch, frames)``, 1 where the mel is sound and 0 where it only fills up: the sound ends there as if
            nothing followed. Fixed-length exports need it; without it every frame counts.
        start: the number of the first frame, a scalar integer: pieces of one sound differ from the whole otherwise.
        use_matmul_dft: write Fourier transforms as products with matrices, for runtimes that have no FFT.

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
        self.low_guess = None
        if config.low_rounds:
            self.low_guess = _Linear(config.channels, low_band.bins(audio), 0.1, seed * 1000 + 980, "low_guess")
        self.exponents = [self.add_weight(name=f"exponent_{i + 1}", shape=(audio.mel_bins,),
                                          initializer=keras.initializers.Constant(1.2))
                          for i in range(config.corrections)]
        self.built = True

    min_frames = 1

    @property
    def hop_samples(self) -> int:
        """Samples per frame of mel."""
        return self.audio.hop_samples

    @property
    def context_frames(self) -> int:
        """Frames on either side that a frame's samples depend on: what neighbouring chunks must overlap by."""
        frames = (self.config.kernel - 1) // 2 + sum(self.config.dilations)
        # sub-frames: their blocks, and the window, which is centred on its sub-frame; the magnitudes between two frames
        # are read from both
        frames += max(1, math.ceil((self.config.sub_blocks + self.config.overlap / 2) / self.config.subframes))
        if self.config.low_rounds:
            frames += low_band.context_frames(self.audio, self.config.low_rounds)
        # a correction compares whole windows of the analysis and adds whole windows
        return frames + self.config.corrections * 2 * math.ceil(self.audio.n_fft / self.audio.hop_samples / 2)

    @property
    def clock_period_frames(self) -> int:
        """Frames after which the clock begins anew: pieces that start at a multiple of it need no `start`."""
        return self._ticks // math.gcd(self._ticks, self.config.subframes)

    @property
    def _ticks(self) -> int:
        return _STEPS * self.config.overlap

    def call(self, mel: tf.Tensor, present: tf.Tensor | None = None, start: tf.Tensor | None = None,
             use_matmul_dft: bool = False) -> tf.Tensor:
        frame_present = None if present is None else present[:, :, None]
        subframes, frames = self.config.subframes, tf.shape(mel)[1]
        x = self._entry(mel, frame_present, frames)
        for block in self.stages:
            x = block(x, present=frame_present)
        x = normalize(x)
        low_guess = self.low_guess(x) if self.low_guess else None
        x = tf.reshape(self.split(x), (-1, frames * subframes, self.config.sub_channels))
        present = frame_present
        if present is not None:
            present = tf.reshape(tf.tile(present, [1, 1, subframes]), (-1, frames * subframes, 1))
        for block in self.sub_stages:
            x = block(x, present=present)
        magnitude = self._magnitude(mel, frames, frame_present)
        if present is not None:
            magnitude = magnitude * present
        x = normalize(x)
        spectrum = self._spectrum([head(x) for head in self.heads], magnitude, start)
        waveform = self._synthesize(spectrum, present, use_matmul_dft)
        if self.low_guess:
            waveform = low_band.refine(waveform, mel, low_guess, self.audio, self.config.low_rounds, frame_present,
                                       use_matmul_dft)
        for exponent in self.exponents:
            waveform = correct(waveform, mel, self.audio, exponent, frame_present, use_matmul_dft,
                               mirror=self.low_guess is not None)
        return waveform

    def _entry(self, mel: tf.Tensor, present: tf.Tensor | None, frames: tf.Tensor) -> tf.Tensor:
        x = (mel / self.audio.power + 1.5) / 2.0  # powers of ten of magnitude, most of them between -1 and 1
        x = x if present is None else x * present
        reach = (self.config.kernel - 1) // 2
        x = tf.pad(x, ((0, 0), (reach, reach), (0, 0)))
        return self.entry(tf.concat([x[:, i:i + frames] for i in range(self.config.kernel)], axis=-1))

    def _spectrum(self, heads: list[tf.Tensor], magnitude: tf.Tensor, start: tf.Tensor | None) -> stft.Spectrum:
        """What the heads say times rough magnitudes: real and imaginary part ``(batch, sub-frames, bins)``."""
        still_real, still_imaginary, a, b, high = heads
        ticks = tf.range(tf.shape(magnitude)[1])
        if start is not None:
            ticks = ticks + tf.cast(start, tf.int32) * self.config.subframes
        cosine, sine, high_cosine, high_sine = (
            tf.gather(tf.constant(table), tf.math.floormod(ticks, self._ticks))
            for table in _phasors(self.bins, self.config.carriers, self.config.overlap))
        real = tf.concat([self._sum_carriers(a * cosine - b * sine), high * high_cosine], axis=-1)
        imaginary = tf.concat([self._sum_carriers(a * sine + b * cosine), high * high_sine], axis=-1)
        return (still_real + real) * magnitude, (still_imaginary + imaginary) * magnitude

    def _sum_carriers(self, x: tf.Tensor) -> tf.Tensor:
        low = _low_bins(self.bins)
        return tf.add_n([x[..., j * low:(j + 1) * low] for j in range(self.config.carriers)])

    def _magnitude(self, mel: tf.Tensor, frames: tf.Tensor, present: tf.Tensor | None) -> tf.Tensor:
        """Rough magnitudes ``(batch, sub-frames, bins)``: band energies spread over bins, straight lines in time."""
        linear = tf.exp(mel * math.log(10.0))
        linear = tf.where(linear > self.audio.floor * (1 + 1e-4), linear, tf.zeros_like(linear))
        spread = _product(linear, tf.constant(_spread_matrix(self.audio, self.window)))
        if self.audio.power == 2.0:
            positive = spread > 0.0  # no root of 0, which has no derivative
            spread = tf.where(positive, tf.sqrt(tf.where(positive, spread, 1.0)), 0.0)
        before = tf.concat([spread[:, :1], spread[:, :-1]], axis=1)
        after = tf.concat([spread[:, 1:], spread[:, -1:]], axis=1)
        if present is not None:  # a frame without a neighbour stands in for it, as at the ends
            before_present = tf.concat([present[:, :1], present[:, :-1]], axis=1)
            after_present = tf.concat([present[:, 1:], present[:, -1:]], axis=1)
            before = tf.where(before_present > 0, before, spread)
            after = tf.where(after_present > 0, after, spread)
        parts = []
        for position in self._positions():  # of each sub-frame, in frames from the frame's own centre
            other = after if position > 0 else before
            parts.append(spread * (1 - abs(position)) + other * abs(position) if position else spread)
        return tf.reshape(tf.stack(parts, axis=2), (-1, frames * self.config.subframes, self.bins))

    def _positions(self) -> list[float]:
        centre = 0.0 if self.audio.padding == "centre" else 0.5
        return [(j + 0.5) / self.config.subframes - centre for j in range(self.config.subframes)]

    def _synthesize(self, spectrum: stft.Spectrum, present: tf.Tensor | None, use_matmul_dft: bool) -> tf.Tensor:
        """Spectra ``(batch, sub-frames, bins)`` -> ``(batch, sub-frames * sub_hop)``."""
        window, hop = _window(self.window), self.sub_hop
        blocks = stft.inverse(spectrum, self.window, use_matmul_dft)
        joined = stft.overlap_mean(blocks, window, window, hop, 1e-3, present)
        # a window is centred on its sub-frame: what is before the first sub-frame and behind the last goes
        first = (self.window - hop) // 2
        waveform = joined[:, first:first + tf.shape(blocks)[1] * hop]
        return waveform if present is None else waveform * tf.reshape(tf.tile(present, [1, 1, hop]), tf.shape(waveform))


class Block(keras.layers.Layer):
    """Residual block: normalisation, a convolution over three frames, leaky ReLU, a dense layer; added to its input.

    Args:
        channels: of input, output and between.
        dilation: distance of the three frames. Beyond the ends they count as zero.
        scale: of the addition at first.
        seed: decides the initial weights.

    Input and output shape: ``(batch, frames, channels)``.
    """

    def __init__(self, channels: int, dilation: int, scale: float, seed: int, name: str) -> None:
        super().__init__(name=name)
        self.dilation = dilation
        self.convolution = _Linear(3 * channels, channels, 1.0, seed + 1, f"{name}_convolution")
        self.dense = _Linear(channels, channels, scale, seed + 2, f"{name}_dense")
        self.built = True

    def call(self, x: tf.Tensor, present: tf.Tensor | None = None) -> tf.Tensor:
        y, reach, frames = normalize(x), self.dilation, tf.shape(x)[1]
        y = tf.pad(y if present is None else y * present, ((0, 0), (reach, reach), (0, 0)))
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
    """To a mean square of 1 over the channels; the layer that follows scales and shifts."""
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + 1e-5)


@functools.lru_cache(maxsize=32)
def _window(length: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype("float32")


def _low_bins(bins: int) -> int:
    """How many bins, from the lowest, have several carriers."""
    return bins // 4


@functools.lru_cache(maxsize=32)
def _phasors(bins: int, carriers: int, overlap: int) -> tuple[np.ndarray, ...]:
    """Cosines and sines of the low bins' carriers ``(ticks, carriers * low)``, and of the high bins' ``(ticks, high)``.

    The low bins' are in order: all first ones, all second ones, ... They are spread evenly within a bin. Each is moved
    by chance, a little in the low bins and within half a bin in the high ones: equal distances would make a sum of them
    pulsate. High ones start at random phases, since their factor is real.
    """
    low, rng = _low_bins(bins), np.random.default_rng(0)
    within = np.round(((np.arange(carriers) + 0.5) / carriers - 0.5) * _STEPS)
    low_steps = (np.arange(low) * _STEPS + within[:, None] + rng.integers(-1, 2, (carriers, low))).ravel()
    high_steps = np.arange(low, bins) * _STEPS + rng.integers(-7, 8, bins - low)
    # a frequency of one bin turns once in a window of `overlap` ticks
    turns = np.arange(_STEPS * overlap)[:, None] / (_STEPS * overlap)
    low_angle, high_angle = turns * low_steps, turns * high_steps + rng.random(bins - low)
    return tuple(function(2 * np.pi * angle).astype("float32")
                 for angle in (low_angle, high_angle) for function in (np.cos, np.sin))


@functools.lru_cache(maxsize=32)
def _spread_matrix(audio: AudioConfig, window: int) -> np.ndarray:
    """``(mel_bins, bins)``: the energy of each band shared out over the bins of the synthesis transform.

    A bin gets the mean energy per bin of the bands that cover it, weighted as their filters weight it, scaled from the
    analysis window to the synthesis window. The direct current gets nothing.
    """
    bins = window // 2 + 1
    analysis = mel_filterbank(audio).astype("float64")  # (n_fft / 2 + 1, mel_bins)
    centres = np.linspace(0.0, 1.0, len(analysis))
    fine = np.stack([np.interp(np.linspace(0.0, 1.0, bins), centres, column) for column in analysis.T])
    share = fine / np.maximum(fine.max(axis=1, keepdims=True), 1e-12)  # unit area or unit height: alike
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
    """The vocoder of a configuration, with initial weights; the same one for training."""
    return FastVocoder(config.audio, config.model, config.training.seed)
