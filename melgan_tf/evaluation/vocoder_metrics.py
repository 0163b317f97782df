"""Metrics of copy synthesis: how far the output of a vocoder is from the real sounds whose mels it was given.

A mel has no phase, so samples cannot be compared: every distance is one of magnitudes or energies. None means anything
by itself; read each beside that of a known vocoder on the same sounds, preferably
:func:`melgan_tf.dsp.griffin_lim.mel_to_waveform`. The mel filters come from :mod:`melgan_tf.dsp.spectral`, which loads
TensorFlow on first use; all else is NumPy.

Sounds are ``(samples,)`` float64, full scale 1, a generated and a real one of equal length. Levels have a fixed floor,
1e-5 of a full-scale sine (-100 dB); apart from that, a gain common to both sounds changes nothing (except in `idle`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from melgan_tf.audio.edit import is_silent, onset_sample
from melgan_tf.config import AudioConfig
from melgan_tf.errors import MelGANError
from melgan_tf.evaluation.tables import metric

#: (transform length, hop, window length) of `stft_distance`, samples.
DISTANCE_RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))

FLOOR = 1e-5  # of a full-scale sine
ONSET_BEFORE_MS, ONSET_AFTER_MS = 5, 20
ONSET_RANGE_DB = 60.0
FORGETTING_MS = 5.0
EDGE_SAMPLES = 16
BUZZ_RANGE_DB = 80.0


class STFTDistance(NamedTuple):
    """The result of :func:`stft_distance`."""

    convergence: float
    log_magnitude: float
    total: float


class Idle(NamedTuple):
    """The result of :func:`idle`; full scale is 1."""

    peak: float
    dc_offset: float


@dataclass(frozen=True)
class VocoderMetrics:
    """Means over sounds with equal weights; the functions of this module explain each metric.

    Attributes:
        sounds: number of sounds.
        silent: number of silent real sounds, which are skipped.
        idle_peak, idle_dc_offset: of the output for silence; None from `measure_pairs`.
        speed: seconds of sound rendered per second; None from `measure_pairs`.
    """

    sounds: int
    silent: int
    log_mel_l1: float = metric("log mel, dB", "lower")
    stft: float = metric("multi-resolution STFT", "lower")
    stft_convergence: float = metric("  spectral convergence", "lower")
    stft_log_magnitude: float = metric("  log magnitude, nepers", "lower")
    onset_error_db: float = metric("onset, dB", "lower", key="onset_error")
    edge_click: float = metric("clicks at the ends, of peak", "lower")
    dc_offset: float = metric("DC offset, of peak", "lower")
    frame_rate_buzz: float = metric("frame-rate buzz, dB", "near 0")
    idle_peak: float | None = metric("peak of silence", "lower", default=None)
    idle_dc_offset: float | None = metric("DC offset of silence", "lower", default=None)
    speed: float | None = metric("times real time", "higher", default=None)


def measure_vocoder(vocode: Callable[[np.ndarray], Any], sounds: Iterable[np.ndarray], audio: AudioConfig,
                    analyze: Callable[[np.ndarray], Any]) -> VocoderMetrics:
    """Analyzes sounds, renders their mels, one by one, and measures the result.

    Sounds may differ in length and are kept one at a time. One shorter than ``n_fft`` is zero-padded. A rendering may
    be up to a hop longer or shorter than its sound, as whole frames are: both are cut to the shorter. Silence as long
    as the first sound is rendered first: it gives the idle metrics, and the preparations of the first call do not count
    in ``speed`` (but a function compiled again for every length does).

    Args:
        vocode: mel ``(1, frames, mel_bins)`` to ``(1, samples)``, arrays or tensors.
        sounds: each ``(samples,)``, full scale 1.
        audio: the mel configuration.
        analyze: ``(1, samples)`` float32 to the mel that `vocode` takes.

    Raises:
        MelGANError: a rendering of another length or with values that are not finite; else as :func:`measure_pairs`.

    Example, with sounds as `melgan_tf.audio.read.load` returns them::

        measure_vocoder(lambda mel: mel_to_waveform(mel, audio, iterations=32), sounds, audio,
                        lambda waveform: mel_spectrogram(waveform, audio))
    """
    spent, rendered, silence = 0.0, 0.0, None

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        nonlocal spent, rendered, silence
        for sound in sounds:
            real = _samples(sound, "a real sound").astype(np.float32)
            real = np.pad(real, (0, max(0, audio.n_fft - len(real))))
            if silence is None:
                silence = idle(_render(vocode, np.asarray(analyze(np.zeros_like(real)[None]))))
            mel = np.asarray(analyze(real[None]))
            start = time.perf_counter()
            fake = _render(vocode, mel)
            spent, rendered = spent + time.perf_counter() - start, rendered + len(fake) / audio.sample_rate
            if abs(len(fake) - len(real)) > audio.hop_samples:
                raise MelGANError(f"{len(fake)} samples were made from the mel of {len(real)}: give a vocoder with "
                                  f"hop_samples={audio.hop_samples}")
            samples = min(len(fake), len(real))
            yield fake[:samples], real[:samples]

    found = measure_pairs(pairs(), audio)
    return dataclasses.replace(found, idle_peak=silence.peak, idle_dc_offset=silence.dc_offset,
                               speed=rendered / max(spent, 1e-9))


def measure_pairs(pairs: Iterable[tuple[np.ndarray, np.ndarray]], audio: AudioConfig) -> VocoderMetrics:
    """Means of all metrics over pairs of a generated and a real sound, kept one at a time.

    A pair with a silent real sound (peak below -80 dB) is skipped and counted: nothing can be relative to it.

    Args:
        pairs: ``(fake, real)``, each ``(samples,)``, full scale 1, of equal length within a pair.
        audio: the mel configuration: rate, hop and filters.

    Raises:
        MelGANError: no pair with an audible real sound, lengths that differ, values that are not finite.
    """
    total, sounds, silent = 0.0, 0, 0
    for fake, real in pairs:
        fake, real = _samples(fake, "a generated sound"), _samples(real, "a real sound")
        if len(fake) != len(real):
            raise MelGANError(f"a generated sound has {len(fake)} samples, its real one {len(real)}: give equal "
                              "lengths")
        if is_silent(real):
            silent += 1
            continue
        stft = stft_distance(fake, real)
        total = total + np.array([
            log_mel_l1(fake, real, audio), stft.total, stft.convergence, stft.log_magnitude,
            onset_error_db(fake, real, audio.sample_rate), edge_click(fake, real), dc_offset(fake, real),
            frame_rate_buzz(fake, real, audio.hop_samples)])
        sounds += 1
    if not sounds:
        raise MelGANError(f"no sound to measure, {silent} silent ones: give audible sounds")
    return VocoderMetrics(sounds, silent, *(float(value) for value in total / sounds))


def log_mel_l1(fake: np.ndarray, real: np.ndarray, audio: AudioConfig) -> float:
    """The mean absolute difference of two log-mel spectrograms, dB (20 dB are a factor of ten in amplitude).

    Frames and filters are those of the configuration, except that magnitudes are summed for any ``power`` and filters
    have peaks of 1 for any ``mel_norm``, so that the floor is the same level everywhere: 1e-5 of a full-scale sine.
    """
    from melgan_tf.dsp.mel_filters import mel_filterbank
    from melgan_tf.dsp.spectral import padding_samples

    filters = mel_filterbank(audio).astype(np.float64)
    filters = filters[:, filters.any(axis=0)]
    filters /= filters.max(axis=0)
    sizes = (audio.n_fft, audio.hop_samples, audio.n_fft, *padding_samples(audio))
    levels = [20 * np.log10(np.maximum(_magnitude(wave, *sizes) @ filters, FLOOR)) for wave in (fake, real)]
    return float(np.abs(levels[0] - levels[1]).mean())


def stft_distance(fake: np.ndarray, real: np.ndarray) -> STFTDistance:
    """Spectral convergence plus log-magnitude distance, averaged over three resolutions.

    With magnitudes R and M of all frames and bins: convergence ``||R - M|| / ||R||`` (mostly the loud parts), log
    magnitude the mean of ``|ln R - ln M|`` (every bin alike). Transforms, hops and windows are in samples as published,
    for 24 kHz: windows of 10, 25 and 50 ms there, 15 to 75 ms at 16 kHz. Compare at one rate only. The loss that
    training minimizes, `melgan_tf.training.stft_loss`, has other resolutions.

    Reference:
        R. Yamamoto, E. Song, J.-M. Kim: Parallel WaveGAN, 2020, arXiv:1910.11480, equations 3 to 6, table 1. The floor
        here is relative to a full-scale sine under each window, theirs one number; ``||R||`` has the same floor.
    """
    parts = []
    for n_fft, hop, window in DISTANCE_RESOLUTIONS:
        m, r = (np.maximum(_magnitude(wave, n_fft, hop, window, window // 2, window // 2), FLOOR)
                for wave in (fake, real))
        parts.append((np.linalg.norm(r - m) / np.linalg.norm(r), np.abs(np.log(r / m)).mean()))
    convergence, log_magnitude = np.mean(parts, axis=0)
    return STFTDistance(float(convergence), float(log_magnitude), float(convergence + log_magnitude))


def onset_error_db(fake: np.ndarray, real: np.ndarray, sample_rate: int) -> float:
    """The error of the attack: mean absolute difference of two energy envelopes around the real sound's onset, dB.

    The onset is where the real sound first comes within 40 dB of its peak; the envelopes are compared every millisecond
    from 5 ms before it (or the start) to 20 ms after. An envelope is a leaky integral of energy with a time constant of
    5 ms::

        envelope[t] = sum over k >= 0 of energy[t - k] exp(-k / 5)        energy: of the millisecond that ends at t

    It is causal, so energy before the onset (pre-echo, far more audible than what follows a loud sound) and late energy
    count in full; and it fills the zero crossings of a low note, which in frames of 1 ms would count by tens of dB:
    another phase of a 50 Hz note costs 2.5 to 4 dB, 5 ms of delay 13. Everything 60 dB below the maximum of the real
    envelope counts as equal.

    One envelope for all frequencies shows the loudest ones. A wrong level counts too, by 4/5 of its decibels after 5 ms
    of silence. A millisecond is the nearest whole number of samples at `sample_rate`, Hz.
    """
    step, onset = max(1, round(sample_rate / 1000)), onset_sample(real)
    before, frame = -onset % step, -(-onset // step)  # a frame starts at the onset
    energy = [np.pad(wave ** 2, (before, -(before + len(wave)) % step)).reshape(-1, step).mean(axis=1)
              for wave in (fake, real)]
    memory = np.exp(-np.arange(100) / FORGETTING_MS)
    fake_envelope, real_envelope = (np.convolve(e, memory)[:len(e)] for e in energy)
    floor = max(real_envelope.max() * 10 ** (-ONSET_RANGE_DB / 10), FLOOR ** 2)
    around = slice(max(0, frame - ONSET_BEFORE_MS), frame + ONSET_AFTER_MS)
    ratio = np.maximum(fake_envelope[around], floor) / np.maximum(real_envelope[around], floor)
    return float(np.abs(10 * np.log10(ratio)).mean())


def edge_click(fake: np.ndarray, real: np.ndarray) -> float:
    """How much larger the step at the start or end of a generated sound is than the real one's, relative to the peak.

    The step is the largest between consecutive samples among the 16 at either end, from the silence outside on. A real
    sound may start at full level or be cut off, so its own step is subtracted, at each end. The worse end counts, at
    least 0. Noise has random steps and always shows a little.
    """
    start, end = (_first_step(fake[::d]) - _first_step(real[::d]) for d in (1, -1))
    return float(max(0.0, start, end) / max(np.abs(real).max(), FLOOR))


def dc_offset(fake: np.ndarray, real: np.ndarray) -> float:
    """The difference of the absolute means, relative to the real sound's peak; a mel does not contain the sign."""
    return float(abs(abs(fake.mean()) - abs(real.mean())) / max(np.abs(real).max(), FLOOR))


