"""FLAC's own headers of frames: what STREAMINFO says must agree with them; decoders believe either."""

from __future__ import annotations

import hashlib

import numpy as np

from melgan_tf.audio.window import Window

_RATES = {1: 88_200, 2: 176_400, 3: 192_000, 4: 8_000, 5: 16_000, 6: 22_050, 7: 24_000, 8: 32_000, 9: 44_100,
          10: 48_000, 11: 96_000}  # by the code in a frame
_TAIL = 1 << 15  # bytes at the end of a file that are searched


def damage(window: Window) -> str:
    """Return what is wrong if a FLAC file's first frame has another sample rate than its header; otherwise ""."""
    frame = _first_frame(window) if window.read(0, 4) == b"fLaC" else b""
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xFC != 0xF8:
        return ""
    rate = int.from_bytes(window.read(18, 3), "big") >> 4
    own = _RATES.get(frame[2] & 15, rate)
    return "" if own == rate else f"damaged: its header declares a rate of {rate} Hz, its frames {own} Hz"


class Checksum:
    """The MD5 of all samples, which a FLAC file declares unless its encoder left it out.

    Args:
        window: the file.
    """

    def __init__(self, window: Window) -> None:
        self._declared, self._md5 = window.read(26, 16), hashlib.md5(usedforsecurity=False)
        self._bits = (int.from_bytes(window.read(20, 2), "big") >> 4 & 31) + 1

    def add(self, samples: np.ndarray) -> None:
        """Adds samples ``(frames, channels)``, int32, whose uppermost bits are those of the file."""
        low_first = (samples >> 32 - self._bits).astype("<i4", copy=False).view(np.uint8).reshape(-1, 4)
        self._md5.update(low_first[:, :-(-self._bits // 8)].tobytes())

    def fits(self) -> bool:
        return not any(self._declared) or self._md5.digest() == self._declared


def _first_frame(window: Window) -> bytes:
    """Return the start of the first frame, behind the blocks of metadata."""
    position, last = 4, False
    while not last:
        head = window.read(position, 4)
        if len(head) < 4:
            return b""
        last, position = head[0] >= 0x80, position + 4 + int.from_bytes(head[1:], "big")
    return window.read(position, 16)


def may_have_more(window: Window, declared: int) -> bool:
    """Whether something near the end of a file looks like a frame that goes beyond the declared number of samples."""
    block, start = int.from_bytes(window.read(8, 2), "big"), max(0, window.size - _TAIL)
    kind, tail = _first_frame(window)[:4], window.read(start, _TAIL)
    position = tail.find(kind[:2]) if len(kind) == 4 else -1
    while position >= 0:
        head = tail[position:position + 16]
        if len(head) == 16 and head[2] & 15 == kind[2] & 15 and head[3] == kind[3]:
            number, size = _number(head[4:])
            end = number * (1 if head[1] & 1 else block) + _samples(head, 4 + size)
            if size and end > declared and _is_header(head, size):
                return True
        position = tail.find(kind[:2], position + 1)
    return False


def _samples(head: bytes, position: int) -> int:
    """Return the length of a frame; ``position`` is where its header has it if it is no usual one."""
    code = head[2] >> 4
    if code in (6, 7):
        return int.from_bytes(head[position:position + code - 5], "big") + 1
    return 192 if code == 1 else 576 << max(0, code - 2) if code < 6 else 256 << code - 8


def _number(coded: bytes) -> tuple[int, int]:
    """Return the number of a frame or sample, coded like a character of UTF-8, and its bytes; 0 bytes if invalid."""
    ones = 8 - (coded[0] ^ 0xFF).bit_length()
    if ones == 0:
        return coded[0], 1
    if ones in (1, 8) or any(byte >> 6 != 2 for byte in coded[1:ones]):
        return 0, 0
    value = coded[0] & (0x7F >> ones)
    for byte in coded[1:ones]:
        value = value << 6 | byte & 0x3F
    return value, ones


def _is_header(head: bytes, size: int) -> bool:
    end = 4 + size + {6: 1, 7: 2}.get(head[2] >> 4, 0) + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    crc = 0
    for byte in head[:end]:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (7 if crc & 0x80 else 0)) & 0xFF
    return end < len(head) and crc == head[end]
