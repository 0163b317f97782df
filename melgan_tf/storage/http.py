"""Reading files from ``http://`` and ``https://`` URLs, without TensorFlow.

tensorflow-io has an HTTP file system, too, but it downloads a whole file to learn its size, and fails with servers that
do not support range requests.
"""

from __future__ import annotations

import email.utils
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from melgan_tf.storage.backend import Backend, BackendError, FileInfo

_TIMEOUT_SECONDS = 20
_INDEX = "/index.json"


class HTTPBackend(Backend):
    """Whole files, read-only."""

    def stat(self, uri: str) -> FileInfo | None:
        """As `Backend.stat`; the only folders are prepared shards, recognized by their index."""
        refusal = None
        try:
            if info := self._request_info(uri):
                return info
        except BackendError as error:
            if error.retryable:
                raise
            refusal = error
        if not uri.endswith(_INDEX) and self._request_info(uri + _INDEX):
            return FileInfo(0, 0, is_folder=True)
        if refusal:
            raise refusal
        return None

    def _request_info(self, uri: str) -> FileInfo | None:
        try:
            try:
                response = self._open(urllib.request.Request(uri, method="HEAD"))
            except BackendError as error:
                if error.retryable:
                    raise
                response = self._open(urllib.request.Request(uri))  # a URL signed for GET only
            with response:
                changed = response.headers.get("Last-Modified")
                seconds = email.utils.parsedate_to_datetime(changed).timestamp() if changed else 0
                return FileInfo(int(response.headers.get("Content-Length") or 0), int(seconds * 1e9))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise BackendError(f"invalid response headers ({error})", False) from None

    def head(self, uri: str, count: int) -> bytes:
        with self._open(urllib.request.Request(uri)) as response:
            return response.read(count)

    def download(self, uri: str, file: Path, info: FileInfo | None = None) -> None:
        with self._open(urllib.request.Request(uri)) as response, open(file, "wb") as local:
            size, declared = 0, response.headers.get("Content-Length")
            try:
                while block := response.read(1 << 20):
                    size += local.write(block)
            except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
                raise BackendError(f"the connection failed ({error})", True) from None
            if declared and size != int(declared):
                raise BackendError(f"the connection ended after {size} of {declared} bytes", True)

    def names(self, uri: str) -> list[str]:
        """Not supported."""
        raise BackendError("HTTP has no folders: give the URL of one sound file or of prepared shards", False)

    def upload(self, *_: object) -> None:
        """Not supported."""
        raise BackendError("HTTP URLs are read-only", False)

    copy = remove = remove_tree = upload

    @staticmethod
    def _open(request: urllib.request.Request) -> Any:
        try:
            return urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                raise FileNotFoundError(request.full_url) from None
            raise BackendError(f"the server answered {error.code} {error.reason}",
                               error.code >= 500 or error.code in (408, 429)) from None
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            raise BackendError(f"the connection failed ({getattr(error, 'reason', None) or error})", True) from None
        except ValueError as error:  # not a valid URL
            raise BackendError(str(error), False) from None
