"""TFRecord files of tf.train.Example messages, without TensorFlow, which takes seconds and hundreds of MB to load.

Both formats are small and stable: a record is its length, a checksum of that, the message and a checksum of that
(tensorflow/core/lib/io/record_writer.h); an Example is a protocol buffer (tensorflow/core/example/example.proto). Equal
features result in equal bytes, which protocol buffers with maps do not guarantee.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c

from melgan_tf import storage
from melgan_tf.errors import MelGANError
from melgan_tf.runtime.protobuf import fields, message_field, read_varint, varint

_BYTES_LIST, _INT64_LIST = 1, 3  # fields of Feature
_SIGN = 1 << 63  # of an int64


def example(features: Mapping[str, bytes | int]) -> bytes:
    """Serialize a tf.train.Example.

    Args:
        features: bytes become a bytes_list of one value, integers an int64_list of one.

    Examples:
        >>> parse_example(example({"label": b"kick", "start": 8000}))
        {'label': b'kick', 'start': 8000}
    """
    entries = b"".join([message_field(1, message_field(1, name.encode()) + message_field(2, _feature(value)))
                        for name, value in sorted(features.items())])
    return message_field(1, entries)


def _feature(value: bytes | int) -> bytes:
    if isinstance(value, int):
        return message_field(_INT64_LIST, message_field(1, varint(value & (1 << 64) - 1)))
    return message_field(_BYTES_LIST, message_field(1, value))


def parse_example(message: bytes) -> dict[str, bytes | int]:
    """Parse an Example as `example` writes it, with one value per feature.

    Raises:
        ValueError: the message has another form.
    """
    features: dict[str, bytes | int] = {}
    for _, entries in _parts(message):
        for _, entry in _parts(entries):
            parts = dict(_parts(entry))
            (kind, values), = _parts(parts[2])
            (_, value), = _parts(values)
            if kind not in (_BYTES_LIST, _INT64_LIST):
                raise ValueError(f"a feature of kind {kind}")
            if kind == _INT64_LIST:
                value = (read_varint(value, 0)[0] ^ _SIGN) - _SIGN
            features[parts[1].decode()] = value
    return features


def _parts(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message that has nothing but bytes, texts and messages."""
    for number, content in fields(message):
        if not isinstance(content, bytes):
            raise ValueError("not an Example as melgan-tf writes it")
        yield number, content


def frame(message: bytes) -> bytes:
    """Frame a message as a record of a TFRecord file."""
    length = struct.pack("<Q", len(message))
    return b"".join((length, _checksum(length), message, _checksum(message)))


def check_frame(record: bytes | bytearray) -> None:
    """Raise a `ValueError` unless this is one whole record with the right checksums."""
    view = memoryview(record)
    if len(record) < 16 or struct.unpack_from("<Q", record)[0] != len(record) - 16:
        raise ValueError("not a record")
    if _checksum(bytes(view[:8])) != view[8:12] or _checksum(bytes(view[12:-4])) != view[-4:]:
        raise ValueError("a record with a wrong checksum")


def _checksum(content: bytes) -> bytes:
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def read_records(path: str | Path, digest: Any = None) -> Iterator[bytes]:
    """Yield the messages of a TFRecord file, with their checksums verified.

    Args:
        path: the file.
        digest: of `hashlib`; receives the file's bytes.

    Raises:
        MelGANError: the file cannot be read, is damaged or truncated.
    """
    try:
        with storage.local(path) as local_file, open(local_file, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            while header := file.read(12):
                message = _message(path, file, header, size - file.tell())
                if digest:
                    digest.update(header)
                    digest.update(message)
                yield message[:-4]
    except OSError as error:
        raise MelGANError(f"cannot read {path}: {error.strerror}") from None


def _message(path: str | Path, file: BinaryIO, header: bytes, left: int) -> bytes:
    """The message and its checksum, from a file with so many bytes left."""
    if len(header) < 12:
        raise MelGANError(f"{path} is truncated: prepare it again")
    if _checksum(header[:8]) != header[8:]:
        raise MelGANError(f"{path} is damaged: a checksum is wrong; prepare it again")
    length, = struct.unpack("<Q", header[:8])
    if not length + 4 <= left or len(content := file.read(length + 4)) < length + 4:
        raise MelGANError(f"{path} is truncated: prepare it again")
    if _checksum(content[:-4]) != content[-4:]:
        raise MelGANError(f"{path} is damaged: a checksum is wrong; prepare it again")
    return content
