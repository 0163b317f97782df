"""What music programs write into sound files about tempo, bars, key and loop points.

- WAV: the ``acid`` chunk (24 bytes, little-endian: flags, root note, two unknown fields, beats, meter's denominator and
  numerator, tempo), ``smpl`` (loop points), ``iXML`` (the elements of ASWG, the attributes of Steinberg).
- AIFF: Apple Loops, ``basc`` (big-endian: version, beats, root note, scale, meter's numerator and denominator, and
  whether it is a one-shot).
- CAF: Apple Loops, the pairs of texts in ``uuid`` and ``info``.
- ID3 (``TBPM``, ``TKEY``), Vorbis comments (``BPM``, ``KEY``), MP4 (``tmpo``): read by FFmpeg.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from melgan_tf.audio import chunks
from melgan_tf.audio.ffmpeg import metadata
from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.names import FASTEST, SLOWEST
from melgan_tf.audio.window import Window
from melgan_tf.errors import DecodeError, UsageError

_ONE_SHOT, _ROOT_SET = 1, 2  # flags of the ACID chunk
_APPLE_MODES = {1: "minor", 2: "major"}
_APPLE_UUID = bytes.fromhex("29819273b5bf4aefb78d62d1ef90bb2c")
_TEMPO_NAMES = ("tbpm", "bpm", "tmpo", "tempo")
_KEY_NAMES = ("tkey", "key", "initialkey", "initial_key", "initial key", "key signature")
_MAX_BEATS = 4096
_MAX_CHUNK = 1 << 20  # bytes


@dataclass
class Tags:
    """What a file tells about itself; everything that it does not tell is None.

    Attributes:
        tempo: beats per minute.
        beats: length of the loop.
        meter: beats of a bar.
        key: its key.
        points: where the loop starts and ends, seconds.
        one_shot: whether it says that it is no loop.
        sources: what told each of these, by name.
    """

    tempo: float | None = None
    beats: float | None = None
    meter: int | None = None
    key: Key | None = None
    points: tuple[float, float] | None = None
    one_shot: bool = False
    sources: dict[str, str] = field(default_factory=dict)

    def add(self, source: str, **values: object) -> None:
        """Take what was not known before."""
        for name, value in values.items():
            if value is not None and getattr(self, name) is None:
                setattr(self, name, value)
                self.sources[name] = source


def read_tags(path: str | os.PathLike) -> Tags:
    """Read what a sound file tells about tempo, beats, key and loop; what is damaged or makes no sense is ignored."""
    tags = Tags()
    with contextlib.suppress(OSError, DecodeError), open(path, "rb", buffering=0) as file:
        window = Window(file.fileno())
        start = window.without_tags()
        if chunks.is_chunked_sound(window.read(start, 16)):
            found = chunks.find_sound(window, start, str(path))
            rate = struct.unpack_from(f"{found.kind.order}I", found.bodies.get(b"fmt ", b"").ljust(8, b"\0"), 4)[0]
            for name, read in _READERS.items():
                position, length = found.places.get(name, (0, 0))
                if 0 < length <= _MAX_CHUNK:
                    with contextlib.suppress(struct.error, UsageError, ValueError, ElementTree.ParseError):
                        read(window.read(position, length), found.kind.order, tags)
            if tags.points:
                tags.points = (tags.points[0] / rate, tags.points[1] / rate) if rate else None
    if tags.tempo is None or tags.key is None:
        with contextlib.suppress(OSError, DecodeError):
            _add_texts(tags, "tag", metadata(Path(path)))
    return tags


def _acid(body: bytes, order: str, tags: Tags) -> None:
    flags, root, _, _, beats, _, meter, tempo = struct.unpack(f"{order}IHHfIHHf", body[:24])
    tags.one_shot |= bool(flags & _ONE_SHOT)
    if not tags.one_shot:
        tags.add("acid", tempo=_tempo(tempo), beats=_beats(beats), meter=_meter(meter))
    if flags & _ROOT_SET:
        tags.add("acid", key=Key(root % 12))


def _basc(body: bytes, order: str, tags: Tags) -> None:
    _, beats, root, scale, meter, _, one_shot = struct.unpack(">IIHHHHH", body[:18])
    tags.one_shot |= one_shot == 2
    if not tags.one_shot:
        tags.add("apple", beats=_beats(beats), meter=_meter(meter))
    if root:
        tags.add("apple", key=Key(root % 12, _APPLE_MODES.get(scale)))


def _apple_texts(body: bytes, order: str, tags: Tags) -> None:
    if body[:16] == _APPLE_UUID:
        body = body[16:]
    texts = body[4:].decode("utf-8", "replace").split("\0")
    pairs = dict(zip(texts[::2], texts[1::2], strict=False))
    meter = pairs.get("time signature", "").partition("/")[0]
    tags.add("apple", beats=_beats(_number(pairs.get("beat count"))), meter=_meter(_number(meter)))
    if (key := pairs.get("key signature")) and pairs.get("key type") in ("major", "minor"):
        pairs["key signature"] = f"{key} {pairs['key type']}"
    _add_texts(tags, "apple", pairs)


def _smpl(body: bytes, order: str, tags: Tags) -> None:
    if struct.unpack(f"{order}I", body[28:32])[0]:
        first, last = struct.unpack(f"{order}II", body[44:52])
        if first < last:
            tags.add("smpl", points=(first, last + 1))  # samples, until the rate is known


def _ixml(body: bytes, order: str, tags: Tags) -> None:
    text = body.rstrip(b"\0")
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:  # definitions that could expand without end
        return
    tree = ElementTree.fromstring(text)
    pairs = {element.tag.lower(): element.text or "" for element in tree.iter()}
    for attribute in tree.iter("ATTR"):
        pairs[attribute.findtext("NAME", "").lower()] = attribute.findtext("VALUE", "")
    tags.add("ixml", meter=_meter(_number(pairs.get("timesig"))))
    for name, value in pairs.items():  # ASWG: tempo, inKey; Steinberg: MediaTempo and the like
        if name.endswith(("tempo", "bpm")):
            _add_texts(tags, "ixml", {"tempo": value})
        if name.endswith("key"):
            _add_texts(tags, "ixml", {"key": value})


_READERS = {b"acid": _acid, b"basc": _basc, b"uuid": _apple_texts, b"info": _apple_texts, b"smpl": _smpl,
            b"iXML": _ixml}


def _add_texts(tags: Tags, source: str, texts: Mapping[str, str]) -> None:
    tags.add(source, tempo=next(filter(None, (_tempo(_number(texts.get(name))) for name in _TEMPO_NAMES)), None))
    for name in _KEY_NAMES:
        with contextlib.suppress(UsageError):
            tags.add(source, key=Key.parse(texts.get(name, "")))


def _number(text: str | None) -> float:
    found = re.match(r"\s*\d{1,6}(?:[.,]\d{1,9})?", text or "")
    return float(found[0].replace(",", ".")) if found else math.nan


def _tempo(value: float) -> float | None:
    return round(value, 4) if SLOWEST <= value <= FASTEST else None


def _beats(value: float) -> float | None:
    return value if 0 < value <= _MAX_BEATS else None


def _meter(value: float) -> int | None:
    return int(value) if 2 <= value <= 16 else None