def frame_rate_buzz(fake: np.ndarray, real: np.ndarray, hop: int) -> float:
    """How much more of a generated sound repeats in every frame than of the real one, dB; positive is a buzz.

    Vocoders leave spectral lines at the frame rate and its multiples. In K pieces of `hop` samples, each without its
    mean and normalized, repetition adds up and noise averages out: the energy of the mean piece over the mean energy of
    a piece is 1 for a pure buzz and 1/K by chance. Less, possible for a steady tone, counts as 1/K. Normalized, because
    a buzz is audible where the sound is soft; but nothing more than 80 dB below the real sound's peak, or below -100 dB
    of full scale, is amplified.

    A buzz shows from about 1/K of the sound around it: long sounds and soft tails show most. Notes at multiples of the
    frame rate are in both sounds. Noise modulated at the frame rate does not repeat and does not show. Samples after
    the last whole hop are ignored.
    """
    softest = max(np.abs(real).max() * 10 ** (-BUZZ_RANGE_DB / 20), FLOOR)
    return float(10 * np.log10(_repeating(fake, hop, softest) / _repeating(real, hop, softest)))


def idle(fake: np.ndarray) -> Idle:
    """Peak and absolute mean of a vocoder's output for silence, full scale 1; ideally 0."""
    return Idle(float(np.abs(fake).max()), float(abs(fake.mean())))


