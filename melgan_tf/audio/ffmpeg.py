"""What FFmpeg (through PyAV) decodes, and the metadata of every sound file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import soundfile as sf

from melgan_tf.audio import flac, mpeg
from melgan_tf.audio.headers import Headers, check_count, check_rate
from melgan_tf.audio.magic import looks_like_audio
from melgan_tf.audio.window import Window
from melgan_tf.errors import DecodeError
from melgan_tf.runtime import system

if TYPE_CHECKING:
    from melgan_tf.audio.decode import About

# The demuxers FFmpeg may use: sound containers only. Text formats such as playlists could refer to other files.
_DEMUXERS = "aac,ac3,aiff,amr,ape,asf,au,caf,eac3,flac,matroska,mov,mp3,mpc,mpc8,ogg,tak,tta,w64,wav,wv"
_FRAME_BITS = {"u8": 8, "s16": 16, "s32": 32}  # of integers, by FFmpeg's names
_EMPTY_BYTES = 4096  # a larger file without a sample is damaged


def blocks(file: FileIO, about: About, info: Headers) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the sample rate, Hz, and samples ``(frames, channels)`` of a file, float32, full scale +-1.

    Args:
        file: the open file.
        about: is filled in.
        info: what its header says.

    Raises:
        DecodeError: it cannot be decoded, or not to its end.
    """
    with _open(file) as container:
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
        header = flac.StreamInfo(Window(file.fileno())) if container.format.name == "flac" else None
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
    check_count(file, done, declared, exact)
    if exact and declared and done > declared:
        raise DecodeError(file.name, f"damaged: it contains more samples than the declared {declared}")
    size = os.fstat(file.fileno()).st_size
    tagged = system.read_at(file.fileno(), 3, max(0, size - 128)) == b"TAG"
    if failed and (not done or exact and not declared and not tagged):
        raise DecodeError(file.name, f"damaged at {done / rate:.2f} s" if done else
                          "damaged: nothing in it can be decoded")
    if not done and size > _EMPTY_BYTES:
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


def metadata(path: str | Path) -> dict[str, str]:
    """Return a sound file's metadata, by FFmpeg's names in lower case.

    FFmpeg reads it, because libsndfile ignores comments longer than 2 kB.

    Raises:
        DecodeError: the file cannot be read as a sound.
    """
    try:
        with open(path, "rb", buffering=0) as file, _open(file) as container:
            found = [*(stream.metadata for stream in container.streams), container.metadata]  # Ogg has it in the stream
            return {name.lower(): text for tags in found for name, text in tags.items()}
    except OSError as error:
        raise DecodeError(path, f"cannot be read: {error.strerror}") from None


def format_of(path: str | Path) -> tuple[str, int]:
    """Return the name of a sound file's format, such as "WAV", and its number of channels."""
    with contextlib.suppress(sf.SoundFileError, TypeError, OSError):
        found = sf.info(path)
        return found.format, found.channels
    with open(path, "rb", buffering=0) as file, _open(file) as container:
        return container.format.name.partition(",")[0].upper(), container.streams.audio[0].channels


def _open(file: FileIO) -> av.container.InputContainer:
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
