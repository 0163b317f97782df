"""Copy synthesis: how far a vocoder's sounds are from the real ones whose mel spectrograms it was given.

A mel has no phase, so samples cannot be compared: every figure of distance is one of magnitudes or energies. None has a
meaning of its own; read each beside what a known vocoder gets on the same sounds, best
:func:`melgan_tf.dsp.griffin_lim.mel_to_waveform`. All are in NumPy; only the mel filters come from
:mod:`melgan_tf.dsp.spectral`, which loads TensorFlow when they are first asked for.

Sounds are ``(samples,)``, full scale 1, a made and a real one of equal length. Levels count down to a fixed floor, 1e-5
of a full-scale sine (-100 dB); but for that a factor common to both sounds changes nothing (save in `idle`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from melgan_tf.audio.edit import is_silent, onset_sample
from melgan_tf.config import AudioConfig
from melgan_tf.errors import MelGANError

#: (transform length, hop, window length), samples.
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))

FLOOR = 1e-5  # of a full-scale sine
ONSET_BEFORE_MS, ONSET_AFTER_MS = 5, 20
ONSET_RANGE_DB = 60.0
FORGETTING_MS = 5.0
EDGE_SAMPLES = 16
BUZZ_RANGE_DB = 80.0

Better = Literal["lower", "higher", "near 0"]


class STFTDistance(NamedTuple):
    """What :func:`multi_resolution_stft` returns."""

    convergence: float
    log_magnitude: float
    total: float


class Idle(NamedTuple):
    """What :func:`idle` returns; full scale is 1."""

    peak: float
    dc_offset: float


def _figure(title: str, better: Better, **default: Any) -> Any:
    return field(metadata={"title": title, "better": better}, **default)


@dataclass(frozen=True)
class CopySynthesis:
    """Means over sounds, every sound counting the same; the functions of this module explain each figure.

    Attributes:
        sounds: how many the means are over.
        silent: how many were left out because the real sound is silent.
        idle_peak, idle_dc_offset: of silence rendered; None from `measure`.
        speed: seconds of sound rendered per second; None from `measure`.
    """

    sounds: int
    silent: int
    log_mel_l1: float = _figure("log mel, dB", "lower")
    stft: float = _figure("multi-resolution STFT", "lower")
    stft_convergence: float = _figure("  spectral convergence", "lower")
    stft_log_magnitude: float = _figure("  log magnitude, nepers", "lower")
    onset_error: float = _figure("onset, dB", "lower")
    edge_click: float = _figure("clicks at the ends, of peak", "lower")
    dc_offset: float = _figure("DC offset, of peak", "lower")
    frame_rate_buzz: float = _figure("frame-rate buzz, dB", "near 0")
    idle_peak: float | None = _figure("peak of silence", "lower", default=None)
    idle_dc_offset: float | None = _figure("DC offset of silence", "lower", default=None)
    speed: float | None = _figure("times real time", "higher", default=None)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return dataclasses.asdict(self)

    def rows(self, yardstick: CopySynthesis | None = None) -> list[tuple[str, float, float | None, Better]]:
        """A table's rows: figure, value, the yardstick's value (None where there is none), which way is better."""
        return [(figure.metadata["title"], getattr(self, figure.name), getattr(yardstick, figure.name, None),
                 figure.metadata["better"]) for figure in dataclasses.fields(self)
                if figure.metadata and getattr(self, figure.name) is not None]


def compare(vocode: Callable[[np.ndarray], Any], sounds: Iterable[np.ndarray], audio: AudioConfig,
            analyze: Callable[[np.ndarray], Any]) -> CopySynthesis:
    """Analyses sounds, renders their mels again, one by one, and measures what came back.

    Sounds may differ in length and are held one at a time. One shorter than ``n_fft`` is padded with zeros at its end.
    A rendering may be up to a hop longer or shorter than its sound, as whole frames are: both are cut to the shorter.
    First of all silence as long as the first sound is rendered: it gives the idle figures, and whatever `vocode`
    prepares on its first call is not counted in ``speed`` (but a function compiled anew for every length is).

    Args:
        vocode: ``(1, frames, mel_bins)`` on the scale of the contract to ``(1, samples)``, arrays or tensors.
        sounds: each ``(samples,)``, full scale 1.
        audio: the contract.
        analyze: ``(1, samples)`` float32 to the mel that `vocode` takes.

    Raises:
        MelGANError: a rendering of another length or with values that are not finite; else as :func:`measure`.

    Example, with sounds as `melgan_tf.audio.read.load` returns them::

        compare(lambda mel: mel_to_waveform(mel, audio, iterations=32), sounds, audio,
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
            made = _render(vocode, mel)
            spent, rendered = spent + time.perf_counter() - start, rendered + len(made) / audio.sample_rate
            if abs(len(made) - len(real)) > audio.hop_samples:
                raise MelGANError(f"{len(made)} samples were made from the mel of {len(real)}: give a vocoder with "
                                  f"hop_samples={audio.hop_samples}")
            samples = min(len(made), len(real))
            yield made[:samples], real[:samples]

    found = measure(pairs(), audio)
    return dataclasses.replace(found, idle_peak=silence.peak, idle_dc_offset=silence.dc_offset,
                               speed=rendered / max(spent, 1e-9))


def measure(pairs: Iterable[tuple[np.ndarray, np.ndarray]], audio: AudioConfig) -> CopySynthesis:
    """Means of all figures over pairs of a made and a real sound, held one at a time.

    A pair whose real sound is silent (peak below -80 dB) is left out and counted: nothing can be relative to it.

    Args:
        pairs: ``(made, real)``, each ``(samples,)``, full scale 1, of equal length within a pair.
        audio: the contract: its rate, hop and filters.

    Raises:
        MelGANError: no pair of which the real sound is heard, lengths that differ, values that are not finite.
    """
    total, sounds, silent = 0.0, 0, 0
    for made, real in pairs:
        made, real = _pair(made, real)
        if is_silent(real):
            silent += 1
            continue
        stft = multi_resolution_stft(made, real)
        total = total + np.array([
            log_mel_l1(made, real, audio), stft.total, stft.convergence, stft.log_magnitude,
            onset_error(made, real, audio.sample_rate), edge_click(made, real), dc_offset(made, real),
            frame_rate_buzz(made, real, audio.hop_samples)])
        sounds += 1
    if not sounds:
        raise MelGANError(f"no sound to measure, {silent} silent ones: give sounds that can be heard")
    return CopySynthesis(sounds, silent, *(float(value) for value in total / sounds))


def log_mel_l1(made: np.ndarray, real: np.ndarray, audio: AudioConfig) -> float:
    """The mean absolute difference of two log-mel spectrograms, dB (20 dB are a factor of ten in amplitude).

    Frames and filters are those of the contract; but magnitudes are summed whatever its ``power``, and the filters have
    peaks of 1 whatever its ``mel_norm``, so that the floor is the same level everywhere: 1e-5 of a full-scale sine.
    It hears what the mel holds and nothing between frames.

    Raises:
        MelGANError: shapes that differ, or values that are not finite.
    """
    from melgan_tf.dsp.spectral import mel_filterbank, padding_samples

    made, real = _pair(made, real)
    filters = mel_filterbank(audio).astype(np.float64)
    filters = filters[:, filters.any(axis=0)]
    filters /= filters.max(axis=0)
    sizes = (audio.n_fft, audio.hop_samples, audio.n_fft, *padding_samples(audio))
    levels = [20 * np.log10(np.maximum(_magnitude(wave, *sizes) @ filters, FLOOR)) for wave in (made, real)]
    return float(np.abs(levels[0] - levels[1]).mean())


def multi_resolution_stft(made: np.ndarray, real: np.ndarray) -> STFTDistance:
    """Spectral convergence plus log-magnitude distance, averaged over three resolutions.

    With magnitudes R and M of all frames and bins: convergence ``||R - M|| / ||R||`` (mostly the loud parts), log
    magnitude the mean of ``|ln R - ln M|`` (every bin alike). Transforms, hops and windows are in samples as published,
    for 24 kHz: windows of 10, 25 and 50 ms there, 15 to 75 ms at 16 kHz. Compare at one rate only.

    Raises:
        MelGANError: shapes that differ, or values that are not finite.

    Reference:
        R. Yamamoto, E. Song, J.-M. Kim: Parallel WaveGAN, 2020, arXiv:1910.11480, equations 3 to 6, table 1. The floor
        here is relative to a full-scale sine under each window, theirs one number; ``||R||`` has the same floor.
    """
    made, real = _pair(made, real)
    parts = []
    for n_fft, hop, window in RESOLUTIONS:
        m, r = (np.maximum(_magnitude(wave, n_fft, hop, window, window // 2, window // 2), FLOOR)
                for wave in (made, real))
        parts.append((np.linalg.norm(r - m) / np.linalg.norm(r), np.abs(np.log(r / m)).mean()))
    convergence, log_magnitude = np.mean(parts, axis=0)
    return STFTDistance(float(convergence), float(log_magnitude), float(convergence + log_magnitude))


def onset_error(made: np.ndarray, real: np.ndarray, sample_rate: int) -> float:
    """How wrong the attack is: the mean absolute difference of two energy envelopes around the real sound's onset, dB.

    The onset is where the real sound comes within 40 dB of its peak; the envelopes are compared every millisecond from
    5 ms before it (or the beginning) to 20 ms after. An envelope is the energy that has come in so far and is forgotten
    with a time constant of 5 ms::

        envelope[t] = sum over k >= 0 of energy[t - k] exp(-k / 5)        energy: of the millisecond that ends at t

    It looks back only, so energy before the onset (pre-echo, which ears hear far better than what follows a loud
    sound) and energy that is late show in full; and it fills the zero crossings of a low note, which in plain frames of
    1 ms would count by tens of dB: another phase of a 50 Hz note costs 2.5 to 4 dB, being 5 ms late 13.
    Whatever is 60 dB below the real envelope's highest value counts as equal.

    It is one envelope for all frequencies: it hears the loudest ones. A sound of the wrong level counts as well, by
    4/5 of the decibels where 5 ms of silence precede.

    A millisecond is the nearest whole number of samples at `sample_rate`, Hz.

    Raises:
        MelGANError: shapes that differ, or values that are not finite.
    """
    made, real = _pair(made, real)
    step, onset = max(1, round(sample_rate / 1000)), onset_sample(real)
    before, frame = -onset % step, -(-onset // step)  # a frame begins at the onset
    energy = [np.pad(wave ** 2, (before, -(before + len(wave)) % step)).reshape(-1, step).mean(axis=1)
              for wave in (made, real)]
    memory = np.exp(-np.arange(100) / FORGETTING_MS)
    made_envelope, real_envelope = (np.convolve(e, memory)[:len(e)] for e in energy)
    floor = max(real_envelope.max() * 10 ** (-ONSET_RANGE_DB / 10), FLOOR ** 2)
    around = slice(max(0, frame - ONSET_BEFORE_MS), frame + ONSET_AFTER_MS)
    ratio = np.maximum(made_envelope[around], floor) / np.maximum(real_envelope[around], floor)
    return float(np.abs(10 * np.log10(ratio)).mean())


def edge_click(made: np.ndarray, real: np.ndarray) -> float:
    """How much harder a made sound begins or ends than the real one, as a share of the real one's peak.

    What begins or ends is the largest step from one sample to the next among the 16 samples at either end, silence
    outside included; a real sound may begin in full swing or be cut off, so its own steps are subtracted, each end by
    itself. The worse end counts, 0 where neither is harder. Noise, whose steps are chance, always shows a little.

    Raises:
        MelGANError: shapes that differ, or values that are not finite.
    """
    made, real = _pair(made, real)
    begin, end = (_first_step(made[::d]) - _first_step(real[::d]) for d in (1, -1))
    return float(max(0.0, begin, end) / max(np.abs(real).max(), FLOOR))


def dc_offset(made: np.ndarray, real: np.ndarray) -> float:
    """How far the absolute means differ, as a share of the real sound's peak; a mel does not know the sign.

    Raises:
        MelGANError: shapes that differ, or values that are not finite.
    """
    made, real = _pair(made, real)
    return float(abs(abs(made.mean()) - abs(real.mean())) / max(np.abs(real).max(), FLOOR))


def frame_rate_buzz(made: np.ndarray, real: np.ndarray, hop: int) -> float:
    """How much more of a made sound repeats with every frame than of the real one, dB; positive is a buzz.

    Vocoders leave lines at the frame rate and its multiples. Cut into K pieces of `hop` samples, each freed of its mean
    and brought to one level, a sound that repeats adds up and noise averages out: the energy of the mean piece over the
    mean energy of a piece is 1 for a buzz alone and 1/K by chance. Less, as a steady tone may have, counts as 1/K. To
    one level, because a buzz is heard where the sound is soft; but what is more than 80 dB below the real sound's peak,
    or below -100 dB of full scale, is not raised.

    A buzz shows where it is about 1/K or more of the sound around it: long sounds and soft tails tell most. Notes at
    multiples of the frame rate are in both sounds. Noise that pulsates at the frame rate does not repeat: no figure.

    `hop` is in samples, 1 or more; the frame rate is ``sample_rate / hop``. What exceeds whole hops is left out.

    Raises:
        MelGANError: shapes that differ, values that are not finite, or `hop` below 1.
    """
    made, real = _pair(made, real)
    if hop < 1:
        raise MelGANError(f"hop is {hop}: give 1 or more samples")
    softest = max(np.abs(real).max() * 10 ** (-BUZZ_RANGE_DB / 20), FLOOR)
    return float(10 * np.log10(_repeating(made, hop, softest) / _repeating(real, hop, softest)))


def idle(made: np.ndarray) -> Idle:
    """Peak and absolute mean of what a vocoder makes of silence, full scale 1; ideally 0.

    Raises:
        MelGANError: another rank than ``(samples,)``, no samples, or values that are not finite.
    """
    made = _samples(made, "a made sound")
    return Idle(float(np.abs(made).max()), float(abs(made.mean())))


def _render(vocode: Callable[[np.ndarray], Any], mel: np.ndarray) -> np.ndarray:
    made = np.asarray(vocode(mel))
    if made.ndim != 2 or len(made) != 1:
        raise MelGANError(f"a vocoder returned shape {made.shape} for one mel: give (1, samples)")
    return _samples(made[0], "a made sound")


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


def _pair(made: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    made, real = _samples(made, "a made sound"), _samples(real, "a real sound")
    if len(made) != len(real):
        raise MelGANError(f"a made sound has {len(made)} samples, its real one {len(real)}: give equal lengths")
    return made, real
