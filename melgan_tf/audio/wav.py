"""Samples -> WAV files, all of a file or nothing. No TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from melgan_tf.errors import MelGANError, UsageError, printable
from melgan_tf.storage.atomic import atomic_write

#: Samples of the longest WAV file.
MAX_SAMPLES = 1_000_000_000  # of 4 bytes: a WAV file's lengths are 32-bit numbers


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
    if count > MAX_SAMPLES:
        raise MelGANError(f"cannot write {printable(path)}: {count} samples are more than a WAV file holds, "
                          f"{MAX_SAMPLES}")
    with (atomic_write(path, parents=False, durable=False) as temporary, open(temporary, "xb") as file):
        file.write(_wav_head(count, sample_rate, comment, subtype, loop))
        for samples in pieces:
            if samples.ndim != 1 or not np.isfinite(samples).all():
                found = "NaN or infinity" if samples.ndim == 1 else f"an array of shape {samples.shape}"
                raise MelGANError(f"cannot write {printable(path)}: give finite samples of one channel, not {found}")
            file.write(_wav_samples(samples, subtype))


def encode_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """Encodes samples ``(samples,)`` as a WAV file of 16 bits; values above full scale are clipped.

    Example:
        >>> encode_wav(np.zeros(2), 16_000)[:4]
        b'RIFF'
    """
    return _wav_head(len(samples), sample_rate, "", "PCM_16", loop=False) + _wav_samples(samples, "PCM_16")


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
