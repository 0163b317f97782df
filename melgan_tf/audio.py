"""Files <-> samples: decodes, resamples, fades, writes. No TensorFlow.

Beside `melgan_tf.decoding`, its lower half, this is the only place that knows file formats; `melgan_tf.scan` finds
the files. Samples are float32 of shape (samples,), one channel, full scale +-1.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import secrets
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import soxr

from melgan_tf import storage
from melgan_tf.decoding import decode, read_comment
from melgan_tf.errors import DecodeError, MelGANError, UsageError, printable
from melgan_tf.scan import EXTENSIONS, Skipped, SoundFile, find

__all__ = ["EXTENSIONS", "DecodeError", "Skipped", "SoundFile", "decode_folder", "fade_out", "find", "is_silent",
           "load", "onset_sample", "read_comment", "resample", "resampled", "save_wav"]

#: What stays below this, 80 dB below full scale, is silent.
SILENT_PEAK = 1e-4
#: Samples of the longest WAV file.
MOST_SAMPLES = 1_000_000_000  # of 4 bytes: a WAV file's lengths are 32-bit numbers
_QUALITY = "HQ"  # 20 bits of precision: finer than the 16 of most files, at two thirds of the time of "VHQ"
_LOOK_AHEAD = 512  # output samples by which soxr's answer usually lags behind its input


def load(path: str | Path, sample_rate: int, max_samples: int | None = None) -> np.ndarray:
    """Decodes a sound file, mixes it down and resamples it.

    Channels are averaged. Samples above full scale, as floating-point files may have, are kept. Of a long file only
    what ``max_samples`` needs is decoded (damage after that goes unnoticed); these samples are the same as if all
    of it were.

    Args:
        path: the file; its contents decide how it is decoded, not its extension.
        sample_rate: the wanted rate, Hz.
        max_samples: most samples to return, counted at ``sample_rate``; None for all.

    Returns:
        float32, (samples,), at least one sample.

    Raises:
        DecodeError: the file gives no sound; its ``reason`` says why.
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
    """Resamples a stream, whose length comes out as ``round(samples * ratio)`` but at least 1."""
    stream, count = None, 0
    for rate, block in blocks:
        if rate == sample_rate:
            yield block
            continue
        stream = stream or soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality=_QUALITY)
        answer = stream.resample_chunk(block)
        count += len(answer)
        yield answer
    if stream is not None:
        end = stream.resample_chunk(np.zeros(0, np.float32), last=True)
        if not count + len(end):
            end = _one_sample(block, rate, sample_rate)
        yield end


def resample(samples: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Resamples a whole sound, whose length comes out as ``round(samples * ratio)`` but at least 1.

    Args:
        samples: float32, (samples,), not empty.
        rate: its rate, Hz.
        sample_rate: the wanted rate, Hz.
    """
    if rate == sample_rate:
        return samples
    result = soxr.resample(samples, rate, sample_rate, quality=_QUALITY)
    return result if len(result) else _one_sample(samples, rate, sample_rate)


def _one_sample(samples: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Of a sound shorter than half an output sample: zeros follow it."""
    padded = np.pad(samples, (0, math.ceil(rate / sample_rate)))
    return soxr.resample(padded, rate, sample_rate, quality=_QUALITY)[:1]


def is_silent(samples: np.ndarray, peak: float = SILENT_PEAK) -> bool:
    """Whether no sample reaches ``peak`` (80 dB below full scale); an empty array is silent."""
    return not samples.size or max(samples.max(), -samples.min()) < peak


def decode_folder(sounds: Iterable[SoundFile], sample_rate: int, clip_samples: int | None,
                  workers: int | None = None) -> Iterator[tuple[SoundFile, np.ndarray | Skipped]]:
    """Decodes many sounds to clips of one length, in order, several at a time.

    The decoders and the resampler release Python's lock, so threads suffice. Only a few clips per worker are
    under way at any time, however many sounds there are.

    Args:
        sounds: what `find` returned.
        sample_rate: Hz.
        clip_samples: samples of each clip; longer sounds are cut, shorter ones padded with zeros at the end. None: all
            of each sound, whatever its length.
        workers: number of threads; None for one per available core.

    Yields:
        Each sound with its clip, float32 of shape (samples,), or with the reason why it has none.
    """
    workers = workers or len(os.sched_getaffinity(0))
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        sounds, under_way = iter(sounds), deque()
        for sound in itertools.islice(sounds, 4 * workers):
            under_way.append((sound, pool.submit(_clip, sound, sample_rate, clip_samples)))
        while under_way:
            sound, future = under_way.popleft()
            clip = future.result()
            for following in itertools.islice(sounds, 1):
                under_way.append((following, pool.submit(_clip, following, sample_rate, clip_samples)))
            yield sound, clip
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _clip(sound: SoundFile, sample_rate: int, clip_samples: int | None) -> np.ndarray | Skipped:
    try:
        with storage.local(sound.path) as file:
            samples = load(file, sample_rate, clip_samples)
    except FileNotFoundError as error:  # gone since it was found
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


def fade_out(samples: np.ndarray, seconds: float, sample_rate: int) -> np.ndarray:
    """A copy whose end falls to zero along half a cosine, so that it does not end with a click.

    Args:
        samples: (..., samples).
        seconds: length of the fade; a longer one than the sound takes all of it.
        sample_rate: Hz.

    Returns:
        float32, same shape.

    Example:
        >>> fade_out(np.ones(4), seconds=0.5, sample_rate=4).tolist()
        [1.0, 1.0, 0.5, 0.0]
    """
    if not seconds >= 0:
        raise UsageError(f"a fade of {seconds} seconds: give 0 or more")
    faded = np.array(samples, np.float32)
    count = round(min(seconds * sample_rate, faded.shape[-1]))
    curve = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, count + 1) / max(count, 1))
    faded[..., faded.shape[-1] - count:] *= curve.astype(np.float32)
    return faded


