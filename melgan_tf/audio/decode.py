"""One sound file -> blocks of mono samples at the file's own rate; the decoders behind `melgan_tf.audio.read`.

Plain WAV is read without a decoder (`melgan_tf.audio.pcm`), most other formats by libsndfile. FFmpeg (through PyAV)
decodes the rest: M4A, AAC, FLAC of 32 bits or of unknown length, Ogg FLAC; and MPEG audio, because mpg123 inside
libsndfile prints to stderr. The decoder is chosen by the contents of a file, never by its name.
"""

from __future__ import annotations

import codecs
import contextlib
import math
import os
import stat
import struct
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import av
import numpy as np
import soundfile as sf

from melgan_tf.audio import headers
from melgan_tf.audio.headers import check_rate
from melgan_tf.audio.pcm import PCM
from melgan_tf.errors import DecodeError

_HEAD_BYTES = 4096
_BLOCK_VALUES = 1 << 20  # samples x channels decoded at once: 4 MiB of float32
_SMALL_BLOCK = 4096  # minimum frames per read; also the usual size of a FLAC frame
_FORM_TYPES = {b"RIFF": (b"WAVE",), b"RIFX": (b"WAVE",), b"RF64": (b"WAVE",), b"FORM": (b"AIFF", b"AIFC")}
_MP3_KILOBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP3_KILOBITS_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # at sample rates below 32 kHz
_INTEGER_SUBTYPES = ("PCM_16", "PCM_24", "PCM_32", "PCM_S8", "PCM_U8")  # libsndfile's names
_MAX_LEVEL = 1e6  # +120 dB over full scale: not a sound, but damaged floating-point numbers
_MAX_UNREAD_BYTES = 1 << 15  # at the end of a file: a buffer of libFLAC, tags
_MAX_MISSING_FRAMES = 2304  # of lossy codecs, whose encoders add and trim a few frames at either end
# The demuxers FFmpeg may use: sound containers only. Text formats such as playlists could refer to other files.
_DEMUXERS = "aac,ac3,aiff,amr,ape,asf,au,caf,eac3,flac,matroska,mov,mp3,mpc,mpc8,ogg,tak,tta,w64,wav,wv"


