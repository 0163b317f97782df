"""Serves a folder to browsers on this machine."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from melgan_tf.errors import MelGANError


class _Handler(SimpleHTTPRequestHandler):
    #: Not the system's table, which on Windows may call scripts plain text; browsers then do not run them.
    extensions_map = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript",
                      ".json": "application/json", ".wasm": "application/wasm", "": "application/octet-stream"}

    def end_headers(self) -> None:
        """A page that was exported again is loaded again."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing: the terminal is the user's."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Nothing: a browser may go away in the middle of an answer."""


@contextlib.contextmanager
def serve_folder(folder: Path, port: int = 0) -> Iterator[str]:
    """Serves a folder on the loopback interface for as long as the block takes.

    Args:
        folder: its ``index.html`` is the page.
        port: 0: any free one.

    Yields:
        The address, which ends in ``/``.

    Raises:
        MelGANError: the port is taken.
    """
    try:
        server = _Server(("127.0.0.1", port), functools.partial(_Handler, directory=folder))
    except (OSError, OverflowError) as error:
        raise MelGANError(f"port {port} cannot be served: {getattr(error, 'strerror', None) or error}: give another "
                          "--port, or none") from None
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
