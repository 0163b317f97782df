"""Mel spectrogram to waveform without a trained vocoder: invert the mel filters, then find phases.

The phases come from the fast Griffin-Lim algorithm: go back and forth between the spectra that have the wanted
magnitudes and the spectra that belong to a waveform, with momentum. With ``use_matmul_dft`` Fourier transforms are
products with matrices (`melgan_tf.dsp.stft`): everything lowers to builtin TFLite operations, and the sound agrees up
to what the iterations make of rounding errors, after 32 of them usually less than 1/1000 of the peak.

(Masuyama's method of multipliers, at the same cost, was tried on drums: half the spectral convergence error, but no
nearer to the original sounds at any window length; and it enlarges rounding errors to the size of the sound, so that
no two devices agree.)

Reference:
    D. Griffin, J. Lim: Signal estimation from modified short-time Fourier transform, IEEE TASSP 32(2), 1984.
    N. Perraudin, P. Balazs, P. Søndergaard: A fast Griffin-Lim algorithm, WASPAA 2013.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import banded, spectral, stft
from melgan_tf.dsp.mel_filters import mel_filterbank
from melgan_tf.dsp.stft import Spectrum
from melgan_tf.errors import MelGANError

#: Samples with less than this share of the largest window weight fade out instead of being amplified.
WEIGHT_FLOOR = 0.05


def mel_to_magnitude(mel: tf.Tensor, audio: AudioConfig, iterations: int = 32, use_matmul_dft: bool = False
                     ) -> tf.Tensor:
    """Finds a magnitude spectrum, nowhere negative, that has the given mel spectrogram.

    Many do. The search starts from one that is flat within each band and multiplies it by the ratio of target to
    present mel energy, spread back over the bins: expectation maximization (Lee and Seung's rule for the
    Kullback-Leibler divergence), overrelaxed with exponent 1.5. Unlike least squares it gives quiet bands the same
    relative precision as loud ones.

    Args:
        mel: ``(batch, frames, mel_bins)`` on the scale of the mel configuration; negative energies count as zero.
        audio: the mel configuration.
        iterations: 32 leave a relative error of at most 0.4 % in the mels of drums, usually 1e-5.
        use_matmul_dft: multiply in blocks (`melgan_tf.dsp.banded`), for phones.

    Returns:
        float32 ``(batch, frames, n_fft // 2 + 1)``, 0 in bins that no filter covers.

    Raises:
        MelGANError: wrong shape, or a negative number of iterations.

    Reference:
        D. Lee, H. Seung: Algorithms for non-negative matrix factorization, NIPS 2000, equation 5.
    """
    mel = _checked(mel, "mels", audio.mel_bins, iterations)
    filters, start, spread = _inversion_matrices(audio)
    product = banded.product if use_matmul_dft else functools.partial(tf.tensordot, axes=1)
    target = spectral.decompress(mel, audio)

    def step(i: tf.Tensor, estimate: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        ratio = target / tf.maximum(product(estimate, filters), 1e-20)
        factor = product(ratio, spread)
        return i + 1, estimate * tf.minimum(factor * tf.sqrt(factor), 1e12)

    estimate = _repeat(iterations, step, product(target, start))[0]
    return tf.sqrt(estimate) if audio.power == 2.0 else estimate


def griffin_lim(magnitude: tf.Tensor, audio: AudioConfig, iterations: int = 32, momentum: float = 0.99, seed: int = 0,
                length: int | None = None, use_matmul_dft: bool = False) -> tf.Tensor:
    """Finds a waveform whose spectrum has the given magnitudes.

    The sound of one batch item depends on its magnitudes, the seed and the length only: every item starts from the
    same random phases, and those of a frame do not depend on how many follow it. Zero magnitudes give exact zeros.

    Without padding the window weight vanishes at the ends and every iteration amplifies them. Here the waveform is
    reflected before analysis, exactly as in `spectral.stft`, and cropped after the frames are overlapped, where their
    weight is still large.

    Args:
        magnitude: ``(batch, frames, n_fft // 2 + 1)``, not negative.
        audio: window, hop and padding.
        iterations: transforms there and back.
        momentum: 0 is plain Griffin-Lim, 0.99 what Perraudin et al. recommend.
        seed: of the initial phases.
        length: samples to return. Give the length of the clips that the mel came from if it is known: it puts the
            reflected end where the analysis had it. Default: ``samples_for(frames)``.
        use_matmul_dft: compute Fourier transforms as matrix products; needs a static number of frames.

    Returns:
        float32 waveform ``(batch, length)``.

    Raises:
        MelGANError: wrong shape, too few frames for the padding, a negative number of iterations, or an unknown number
            of frames with `use_matmul_dft`.

    Examples:
        >>> griffin_lim(tf.zeros((2, 16, 513)), AudioConfig(), length=8000).shape
        TensorShape([2, 8000])
    """
    magnitude, frames, samples, length = _plan(magnitude, audio, iterations, length)
    if use_matmul_dft and not isinstance(frames, int):
        raise MelGANError("the number of frames is unknown: Griffin-Lim without an FFT needs a static shape")
    window, before = tf.signal.hann_window(audio.n_fft), spectral.padding_samples(audio)[0]
    if use_matmul_dft:
        with tf.init_scope():  # constants in the graph: TFLite has no unsigned integers to hash
            gain, phase = _inverse_weight(frames, samples, audio).numpy(), initial_phase(frames, audio, seed).numpy()
    else:
        gain, phase = _inverse_weight(frames, samples, audio), initial_phase(frames, audio, seed)

    def to_waveform(spectrum: Spectrum) -> tf.Tensor:
        blocks = stft.inverse(spectrum, audio.n_fft, use_matmul_dft) * window
        return tf.signal.overlap_and_add(blocks, audio.hop_samples)[:, before:before + samples] * gain

    def to_spectrum(waveform: tf.Tensor) -> Spectrum:
        padded = spectral.reflect(waveform, audio)[:, :_covered_samples(frames, audio)]
        return stft.forward(tf.signal.frame(padded, audio.n_fft, audio.hop_samples) * window, use_matmul_dft)

    start = magnitude * tf.cos(phase), magnitude * tf.sin(phase)
    found = retrieve_phase(magnitude, start, lambda spectrum: to_spectrum(to_waveform(spectrum)), iterations, momentum,
                           use_matmul_dft)
    return fit_length(to_waveform(found), samples, length)


def mel_to_waveform(mel: tf.Tensor, audio: AudioConfig, iterations: int = 32, seed: int = 0, length: int | None = None,
                    use_matmul_dft: bool = False) -> tf.Tensor:
    """Renders a mel spectrogram ``(batch, frames, mel_bins)`` to a waveform ``(batch, length)``.

    Args:
        mel: on the scale of the mel configuration; any output of a generator.
        audio: the mel configuration.
        iterations, seed, length, use_matmul_dft: as in `griffin_lim`.

    Raises:
        MelGANError: as `griffin_lim`.
    """
    return griffin_lim(mel_to_magnitude(mel, audio, use_matmul_dft=use_matmul_dft), audio, iterations, seed=seed,
                       length=length, use_matmul_dft=use_matmul_dft)


def retrieve_phase(magnitude: tf.Tensor, start: Spectrum, project: Callable[[Spectrum], Spectrum], iterations: int,
                   momentum: float, use_matmul_dft: bool = False) -> Spectrum:
    """Runs the iterations and returns a spectrum with the given magnitudes.

    Args:
        magnitude: ``(batch, frames, bins)``.
        start: a spectrum with those magnitudes.
        project: maps a spectrum to that of a waveform: inverse transform, then transform; linear.
        iterations: number of projections.
        momentum, use_matmul_dft: see `griffin_lim`.
    """
    factor = momentum / (1 + momentum)

    def rescale(re: tf.Tensor, im: tf.Tensor) -> Spectrum:
        gain = magnitude * tf.math.rsqrt(tf.maximum(tf.square(re) + tf.square(im), 1e-30))
        return gain * re, gain * im

    def step(i: tf.Tensor, re: tf.Tensor, im: tf.Tensor, last_re: tf.Tensor, last_im: tf.Tensor,
             ) -> tuple[tf.Tensor, ...]:
        new_re, new_im = project((re, im))
        # new + momentum (new - last), up to a factor that rescaling removes
        return i + 1, *rescale(new_re - factor * last_re, new_im - factor * last_im), new_re, new_im

    state = (0, *start, tf.zeros_like(start[0]), tf.zeros_like(start[1]))
    if use_matmul_dft and iterations:  # TFLite's converter misplaces constants that it meets in a loop first
        state = step(*state)
    return _repeat(iterations, step, *state[1:], first=state[0])[:2]


def initial_phase(frames: int | tf.Tensor, audio: AudioConfig, seed: int) -> tf.Tensor:
    """Random phases ``(frames, bins)``; those of a frame do not depend on the number of frames.

    A hash of seed, frame and bin in integers. (``tf.random.stateless_uniform`` draws other numbers under XLA if the
    number of frames is dynamic.)
    """
    bins = audio.n_fft // 2 + 1
    numbers = _mix(tf.cast(tf.reshape(tf.range(frames * bins), (-1, bins)), tf.uint32))
    numbers = _mix(numbers + tf.constant(seed % 2**32, tf.uint32))
    return tf.cast(numbers, tf.float32) * (2 * math.pi / 2**32)


def _plan(magnitude: tf.Tensor, audio: AudioConfig, iterations: int, length: int | None,
          ) -> tuple[tf.Tensor, int | tf.Tensor, int | tf.Tensor, int | tf.Tensor]:
    """Checks the arguments of `griffin_lim` and determines its sizes.

    Returns:
        The magnitudes as a tensor, the number of frames, the number of samples to solve for (the nearest to `length`
        that has this many frames) and the number of samples to return; each an int where the shape is static.
    """
    magnitude = _checked(magnitude, "magnitudes", audio.n_fft // 2 + 1, iterations)
    frames, smaller, larger = magnitude.shape[1], min, max
    if frames is None:
        frames, smaller, larger = tf.shape(magnitude)[1], tf.minimum, tf.maximum
    before, after = spectral.padding_samples(audio)
    whole_hops = (frames - 1 if audio.padding == "centre" else frames) * audio.hop_samples
    shortest = larger(whole_hops, max(before, after) + 1)  # the reflection needs more samples than it adds
    longest = smaller(whole_hops + audio.hop_samples, _covered_samples(frames, audio) - before)
    if isinstance(frames, int) and shortest > longest:
        raise MelGANError(f"{frames} frames of {audio.hop_samples} samples are too few to render with "
                          f"n_fft={audio.n_fft}: give more frames")
    length = spectral.samples_for(frames, audio) if length is None else length
    return magnitude, frames, smaller(larger(length, shortest), longest), length


def _covered_samples(frames: int | tf.Tensor, audio: AudioConfig) -> int | tf.Tensor:
    """Samples from the start of the first frame to the end of the last, padding included."""
    return (frames - 1) * audio.hop_samples + audio.n_fft


def _inverse_weight(frames: int | tf.Tensor, samples: int | tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """One over the sum of the squared windows at each sample, ``(samples,)``; overlapped frames times this are the
    least-squares waveform.

    Bounded where the sum is nearly zero: at the end of a "centre" clip of whole hops, and if a hop is as long as the
    window.
    """
    squares = tf.tile(tf.square(tf.signal.hann_window(audio.n_fft))[None], [frames, 1])
    before = spectral.padding_samples(audio)[0]
    weight = tf.signal.overlap_and_add(squares, audio.hop_samples)[before:before + samples]
    return 1.0 / tf.maximum(weight, WEIGHT_FLOOR * tf.reduce_max(weight))


def fit_length(waveform: tf.Tensor, samples: int | tf.Tensor, length: int | tf.Tensor) -> tf.Tensor:
    """Crops a waveform of `samples` samples at its end, or appends zeros."""
    missing = tf.maximum(0, length - samples) if tf.is_tensor(samples) else max(0, length - samples)
    return tf.pad(waveform[:, :length], [[0, 0], [0, missing]])


def _checked(tensor: tf.Tensor, name: str, width: int, iterations: int) -> tf.Tensor:
    tensor = tf.cast(tensor, tf.float32)
    if tensor.shape.rank != 3 or tensor.shape[2] not in (width, None):
        raise MelGANError(f"{name} have shape {tuple(tensor.shape)}: give (batch, frames, {width})")
    if iterations < 0:
        raise MelGANError(f"iterations is {iterations}: give 0 or more")
    return tensor


def _mix(numbers: tf.Tensor) -> tf.Tensor:
    """Hashes unsigned 32-bit integers, one to one. Constants: C. Wellons, Prospecting for hash functions, 2018."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        shifted = tf.bitwise.right_shift(numbers, tf.constant(shift, tf.uint32))
        numbers = tf.bitwise.bitwise_xor(numbers, shifted) * tf.constant(factor, tf.uint32)
    return numbers


def _repeat(times: int, step: Callable[..., tuple[tf.Tensor, ...]], *state: tf.Tensor, first: int = 0
            ) -> tuple[tf.Tensor, ...]:
    """Runs ``i + 1, *state = step(i, *state)`` for ``i`` from `first` to `times`; a loop in the graph keeps exported
    files small."""
    if first == times:
        return state
    return tf.while_loop(lambda i, *_: i < times, step, (first, *state), parallel_iterations=1)[1:]


@functools.lru_cache(maxsize=32)
def _inversion_matrices(audio: AudioConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The filterbank, a matrix from mels to a first spectrum, and one that spreads mel ratios over the bins."""
    filters = mel_filterbank(audio).astype(np.float64)
    per_bin = filters.sum(1, keepdims=True)
    spread = np.divide(filters, per_bin, out=np.zeros_like(filters), where=per_bin > 0).T
    area = filters.sum(0)[:, None]
    start = np.divide(spread, area, out=np.zeros_like(spread), where=area > 0)
    return tuple(matrix.astype(np.float32) for matrix in (filters, start, spread))
