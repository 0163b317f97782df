"""One sound file -> blocks of mono samples at the file's own rate; the decoders behind `melgan_tf.audio.read`.

Plain WAV is read without a decoder (`melgan_tf.audio.pcm`), most other formats by libsndfile. FFmpeg (through PyAV)
decodes the rest: M4A, AAC; FLAC, of which libsndfile reads neither 32 bits nor unknown lengths; and MPEG audio, because
mpg123 inside libsndfile prints to stderr. The decoder is chosen by the contents of a file, never by its name.
"""

from __future__ import annotations

import codecs
import contextlib
import math
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from melgan_tf.audio import ffmpeg, flac, mixing, mp4, ogg
from melgan_tf.audio.headers import Headers, check_count, check_rate, parse
from melgan_tf.audio.magic import looks_like_audio
from melgan_tf.audio.pcm import PCM
from melgan_tf.audio.window import Window
from melgan_tf.errors import DecodeError
from melgan_tf.runtime import system

_HEAD_BYTES = 4096
_BLOCK_VALUES = 1 << 20  # samples x channels decoded at once: 4 MiB of float32
_SMALL_BLOCK = 4096  # minimum frames per read
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "ALAW": 16, "ULAW": 16,
         "ALAC_16": 16}  # of integers, by libsndfile's names
_COPIED_BYTES = 1 << 20
_MAX_LEVEL = 1e6  # +120 dB over full scale: not a sound, but damaged floating-point numbers


@dataclass
class About:
    """What `decode` finds out about a file besides its samples.

    Attributes:
        notes: what is odd about it, though it can be read.
        bits: of its samples; 0 if they are no integers.
        loop: tempo, bars and key as JSON, if it was read as a loop (`melgan_tf.audio.loops`).
    """

    notes: list[str] = field(default_factory=list)
    bits: int = 0
    loop: dict[str, Any] | None = None

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)


def decode(path: str | Path, seconds: float = math.inf, about: About | None = None
           ) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a sound file block by block; the iteration may stop at any block.

    Args:
        path: the file.
        seconds: length that will be needed, a hint for the size of the first block.
        about: is filled in, the first time before the first block.

    Yields:
        (sample rate in Hz, float32 samples of shape (frames,)), mixed down (`melgan_tf.audio.mixing`), full scale +-1;
        the rate is the same in every block and no block is empty. A file without samples yields nothing.

    Raises:
        DecodeError: the file is unreadable, not audio, damaged or truncated. Damage is detected at once where lengths,
            pages or frames tell, otherwise when the iteration reaches it.
    """
    about = About() if about is None else about
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a named pipe would block
            raise DecodeError(path, "not a file")
        with open(path, "rb", buffering=0) as file, contextlib.closing(_channels(file, seconds, about)) as blocks:
            for rate, mono in mixing.mixed(blocks, about.note):
                yield rate, mono if about.bits else _checked(file, mono)
    except OSError as error:
        raise DecodeError(path, f"cannot be read: {error.strerror or error}") from None


def _channels(file: FileIO, seconds: float, about: About) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the sample rate and samples ``(frames, channels)``."""
    window = Window(file.fileno(), piece=_HEAD_BYTES)
    _refuse_text(file, window.read(0, _HEAD_BYTES))
    start = window.without_tags()
    info = parse(file, window, start)
    for note in info.notes:
        about.note(note)
    if info.pcm:
        try:
            sound = PCM(file.fileno(), info.pcm)
        except ValueError as error:
            raise DecodeError(file.name, str(error)) from None
        yield from _in_blocks(file, sound, seconds, about)
        return
    if window.read(start, 4) == b"OggS":
        yield from _linked(file, seconds, about)
    elif start > 0 and looks_like_audio(window.read(start, 16)):  # decoders know tags before MPEG audio only
        with _part(file, start, window.size) as part:
            yield from _channels(part, seconds, about)
    else:
        if reason := mp4.damage(window):
            raise DecodeError(file.name, reason)
        head = window.read(0, 4)
        frames = start > 0 or head == flac.MAGIC or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")
        yield from _decoded(file, seconds, about, info, by_libsndfile=not frames and not info.needs_ffmpeg)


