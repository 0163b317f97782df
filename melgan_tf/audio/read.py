"""Sound files -> samples: decoding, mixing down, resampling. No TensorFlow.

Samples are float32 of shape (samples,), one channel, full scale +-1.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soxr

from melgan_tf import storage
from melgan_tf.audio.decode import decode, read_comment
from melgan_tf.audio.edit import fade_out, is_silent, onset_sample
from melgan_tf.audio.find import EXTENSIONS, Skipped, SoundFile, find
from melgan_tf.audio.wav import save_wav
from melgan_tf.errors import DecodeError, UsageError

__all__ = ["EXTENSIONS", "DecodeError", "Skipped", "SoundFile", "decode_folder", "fade_out", "find", "is_silent",
           "load", "onset_sample", "read_comment", "resample", "resampled", "save_wav"]

_QUALITY = "HQ"  # 20 bits of precision: more than the 16 of most files, in two thirds of the time of "VHQ"
_LOOK_AHEAD = 512  # output samples by which soxr's output usually lags behind its input


def load(path: str | Path, sample_rate: int, max_samples: int | None = None) -> np.ndarray:
    """Decode a sound file, mix it down and resample it.

    Channels are averaged. Samples above full scale, which floating-point files may contain, are kept. Only the part
    that ``max_samples`` needs is decoded (later damage is not detected), with the same result as decoding everything.

    Args:
        path: the file; its format is detected from its contents, not from its extension.
        sample_rate: of the result, Hz.
        max_samples: maximum number of samples to return, at ``sample_rate``; None for all.

    Returns:
        float32, (samples,), at least one sample.

    Raises:
        DecodeError: the file cannot be decoded; its ``reason`` says why.
    """
    if sample_rate < 1 or (max_samples is not None and max_samples < 1):
        raise UsageError(f"{sample_rate} Hz, {max_samples} samples: give 1 or more of each")
    seconds = math.inf if max_samples is None else (max_samples + _LOOK_AHEAD) / sample_rate
    kept, count = [], 0
    with contextlib.closing(decode(path, seconds)) as blocks:
        for block in resampled(blocks, sample_rate):
            kept.append(block)
            count += len(block)
            if max_samples is not None and count >= max_samples:
                break
    if not count:
        raise DecodeError(path, "no samples")
    samples = kept[0] if len(kept) == 1 else np.concatenate(kept)
    return samples[:max_samples]


def resampled(blocks: Iterable[tuple[int, np.ndarray]], sample_rate: int) -> Iterator[np.ndarray]:
    """Resample a stream; the result has ``max(1, round(samples * ratio))`` samples."""
    stream, count = None, 0
    for rate, block in blocks:
        if rate == sample_rate:
            yield block
            continue
        stream = stream or soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality=_QUALITY)
        output = stream.resample_chunk(block)
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


def decode_folder(sounds: Iterable[SoundFile], sample_rate: int, clip_samples: int | None,
                  workers: int | None = None) -> Iterator[tuple[SoundFile, np.ndarray | Skipped]]:
    """Decode many sounds to clips of one length, in order and in parallel.

    The decoders and the resampler release the global interpreter lock, so threads suffice. Only a few clips per worker
    are in memory at any time.

    Args:
        sounds: as returned by `find`.
        sample_rate: Hz.
        clip_samples: length of each clip; longer sounds are cut, shorter ones padded with zeros at the end. None: the
            whole sound.
        workers: number of threads; None for one per available core.

    Yields:
        Each sound with its clip, float32 of shape (samples,), or the reason why it has none.
    """
    workers = workers or len(os.sched_getaffinity(0))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        sounds, pending = iter(sounds), deque()
        for sound in itertools.islice(sounds, 4 * workers):
            pending.append((sound, pool.submit(_clip, sound, sample_rate, clip_samples)))
        while pending:
            sound, future = pending.popleft()
            clip = future.result()
            for following in itertools.islice(sounds, 1):
                pending.append((following, pool.submit(_clip, following, sample_rate, clip_samples)))
            yield sound, clip
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _clip(sound: SoundFile, sample_rate: int, clip_samples: int | None) -> np.ndarray | Skipped:
    try:
        with storage.local(sound.path) as file:
            samples = load(file, sample_rate, clip_samples)
    except FileNotFoundError as error:  # removed since it was found
        return Skipped(sound.name, f"cannot be read: {error.strerror}")
    except DecodeError as error:
        return Skipped(sound.name, error.reason)
    if is_silent(samples):
        return Skipped(sound.name, "silent")
    if clip_samples is None:
        return samples
    clip = np.zeros(clip_samples, np.float32)
    clip[:len(samples)] = samples
    return clip
