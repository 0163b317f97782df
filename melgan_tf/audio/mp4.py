"""The outermost boxes of M4A: they must lead to the end of the file."""

from __future__ import annotations

from melgan_tf.audio.window import Window

_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp")


def damage(window: Window) -> str:
    """Return what is wrong with the boxes of a file; "" if nothing is, or if it has none."""
    position = 0
    if window.read(4, 4) not in _FIRST_BOXES:
        return ""
    while len(head := window.read(position, 16)) >= 8 and all(byte >= 32 for byte in head[4:8]):
        length = int.from_bytes(head[:4], "big")
        length = int.from_bytes(head[8:], "big") if length == 1 else length or window.size - position
        if length < 8:
            break
        position += length
    if position > window.size:
        return f"truncated: only {window.size} of {position} bytes"
    return "" if window.ends_harmlessly(position) else f"damaged: no box at byte {position}"
