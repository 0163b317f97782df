"""The frames of MP3 (and Layer I, II) and of AAC (ADTS): each must lead to the next, to the end of the file.

Decoders look for the next frame behind whatever they do not understand, so a damaged file becomes a shorter sound.
"""

from __future__ import annotations

from collections.abc import Callable

from melgan_tf.audio.window import Window

_RATES = (44_100, 48_000, 32_000)
_KILOBITS = {  # by (version is MPEG-1, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)}
_MAX_DIFFERENCE = 1  # encoders do not agree whether the frame that holds the number of frames counts
_MAX_LEADING_ZEROS = 1 << 16
_MAX_ZEROS = 128  # behind frames that nothing counts
_MAX_LEFTOVER = 2048  # bytes behind all the frames that a header declares: less than two frames


def _mpeg_frame(head: bytes) -> tuple[int, tuple]:
    """Return the length of a frame in bytes, and what all frames of a sound have in common; 0 if there is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return 0, ()
    version, layer, index, rate = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or index in (0, 15) or rate == 3:
        return 0, ()
    hertz = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits, padding = 1000 * _KILOBITS[version == 3, layer][index], head[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // hertz + padding) * 4, (version, layer, rate)
    return (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding, (version, layer, rate)


def _adts_frame(head: bytes) -> tuple[int, tuple]:
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0, ()
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length >= 7 else 0, (head[1] & 8, head[2] & 0xFD, head[3] & 0xC0)


def starts_with_frames(head: bytes) -> bool:
    """Whether there are two consecutive frames of MP3 or AAC (ADTS): a single one could be a coincidence."""
    for frame in (_mpeg_frame, _adts_frame):
        length, kind = frame(head)
        if frame is _mpeg_frame and kind[1:2] != (3,):
            continue
        if length > 6 and head[length:length + 2] == head[:2]:
            return True
    return False


def damage(window: Window, lenient: bool = False) -> str:
    """Return what is wrong with the frames of MPEG audio; "" if nothing is.

    Args:
        window: the bytes of the frames and of tags before and behind them.
        lenient: whether a last frame may be cut, as where WAV contains MP3.
    """
    start = window.without_tags()
    zeros = window.read(start, _MAX_LEADING_ZEROS)
    start += len(zeros) - len(zeros.lstrip(b"\0"))
    head = window.read(start, 8)
    frame = _adts_frame if _adts_frame(head)[0] else _mpeg_frame
    length, kind = frame(head)
    if not length:
        free_format = len(head) == 8 and _mpeg_frame(bytes((*head[:2], head[2] | 0x10)))[0] and head[2] >> 4 == 0
        return "" if free_format else f"damaged: no frame at byte {start}"  # lengths of a free format are not known
    declared = _declared_frames(window.read(start, length)) if frame is _mpeg_frame else None
    frames, end, reason = _walk(window, start, frame, kind)
    if declared is None:  # as many zeros as a frame has bytes could have been one
        few = window.ends_harmlessly(end, min(_MAX_ZEROS, max(0, end - start) // max(1, frames) - 1))
        return "" if few or lenient and reason.startswith("truncated") else reason
    if reason and (frames - 1 < declared or not window.ends_harmlessly(end) and window.size - end >= _MAX_LEFTOVER):
        return reason
    if abs(frames - 1 - declared) > _MAX_DIFFERENCE:
        return f"damaged: {frames - 1} frames, not the {declared} of its header"
    return ""


def _walk(window: Window, position: int, frame: Callable, kind: tuple) -> tuple[int, int, str]:
    """Return the number of frames, where they end, and why something else follows."""
    frames, size, read = 0, window.size, window.read
    while position < size:
        length, found = frame(read(position, 8))
        if found == kind and length:
            if position + length > size:
                return frames, position, f"truncated: the last of {frames + 1} frames is cut"
            position += length
            frames += 1
        elif tag := window.tag_at(position):
            position += tag
        else:
            what = "another kind of frame" if length else "no frame"
            return frames, position, f"damaged: {what} at byte {position}"
    return frames, position, ""


def _declared_frames(first: bytes) -> int | None:
    """Return the number of frames that an MP3's first frame declares, itself not counted."""
    side = 4 + (17 if first[3] >> 6 == 3 else 32) if first[1] & 8 else 4 + (9 if first[3] >> 6 == 3 else 17)
    for at in (side, side + 2):  # with a checksum behind the header
        if first[at:at + 4] in (b"Xing", b"Info") and len(first) >= at + 12 and first[at + 7] & 1:
            return int.from_bytes(first[at + 8:at + 12], "big")
    if first[36:40] == b"VBRI" and len(first) >= 54:
        return int.from_bytes(first[50:54], "big")
    return None
