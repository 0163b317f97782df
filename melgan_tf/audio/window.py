"""Random access to the bytes of an open file, a large piece at a time; tags that programs put around sounds."""

from __future__ import annotations

import os

from melgan_tf.runtime import system

_PIECE = 1 << 18  # bytes read at once, unless told otherwise
_MAX_TAGS = 20
_MAX_ZEROS = 1 << 16  # behind the last frame or page: some programs fill up a block of the disk


class Window:
    """The bytes of a file.

    Args:
        descriptor: of the open file; its position does not change.
        start: of the part in use.
        end: of that part; None for that of the file.
        piece: bytes to read at once.

    Attributes:
        size: the end of the part in use.
    """

    def __init__(self, descriptor: int, start: int = 0, end: int | None = None, piece: int = _PIECE) -> None:
        size = os.fstat(descriptor).st_size
        self.descriptor, self.start, self.size = descriptor, start, size if end is None else min(end, size)
        self._piece, self._at, self._size = b"", 0, piece

    def read(self, position: int, count: int) -> bytes:
        """Return ``count`` bytes from a position on, or fewer at the end."""
        count = min(count, self.size - position)
        if count <= 0:
            return b""
        first = position - self._at
        if first < 0 or first + count > len(self._piece):
            self._piece = system.read_at(self.descriptor, max(count, self._size), position)
            self._at, first = position, 0
        return self._piece[first:first + count]

    def without_tags(self) -> int:
        """Return the position behind the ID3v2 tags at the start, of which there may be several."""
        position = self.start
        for _ in range(_MAX_TAGS):
            length = self.tag_at(position)
            if not length:
                break
            position += length
        return position

    def tag_at(self, position: int) -> int:
        """Return the length of the tag at a position, in bytes; 0 if there is none.

        ID3v1 and its extension, ID3v2, APEv2 and Lyrics3 may stand before, between or behind the frames of a sound.
        """
        head = self.read(position, 32)
        if head[:3] == b"ID3" and len(head) >= 10 and head[3] < 0xFF and max(head[6:10]) < 0x80:
            size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            return 10 + size + (10 if head[5] & 0x10 else 0)
        if head[:3] == b"TAG":
            return 227 if head[3:4] == b"+" else 128
        if head[:8] == b"APETAGEX" and len(head) == 32:
            size, flags = int.from_bytes(head[12:16], "little"), int.from_bytes(head[20:24], "little")
            return size + 32 if flags & 1 << 29 else 32  # the size is that of the items and the footer
        if head[:11] == b"LYRICSBEGIN":
            rest = self.read(position, 1 << 17)
            ends = [at + 9 for at in (rest.find(b"LYRICS200"), rest.find(b"LYRICSEND")) if at >= 0]
            return min(ends, default=0)
        return 0

    def ends_harmlessly(self, position: int, max_zeros: int = _MAX_ZEROS) -> bool:
        """Whether nothing but tags and a few zeros is left from a position on."""
        for _ in range(_MAX_TAGS):
            if position >= self.size:
                return True
            length = self.tag_at(position)
            if not length:
                break
            position += length
        rest = self.read(position, max_zeros + 1)
        return len(rest) <= max_zeros and not any(rest)