def looks_like_audio(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a known sound format; 12 suffice except for bare MP3 and AAC."""
    if head[:4] in _FORM_TYPES:  # containers that images and videos use as well
        return head[8:12] in _FORM_TYPES[head[:4]]
    return (head[:4] in (b"fLaC", b"OggS", b"caff") or head[:3] == b"ID3" or head[4:8] == b"ftyp"
            or _starts_with_mpeg_frames(head))


def _starts_with_mpeg_frames(head: bytes) -> bool:
    """Whether there are two consecutive frames of MP3 or AAC (ADTS): a single one could be a coincidence."""
    if len(head) < 6 or head[0] != 0xFF or head[1] < 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if layer == 0 and head[1] >= 0xF0:
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    elif layer == 1 and version != 1 and 0 < head[2] >> 4 < 15 and head[2] >> 2 & 3 < 3:
        rate = (44_100, 48_000, 32_000)[head[2] >> 2 & 3] >> {3: 0, 2: 1, 0: 2}[version]
        kilobits = (_MP3_KILOBITS if version == 3 else _MP3_KILOBITS_LOW)[(head[2] >> 4) - 1]
        length = (144_000 if version == 3 else 72_000) * kilobits // rate + (head[2] >> 1 & 1)
    else:
        return False
    return length > 6 and head[length:length + 2] == head[:2]


def decode(path: str | Path, seconds: float = math.inf) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a sound file block by block; the iteration may stop at any block.

    Args:
        path: the file.
        seconds: length that will be needed, a hint for the size of the first block.

    Yields:
        (sample rate in Hz, float32 samples of shape (frames,)), the mean of all channels, full scale +-1; the rate
        is the same in every block and no block is empty. A file without samples yields nothing.

    Raises:
        DecodeError: the file is unreadable, not audio, damaged or truncated. Damage is detected when the iteration
            reaches it; missing samples of WAV, AIFF and CAF files are detected at once, from their headers.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a named pipe would block
            raise DecodeError(path, "not a file")
        with open(path, "rb", buffering=0) as file, contextlib.closing(_decode_file(file, seconds)) as blocks:
            yield from blocks
    except OSError as error:
        raise DecodeError(path, f"cannot be read: {error.strerror or error}") from None


def _decode_file(file: FileIO, seconds: float) -> Iterator[tuple[int, np.ndarray]]:
    head = os.pread(file.fileno(), _HEAD_BYTES, 0)
    _refuse_text(file, head)
    info = headers.parse(file, head)
    if info.pcm:
        yield from _in_blocks(file, PCM(file.fileno(), info.pcm), seconds)
        return
    mpeg = head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")
    if not mpeg and not info.needs_ffmpeg:
        try:
            sound = _Stream(file.fileno(), closefd=False)
        except sf.SoundFileError:
            sound = None  # FFmpeg may know the format, or give a better reason
        if sound is not None:
            with sound:
                if sound.frames < 2**62:  # otherwise FLAC of unknown length, which libsndfile does not read
                    yield from _in_blocks(file, sound, seconds)
                    return
        file.seek(0)
    yield from _by_ffmpeg(file, head)


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


def _in_blocks(file: FileIO, sound: sf.SoundFile | PCM, seconds: float) -> Iterator[tuple[int, np.ndarray]]:
    rate = check_rate(file, sound.samplerate)
    weights = np.full(sound.channels, 1 / sound.channels, np.float32)
    max_frames = max(1, _BLOCK_VALUES // sound.channels)
    done = 0
    try:
        while done < sound.frames:
            wanted = min(max_frames, sound.frames - done, max(seconds * rate - done, _SMALL_BLOCK))
            frames = sound.read(math.ceil(wanted), dtype="float32", always_2d=True)
            if not len(frames):
                break
            done += len(frames)
            with np.errstate(all="ignore"):
                mono = frames[:, 0] if sound.channels == 1 else frames @ weights
            yield rate, mono if sound.subtype in _INTEGER_SUBTYPES else _checked(file, mono)
    except sf.LibsndfileError:
        raise DecodeError(file.name, f"damaged or truncated: some of its {sound.frames} samples are missing") from None
    missing = sound.frames - done
    if missing > (0 if sound.format == "FLAC" else _MAX_MISSING_FRAMES):
        raise DecodeError(file.name, f"damaged or truncated: some of its {sound.frames} samples are missing")
    if sound.format == "FLAC":
        _check_nothing_follows(file, sound.frames)


def _checked(file: FileIO, mono: np.ndarray) -> np.ndarray:
    """Return the samples, or raise a `DecodeError` if they are not finite or far too large."""
    with np.errstate(invalid="ignore"):
        if not (mono.max() <= _MAX_LEVEL and mono.min() >= -_MAX_LEVEL):  # true for NaN too
            raise DecodeError(file.name, "damaged: samples that are infinite, NaN or far too large")
    return mono


def _check_nothing_follows(file: FileIO, declared: int) -> None:
    """Raise a `DecodeError` for a FLAC file with more samples than its header declares: libsndfile ignores them."""
    unread = os.fstat(file.fileno()).st_size - os.lseek(file.fileno(), 0, os.SEEK_CUR)
    if unread < _MAX_UNREAD_BYTES:
        return
    file.seek(0)
    with _open_by_ffmpeg(file) as container, contextlib.suppress(av.FFmpegError):  # packets are not decoded
        stream = next(iter(container.streams.audio), None)
        last = max((packet.pts or 0 for packet in container.demux(stream)), default=0) if stream else 0
        if last and last * stream.time_base * stream.rate >= declared:
            raise DecodeError(file.name, f"damaged: it contains more samples than the declared {declared}")


def read_comment(path: str | Path) -> str:
    """Return the comment in a sound file's metadata; "" if it has none.

    FFmpeg reads it, because libsndfile ignores one longer than 2 kB.

    Raises:
        DecodeError: the file cannot be read as a sound.
    """
    try:
        with open(path, "rb", buffering=0) as file, _open_by_ffmpeg(file) as container:
            return container.metadata.get("comment", "")
    except OSError as error:
        raise DecodeError(path, f"cannot be read: {error.strerror}") from None


def _open_by_ffmpeg(file: FileIO) -> av.container.InputContainer:
    # By descriptor: PyAV prints the errors of a Python file object, and a path has an extension.
    options = {"fd": str(file.fileno()), "format_whitelist": _DEMUXERS}
    try:
        return av.open("fd:", options=options, metadata_errors="ignore")
    except av.FFmpegError as error:
        known = looks_like_audio(os.pread(file.fileno(), 12, 0))
        raise DecodeError(file.name, _reason(error) if known else "not audio, or of an unknown format") from None


def _reason(error: av.FFmpegError) -> str:
    if isinstance(error, MemoryError):
        return "decoding it takes more memory than there is"
    known = {av.InvalidDataError: "damaged: invalid data", av.EOFError: "truncated: it ends too early"}
    return known.get(type(error), f"damaged: {error.strerror}")


def _by_ffmpeg(file: FileIO, head: bytes) -> Iterator[tuple[int, np.ndarray]]:
    with _open_by_ffmpeg(file) as container:
        if not container.streams.audio:
            raise DecodeError(file.name, "it contains no sound")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise DecodeError(file.name, "damaged, or of an unknown encoding")
        if stream.codec_context.name == "flac":  # FFmpeg verifies checksums on request only
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
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
                        yield rate, _checked(file, _mono(frame))
        except av.FFmpegError as error:
            raise DecodeError(file.name, _reason(error)) from None
        declared = _declared_seconds(file, head, container, stream) * rate
        if declared - done > _MAX_MISSING_FRAMES:
            raise DecodeError(file.name, f"damaged or truncated: only {done} of {declared:.0f} samples")
        if not done and (failed or os.fstat(file.fileno()).st_size > _HEAD_BYTES):
            raise DecodeError(file.name, "damaged: nothing in it can be decoded")


def _declared_seconds(file: FileIO, head: bytes, container: av.container.InputContainer, stream: av.AudioStream
                      ) -> float:
    """Return the length that a file's header declares, s; 0 where FFmpeg could only estimate it."""
    if not stream.duration:
        return 0.0
    seconds = float(stream.duration * stream.time_base)
    if "mov" in container.format.name or container.format.name == "flac":
        return seconds
    if container.format.name != "mp3":
        return 0.0
    # The first frame may be an index that contains the number of frames.
    tag = head[6:10] if head[:3] == b"ID3" else None
    start = 10 + sum(byte << shift for byte, shift in zip(tag, (21, 14, 7, 0), strict=True)) if tag else 0
    first = os.pread(file.fileno(), 256, start)
    index = first[max(first.find(b"Xing"), first.find(b"Info"), 0):]
    if index[:4] not in (b"Xing", b"Info") or not index[7:8] or not index[7] & 1:
        return 0.0
    frames, = struct.unpack(">I", index[8:12])
    # FFmpeg subtracts the encoder's padding, but estimates from the file size if this is larger than expected.
    return min(seconds, frames * (1152 if stream.rate >= 32_000 else 576) / stream.rate)


def _mono(frame: av.AudioFrame) -> np.ndarray:
    """Return the mean of a frame's channels: float32, (samples,), full scale +-1."""
    values = frame.to_ndarray()  # (channels, samples), or (1, samples * channels) interleaved
    if not frame.format.is_planar:
        values = values.reshape(frame.samples, -1).T
    with np.errstate(all="ignore"):  # `decode` reports infinities
        mono = values.mean(axis=0, dtype=np.float64)
        if values.dtype == np.uint8:
            mono -= 128
        if values.dtype.kind in "iu":
            mono /= 2.0 ** (8 * values.dtype.itemsize - 1)
        return mono.astype(np.float32)
