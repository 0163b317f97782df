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

import av
import numpy as np
import soundfile as sf

from melgan_tf.audio import chunks, flac, mixing, mp4, mpeg, ogg
from melgan_tf.audio.headers import Headers, check_rate, parse
from melgan_tf.audio.pcm import PCM
from melgan_tf.audio.window import Window
from melgan_tf.errors import DecodeError
from melgan_tf.runtime import system

_HEAD_BYTES = 4096
_BLOCK_VALUES = 1 << 20  # samples x channels decoded at once: 4 MiB of float32
_SMALL_BLOCK = 4096  # minimum frames per read
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "ALAW": 16, "ULAW": 16,
         "ALAC_16": 16}  # of integers, by libsndfile's names
_FRAME_BITS = {"u8": 8, "s16": 16, "s32": 32}  # the same, by FFmpeg's names
_COPIED_BYTES = 1 << 20
_MAX_LEVEL = 1e6  # +120 dB over full scale: not a sound, but damaged floating-point numbers
_MAX_MISSING_FRAMES = 2304  # of lossy codecs, whose encoders add and trim a few frames at either end
# The demuxers FFmpeg may use: sound containers only. Text formats such as playlists could refer to other files.
_DEMUXERS = "aac,ac3,aiff,amr,ape,asf,au,caf,eac3,flac,matroska,mov,mp3,mpc,mpc8,ogg,tak,tta,w64,wav,wv"


