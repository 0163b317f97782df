"""How samples become files: length, level, rate, channels, bits and format. No TensorFlow."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melgan_tf.audio.edit import SILENT_PEAK
from melgan_tf.audio.read import resampled
from melgan_tf.audio.save import FORMATS, save_sound
from melgan_tf.audio.wav import NO_TAGS, Tags
from melgan_tf.dsp.loudness import gain_to, loudness
from melgan_tf.errors import UsageError

#: Peak of a normalized sound: -1 dB of full scale.
PEAK = 10 ** (-1 / 20)
#: Loudness of a normalized sound, unless another is requested: 99 of 100 drums of the bundled models reach it.
LUFS = -27.0
#: Sample rates of files, Hz.
RATES = (8_000, 192_000)
#: Level, relative to the peak, at which a sound has ended.
SILENCE_DB = -60.0
#: A sound that is louder than this at its end was cut off there.
ABRUPT_DB = -40.0

#: Seconds of fade-out where a sound is cut.
CUT_FADE = 0.02

_END_FADE, _ABRUPT_FADE = 0.01, 0.25  # seconds
_ABRUPT_SHARE = 0.3  # of the length, at most
_OWN_FADE = 0.005  # that every sound of a model ends with
_END_SECONDS = 0.005  # kept after the last sample above silence
#: Samples in memory at a time.
BLOCK_SAMPLES = 1 << 18


@dataclass(frozen=True)
class Delivery:
    """How samples become files.

    Attributes:
        format: "wav", "flac", "aiff" or "ogg" (Vorbis).
        bit_depth: "16", "24" or, not in FLAC, "32f", floating point.
        sample_rate: Hz; None: that of the model.
        channels: 1, or 2 that are equal.
        normalize: "peak", every sound to a peak of -1 dB; "lufs", to `lufs`, or as near as a peak of -1 dB allows;
            "none", at the level that the model makes.
        lufs: loudness after ITU-R BS.1770.
        seconds: cut sounds that are longer.
        trim: end each sound where it falls below -60 dB of its peak.
        tail: seconds of fade-out; None: what the end needs, so longer for a sound that is cut off.
        date: YYYY-MM-DD, for the tags; "" leaves it out, so that equal requests give equal files on any day.
        tags: write title, class, pitch, license and so on beside the comment.

    Raises:
        UsageError: a value is out of range, or the format does not have that bit depth.

    Examples:
        >>> Delivery(bit_depth="24", sample_rate=44_100).to_json()
        {'bit_depth': '24', 'sample_rate': 44100}
        >>> Delivery(format="flac", bit_depth="32f")
        Traceback (most recent call last):
        melgan_tf.errors.UsageError: flac files have no bit depth 32f: give 16 or 24, or another format
    """

    format: str = "wav"
    bit_depth: str = "16"
    sample_rate: int | None = None
    channels: int = 1
    normalize: str = "peak"
    lufs: float = LUFS
    seconds: float | None = None
    trim: bool = False
    tail: float | None = None
    date: str = ""
    tags: bool = True

    def __post_init__(self) -> None:
        _one_of("format", self.format, FORMATS)
        depths = FORMATS[self.format]
        if self.bit_depth not in depths:
            raise UsageError(f"{self.format} files have no bit depth {self.bit_depth}: give {' or '.join(depths)}, or "
                             "another format")
        low, high = RATES
        if self.sample_rate is not None and not low <= self.sample_rate <= high:
            raise UsageError(f"a sample rate of {self.sample_rate} Hz: give {low} to {high}")
        _one_of("channels", self.channels, (1, 2))
        _one_of("normalize", self.normalize, ("peak", "lufs", "none"))
        for name, value, low, high in (("lufs", self.lufs, -70, 0), ("seconds", self.seconds, 0.001, 1e6),
                                       ("tail", self.tail, 0, 1e6)):
            if value is not None and not low <= value <= high:
                raise UsageError(f"{name} is {value}: give {low} to {high:g}")
        if self.date and not re.fullmatch(r"\d{4}-\d\d-\d\d", self.date, re.ASCII):
            raise UsageError(f"date is {self.date!r}: give it as YYYY-MM-DD")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Delivery:
        """The delivery of `to_json`.

        Raises:
            TypeError: the values have other names or types.
            UsageError: a value is out of range.
        """
        for field in dataclasses.fields(cls):
            kinds = {"int": int, "float": (int, float), "bool": bool, "str": str}[field.type.split(" ")[0]]
            if field.name in values and not isinstance(values[field.name], kinds):
                raise TypeError(f"{field.name} is {values[field.name]!r:.50}")
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """What differs from the default, as JSON values."""
        return {field.name: value for field in dataclasses.fields(self)
                if (value := getattr(self, field.name)) != field.default}

    def changed(self, changes: Mapping[str, Any]) -> Delivery:
        """This delivery with other values.

        Raises:
            UsageError: a name is unknown, or a value is out of range.
        """
        if unknown := sorted(changes.keys() - {field.name for field in dataclasses.fields(self)}):
            raise UsageError(f"delivery has no {unknown[0]!r}: give "
                             f"{', '.join(field.name for field in dataclasses.fields(self))}")
        return dataclasses.replace(self, **changes)

    @property
    def changes_length(self) -> bool:
        """Whether it cuts or fades."""
        return self.trim or self.tail is not None or self.seconds is not None


def _one_of(name: str, value: object, known: Any) -> None:
    if value not in known:
        raise UsageError(f"{name} is {value!r}: give {', '.join(map(str, known))}")


@dataclass(frozen=True)
class Delivered:
    """A sound as it goes into its file.

    Attributes:
        samples: their number.
        peak: in the file: above 1 only in floating point.
        turned_down_db: by how much it was turned down so as not to clip.
        below_lufs: by how much it is softer than requested, so as not to clip, LU.
        cut_off: whether it did not end by itself, and was therefore faded out for longer.
    """

    samples: int
    peak: float
    turned_down_db: float
    below_lufs: float
    cut_off: bool


def deliver(path: Path, sound: np.ndarray, sample_rate: int, delivery: Delivery, *, loop: bool = False,
            comment: str = "", tags: Tags = NO_TAGS) -> Delivered:
    """Writes a sound to a file; one block of it is in memory at a time.

    Args:
        path: the file.
        sound: ``(samples,)``, float32, also on disk.
        sample_rate: of the sound, Hz.
        delivery: how.
        loop: its last sample leads into its first.
        comment, tags: for the file.

    Raises:
        MelGANError: the sound is not finite, or the file cannot be written.
    """
    peak = _peak(_blocks(sound))
    end, fade, cut_off = _ending(sound, sample_rate, delivery, peak, loop)
    rate = delivery.sample_rate or sample_rate
    count = max(1, round(end * rate / sample_rate))

    def pieces() -> Iterator[np.ndarray]:
        cut = _faded(sound, end, fade)
        return cut if rate == sample_rate else _resampled(cut, sound, sample_rate, rate, loop, count)

    if end < len(sound) or fade or rate != sample_rate:
        peak = _peak(pieces())
    gain, below = 1.0, 0.0
    if peak >= SILENT_PEAK and delivery.normalize == "peak":
        gain = PEAK / peak
    elif peak >= SILENT_PEAK and delivery.normalize == "lufs":
        measured = loudness(pieces(), rate, delivery.channels)
        gain = gain_to(delivery.lufs, measured, peak, PEAK)
        below = delivery.lufs - measured - 20 * math.log10(gain) if math.isfinite(measured) else 0.0
    elif delivery.bit_depth != "32f":
        gain = 1.0 / max(1.0, peak)
    save_sound(path, (piece * np.float32(gain) for piece in pieces()), count, rate, format=delivery.format,
               bit_depth=delivery.bit_depth, channels=delivery.channels, loop=loop, comment=comment, tags=tags)
    turned_down = max(0.0, 20 * np.log10(peak)) if delivery.normalize == "none" and gain < 1 else 0.0
    return Delivered(count, peak * gain, turned_down, max(0.0, below), cut_off)


def ended(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """A sound ``(samples,)`` with the end that it has in a file by default: faded out if it is cut off."""
    end, fade, _ = _ending(sound, sample_rate, Delivery(), _peak(_blocks(sound)), loop=False)
    return np.concatenate(list(_faded(sound, end, fade)))


def _blocks(sound: np.ndarray, end: int | None = None) -> Iterator[np.ndarray]:
    end = len(sound) if end is None else end
    return (np.asarray(sound[start:min(start + BLOCK_SAMPLES, end)]) for start in range(0, end, BLOCK_SAMPLES))


def _peak(pieces: Iterator[np.ndarray]) -> float:
    return max((float(np.max(np.abs(piece))) for piece in pieces if len(piece)), default=0.0)


def _ending(sound: np.ndarray, sample_rate: int, delivery: Delivery, peak: float, loop: bool) -> tuple[int, int, bool]:
    """The number of samples to keep, how many of them to fade out, and whether that is because it was cut off."""
    end, fade = len(sound), None
    if delivery.seconds is not None and round(delivery.seconds * sample_rate) < end:
        end, fade = max(1, round(delivery.seconds * sample_rate)), CUT_FADE
    if delivery.trim:
        threshold, heard = peak * 10 ** (SILENCE_DB / 20), 0
        for start in range((end - 1) // BLOCK_SAMPLES * BLOCK_SAMPLES, -1, -BLOCK_SAMPLES):
            if len(above := np.flatnonzero(np.abs(sound[start:min(start + BLOCK_SAMPLES, end)]) > threshold)):
                heard = start + int(above[-1]) + 1
                break
        silent_from = heard + round(_END_SECONDS * sample_rate)
        if silent_from < end - round(_OWN_FADE * sample_rate):
            end, fade = silent_from, _END_FADE
    cut_off = not loop and fade is None and delivery.tail is None and _is_loud(
        sound[-round(0.03 * sample_rate):len(sound) - round(_OWN_FADE * sample_rate)], peak)
    if delivery.tail is not None:
        fade = delivery.tail
    elif cut_off:
        fade = min(_ABRUPT_FADE, _ABRUPT_SHARE * end / sample_rate)
    return end, min(end, round((fade or 0.0) * sample_rate)), cut_off


def _is_loud(last: np.ndarray, peak: float) -> bool:
    """Whether the last moments of a sound are louder than the end of one that has faded."""
    return float(np.max(np.abs(last), initial=0.0)) > peak * 10 ** (ABRUPT_DB / 20)


def _faded(sound: np.ndarray, end: int, fade: int) -> Iterator[np.ndarray]:
    """The first samples of a sound, the last of them on a half cosine to zero."""
    done = 0
    for block in _blocks(sound, end):
        if done + len(block) > end - fade:
            place = np.arange(done, done + len(block))
            near = np.clip((end - 1 - place) / max(fade, 1), 0.0, 1.0)
            block = block * (0.5 - 0.5 * np.cos(np.pi * near)).astype(np.float32)
        done += len(block)
        yield block


def _resampled(cut: Iterator[np.ndarray], sound: np.ndarray, sample_rate: int, rate: int, loop: bool, count: int
               ) -> Iterator[np.ndarray]:
    """Exactly ``count`` samples at another rate; a loop is resampled as the ring that it is."""
    lead = 0
    if loop:  # a whole number of samples at both rates, more than the filter's reach
        unit = sample_rate // math.gcd(sample_rate, rate)
        lead = -(-4_096 // unit) * unit
        around = np.arange(-lead, lead) % len(sound)
        cut = (piece for part in ([sound[around[:lead]]], cut, [sound[around[lead:]]]) for piece in part)
    skip, left = lead * rate // sample_rate, count
    for block in resampled(((sample_rate, piece) for piece in cut), rate):
        skipped = min(skip, len(block))
        kept, skip = block[skipped:skipped + left], skip - skipped
        left -= len(kept)
        if len(kept):
            yield kept
    if left:
        yield np.zeros(left, np.float32)
