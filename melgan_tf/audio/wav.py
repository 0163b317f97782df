"""Samples -> WAV files, written atomically. No TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from melgan_tf.errors import MelGANError, UsageError, printable
from melgan_tf.storage.atomic import atomic_write

#: Maximum number of samples in a WAV file: at 4 bytes each its length must fit into 32 bits.
MAX_SAMPLES = 1_000_000_000


def save_wav(path: str | Path, samples: np.ndarray, sample_rate: int, comment: str = "",
             subtype: Literal["PCM_16", "FLOAT"] = "PCM_16") -> None:
    """Write a WAV file atomically.

    Equal arguments result in equal bytes: the file contains no date or version.

    Args:
        path: the file; an existing one is replaced.
        samples: (samples,), finite. PCM_16 clips them to full scale, FLOAT does not.
        sample_rate: Hz.
        comment: metadata, which `read_comment` and audio programs read.
        subtype: 16-bit integers or 32-bit floating point.

    Raises:
        MelGANError: the samples are not a valid sound, or the file cannot be written.
    """
    path, samples = Path(path), np.asarray(samples)
    save_wav_pieces(path, [samples], samples.size, sample_rate, comment, subtype)


def save_wav_pieces(path: str | Path, pieces: Iterable[np.ndarray], count: int | None, sample_rate: int,
                    comment: str = "", subtype: Literal["PCM_16", "FLOAT"] = "PCM_16", loop: bool = False) -> None:
    """Write a WAV file piece by piece, with one piece in memory at a time; otherwise as `save_wav`.

    Args:
        path, sample_rate, comment, subtype: as for `save_wav`.
        pieces: ``(samples,)`` each.
        count: total number of samples; None: not known yet.
        loop: mark the whole sound as a loop for samplers (a ``smpl`` chunk).

    Raises:
        MelGANError: as `save_wav`.
    """
    path, written = Path(path), 0
    _check_count(path, count or 0)
    with atomic_write(path, parents=False, durable=False) as temporary, open(temporary, "wb") as file:
        file.write(_wav_head(count or 0, sample_rate, comment, subtype, loop))
        for samples in pieces:
            if samples.ndim != 1 or not np.isfinite(samples).all():
                found = "NaN or infinity" if samples.ndim == 1 else f"an array of shape {samples.shape}"
                raise MelGANError(f"cannot write {printable(path)}: give finite samples of one channel, not {found}")
            _check_count(path, written := written + len(samples))
            file.write(_wav_samples(samples, subtype))
        if count is None:
            file.seek(0)
            file.write(_wav_head(written, sample_rate, comment, subtype, loop))


def _check_count(path: Path, count: int) -> None:
    if count > MAX_SAMPLES:
        raise MelGANError(f"cannot write {printable(path)}: {count} samples are more than the maximum of a WAV file, "
                          f"{MAX_SAMPLES}")


def encode_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """Encodes samples ``(samples,)`` as a WAV file of 16 bits; values above full scale are clipped.

    Examples:
        >>> encode_wav(np.zeros(2), 16_000)[:4]
        b'RIFF'
    """
    return _wav_head(len(samples), sample_rate, "", "PCM_16", loop=False) + _wav_samples(samples, "PCM_16")


def _wav_samples(samples: np.ndarray, subtype: str) -> bytes:
    if subtype == "PCM_16":  # 32768, as decoders divide: 16-bit samples that were loaded are written unchanged
        return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
    return samples.astype("<f4").tobytes()


def _wav_head(count: int, sample_rate: int, comment: str, subtype: str, loop: bool) -> bytes:
    """Return the part of a WAV file before its samples."""
    if subtype not in ("PCM_16", "FLOAT"):
        raise UsageError(f"WAV subtype {subtype!r}: give PCM_16 or FLOAT")
    code, width = (1, 2) if subtype == "PCM_16" else (3, 4)
    chunks = [(b"fmt ", struct.pack("<HHIIHH", code, 1, sample_rate, sample_rate * width, width, 8 * width)
               + (b"" if code == 1 else b"\0\0"))]
    if code == 3:  # required by the standard for samples that are not integers
        chunks.append((b"fact", struct.pack("<I", count)))
    if loop:  # ns per sample, unity note 60; one loop: forward, from the first sample to the last, infinite
        chunks.append((b"smpl", struct.pack("<9I6I", 0, 0, round(1e9 / sample_rate), 60, 0, 0, 0, 1, 0,
                                            0, 0, 0, max(0, count - 1), 0, 0)))
    if comment:
        chunks.append((b"LIST", b"INFO" + _chunk(b"ICMT", comment.encode("utf-8", "replace") + b"\0")))
    head = b"WAVE" + b"".join(_chunk(name, content) for name, content in chunks)
    size = count * width
    return b"RIFF" + struct.pack("<I", len(head) + 8 + size) + head + b"data" + struct.pack("<I", size)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
