"""A web server that answers every request with given bytes, from given servers of the test on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable

#: Gets the method and the target of a request; gives the parts of the answer, numbers being pauses in seconds.
Answer = Callable[[str, str], Iterable[bytes | float]]


class HostileServer:
    """Answers until it is closed; one thread for each connection.

    Args:
        answer: gives the answers; it may be replaced at any time.

    Attributes:
        requests: the heads of all requests.
        sent: bytes of all answers.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer, self.requests, self.sent, self.reset = answer, [], 0, False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=self._listening.accept()[:1], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(65_536)
                if not received:
                    return
                head += received
            self.requests.append(head.decode("latin-1"))
            method, target = self.requests[-1].split(" ")[:2]
            for part in self.answer(method, target):
                if isinstance(part, bytes):
                    connection.sendall(part)
                    self.sent += len(part)
                else:
                    time.sleep(part)
            if self.reset:  # RST instead of FIN
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def close(self) -> None:
        """Takes no further connection."""
        self._listening.close()


def response(body: bytes = b"", *headers: str, status: str = "200 OK", length: int | str | None = -1) -> bytes:
    """An HTTP response.

    Args:
        body: after the headers.
        headers: further ones.
        status: code and reason.
        length: what Content-Length says; that of the body by default, None for no such header.
    """
    lines = [f"HTTP/1.1 {status}", *headers, "Connection: close"]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length == -1 else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