def _render(vocode: Callable[[np.ndarray], Any], mel: np.ndarray) -> np.ndarray:
    fake = np.asarray(vocode(mel))
    if fake.ndim != 2 or len(fake) != 1:
        raise MelGANError(f"a vocoder returned shape {fake.shape} for one mel: give (1, samples)")
    return _samples(fake[0], "a generated sound")


def _magnitude(wave: np.ndarray, n_fft: int, hop: int, window: int, before: int, after: int) -> np.ndarray:
    """``(frames, n_fft // 2 + 1)``, a full-scale sine being 1; periodic Hann window, ends reflected."""
    curve = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.pad(wave, (before, after), mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return np.abs(np.fft.rfft(frames * (2 / curve.sum() * curve), n_fft))


def _repeating(wave: np.ndarray, hop: int, softest: float) -> float:
    """The energy of the mean piece over the mean energy of a piece, at least 1/K, as noise has."""
    pieces = wave[:len(wave) // hop * hop].reshape(-1, hop)
    pieces = pieces - pieces.mean(axis=1, keepdims=True)
    pieces /= np.maximum(np.sqrt((pieces ** 2).mean(axis=1, keepdims=True)), softest)
    energy, chance = (pieces ** 2).sum() / max(1, len(pieces)), 1 / max(1, len(pieces))
    return max(chance, (pieces.mean(axis=0) ** 2).sum() / energy) if energy else chance


def _first_step(wave: np.ndarray) -> float:
    return np.abs(np.diff(wave[:EDGE_SAMPLES], prepend=0.0)).max()


def _samples(wave: np.ndarray, name: str) -> np.ndarray:
    wave = np.asarray(wave, np.float64)
    if wave.ndim != 1 or not wave.size:
        raise MelGANError(f"{name} has shape {wave.shape}: give (samples,), one or more")
    if not np.isfinite(wave).all():
        raise MelGANError(f"{name} has {wave.size - int(np.isfinite(wave).sum())} samples that are not finite")
    return wave
