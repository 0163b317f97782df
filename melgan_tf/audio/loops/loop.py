"""Loops: sounds of whole bars, with tempo and key from tags, from the file's name, or estimated."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass

import numpy as np

from melgan_tf.audio.loops.estimate import estimate_key, estimate_tempo
from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.names import is_marked, key_of_name, tempo_of_name
from melgan_tf.audio.loops.tags import Tags, read_tags
from melgan_tf.errors import DecodeError

#: Beats of a bar, where nothing tells them.
METER = 4
_CLOSE_SECONDS = 0.03  # by which whole bars may miss the length of the sound: padding of encoders, careless cuts
_CLOSE_SHARE = 0.004  # or this share of it: tempi that are rounded
_MIN_TEMPO, _MAX_TEMPO = 30.0, 300.0
_MAX_BARS = 1024


@dataclass(frozen=True)
class Loop:
    """Whole bars of a sound.

    Attributes:
        bpm: tempo, beats per minute, of a loop of exactly ``end - start`` samples.
        bars: number of bars.
        meter: beats of a bar.
        key: None where nothing tells it.
        start, end: its first sample and the one behind its last.
        sources: what told ``bpm``, ``bars`` and ``key``: "acid", "apple", "ixml", "tag", "name", "estimated" or, for
            bars, "length".
        note: what was done to it, or "".
    """

    bpm: float
    bars: int
    meter: int
    key: Key | None
    start: int
    end: int
    sources: dict[str, str]
    note: str = ""

    @property
    def samples(self) -> int:
        """Its length."""
        return self.end - self.start

    @property
    def beats(self) -> int:
        """Its number of beats."""
        return self.bars * self.meter

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value} ({self.sources[name]})" for name, value in
                         (("bpm", f"{self.bpm:.6g}"), ("bars", self.bars), ("key", self.key)) if value is not None)
        return told + (f"; {self.note}" if self.note else "")


def loop_samples(bpm: float, bars: float, sample_rate: int, meter: int = METER) -> int:
    """The length of a loop: beats times 60 / bpm times the rate, rounded once.

    Examples:
        >>> loop_samples(100, 2, 22_050), loop_samples(124, 4, 44_100)
        (105840, 341419)
    """
    return round(bars * meter * 60 * sample_rate / bpm)


def read_loop(path: str | os.PathLike, name: str, samples: np.ndarray, rate: int) -> Loop:
    """Find tempo, bars and key of a loop file: by its tags, by its name, and else by its sound.

    Args:
        path: the file, for its tags.
        name: what it is called.
        samples: its decoded sound, float32, not empty.
        rate: of these, Hz.

    Raises:
        DecodeError: it is no loop, or shorter than a bar; ``reason`` says so.
    """
    return find_loop(read_tags(path), name, samples, rate)


def find_loop(tags: Tags, name: str, samples: np.ndarray, rate: int) -> Loop:
    """As `read_loop`, with the tags at hand."""
    if tags.one_shot:
        raise DecodeError(name, "marked as a one-shot, not a loop")
    start, end = (round(point * rate) for point in tags.points or (0, len(samples) / rate))
    if not 0 <= start < end <= len(samples) or end - start < len(samples) // 2:
        start, end = 0, len(samples)  # a sampler's loop within a note
    part, seconds, meter = samples[start:end], (end - start) / rate, tags.meter or METER
    loop = _by_beats(tags, seconds, meter)
    if loop is None and tags.tempo is not None:
        loop = _by_tempo(tags.tempo, tags.sources["tempo"], seconds, meter, name)
    named = tempo_of_name(name)
    if loop is None and named is not None:
        loop = _by_name(named, part, rate, meter, name)
    if loop is None:
        loop = _by_tempo(estimate_tempo(part, rate, meter), "estimated", seconds, meter, name)
    key, told = (tags.key, tags.sources.get("key", "")) if tags.key else (key_of_name(name), "name")
    if key is None or key.mode is None and told != "name":  # a root without a mode
        heard = estimate_key(part, rate)
        if key is None:
            key, told = heard, "estimated"
        elif heard is not None and heard.tonic == key.tonic:
            key = heard
    length = end - start if not loop.note else min(end - start, loop_samples(loop.bpm, loop.bars, rate, meter))
    return dataclasses.replace(loop, key=key, start=start, end=start + length,
                               sources={**loop.sources, "key": told if key else ""})


def _by_beats(tags: Tags, seconds: float, meter: int) -> Loop | None:
    """A loop that says how many beats it has; its tempo follows from its length, unless the tags contradict it."""
    if tags.beats is None:
        return None
    bars, tempo = tags.beats / meter, 60 * tags.beats / seconds
    if bars != round(bars) or not 1 <= bars <= _MAX_BARS or not _MIN_TEMPO <= tempo <= _MAX_TEMPO:
        return None
    if tags.tempo is not None and abs(tempo / tags.tempo - 1) > 0.02:
        return None
    close = tags.tempo is not None and _is_close(60 * tags.beats / tags.tempo, seconds)
    source = tags.sources["beats"]
    return Loop(tags.tempo if close else tempo, round(bars), meter, None, 0, 0,
                {"bpm": tags.sources["tempo"] if close else source, "bars": source})


def _by_name(tempo: float, samples: np.ndarray, rate: int, meter: int, name: str) -> Loop | None:
    """Whole bars of the tempo in a name; None for a number without "bpm" that is none by all that can be told."""
    seconds = len(samples) / rate
    if not is_marked(name) and not _is_whole(tempo, seconds, meter) and key_of_name(name) is None:
        octaves = np.log2(estimate_tempo(samples, rate, meter) / tempo)
        if abs(octaves - round(octaves)) > 0.015 or seconds < 60 * meter / tempo:
            return None
    return _by_tempo(tempo, "name", seconds, meter, name)


def _is_whole(tempo: float, seconds: float, meter: int) -> bool:
    bar = 60 * meter / tempo
    return _is_close(max(1, round(seconds / bar)) * bar, seconds)


def _by_tempo(tempo: float, source: str, seconds: float, meter: int, name: str) -> Loop:
    """Whole bars of a tempo: all of the sound, or as many as it has, with a note."""
    bar = 60 * meter / tempo
    if _is_whole(tempo, seconds, meter):
        return Loop(tempo, round(seconds / bar), meter, None, 0, 0, {"bpm": source, "bars": "length"})
    bars = int(seconds / bar)
    if not 1 <= bars <= _MAX_BARS:
        raise DecodeError(name, f"{seconds:.3g} s, shorter than a bar at {tempo:g} BPM" if bars < 1 else
                          f"longer than {_MAX_BARS} bars")
    return Loop(tempo, bars, meter, None, 0, 0, {"bpm": source, "bars": "length"},
                f"cut from {seconds / bar:.2f} bars to {bars}")


def _is_close(seconds: float, length: float) -> bool:
    return abs(seconds - length) <= max(_CLOSE_SECONDS, _CLOSE_SHARE * length)
