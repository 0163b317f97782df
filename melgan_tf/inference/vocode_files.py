"""Renders files with a vocoder: sounds are analyzed and rendered again, mels are rendered.

Each input is finished before the next is read. In chunks, neither its mel nor its waveform is rendered as a whole:
memory is that of the decoded input and one chunk.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from melgan_tf.audio.read import load
from melgan_tf.audio.wav import save_wav
from melgan_tf.dsp import spectral
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.streaming import in_chunks
from melgan_tf.inference.vocoder import Vocoder
from melgan_tf.progress import Progress

#: Frames of a sound that are analyzed at a time.
ANALYZED_FRAMES = 4096
_MAX_LOG10 = 12.0  # of log10: a full-scale sound stays below 8


@dataclass(frozen=True)
class Vocoded:
    """The result of `vocode_files`.

    Attributes:
        files: the WAVs, in the order of the inputs.
        seconds: seconds of sound in them.
        spent: seconds of rendering, without reading and writing.
        clipped: the WAVs whose peaks were clipped to full scale.
    """

    files: list[Path]
    seconds: float
    spent: float
    clipped: list[Path]


def vocode_files(vocoder: Vocoder, pairs: Sequence[tuple[Path, Path]], chunk_seconds: float | None = None,
                 progress: Progress | None = None) -> Vocoded:
    """Renders files.

    A sound is resampled to the vocoder's rate, analyzed, and rendered to its own length. A ``.npy`` file contains a mel
    ``(frames, mel_bins)`` or ``(1, frames, mel_bins)`` on the scale of the vocoder's configuration.

    Args:
        vocoder: renders.
        pairs: as `melgan_tf.inference.vocode_plan.plan` returns them.
        chunk_seconds: render pieces of this length; the result is the same.
        progress: reports every file.

    Raises:
        UsageError: a mel of another shape.
        MelGANError: a file cannot be read, or a WAV cannot be written; earlier WAVs are complete.
    """
    spent, seconds, clipped = 0.0, 0.0, []
    vocoder.vocode(np.zeros((1, 1, vocoder.audio.mel_bins)), 0)  # traces the function, outside the timing
    origin = json.dumps({"made_by": "melgan-tf", **{f"vocoder_{k}": v for k, v in vocoder.metadata().items()}})
    with (progress or Progress()).task("rendering", len(pairs), "files") as advance:
        for source, target in pairs:
            mels, samples = _mels(vocoder, source)
            started = time.perf_counter()
            waveform = _render(vocoder, mels, chunk_seconds)[:samples]
            spent += time.perf_counter() - started
            seconds += len(waveform) / vocoder.audio.sample_rate
            if not np.isfinite(waveform).all():
                raise MelGANError(f"the vocoder {vocoder.name} renders {source} to NaN or infinity: use another "
                                  "checkpoint or vocoder")
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise MelGANError(f"cannot write {target}: {error.strerror}") from None
            save_wav(target, waveform, vocoder.audio.sample_rate, comment=origin)
            if np.max(np.abs(waveform), initial=0.0) > 1.0:
                clipped.append(target)
            advance(1)
    return Vocoded([target for _, target in pairs], seconds, spent, clipped)


def _render(vocoder: Vocoder, mels: Iterator[np.ndarray], chunk_seconds: float | None) -> np.ndarray:
    if chunk_seconds is None:
        return vocoder.vocode(np.concatenate(list(mels))[None], 0)[0]
    frames = vocoder.frames(chunk_seconds)
    chunks = (mel[first:first + frames] for mel in mels for first in range(0, len(mel), frames))
    return np.concatenate(list(in_chunks(vocoder.vocode, chunks, vocoder.model.hop_samples,
                                         vocoder.model.context_frames)))


def _mels(vocoder: Vocoder, source: Path) -> tuple[Iterator[np.ndarray], int | None]:
    """The mel of a file in pieces, and the samples to keep; None keeps all samples of its frames."""
    if source.suffix.lower() == ".npy":
        mel = _read_mel(source, vocoder.audio.mel_bins)
        return (mel[i:i + ANALYZED_FRAMES] for i in range(0, len(mel), ANALYZED_FRAMES)), None
    samples = load(source, vocoder.audio.sample_rate)
    return _analyze(vocoder, samples), len(samples)


def _analyze(vocoder: Vocoder, samples: np.ndarray) -> Iterator[np.ndarray]:
    """The mel of a waveform in pieces, with the same values as the mel of the whole."""
    audio = vocoder.audio
    hop, (before, after) = audio.hop_samples, spectral.padding_samples(audio)
    whole = np.pad(samples, (0, max(0, -len(samples) % hop, before + 1 - len(samples), after + 1 - len(samples))))
    padded = np.pad(whole, (before, after), mode="reflect")
    frames = (len(padded) - audio.n_fft) // hop + 1
    for first in range(0, frames, ANALYZED_FRAMES):
        last = min(first + ANALYZED_FRAMES, frames)
        yield spectral.mel_of_padded(tf.constant(padded[None, first * hop:(last - 1) * hop + audio.n_fft]),
                                     audio).numpy()[0]


def _read_mel(source: Path, bins: int) -> np.ndarray:
    try:
        mel = np.lib.format.open_memmap(source, mode="r")
    except OSError as error:
        raise MelGANError(f"cannot read {source}: {error.strerror or error}") from None
    except (ValueError, EOFError) as error:
        raise MelGANError(f"{source} is not a .npy array of numbers, or damaged ({error})") from None
    if mel.ndim == 3 and len(mel) == 1:
        mel = mel[0]
    if mel.ndim != 2 or mel.shape[1] != bins or not len(mel):
        hint = "; it looks transposed" if mel.ndim == 2 and mel.shape[0] == bins else ""
        raise UsageError(f"{source} has shape {mel.shape}: the vocoder takes mels (frames, {bins}){hint}")
    limit = np.finfo(np.float32).max
    if mel.dtype.kind not in "fiu" or not -limit <= mel.min() <= mel.max() <= limit:  # false for NaN
        raise UsageError(f"{source} contains values that are not finite numbers")
    if mel.max() > _MAX_LOG10:
        raise UsageError(f"{source} contains values up to {mel.max():.3g}: give a log10 mel on the vocoder's scale")
    return mel
