"""Samples -> WAV files, written atomically. No TensorFlow."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from melgan_tf.errors import MelGANError, UsageError, printable
from melgan_tf.storage.atomic import atomic_write

#: Maximum number of samples in a WAV file of one channel: at 4 bytes each its length must fit into 32 bits.
MAX_SAMPLES = 1_000_000_000

Subtype = Literal["PCM_16", "PCM_24", "FLOAT"]
_WIDTHS = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}


@dataclass(frozen=True)
class Tags:
    """What a sound file says of its sound, besides its comment; empty texts are not written.

    Attributes:
        title: its name.
        genre: its class.
        software: what made it.
        license: under which it may be used.
        rights: how it came about.
        date: YYYY-MM-DD.
        note: MIDI note of its pitch, for samplers.
        bpm, beats: tempo and length of a loop in 4/4, for sequencers; 0 of other sounds.
    """

    title: str = ""
    genre: str = ""
    software: str = ""
    license: str = ""
    rights: str = ""
    date: str = ""
    note: int | None = None
    bpm: float = 0.0
    beats: int = 0


NO_TAGS = Tags()


def save_wav(path: str | Path, samples: np.ndarray, sample_rate: int, comment: str = "",
             subtype: Subtype = "PCM_16") -> None:
    """Write a WAV file atomically.

    Equal arguments result in equal bytes: the file contains no date or version.

    Args:
        path: the file; an existing one is replaced.
        samples: (samples,), finite. Integers clip them to full scale, FLOAT does not.
        sample_rate: Hz.
        comment: metadata, which `read_comment` and audio programs read.
        subtype: integers of 16 or 24 bits, or 32-bit floating point.

    Raises:
        MelGANError: the samples are not a valid sound, or the file cannot be written.
    """
    path, samples = Path(path), np.asarray(samples)
    save_wav_pieces(path, [samples], samples.size, sample_rate, comment, subtype)


def save_wav_pieces(path: str | Path, pieces: Iterable[np.ndarray], count: int | None, sample_rate: int,
                    comment: str = "", subtype: Subtype = "PCM_16", loop: bool = False, channels: int = 1,
                    tags: Tags = NO_TAGS) -> None:
    """Write a WAV file piece by piece, with one piece in memory at a time; otherwise as `save_wav`.

    Args:
        path, sample_rate, comment, subtype: as for `save_wav`.
        pieces: ``(samples,)`` each.
        count: total number of samples; None: not known yet.
        loop: mark the whole sound as a loop for samplers (a ``smpl`` chunk).
        channels: that contain these samples.
        tags: become ``LIST INFO`` and ``bext`` (Broadcast Wave, EBU Tech 3285) chunks; the note is in ``smpl``, tempo
            and beats are in ``acid``.

    Raises:
        MelGANError: as `save_wav`.
    """
    path, written = Path(path), 0
    _check_count(path, count or 0, channels)
    head = functools.partial(_wav_head, sample_rate=sample_rate, comment=comment, subtype=subtype, loop=loop,
                             channels=channels, tags=tags)
    with atomic_write(path, parents=False, durable=False) as temporary, open(temporary, "wb") as file:
        file.write(head(count or 0))
        for samples in checked_pieces(path, pieces):
            _check_count(path, written := written + len(samples), channels)
            file.write(_wav_samples(np.repeat(samples, channels) if channels > 1 else samples, subtype))
        size = written * channels * _WIDTHS[subtype]
        file.write(b"\0" * (size % 2))
        if count is None:
            file.seek(0)
            file.write(head(written))


def checked_pieces(path: Path, pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The pieces of a sound that is written.

    Raises:
        MelGANError: they are not finite samples of one channel.
    """
    for samples in pieces:
        if samples.ndim != 1 or not np.isfinite(samples).all():
            found = "NaN or infinity" if samples.ndim == 1 else f"an array of shape {samples.shape}"
            raise MelGANError(f"cannot write {printable(path)}: give finite samples of one channel, not {found}")
        yield samples


