"""Files behind ``http://`` and ``https://``, to read. No TensorFlow.

tensorflow-io has a file system for HTTP too, but it downloads a whole file to learn its size, and fails where a server
does not serve parts of files.
"""

from __future__ import annotations

import email.utils
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from melgan_tf.storage.gfile import Found, Trouble

_SECONDS = 20
_INDEX = "/index.json"


class HTTPBackend:
    """Whole files, to read; as `melgan_tf.storage.gfile.ObjectBackend`."""

    def look_up(self, uri: str) -> Found | None:
        """What is there; None for nothing. Prepared shards are the only folders that HTTP can show, by their index."""
        refusal = None
        try:
            if found := self._ask(uri):
                return found
        except Trouble as trouble:
            if trouble.passing:
                raise
            refusal = trouble
        if not uri.endswith(_INDEX) and self._ask(uri + _INDEX):
            return Found(0, 0, True)
        if refusal:
            raise refusal
        return None

    def _ask(self, uri: str) -> Found | None:
        try:
            try:
                answer = self._open(urllib.request.Request(uri, method="HEAD"))
            except Trouble as trouble:
                if trouble.passing:
                    raise
                answer = self._open(urllib.request.Request(uri))  # an address that is signed for reading only
            with answer:
                changed = answer.headers.get("Last-Modified")
                stamp = email.utils.parsedate_to_datetime(changed).timestamp() if changed else 0
                return Found(int(answer.headers.get("Content-Length") or 0), int(stamp * 1e9), False)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise Trouble(f"its answer makes no sense ({error})", False) from None

    def head(self, uri: str, count: int) -> bytes:
        """The first bytes of a file."""
        with self._open(urllib.request.Request(uri)) as answer:
            return answer.read(count)

    def download(self, uri: str, file: Path, known: Found | None = None) -> None:
        """Copies a file; all of it, or there is `Trouble`."""
        with self._open(urllib.request.Request(uri)) as answer, open(file, "wb") as local:
            size, declared = 0, answer.headers.get("Content-Length")
            try:
                while block := answer.read(1 << 20):
                    size += local.write(block)
            except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
                raise Trouble(f"the connection failed ({error})", True) from None
            if declared and size != int(declared):
                raise Trouble(f"the connection ended after {size} of {declared} bytes", True)

    def names(self, uri: str) -> list[str]:
        """Not to be had."""
        raise Trouble("HTTP has no folders: give the address of one sound file, or of prepared shards", False)

    def upload(self, *_: object) -> None:
        """Not to be had."""
        raise Trouble("HTTP places can be read only", False)

    copy = remove = remove_tree = upload

    @staticmethod
    def _open(request: urllib.request.Request) -> Any:
        try:
            return urllib.request.urlopen(request, timeout=_SECONDS)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                raise FileNotFoundError(request.full_url) from None
            raise Trouble(f"the server answers {error.code} {error.reason}",
                          error.code >= 500 or error.code in (408, 429)) from None
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            raise Trouble(f"the connection failed ({getattr(error, 'reason', None) or error})", True) from None
        except ValueError as error:  # an address that is none
            raise Trouble(str(error), False) from None