def looks_like_audio(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a known sound format; 16 suffice except for bare MP3 and AAC."""
    return (chunks.is_chunked_sound(head) or head[:4] in (b"fLaC", b"OggS") or head[:3] == b"ID3"
            or head[4:8] == b"ftyp" or mpeg.starts_with_frames(head))


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
            for rate, mono in mixing.mixed(blocks, _mean, about.note):
                yield rate, mono if about.bits else _checked(file, mono)
    except OSError as error:
        raise DecodeError(path, f"cannot be read: {error.strerror or error}") from None


def _mean(frames: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):  # `_checked` reports infinities
        if frames.dtype == np.float32:
            return frames @ np.full(frames.shape[1], 1 / frames.shape[1], np.float32)
        return frames.mean(axis=1).astype(np.float32)


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
    yield from _by_ffmpeg(file, about, info)


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
    _check_count(file, done, sound.frames, exact=sound.format not in ("OGG", "MPEG"))


def _check_count(file: FileIO, done: int, declared: int, exact: bool) -> None:
    if declared - done > (0 if exact else _MAX_MISSING_FRAMES):
        raise DecodeError(file.name, f"damaged or truncated: only {done} of {declared} samples")


def _checked(file: FileIO, mono: np.ndarray) -> np.ndarray:
    """Return the samples, or raise a `DecodeError` if they are not finite or far too large."""
    with np.errstate(invalid="ignore"):
        if not (mono.max() <= _MAX_LEVEL and mono.min() >= -_MAX_LEVEL):  # true for NaN too
            raise DecodeError(file.name, "damaged: samples that are infinite, NaN or far too large")
    return mono


def read_comment(path: str | Path) -> str:
    """Return the comment in a sound file's metadata; "" if it has none.

    Raises:
        DecodeError: the file cannot be read as a sound.
    """
    return metadata(path).get("comment", "")


def format_of(path: str | Path) -> tuple[str, int]:
    """Return the name of a sound file's format, such as "WAV", and its number of channels."""
    with contextlib.suppress(sf.SoundFileError, TypeError, OSError):
        found = sf.info(path)
        return found.format, found.channels
    with open(path, "rb", buffering=0) as file, _open_by_ffmpeg(file) as container:
        return container.format.name.partition(",")[0].upper(), container.streams.audio[0].channels


def metadata(path: str | Path) -> dict[str, str]:
    """Return a sound file's metadata, by FFmpeg's names in lower case.

    FFmpeg reads it, because libsndfile ignores comments longer than 2 kB.

    Raises:
        DecodeError: the file cannot be read as a sound.
    """
    try:
        with open(path, "rb", buffering=0) as file, _open_by_ffmpeg(file) as container:
            found = [*(stream.metadata for stream in container.streams), container.metadata]  # Ogg has it in the stream
            return {name.lower(): text for tags in found for name, text in tags.items()}
    except OSError as error:
        raise DecodeError(path, f"cannot be read: {error.strerror}") from None


def _open_by_ffmpeg(file: FileIO) -> av.container.InputContainer:
    # By descriptor: PyAV prints the errors of a Python file object, and a path has an extension.
    options = {"fd": str(file.fileno()), "format_whitelist": _DEMUXERS}
    try:
        return av.open("fd:", options=options, metadata_errors="ignore")
    except av.FFmpegError as error:
        known = looks_like_audio(system.read_at(file.fileno(), 16, 0))
        if isinstance(error, MemoryError):
            raise DecodeError(file.name, "damaged, or its index takes more memory than there is") from None
        raise DecodeError(file.name, _reason(error) if known else "not audio, or of an unknown format") from None


def _reason(error: av.FFmpegError) -> str:
    if isinstance(error, MemoryError):
        return "decoding it takes more memory than there is"
    known = {av.InvalidDataError: "damaged: invalid data", av.EOFError: "truncated: it ends too early"}
    return known.get(type(error), f"damaged: {error.strerror}")


def _by_ffmpeg(file: FileIO, about: About, info: Headers) -> Iterator[tuple[int, np.ndarray]]:
    with _open_by_ffmpeg(file) as container:
        if not container.streams.audio:
            raise DecodeError(file.name, "it contains no sound")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise DecodeError(file.name, "damaged, or of an unknown encoding")
        _check_frames(file, container.format.name, info)
        if len(container.streams.audio) > 1:
            about.note("several sounds side by side: the first one is read")
        if stream.codec_context.name == "flac":  # FFmpeg verifies checksums on request only
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        header = flac.StreamInfo(Window(file.fileno(), piece=_HEAD_BYTES)) if container.format.name == "flac" else None
        rate = done = 0
        failed = False  # whether the last packets could not be decoded
        try:
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.FFmpegError as error:
                    if isinstance(error, MemoryError):
                        raise
                    failed = True  # harmless at either end: tags and leftovers that look like sound
                    continue
                for frame in frames:
                    if failed and done:
                        raise DecodeError(file.name, f"damaged at {done / rate:.2f} s")
                    if frame.samples and frame.sample_rate != rate and done:
                        raise DecodeError(file.name, f"its sample rate changes at {done / rate:.2f} s")
                    if frame.samples:
                        rate, failed = check_rate(file, frame.sample_rate), False
                        done += frame.samples
                        about.bits = _FRAME_BITS.get(frame.format.packed.name, 0)
                        values = _frames(frame)
                        if header:
                            header.check_rate(file.name, rate)
                            header.add(values)
                            about.bits = header.bits
                        yield rate, _scaled(values)
        except av.FFmpegError as error:
            raise DecodeError(file.name, _reason(error)) from None
        _check_length(file, container, stream, done, rate, failed)
        if header:
            header.check_sum(file.name)


def _check_frames(file: FileIO, form: str, info: Headers) -> None:
    """Raise a `DecodeError` if not all bytes of MP3 or AAC are frames."""
    if form in ("mp3", "aac") or info.mpeg:
        window = Window(file.fileno(), *(info.mpeg or ()))
        if reason := mpeg.damage(window, lenient=info.mpeg is not None):
            raise DecodeError(file.name, reason)


def _check_length(file: FileIO, container: av.container.InputContainer, stream: av.AudioStream, done: int, rate: int,
                  failed: bool) -> None:
    """Raise a `DecodeError` if not all samples that the header declares were decoded."""
    declared, exact = 0, container.format.name == "flac"
    if stream.duration and (exact or "mov" in container.format.name):  # elsewhere FFmpeg has only estimated it
        declared = round(stream.duration * stream.time_base * rate)
    _check_count(file, done, declared, exact)
    if exact and declared and done > declared:
        raise DecodeError(file.name, f"damaged: it contains more samples than the declared {declared}")
    size = os.fstat(file.fileno()).st_size
    tagged = system.read_at(file.fileno(), 3, max(0, size - 128)) == b"TAG"
    if failed and (not done or exact and not declared and not tagged):
        raise DecodeError(file.name, f"damaged at {done / rate:.2f} s" if done else
                          "damaged: nothing in it can be decoded")
    if not done and size > _HEAD_BYTES:
        raise DecodeError(file.name, "damaged: nothing in it can be decoded")


def _frames(frame: av.AudioFrame) -> np.ndarray:
    """Return the samples of a frame, ``(samples, channels)``: float32, or integers in the uppermost bits of int32."""
    values = frame.to_ndarray()  # (channels, samples), or (1, samples * channels) interleaved
    values = values.T if frame.format.is_planar else values.reshape(frame.samples, -1)
    if values.dtype.kind == "f":
        with np.errstate(all="ignore"):  # `decode` reports infinities
            return values.astype(np.float32, copy=False)
    return values.astype(np.int32) - (128 if values.dtype == np.uint8 else 0) << 32 - 8 * frame.format.bytes


def _scaled(frames: np.ndarray) -> np.ndarray:
    """Return float32 samples, full scale +-1."""
    return frames if frames.dtype == np.float32 else frames.astype(np.float32) * np.float32(2**-31)
