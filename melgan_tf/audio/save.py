"""Samples -> sound files of several formats, written atomically. No TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from melgan_tf.audio import ogg
from melgan_tf.audio.wav import NO_TAGS, Tags, checked_pieces, save_wav_pieces
from melgan_tf.errors import MelGANError, printable
from melgan_tf.storage.atomic import atomic_write

#: Bit depths of each format, as libsndfile calls them; Ogg Vorbis has none.
FORMATS = {"wav": {"16": "PCM_16", "24": "PCM_24", "32f": "FLOAT"}, "flac": {"16": "PCM_16", "24": "PCM_24"},
           "aiff": {"16": "PCM_16", "24": "PCM_24", "32f": "FLOAT"}, "ogg": {"16": "VORBIS"}}
_SCALE = {"PCM_16": 2**15, "PCM_24": 2**23}
_BLOCK = 1 << 16  # libsndfile's Vorbis encoder takes its input on the stack


def save_sound(path: str | Path, pieces: Iterable[np.ndarray], count: int, sample_rate: int, *, format: str = "wav",
               bit_depth: str = "16", channels: int = 1, loop: bool = False, comment: str = "", tags: Tags = NO_TAGS
               ) -> None:
    """Write a sound file; equal arguments result in equal bytes.

    Args:
        path, pieces, count, sample_rate, channels, loop, comment, tags: as for `melgan_tf.audio.wav.save_wav_pieces`.
            Only WAV keeps the loop and the note, only FLAC, Ogg and WAV all texts.
        format: a key of `FORMATS`.
        bit_depth: one of the format's.

    Raises:
        MelGANError: the samples are not a valid sound, or the file cannot be written.
    """
    path, subtype = Path(path), FORMATS[format][bit_depth]
    if format == "wav":
        save_wav_pieces(path, pieces, count, sample_rate, comment, subtype, loop, channels, tags)
        return
    texts = {"title": tags.title, "genre": tags.genre, "software": tags.software, "license": tags.license,
             "copyright": tags.rights, "date": tags.date, "comment": comment}
    with atomic_write(path, parents=False, durable=False) as temporary:
        try:
            with soundfile.SoundFile(temporary, "w", sample_rate, channels, subtype, format=format.upper()) as file:
                for name, text in texts.items():
                    if text:
                        setattr(file, name, text)
                for samples in checked_pieces(path, pieces):
                    for start in range(0, len(samples), _BLOCK):
                        file.write(_values(samples[start:start + _BLOCK], subtype, channels))
        except soundfile.LibsndfileError as error:
            raise MelGANError(f"cannot write {printable(path)}: {error.error_string}") from None
        _remove_chance(temporary, format)


def _values(samples: np.ndarray, subtype: str, channels: int) -> np.ndarray:
    """Samples as libsndfile takes them: integers that it only shifts, so that they are rounded as in a WAV."""
    if scale := _SCALE.get(subtype):
        whole = np.clip(np.rint(samples.astype(np.float64) * scale), -scale, scale - 1)
        samples = (whole * (2**31 // scale)).astype(np.int32)
    else:
        samples = samples.astype(np.float32)
    return np.repeat(samples[:, None], channels, axis=1)


def _remove_chance(path: Path, format: str) -> None:
    """Sets to zero what libsndfile takes from the clock: the serial number in Ogg, the time of the peak in AIFF."""
    if format == "ogg":
        content, position = bytearray(path.read_bytes()), 0
        while position < len(content):
            end = position + 27 + content[position + 26]
            end += sum(content[position + 27:end])
            content[position + 14:position + 18] = content[position + 22:position + 26] = bytes(4)
            content[position + 22:position + 26] = struct.pack("<I", ogg.checksum(bytes(content[position:end])))
            position = end
        path.write_bytes(content)
    elif format == "aiff":
        with open(path, "r+b") as file:
            if (found := file.read(1 << 16).find(b"PEAK")) >= 0:
                file.seek(found + 12)
                file.write(bytes(4))
