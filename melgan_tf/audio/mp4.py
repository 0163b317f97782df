"""The boxes of M4A: they must lead to the end of the file, and those that describe the sound must be there."""

from __future__ import annotations

import numpy as np

from melgan_tf.audio.window import Window

_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp")
#: What boxes must contain, where nothing else can: without it, decoders guess.
_REQUIRED = {b"moov": (), b"trak": (b"tkhd", b"mdia"), b"mdia": (b"mdhd", b"hdlr", b"minf"),
             b"minf": (b"stbl",), b"stbl": (b"stsd", b"stts", b"stsc")}
_OFFSETS = {b"stco": 4, b"co64": 8}  # bytes of a position in the file
_MAX_BOXES = 10_000
_MAX_INDEX_BYTES = 1 << 24


def damage(window: Window) -> str:
    """Return what is wrong with the boxes of a file; "" if nothing is, or if it has none."""
    if window.read(4, 4) not in _FIRST_BOXES:
        return ""
    boxes, position = _boxes(window, 0, window.size)
    if position > window.size:
        return f"truncated: only {window.size} of {position} bytes"
    if not window.ends_harmlessly(position):
        return f"damaged: no box at byte {position}"
    return _missing(window, boxes) or _outside(window, boxes)


def _outside(window: Window, boxes: list[tuple[bytes, int, int]], sound: np.ndarray | None = None) -> str:
    """Return whether an index points to something else than the sound (``mdat``), at any depth; "" if none does."""
    if sound is None:
        sound = np.array([place for name, *place in boxes if name == b"mdat"] or [[0, 0]])
    for name, start, end in boxes:
        content = window.read(start, min(end - start, _MAX_INDEX_BYTES)) if name in _OFFSETS or name == b"stsz" else b""
        if name in _OFFSETS:
            offsets = np.frombuffer(content[8:8 + (len(content) - 8) // _OFFSETS[name] * _OFFSETS[name]],
                                    f">u{_OFFSETS[name]}").astype(np.int64)
            if not np.all(np.any((sound[:, :1] <= offsets) & (offsets < sound[:, 1:]), axis=0)):
                return "damaged: its index points to what is no sound"
        elif name == b"stsz":
            each, count = (int.from_bytes(content[at:at + 4], "big") for at in (4, 8))
            sizes = np.frombuffer(content[12:12 + (len(content) - 12) // 4 * 4], ">u4")
            if (each * count or int(sizes.sum(dtype=np.int64))) > int((sound[:, 1] - sound[:, 0]).sum()):
                return "damaged: its index declares more sound than there is"
        elif name in _REQUIRED and (reason := _outside(window, _boxes(window, start, min(end, window.size))[0], sound)):
            return reason
    return ""


def _boxes(window: Window, start: int, end: int) -> tuple[list[tuple[bytes, int, int]], int]:
    """Return the name, start and end of the content of every box in a range, and where the last one ends."""
    found = []
    while start < end and len(found) < _MAX_BOXES and len(head := window.read(start, 16)) >= 8 and all(
            byte >= 32 for byte in head[4:8]):
        length, first = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, first = int.from_bytes(head[8:], "big"), 16
        length = length or end - start
        if length < first:
            break
        found.append((head[4:8], start + first, start + length))
        start += length
    return found, start


def _missing(window: Window, boxes: list[tuple[bytes, int, int]]) -> str:
    """Return which required box is missing in these boxes, at any depth; "" if none is."""
    for name, start, end in boxes:
        if name not in _REQUIRED:
            continue
        inside, _ = _boxes(window, start, min(end, window.size))
        names = {inner for inner, _, _ in inside}
        if lost := [inner.decode() for inner in _REQUIRED[name] if inner not in names]:
            return f"damaged: its box {name.decode()} has no {lost[0]}"
        if reason := _missing(window, inside):
            return reason
    return ""
