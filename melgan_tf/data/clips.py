"""One sound file -> clips of one length: the work of `melgan-tf prepare` on each file.

The result depends only on the contents of the file, its name and the settings, so it may be computed anywhere: in a
process of this machine (`melgan_tf.data.prepare`) or in a worker of a cluster.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from melgan_tf.audio.decode import About, decode
from melgan_tf.audio.edit import fade_out, is_silent, onset_sample
from melgan_tf.audio.headers import MIN_RATE
from melgan_tf.audio.loops.reading import load_loop, loop_to_json
from melgan_tf.audio.read import load, resample, resampled
from melgan_tf.errors import DecodeError, UsageError

Long = Literal["beginning", "consecutive", "random", "bars"]
SampleFormat = Literal["int16", "float32"]

_FILTER_SAMPLES = 256  # at the lower rate: length of soxr's filter (128 suffice at 20 bits of precision)
_ONSET_SECONDS = 10.0  # searched for the peak, from the first sample that is not silent
_SILENT_BELOW = 1e-4
_MIN_SNR = 10 ** (60 / 10)  # of 16-bit samples, energies; quieter clips are stored as float32
QUIET = "too quiet for 16 bits: stored in 32"


@dataclass(frozen=True)
class ClipSettings:
    """The format of clips, and how they are cut.

    Attributes:
        sample_rate: Hz.
        clip_samples: samples of a clip at that rate; shorter sounds are padded with zeros at the end.
        onset: whether to remove everything before the sound first comes within 40 dB of its peak.
        fade_seconds: length of the fade at the end of a "beginning" that is cut from a longer sound.
        long: the clips of a longer sound: its "beginning"; or "consecutive" clips, in number its length in clips,
            rounded; or as many, each starting at a "random" position within one clip's length. "bars": of a loop, of
            any length, its whole bars (`melgan_tf.audio.loops`), repeated or cut to one clip; other sounds are refused.
        format: of the stored samples.
        seed: of the random positions.

    Raises:
        UsageError: a value is out of range.
    """

    sample_rate: int = 16_000
    clip_samples: int = 8_000
    onset: bool = True
    fade_seconds: float = 0.01
    long: Long = "beginning"
    format: SampleFormat = "int16"
    seed: int = 0

    def __post_init__(self) -> None:
        for good, what in (
                (MIN_RATE <= self.sample_rate <= 384_000, f"rate {self.sample_rate}: give 1000 to 384000 Hz"),
                (64 <= self.clip_samples <= 100_000_000, f"{self.clip_samples} samples a clip: give 64 to 100000000"),
                (0 <= self.fade_seconds <= 60, f"a fade of {self.fade_seconds} seconds: give 0 to 60"),
                (self.long in get_args(Long), f"long {self.long!r}: give one of {', '.join(get_args(Long))}"),
                (self.format in get_args(SampleFormat), f"format {self.format!r}: give int16 or float32"),
                (0 <= self.seed < 2**31, f"seed {self.seed}: give 0 to {2**31 - 1}")):
            if not good:
                raise UsageError(what)


@dataclass(frozen=True)
class Clip:
    """A clip in its stored form.

    Attributes:
        samples: int16 or float32, ``(clip_samples,)``.
        start: its first sample in the sound (counted from the onset, at the clips' rate).
        digest: SHA-256 of the samples' little-endian bytes: equal for exact duplicates.
        clipped: number of samples above full scale, which were clipped to it.
    """

    samples: np.ndarray
    start: int
    digest: bytes
    clipped: int


def clips(path: str | os.PathLike, name: str, settings: ClipSettings, about: About | None = None
          ) -> Iterator[Clip | None]:
    """Decode a sound, mix it down, resample it, find its onset and cut it into clips.

    Memory is bounded, whatever the length of the sound.

    Args:
        path: the file.
        name: its name in the collection; random positions depend on it and on the seed.
        settings: format of the clips.
        about: is told what is odd about the sound.

    Yields:
        The clips in order; None for a silent one.

    Raises:
        DecodeError: the file cannot be decoded, or not to its end. Discard what was yielded before.
    """
    about = about or About()
    cut = {"beginning": _beginning, "bars": _bars}.get(settings.long, _windows)
    pieces = cut(path, name, settings, about)
    with contextlib.closing(pieces):
        for start, samples in pieces:
            if is_silent(samples, _SILENT_BELOW):
                yield None
                continue
            stored, clipped = stored_samples(samples, settings.format, deep=not 0 < about.bits <= 16)
            if stored.dtype != np.dtype(settings.format):
                about.note(QUIET)
            yield Clip(stored, start, hashlib.sha256(stored).digest(), clipped)


def stored_samples(samples: np.ndarray, sample_format: SampleFormat, deep: bool = False) -> tuple[np.ndarray, int]:
    """Convert float32 samples to the stored form, little-endian; returns them and how many were above full scale.

    Args:
        samples: full scale +-1.
        sample_format: of the result.
        deep: whether they come from more than 16 bits: then they stay float32 if int16 has less than 60 dB of SNR.

    Examples:
        >>> stored_samples(np.array([0.5, 1.5]), "int16")
        (array([16384, 32767], dtype=int16), 1)
    """
    if sample_format == "float32":
        return np.ascontiguousarray(samples, "<f4"), 0
    exact = samples * np.float32(32768)  # as decoders divide: 16-bit sounds are stored unchanged
    scaled = np.rint(exact)
    clipped = 0
    if scaled.max() > 32767 or scaled.min() < -32768:
        clipped = int(np.count_nonzero((scaled > 32768) | (scaled < -32768)))  # full scale itself is not a loss
        scaled = np.clip(scaled, -32768, 32767)
    elif deep:
        exact -= scaled
        if scaled @ scaled < _MIN_SNR * (exact @ exact):
            return np.ascontiguousarray(samples, "<f4"), 0
    return scaled.astype("<i2"), clipped


def float_samples(content: bytes, sample_format: SampleFormat, count: int) -> np.ndarray:
    """Do the inverse of `stored_samples`: float32 with full scale +-1 from the stored bytes of ``count`` samples.

    Raises:
        ValueError: they are another number of samples.
    """
    if len(content) == 4 * count:  # in folders of int16 those that are too quiet for it
        return np.frombuffer(content, "<f4").astype(np.float32)
    if sample_format == "float32" or len(content) != 2 * count:
        raise ValueError(f"a clip of {len(content)} bytes")
    return np.frombuffer(content, "<i2").astype(np.float32) / 32768


def _beginning(path: str | os.PathLike, name: str, settings: ClipSettings, about: About
               ) -> Iterator[tuple[int, np.ndarray]]:
    size = settings.clip_samples
    if settings.onset:
        samples = _from_onset(path, settings, about)
    else:  # one sample more than needed shows whether the sound is longer, if that matters
        samples = load(path, settings.sample_rate, size + 1 if settings.fade_seconds else size, about)
    clip = np.zeros(size, np.float32)
    clip[:len(samples)] = samples[:size]
    if len(samples) > size and settings.fade_seconds:
        clip = fade_out(clip, settings.fade_seconds, settings.sample_rate)
    yield 0, clip


def _bars(path: str | os.PathLike, name: str, settings: ClipSettings, about: About) -> Iterator[tuple[int, np.ndarray]]:
    samples, loop = load_loop(path, name, settings.sample_rate, about)
    about.loop = loop_to_json(loop)
    yield loop.start, np.resize(samples, settings.clip_samples)


def _from_onset(path: str | os.PathLike, settings: ClipSettings, about: About) -> np.ndarray:
    """Return the sound from its onset on, resampled: at least one clip and a sample, if it is that long."""
    pieces, count = [], 0
    with contextlib.closing(_onset_blocks(path, about)) as blocks:
        for rate, block in blocks:
            pieces.append(block)
            count += len(block)
            ratio = rate / settings.sample_rate
            needed = math.ceil((settings.clip_samples + 1) * ratio + _FILTER_SAMPLES * max(1.0, ratio))
            if count >= needed:
                break
    if not count:
        return np.zeros(0, np.float32)
    samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    return resample(samples[:needed], rate, settings.sample_rate)


def _onset_blocks(path: str | os.PathLike, about: About) -> Iterator[tuple[int, np.ndarray]]:
    """Yield blocks at the file's own rate from the onset on; none for a silent sound."""
    waiting, count, decoded = [], 0, False
    with contextlib.closing(decode(path, about=about)) as blocks:
        for rate, block in blocks:
            decoded = True
            if waiting or not is_silent(block, _SILENT_BELOW):
                waiting.append(block)
                count += len(block)
                if count >= _ONSET_SECONDS * rate:
                    break
        if not decoded:
            raise DecodeError(path, "no samples")
        if waiting:
            head = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            yield rate, head[onset_sample(head):]
            yield from blocks


def _windows(path: str | os.PathLike, name: str, settings: ClipSettings, about: About
             ) -> Iterator[tuple[int, np.ndarray]]:
    rng = None
    if settings.long == "random":
        rng = np.random.default_rng([settings.seed, *hashlib.sha256(name.encode()).digest()])
    whole = _onset_blocks(path, about) if settings.onset else decode(path, about=about)
    with contextlib.closing(whole) as blocks:
        empty = True
        for start, samples in split_windows(resampled(blocks, settings.sample_rate), settings.clip_samples, rng):
            empty = False
            yield start, samples
    if empty and not settings.onset:
        raise DecodeError(path, "no samples")
    if empty:
        yield 0, np.zeros(settings.clip_samples, np.float32)


def split_windows(blocks: Iterable[np.ndarray], size: int, rng: np.random.Generator | None = None
                  ) -> Iterator[tuple[int, np.ndarray]]:
    """Cut a stream into windows; their number is its length in windows, rounded, and at least one.

    Args:
        blocks: the stream, in blocks of any length.
        size: samples of a window.
        rng: if given, the start of every window is moved at random by up to one window.

    Yields:
        The start of each window and its samples, ``(size,)``; the last one is padded with zeros.

    Examples:
        >>> [(start, window.tolist()) for start, window in split_windows([np.arange(3), np.arange(3, 6)], 4)]
        [(0, [0.0, 1.0, 2.0, 3.0]), (4, [4.0, 5.0, 0.0, 0.0])]
    """
    buffer, first, index = np.zeros(0, np.float32), 0, 0  # `first` is the position of the buffer's first sample

    def draw() -> int:
        return int(rng.integers(size)) if rng else 0

    shift = draw()
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while first + len(buffer) >= index * size + shift + size:
            start = index * size + shift
            yield start, buffer[start - first:start - first + size]
            index, shift = index + 1, draw()
        spare = max(0, (index - 1) * size - first)  # the last window may have to start earlier
        buffer, first = buffer[spare:], first + spare
    length = first + len(buffer)
    for late in range(index, max(1, math.floor(length / size + 0.5)) if length else 0):
        start = late * size if rng is None else max(0, min(late * size + shift, length - size))
        piece = buffer[start - first:start - first + size]
        yield start, np.pad(piece, (0, size - len(piece)))
        shift = draw()
