"""Protocol buffers, written by the numbers of their fields: no TensorFlow, which takes seconds to load."""

from __future__ import annotations


def message_field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes, a text or a message."""
    if len(content) < 128:
        return bytes((number << 3 | 2, len(content))) + content
    return bytes((number << 3 | 2,)) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """A number of seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
