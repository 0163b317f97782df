"""The pages of an Ogg file: checksums, sequence, ends of streams; and the sounds one after the other in a chain.

Decoders skip pages that are damaged and stop where pages end, so a damaged file becomes a shorter sound.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from melgan_tf.audio.window import Window
from melgan_tf.errors import DecodeError

_MAX_PAGE = 27 + 255 + 255 * 255
_FIRST, _LAST = 2, 4  # flags of a page
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_CODECS = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus", b"\x7fFLAC": "FLAC", b"Speex   ": "Speex",
           b"fLaC": "FLAC"}  # by the first packet; other streams are pictures or texts


@dataclass
class Link:
    """A sound in a chain, or the only one.

    Attributes:
        start: its first byte.
        end: the byte behind its last page.
        codecs: of its streams of sound.
        streams: the number of all its streams.
    """

    start: int
    end: int
    codecs: list[str]
    streams: int


def checksum(page: bytes) -> int:
    """Return the checksum of a page whose own is zero.

    It is the CRC-32 of zlib with all bits in reverse order, without its inversions.
    """
    reverse = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(reverse.to_bytes(4, "little").translate(_REVERSED), "big")


def links(window: Window, name: str) -> list[Link]:
    """Return the sounds of a file, after checking every page.

    Args:
        window: the whole file.
        name: of the file, for errors.

    Raises:
        DecodeError: a page is damaged or missing, or a stream does not end.
    """
    position = start = window.without_tags()
    found: list[Link] = []
    streams: dict[int, int] = {}  # the number of the next page, by the serial number of those that have not ended
    while position < window.size:
        page = _page(window, position)
        if isinstance(page, str):
            if not streams and window.ends_harmlessly(position):
                break
            raise DecodeError(name, f"{page} at byte {position}")
        flags, serial, number, body = page[5], page[14:18], int.from_bytes(page[18:22], "little"), 27 + page[26]
        if flags & _FIRST:
            if not streams:
                found.append(Link(position, position, [], 0))
            if serial in streams:
                raise DecodeError(name, f"damaged: a stream begins twice at byte {position}")
            codec = next((codec for magic, codec in _CODECS.items() if page[body:body + len(magic)] == magic), None)
            found[-1].codecs += [codec] if codec else []
            found[-1].streams += 1
            streams[serial] = number
        if streams.get(serial) != number:
            raise DecodeError(name, f"damaged: pages are missing at byte {position}")
        streams[serial] += 1
        position += len(page)
        found[-1].end = position
        if flags & _LAST:
            del streams[serial]
    if streams or not found:
        raise DecodeError(name, "truncated: the last page of its stream is missing")
    if len(found) == 1 and position == window.size:
        found[0].start = start
    return found


def _page(window: Window, position: int) -> bytes | str:
    """Return the page at a position, or what is there instead."""
    head = window.read(position, 27 + 255)
    if head[:5] != b"OggS\0":
        return "damaged: no page"
    size = 27 + head[26] + sum(head[27:27 + head[26]]) if len(head) > 27 else _MAX_PAGE
    page = window.read(position, size)
    if len(page) < size:
        return "truncated: its last page is cut"
    if checksum(page[:22] + bytes(4) + page[26:]) != int.from_bytes(page[22:26], "little"):
        return "damaged: the checksum of a page is wrong"
    return page