def _linked(file: FileIO, seconds: float, about: About) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the sounds of a chain in Ogg, one after the other."""
    first = done = 0
    for link in ogg.links(Window(file.fileno()), file.name):
        if not link.codecs:
            raise DecodeError(file.name, "it contains no sound")
        with _part(file, link.start, link.end) as part:
            alone = link.streams == 1 and link.codecs[0] in ("Vorbis", "Opus")
            for rate, frames in _decoded(part, seconds, about, Headers(), alone):
                first = first or rate
                if rate != first:
                    raise DecodeError(file.name, f"its sample rate changes at {done / first:.2f} s")
                done += len(frames)
                yield rate, frames


@contextlib.contextmanager
def _part(file: FileIO, start: int, end: int) -> Iterator[FileIO]:
    """Give a part of a file as a file, by a copy in memory unless it is the whole file."""
    if start == 0 and end == os.fstat(file.fileno()).st_size:
        yield file
        return
    with system.memory_file() as part:
        part.name = file.name
        while start < end:
            start += part.write(system.read_at(file.fileno(), min(_COPIED_BYTES, end - start), start))
        part.seek(0)
        yield part


def _decoded(file: FileIO, seconds: float, about: About, info: Headers, by_libsndfile: bool
             ) -> Iterator[tuple[int, np.ndarray]]:
    if by_libsndfile:
        try:
            sound = _Stream(file.fileno(), closefd=False)
        except sf.SoundFileError:
            sound = None  # FFmpeg may know the format, or give a better reason
        if sound is not None:
            with sound:
                yield from _in_blocks(file, sound, seconds, about)
                return
        file.seek(0)
    yield from ffmpeg.blocks(file, about, info)


class _Stream(sf.SoundFile):
    """A sound that is read sequentially: soundfile need not query and set the position at every read."""

    def seekable(self) -> bool:
        return False


def _refuse_text(file: FileIO, head: bytes) -> None:
    """Raise a `DecodeError` that names what is not a sound at all: an empty file, a git-lfs pointer, text."""
    if not head:
        raise DecodeError(file.name, "an empty file")
    if head.startswith(b"version https://git-lfs"):
        raise DecodeError(file.name, "a git-lfs pointer, not the sound itself: run 'git lfs pull'")
    try:  # incremental, because the head may end within a character
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return
    if all(character.isprintable() or character.isspace() for character in text):
        raise DecodeError(file.name, "text, not audio")


def _in_blocks(file: FileIO, sound: sf.SoundFile | PCM, seconds: float, about: About
               ) -> Iterator[tuple[int, np.ndarray]]:
    rate = check_rate(file, sound.samplerate)
    about.bits = _BITS.get(sound.subtype, 0)
    max_frames = max(1, _BLOCK_VALUES // sound.channels)
    done = 0
    with contextlib.suppress(sf.LibsndfileError):  # the number of samples tells
        while done < sound.frames:
            wanted = min(max_frames, sound.frames - done, max(seconds * rate - done, _SMALL_BLOCK))
            frames = sound.read(math.ceil(wanted), dtype="float32", always_2d=True)
            if not len(frames):
                break
            done += len(frames)
            yield rate, frames
    check_count(file, done, sound.frames, exact=sound.format not in ("OGG", "MPEG"))


def _checked(file: FileIO, mono: np.ndarray) -> np.ndarray:
    """Return the samples, or raise a `DecodeError` if they are not finite or far too large."""
    with np.errstate(invalid="ignore"):
        if not (mono.max() <= _MAX_LEVEL and mono.min() >= -_MAX_LEVEL):  # true for NaN too
            raise DecodeError(file.name, "damaged: samples that are infinite, NaN or far too large")
    return mono