def onset_sample(samples: np.ndarray, threshold_db: float = -40.0) -> int:
    """Index of the first sample within ``threshold_db`` of the peak: where the sound begins; 0 in silence.

    Example:
        >>> onset_sample(np.array([0.0, 0.001, -0.5, 1.0]))
        2
    """
    level = np.abs(samples)
    return int(np.argmax(level >= level.max() * 10 ** (threshold_db / 20))) if level.size else 0


def save_wav(path: str | Path, samples: np.ndarray, sample_rate: int, comment: str = "",
             subtype: Literal["PCM_16", "FLOAT"] = "PCM_16") -> None:
    """Writes a WAV file, all of it or nothing: whoever reads ``path`` never sees half a file.

    Equal arguments give equal bytes, without a date or a program's version inside.

    Args:
        path: where to; a file that is there is replaced.
        samples: (samples,), finite. PCM_16 holds them to full scale, FLOAT keeps what is above.
        sample_rate: Hz.
        comment: text that `read_comment` and audio programs find.
        subtype: 16-bit whole numbers or 32-bit floating point.

    Raises:
        MelGANError: the samples cannot be written as sound, or the disk does not take the file.
    """
    path, samples = Path(path), np.asarray(samples)
    save_wav_pieces(path, [samples], samples.size, sample_rate, comment, subtype)


def save_wav_pieces(path: str | Path, pieces: Iterable[np.ndarray], count: int, sample_rate: int, comment: str = "",
                    subtype: Literal["PCM_16", "FLOAT"] = "PCM_16", loop: bool = False) -> None:
    """Writes a WAV file piece by piece, with no more than one piece in memory; else as `save_wav`.

    Args:
        path, sample_rate, comment, subtype: as for `save_wav`.
        pieces: ``(samples,)`` each.
        count: samples of all of them together.
        loop: tell samplers to play the whole of it again and again (a ``smpl`` chunk).

    Raises:
        MelGANError: as `save_wav`.
    """
    path = Path(path)
    if count > MOST_SAMPLES:
        raise MelGANError(f"cannot write {printable(path)}: {count} samples are more than a WAV file holds, "
                          f"{MOST_SAMPLES}")
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        try:
            with open(temporary, "xb") as file:
                file.write(_wav_head(count, sample_rate, comment, subtype, loop))
                for samples in pieces:
                    if samples.ndim != 1 or not np.isfinite(samples).all():
                        found = "NaN or infinity" if samples.ndim == 1 else f"an array of shape {samples.shape}"
                        raise MelGANError(f"cannot write {printable(path)}: give finite samples of one channel, not "
                                          f"{found}")
                    file.write(_wav_samples(samples, subtype))
            os.replace(temporary, path)
        except BaseException:  # an interrupt as well
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MelGANError(f"cannot write {printable(path)}: {error.strerror}") from None


def _wav_samples(samples: np.ndarray, subtype: str) -> bytes:
    if subtype == "PCM_16":  # 32768, as decoders divide: what was loaded from 16 bits is written unchanged
        return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
    return samples.astype("<f4").tobytes()


def _wav_head(count: int, sample_rate: int, comment: str, subtype: str, loop: bool) -> bytes:
    """All of a WAV file that is before its samples."""
    if subtype not in ("PCM_16", "FLOAT"):
        raise UsageError(f"WAV subtype {subtype!r}: give PCM_16 or FLOAT")
    code, width = (1, 2) if subtype == "PCM_16" else (3, 4)
    chunks = [(b"fmt ", struct.pack("<HHIIHH", code, 1, sample_rate, sample_rate * width, width, 8 * width)
               + (b"" if code == 1 else b"\0\0"))]
    if code == 3:  # asked for by the standard wherever samples are not whole numbers
        chunks.append((b"fact", struct.pack("<I", count)))
    if loop:  # nanoseconds a sample, unity note 60, one loop: forwards, from the first sample to the last, for ever
        chunks.append((b"smpl", struct.pack("<9I6I", 0, 0, round(1e9 / sample_rate), 60, 0, 0, 0, 1, 0,
                                            0, 0, 0, count - 1, 0, 0)))
    if comment:
        chunks.append((b"LIST", b"INFO" + _chunk(b"ICMT", comment.encode("utf-8", "replace") + b"\0")))
    head = b"WAVE" + b"".join(_chunk(name, content) for name, content in chunks)
    size = count * width
    return b"RIFF" + struct.pack("<I", len(head) + 8 + size) + head + b"data" + struct.pack("<I", size)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
