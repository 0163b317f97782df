"""Connections to HTTP servers that are not trusted: every request has limits of time and of bytes."""

from __future__ import annotations

import functools
import http.client
import io
import ipaddress
import socket
import ssl
import time
import urllib.request
from typing import Any

from melgan_tf.storage.backend import BackendError

#: Seconds until a connection must stand, without a byte, of a stretch that must bring `MIN_RATE`, and for everything.
CONNECT_SECONDS, IDLE_SECONDS, STRETCH_SECONDS, TOTAL_SECONDS = 10, 20, 30, 3600
MIN_RATE = 16 << 10  # bytes per second
_MAX_HEADER_BYTES = 256 << 10  # of all answers together


class Limits:
    """What is left of the time and the bytes of a request, with its redirects."""

    def __init__(self) -> None:
        self.end = time.monotonic() + TOTAL_SECONDS
        self.bytes_left = _MAX_HEADER_BYTES
        self._public: bool | None = None
        self._start_stretch()

    def _start_stretch(self) -> None:
        self._stretch_end, self._stretch_bytes = time.monotonic() + STRETCH_SECONDS, 0

    def seconds(self) -> float:
        """The longest time that the next read may take.

        Raises:
            BackendError: the server is too slow.
        """
        now = time.monotonic()
        if now >= self.end:
            raise BackendError(f"the download was not complete after {TOTAL_SECONDS} s", False)
        if now >= self._stretch_end:
            if self._stretch_bytes < MIN_RATE * STRETCH_SECONDS:
                raise BackendError(f"the server is too slow: {self._stretch_bytes} bytes in {STRETCH_SECONDS} s", False)
            self._start_stretch()
        return min(IDLE_SECONDS, self._stretch_end - now, self.end - now)

    def received(self, count: int) -> None:
        """Counts bytes of headers and bodies."""
        self._stretch_bytes += count
        self.bytes_left -= count  # reset for every block of a body
        if self.bytes_left < 0:
            raise BackendError("the server sends more than was asked for", False)

    def check_peer(self, connected: socket.socket) -> None:
        """Refuses to go on from a server in the Internet to one in the own network, which trusts this machine."""
        address = ipaddress.ip_address(connected.getpeername()[0].partition("%")[0])
        public = (getattr(address, "ipv4_mapped", None) or address).is_global
        if self._public and not public:
            raise BackendError("the server redirects to an address in the private network, which is refused", False)
        self._public = public


class _LimitedReader(io.RawIOBase):
    """The bytes from a socket, within limits."""

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self._sock, self._raw, self._limits = sock, sock.makefile("rb", buffering=0), limits

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._limits.seconds())
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            self._limits.seconds()  # says so if the server is too slow on the whole
            raise
        self._limits.received(count)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, limits: Limits, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_LimitedReader(sock, limits))


class _Limited:
    """A connection within limits."""

    def __init__(self, *args: Any, limits: Limits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits, self.response_class = limits, functools.partial(_Response, limits=limits)

    def connect(self) -> None:
        super().connect()
        self.limits.check_peer(self.sock)


class _PlainConnection(_Limited, http.client.HTTPConnection):
    pass


class _SecureConnection(_Limited, http.client.HTTPSConnection):
    pass


class _Handler(urllib.request.AbstractHTTPHandler):
    """Opens connections within the limits of a request."""

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(functools.partial(_PlainConnection, limits=request.limits), request)

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(functools.partial(_SecureConnection, limits=request.limits), request, context=_tls())


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def opener() -> urllib.request.OpenerDirector:
    """What speaks HTTP, and nothing else: no ``file:``, ``ftp:`` and ``data:``, and no redirects of its own."""
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler, _Handler, urllib.request.HTTPErrorProcessor,
                    urllib.request.HTTPDefaultErrorHandler, urllib.request.UnknownHandler):
        opener.add_handler(handler())
    return opener
