"""Damage as disks, networks and strangers do it to files."""

from __future__ import annotations

import re

import numpy as np

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_FIELD = re.compile(rb"RIFF|RIFX|RF64|data|fmt |ds64|fact|LIST|FORM|COMM|SSND|desc|pakt|kuki|mdat|moov|stsz|stco|stts|"
                    rb"stsc|mdhd|mvhd|trun|tfhd|OggS|fLaC|Xing|Info|ID3")


def damage(content: bytes, other: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """A damaged copy.

    Args:
        content: the whole file.
        other: another whole file, parts of which may replace or follow this one's.
        rng: decides everything.

    Returns:
        The damaged bytes, and what was done to them.
    """
    data, done = bytearray(content), []
    for _ in range(int(rng.choice([1, 1, 1, 1, 2, 3]))):
        if len(data) < 4:
            break
        kind = KINDS[rng.integers(len(KINDS))]
        done.append(kind.__name__.strip("_"))
        kind(data, other, rng)
    return bytes(data), ", ".join(done)


def flip(data: bytearray, rng: np.random.Generator) -> int:
    """Flips one bit; returns the position of its byte."""
    at = int(rng.integers(len(data)))
    data[at] ^= 1 << int(rng.integers(8))
    return at


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """A position; a third of them are among the first 200 bytes, where headers are."""
    return int(rng.integers(0, min(len(data), 200) if rng.random() < 1 / 3 else len(data)))


def _stretch(data: bytearray, rng: np.random.Generator) -> tuple[int, int]:
    """A stretch of a few bytes up to half of the file."""
    start = _place(data, rng)
    length = max(1, int(len(data) * 0.5 * rng.random() ** 4))
    return start, min(len(data), start + length)


def _a_bit(data, other, rng):
    flip(data, rng)


def _a_bit_of_the_header(data, other, rng):
    data[int(rng.integers(min(len(data), 200)))] ^= 1 << int(rng.integers(8))


def _cut_short(data, other, rng):
    del data[max(1, int(len(data) * rng.random())):]


def _a_block_missing(data, other, rng):
    start, end = _stretch(data, rng)
    del data[start:end]


def _zeros(data, other, rng):
    start, end = _stretch(data, rng)
    data[start:end] = bytes(end - start)


def _ones(data, other, rng):
    start, end = _stretch(data, rng)
    data[start:end] = b"\xff" * (end - start)


def _garbage(data, other, rng):
    start, end = _stretch(data, rng)
    data[start:end] = rng.bytes(end - start)


def _zeros_to_the_end(data, other, rng):
    start = max(1, int(len(data) * rng.random()))
    data[start:] = bytes(len(data) - start)


def _garbage_put_in(data, other, rng):
    start, end = _stretch(data, rng)
    data[start:start] = rng.bytes(end - start)


def _a_block_doubled(data, other, rng):
    start, end = _stretch(data, rng)
    data[end:end] = data[start:end]


def _blocks_swapped(data, other, rng):
    length = max(1, int(len(data) * 0.3 * rng.random() ** 2))
    first = int(rng.integers(0, max(1, len(data) - 2 * length)))
    second = int(rng.integers(first + length, max(first + length + 1, len(data) - length)))
    data[first:first + length], data[second:second + length] = data[second:second + length], data[first:first + length]


def _a_length_changed(data, other, rng):
    """One of the numbers behind a name of a chunk, a box or a page."""
    names = [match.end() for match in _FIELD.finditer(data)]
    at = (int(rng.choice(names)) if names else 0) + 4 * int(rng.integers(-2, 8))
    at = min(max(0, at), len(data) - 1)
    width = int(rng.choice([1, 2, 4, 8]))
    order = "little" if rng.random() < 0.5 else "big"
    if rng.random() < 0.5:
        number = int(rng.choice(_NUMBERS))
    else:
        number = int.from_bytes(data[at:at + width], order) + int(rng.integers(-3000, 3000))
    data[at:at + width] = (number & (1 << 8 * width) - 1).to_bytes(width, order)


def _two_after_one_another(data, other, rng):
    data += other


def _twice(data, other, rng):
    data += bytes(data)


def _body_of_another(data, other, rng):
    start = int(rng.choice([12, 36, 44, 48, 54, 64, 128, 256, len(data) // 2]))
    data[start:] = other[start:]


KINDS = (_a_bit, _a_bit_of_the_header, _cut_short, _a_block_missing, _zeros, _ones, _garbage, _zeros_to_the_end,
         _garbage_put_in, _a_block_doubled, _blocks_swapped, _a_length_changed, _a_length_changed,
         _two_after_one_another, _twice, _body_of_another)
