"""Sound files -> samples: decoding, mixing down, resampling. No TensorFlow.

Samples are float32 of shape (samples,), one channel, full scale +-1.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soxr

from melgan_tf.audio.decode import About, decode
from melgan_tf.audio.edit import fade_out, is_silent, onset_sample
from melgan_tf.audio.find import Skipped, SoundFile, find
from melgan_tf.audio.wav import save_wav
from melgan_tf.errors import DecodeError, UsageError

__all__ = ["DecodeError", "Skipped", "SoundFile", "fade_out", "find", "is_silent", "load",
           "load_blocks", "onset_sample", "resample", "resampled", "save_wav"]

_QUALITY = "HQ"  # 20 bits of precision: more than the 16 of most files, in two thirds of the time of "VHQ"
_MAX_BLOCK = 1 << 22  # samples of a resampled block, about
_LOOK_AHEAD = 512  # output samples by which soxr's output usually lags behind its input


def load(path: str | Path, sample_rate: int, max_samples: int | None = None, about: About | None = None
         ) -> np.ndarray:
    """Decode a sound file, mix it down and resample it.

    Channels are averaged (`melgan_tf.audio.mixing`). Samples above full scale, which floating-point files may contain,
    are kept. Only the part that ``max_samples`` needs is decoded (later damage is not detected), with the same result
    as decoding everything.

    Args:
        path: the file; its format is detected from its contents, not from its extension.
        sample_rate: of the result, Hz.
        max_samples: maximum number of samples to return, at ``sample_rate``; None for all.
        about: is filled in.

    Returns:
        float32, (samples,), at least one sample.

    Raises:
        DecodeError: the file cannot be decoded; its ``reason`` says why.
    """
    kept = list(load_blocks(path, sample_rate, max_samples, about))
    return kept[0] if len(kept) == 1 else np.concatenate(kept)


def load_blocks(path: str | Path, sample_rate: int, max_samples: int | None = None, about: About | None = None
                ) -> Iterator[np.ndarray]:
    """Do what `load` does, block by block: memory does not grow with the length of the sound."""
    if sample_rate < 1 or (max_samples is not None and max_samples < 1):
        raise UsageError(f"{sample_rate} Hz, {max_samples} samples: give 1 or more of each")
    seconds = math.inf if max_samples is None else (max_samples + _LOOK_AHEAD) / sample_rate
    count = 0
    with contextlib.closing(decode(path, seconds, about)) as blocks:
        for block in resampled(blocks, sample_rate):
            if max_samples is not None:
                block = block[:max_samples - count]
            count += len(block)
            if len(block):
                yield block
            if count == max_samples:
                break
    if not count:
        raise DecodeError(path, "no samples")


def resampled(blocks: Iterable[tuple[int, np.ndarray]], sample_rate: int) -> Iterator[np.ndarray]:
    """Resample a stream; the result has ``max(1, round(samples * ratio))`` samples."""
    stream, count = None, 0
    for rate, block in blocks:
        if rate == sample_rate:
            yield block
            continue
        stream = stream or soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality=_QUALITY)
        step = max(1, _MAX_BLOCK * rate // sample_rate)  # a block of 1 kHz is one of 400 MB at 384 kHz
        for start in range(0, len(block), step):
            output = stream.resample_chunk(block[start:start + step])
            count += len(output)
            yield output
    if stream is not None:
        end = stream.resample_chunk(np.zeros(0, np.float32), last=True)
        if not count + len(end):
            end = _one_sample(block, rate, sample_rate)
        yield end


def resample(samples: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Resample a whole sound; the result has ``max(1, round(samples * ratio))`` samples.

    Args:
        samples: float32, (samples,), not empty.
        rate: its rate, Hz.
        sample_rate: of the result, Hz.
    """
    if rate == sample_rate:
        return samples
    result = soxr.resample(samples, rate, sample_rate, quality=_QUALITY)
    return result if len(result) else _one_sample(samples, rate, sample_rate)


def _one_sample(samples: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Resample a sound shorter than half an output sample, padded with zeros."""
    padded = np.pad(samples, (0, math.ceil(rate / sample_rate)))
    return soxr.resample(padded, rate, sample_rate, quality=_QUALITY)[:1]
