"""What a program and its decoder processes say to each other: plain bytes that cannot run anything.

A process is told what to do in lines of JSON. It answers in messages: a header, a JSON value, raw bytes::

    kind (1 byte) | length of the JSON (4 bytes) | length of the bytes (4 bytes) | JSON | bytes

A decoder that a hostile file has taken over may answer anything. So lengths are checked before memory is allocated, and
the caller checks the values.
"""

from __future__ import annotations

import json
import os
import struct
import time
from dataclasses import dataclass
from typing import Any, BinaryIO

READY, RESULT, SUCCESS, FAILURE = b"Y", b"R", b"S", b"F"

_HEADER = struct.Struct("!cII")
_MAX_JSON_BYTES = 1 << 16
_MAX_DELAY_SECONDS = 0.5  # after which the answers so far are sent


@dataclass(frozen=True)
class Message:
    """An answer.

    Attributes:
        kind: `READY`, `RESULT`, `SUCCESS` or `FAILURE`.
        value: any JSON value.
        content: bytes that come with it.
    """

    kind: bytes
    value: Any
    content: bytearray

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        return len(self.content) + 256


class Inbox:
    """Receives messages without ever waiting for one, and no byte beyond the next one.

    Args:
        descriptor: to read from, non-blocking.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._received = descriptor, bytearray()

    def receive(self, max_content: int) -> Message | None:
        """Return the next message; None if it is not complete yet.

        Args:
            max_content: bytes that it may bring.

        Raises:
            OSError, EOFError: the other side has ended.
            ValueError: this is no message, or too large.
        """
        while missing := self._size(max_content) - len(self._received):
            try:
                found = os.read(self._descriptor, missing)
            except BlockingIOError:
                return None
            if not found:
                raise EOFError
            self._received += found
        content, self._received = self._received, bytearray()
        kind, json_size, _ = _HEADER.unpack_from(content)
        del content[:_HEADER.size]
        value = json.loads(content[:json_size])
        del content[:json_size]
        return Message(kind, value, content)

    def _size(self, max_content: int) -> int:
        """The bytes of the message, or of its header until that is there."""
        if len(self._received) < _HEADER.size:
            return _HEADER.size
        kind, json_size, size = _HEADER.unpack_from(self._received)
        if kind not in (READY, RESULT, SUCCESS, FAILURE) or json_size > _MAX_JSON_BYTES or size > max_content:
            raise ValueError(f"no message: {bytes(self._received[:_HEADER.size])!r}")
        return _HEADER.size + json_size + size


class Outbox:
    """Sends messages, several at a time.

    Args:
        file: to write to, buffered.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._sent = file, time.monotonic()

    def send(self, kind: bytes, value: Any = None, content: Any = b"", now: bool = True) -> None:
        """Send a message.

        Args:
            kind, value, content: as in `Message`.
            now: without waiting for others.
        """
        text = json.dumps(value).encode()
        self._file.write(_HEADER.pack(kind, len(text), memoryview(content).nbytes) + text)
        self._file.write(content)
        if now or time.monotonic() - self._sent > _MAX_DELAY_SECONDS:
            self._file.flush()
            self._sent = time.monotonic()
