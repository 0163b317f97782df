"""Samples to mel spectrogram, as :class:`~melgan_tf.config.AudioConfig` defines it.

Everything here consists of core TensorFlow operations and takes any batch size: it runs eagerly, in ``tf.function``
with and without XLA, and in a SavedModel. A waveform is ``(batch, samples)`` in [-1, 1], a mel spectrogram is
``(batch, frames, mel_bins)``.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp.mel_filters import POWER_FLOOR, mel_filterbank
from melgan_tf.errors import MelGANError, UsageError

#: Ratio of mean magnitude to root mean power of complex Gaussian noise.
_NOISE_RATIO = math.sqrt(math.pi) / 2


def padding_samples(audio: AudioConfig) -> tuple[int, int]:
    """Samples that `stft` reflects before the start and after the end of a waveform.

    ::

        "centre"    |<- n_fft/2 ->|0 ........ samples|<- n_fft/2 ->|    frame i is centered on sample i * hop
        "half-hop"  |<- (n_fft - hop)/2 ->|0 ... samples|<- .. ->|      frame i is centered on hop i of the waveform

    With an odd hop the two sides of "half-hop" differ by one sample, so that the frames are still ``samples // hop``.
    """
    if audio.padding == "centre":
        return audio.n_fft // 2, audio.n_fft // 2
    both = audio.n_fft - audio.hop_samples
    return both // 2, both - both // 2


def reflect(waveform: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """Extends a waveform ``(batch, samples)`` at both ends by its mirror image.

    Raises:
        MelGANError: the waveform is too short to be reflected (where its length is known before it runs).
    """
    before, after = padding_samples(audio)
    samples = waveform.shape[1]
    if samples is not None and samples <= max(before, after):
        raise MelGANError(f"a waveform of {samples} samples is too short to be analyzed: give at least "
                          f"{max(before, after) + 1} samples for n_fft={audio.n_fft}")
    return tf.pad(waveform, [[0, 0], [before, after]], mode="REFLECT")


def stft(waveform: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """Short-time Fourier transform, unscaled, through a periodic Hann window.

    Args:
        waveform: ``(batch, samples)``; more than ``n_fft // 2`` samples ("centre").
        audio: window, hop and padding.

    Returns:
        complex64 ``(batch, audio.frames(samples), n_fft // 2 + 1)``.

    Raises:
        MelGANError: the waveform is not ``(batch, samples)``, or too short.
    """
    waveform = tf.cast(waveform, tf.float32)
    if waveform.shape.rank not in (2, None):
        raise MelGANError(f"a waveform has shape {tuple(waveform.shape)}: give (batch, samples)")
    return _stft(reflect(waveform, audio), audio)


def _stft(waveform: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    return tf.signal.stft(waveform, audio.n_fft, audio.hop_samples, fft_length=audio.n_fft,
                          window_fn=tf.signal.hann_window)


def mel_spectrogram(waveform: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """The mel spectrogram of a waveform, the training data of every model in this package.

    It is differentiable everywhere: in silence, where a magnitude (``power=1``) has no derivative, the gradient is 0.

    Args:
        waveform: ``(batch, samples)`` in [-1, 1].
        audio: the mel configuration.

    Returns:
        float32 ``(batch, audio.frames(samples), mel_bins)``, compressed as in `audio`.

    Raises:
        MelGANError: the waveform is not ``(batch, samples)``, or too short.

    Examples:
        >>> mel_spectrogram(tf.zeros((1, 8000)), AudioConfig()).shape
        TensorShape([1, 16, 64])
    """
    return _mel(stft(waveform, audio), audio)


def mel_of_padded(waveform: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """The mel spectrogram of a waveform without padding: frame i starts at sample ``i * hop``.

    Args:
        waveform: ``(batch, samples)``, at least ``n_fft`` samples.
        audio: the mel configuration.
    """
    return _mel(_stft(waveform, audio), audio)


def _mel(spectrum: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
    if audio.power == 1.0:
        power = _safe_sqrt(power)
    return compress(tf.tensordot(power, tf.constant(mel_filterbank(audio)), 1), audio)


def compress(mel: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """Linear mel to the scale of the mel configuration: unchanged, or ``log10(max(mel, floor))``."""
    if audio.compression == "none":
        return mel
    return _log10(tf.maximum(mel, audio.floor))


def decompress(mel: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """The inverse of `compress`, never negative.

    A model may output values that no sound has. Negative energy becomes zero; so does a logarithm at or below the
    floor, which stands for "at most this": silence remains silence.
    """
    mel = tf.cast(mel, tf.float32)
    if audio.compression == "none":
        return tf.nn.relu(mel)
    linear = tf.exp(mel * math.log(10.0))
    return tf.where(linear > audio.floor * (1 + 1e-4), linear, tf.zeros_like(linear))


def log_mel(mel: tf.Tensor, audio: AudioConfig) -> tf.Tensor:
    """A mel spectrogram in decibels of power, for plots and metrics.

    The floor is fixed: relative to the loudest value of a batch, the plot of a sound would depend on the others.

    Args:
        mel: ``(batch, frames, mel_bins)`` on the scale of the mel configuration, as `mel_spectrogram` returns it.
        audio: the mel configuration. Magnitudes (``power=1``) are squared: 20 dB are a factor of ten in amplitude with
            either power.

    Returns:
        ``10 log10(max(power, 1e-10))``, -100 dB or more.
    """
    linear = decompress(mel, audio)
    if audio.power == 1.0:
        return 20.0 * _log10(tf.maximum(linear, math.sqrt(POWER_FLOOR)))
    return 10.0 * _log10(tf.maximum(linear, POWER_FLOOR))


def full_scale_db(audio: AudioConfig) -> np.ndarray:
    """The level that `log_mel` gives a full-scale sine in the middle of each band: ``(mel_bins,)``, dB.

    Examples:
        >>> round(float(full_scale_db(AudioConfig(n_fft=1024)).max()))  # 20 log10(n_fft / 4): Hann's mean is 1/2
        48
    """
    peaks = np.maximum(mel_filterbank(audio).max(axis=0), 1e-6)
    return (20 * np.log10(audio.n_fft / 4) + 20 / audio.power * np.log10(peaks)).astype(np.float32)


#: Fields in which two mel configurations may differ and their mels can still be converted into each other.
_COMPRESSION = {"power", "mel_norm", "compression", "floor"}


def differences_beyond_compression(audio: AudioConfig, other: AudioConfig) -> list[str]:
    """The fields that prevent the conversion of mels between two configurations, each as ``name: ours / theirs``.

    Differences in ``power``, ``mel_norm``, ``compression`` and ``floor`` can be converted.
    """
    return [line for line in audio.differences(other) if line.partition(":")[0] not in _COMPRESSION]


def convert(mel: tf.Tensor, audio: AudioConfig, other: AudioConfig) -> tf.Tensor:
    """Converts mels to another mel configuration that differs in compression only.

    Compression, floor and the scaling of the filters are converted exactly. Power and magnitude are converted
    approximately, since a sum of squares is not the square of a sum: the bins of a band are assumed to be distributed
    as in noise, where the mean magnitude is ``sqrt(pi) / 2`` of the root of the mean power. A single loud bin has less.

    Args:
        mel: ``(batch, frames, mel_bins)`` on the scale of `audio`.
        audio: its mel configuration.
        other: the target configuration.

    Raises:
        UsageError: the configurations differ in more; the message names the fields.
    """
    if differing := differences_beyond_compression(audio, other):
        raise UsageError(f"these mels cannot be converted, they differ in {'; '.join(differing)}")
    if audio == other:
        return mel
    linear = decompress(mel, audio)
    area, wanted = (np.maximum(mel_filterbank(config).sum(axis=0), 1e-12) for config in (audio, other))
    mean = linear / area  # over the bins of a band
    if audio.power == 2.0 and other.power == 1.0:
        mean = _NOISE_RATIO * _safe_sqrt(mean)
    elif audio.power == 1.0 and other.power == 2.0:
        mean = tf.square(mean / _NOISE_RATIO)
    return compress(mean * wanted, other)


def samples_for(frames: int, audio: AudioConfig) -> int:
    """The number of samples that a mel of `frames` frames renders to: ``frames * hop_samples``, with either padding.

    Crop to the length of the clips: 16 frames of the seed preset give 8192 samples and came from 8000. ("half-hop"
    drops the samples of a clip beyond whole hops, "centre" drops nothing.)
    """
    return frames * audio.hop_samples


def _log10(value: tf.Tensor) -> tf.Tensor:
    return tf.math.log(value) * (1.0 / math.log(10.0))


def _safe_sqrt(value: tf.Tensor) -> tf.Tensor:
    """Square root with gradient 0, not NaN, at 0: the inner ``where`` excludes the infinite slope from the chain."""
    positive = value > 1e-30
    return tf.where(positive, tf.sqrt(tf.where(positive, value, tf.ones_like(value))), tf.zeros_like(value))
