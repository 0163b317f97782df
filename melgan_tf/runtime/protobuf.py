"""Protocol buffers by the numbers of their fields: no TensorFlow, which takes seconds to load."""

from __future__ import annotations

from collections.abc import Iterator

_DAMAGED = "it is cut off, or no protocol buffer"

def message_field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes, a text or a message."""
    if len(content) < 128:
        return bytes((number << 3 | 2, len(content))) + content
    return bytes((number << 3 | 2,)) + varint(len(content)) + content


def number_field(number: int, value: int) -> bytes:
    """A field of a protocol buffer that holds a whole number of 0 or more."""
    return bytes((number << 3,)) + varint(value)


def varint(value: int) -> bytes:
    """A number of seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer: their numbers, and whole numbers or bytes.

    Raises:
        ValueError: the bytes are no protocol buffer.

    Examples:
        >>> list(fields(number_field(1, 300) + message_field(2, b"kick")))
        [(1, 300), (2, b'kick')]
    """
    position = 0
    while position < len(content):
        key, position = read_varint(content, position)
        if key & 7 == 0:
            value, position = read_varint(content, position)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(key & 7, len(content))
        if key & 7 == 2:
            size, position = read_varint(content, position)
        position += size
        if position > len(content):
            raise ValueError(_DAMAGED)
        yield key >> 3, content[position - size:position]


def read_varint(content: bytes, position: int) -> tuple[int, int]:
    """The number at a position, as `varint` writes it, and the position behind it.

    Raises:
        ValueError: it does not end.
    """
    value = shift = 0
    while shift < 64 and position < len(content):
        byte = content[position]
        position, value, shift = position + 1, value | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            return value, position
    raise ValueError(_DAMAGED)