def _check_count(path: Path, count: int, channels: int) -> None:
    if count * channels > MAX_SAMPLES:
        raise MelGANError(f"cannot write {printable(path)}: {count * channels} samples are more than the maximum of a "
                          f"WAV file, {MAX_SAMPLES}")


def encode_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """Encodes samples ``(samples,)`` as a WAV file of 16 bits; values above full scale are clipped.

    Examples:
        >>> encode_wav(np.zeros(2), 16_000)[:4]
        b'RIFF'
    """
    return _wav_head(len(samples), sample_rate) + _wav_samples(samples, "PCM_16")


def _wav_samples(samples: np.ndarray, subtype: Subtype) -> bytes:
    if subtype == "PCM_16":  # 32768, as decoders divide: 16-bit samples that were loaded are written unchanged
        return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
    if subtype == "PCM_24":
        whole = np.clip(np.rint(samples.astype(np.float64) * 2**23), -2**23, 2**23 - 1).astype("<i4")
        return whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return samples.astype("<f4").tobytes()


def _wav_head(count: int, sample_rate: int, comment: str = "", subtype: Subtype = "PCM_16", loop: bool = False,
              channels: int = 1, tags: Tags = NO_TAGS) -> bytes:
    """Return the part of a WAV file before its samples."""
    if subtype not in _WIDTHS:
        raise UsageError(f"WAV subtype {subtype!r}: give PCM_16, PCM_24 or FLOAT")
    code, width = 3 if subtype == "FLOAT" else 1, _WIDTHS[subtype]
    chunks = [(b"fmt ", struct.pack("<HHIIHH", code, channels, sample_rate, sample_rate * width * channels,
                                    width * channels, 8 * width) + (b"" if code == 1 else b"\0\0"))]
    if code == 3:  # required by the standard for samples that are not integers
        chunks.append((b"fact", struct.pack("<I", count)))
    if tags.title:
        chunks.append((b"bext", _bext(tags)))
    if loop or tags.note is not None:  # ns per sample; one loop: forward, from the first sample to the last, infinite
        ends = struct.pack("<6I", 0, 0, 0, max(0, count - 1), 0, 0) if loop else b""
        chunks.append((b"smpl", struct.pack("<9I", 0, 0, round(1e9 / sample_rate),
                                            60 if tags.note is None else tags.note, 0, 0, 0, loop, 0) + ends))
    if tags.beats:  # flags: the root note counts (2), to be stretched (4)
        chunks.append((b"acid", struct.pack("<IHHfIHHf", 4 if tags.note is None else 6, tags.note or 60, 0x8000, 0.0,
                                            tags.beats, 4, 4, tags.bpm)))
    texts = {b"INAM": tags.title, b"IGNR": tags.genre, b"ISFT": tags.software, b"ICRD": tags.date,
             b"ICOP": "; ".join(filter(None, (tags.rights, tags.license))), b"ICMT": comment}
    if any(texts.values()):
        chunks.append((b"LIST", b"INFO" + b"".join(_chunk(name, text.encode("utf-8", "replace") + b"\0")
                                                   for name, text in texts.items() if text)))
    head = b"WAVE" + b"".join(_chunk(name, content) for name, content in chunks)
    size = count * width * channels
    return b"RIFF" + struct.pack("<I", len(head) + 8 + size + size % 2) + head + b"data" + struct.pack("<I", size)


def _bext(tags: Tags) -> bytes:
    """Version 1 of the chunk: description, originator, its reference, date, time, position, version; nothing else."""
    description = " - ".join(filter(None, (tags.title, tags.rights, tags.license)))
    texts = [text.encode("ascii", "replace")[:size].ljust(size, b"\0") for text, size in
             ((description, 256), (tags.software, 32), ("", 32), (tags.date, 10), ("", 8))]
    return b"".join(texts) + struct.pack("<QH", 0, 1) + bytes(64 + 190)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
