"""Reading files from ``http://`` and ``https://`` URLs, without TensorFlow.

tensorflow-io has an HTTP file system, too, but it downloads a whole file to learn its size, and fails with servers that
do not support range requests.

Nothing that a server sends is trusted: every request has limits of size and time (`Limits`), redirects lead neither out
of HTTP nor to addresses that the server has no business with, and a body is what was asked for or refused.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import http.client
import re
import ssl
import string
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from melgan_tf.storage import http_limits
from melgan_tf.storage.backend import Backend, BackendError, FileInfo, require_size, size_limit
from melgan_tf.storage.http_limits import Limits, opener

MAX_REDIRECTS = 5
#: Most bytes of a body whose length the server does not give.
MAX_UNDECLARED_BYTES = 256 << 20
_BLOCK_BYTES = 1 << 20
_REDIRECTS = (301, 302, 303, 307, 308)
_INDEX = "/index.json"
_NOT_ENCODED = ("", "identity", "aws-chunked")  # the last one describes how the file was once uploaded to S3


class HTTPBackend(Backend):
    """Whole files, read-only."""

    def stat(self, uri: str) -> FileInfo | None:
        """As `Backend.stat`; the only folders are prepared shards, recognized by their index."""
        refusal, limits = None, Limits()
        try:
            if info := self._request_info(uri, limits):
                return info
        except BackendError as error:
            if error.retryable:
                raise
            refusal = error
        address = _split(uri)
        if not address.path.endswith(_INDEX) and self._request_info(
                urlunsplit(address._replace(path=address.path.rstrip("/") + _INDEX)), limits):
            return FileInfo(0, 0, is_folder=True)
        if refusal:
            raise refusal
        return None

    def _request_info(self, uri: str, limits: Limits) -> FileInfo | None:
        try:
            try:
                response = _open(uri, limits, "HEAD")
            except BackendError as error:
                if error.retryable:
                    raise
                response = _open(uri, limits)  # a URL signed for GET only
        except FileNotFoundError:
            return None
        with response:
            return FileInfo(_declared_size(response) or 0, _changed_ns(response))

    def head(self, uri: str, count: int) -> bytes:
        limits = Limits()
        with _open(uri, limits) as response:
            return _read(response, limits, count)

    def download(self, uri: str, file: Path, info: FileInfo | None = None) -> None:
        limits, name = Limits(), _split(uri).path
        with _open(uri, limits) as response, open(file, "wb") as local:
            declared, size = _declared_size(response), 0
            require_size(name, declared or 0, file)
            if declared and info and info.st_size not in (0, declared):
                raise BackendError(f"the file changes: it had {info.st_size} bytes, now {declared}", True)
            largest = min(MAX_UNDECLARED_BYTES, size_limit(name)) if declared is None else declared
            while block := _read(response, limits):
                if not size and block.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
                    raise BackendError("the server sends a web page instead of a file: sign in, or give the address "
                                       "of the file itself", False)
                size += local.write(block)
                if size > largest:
                    raise BackendError(f"the server sends more than {largest >> 20} MiB without saying how much it "
                                       "will be: download it by other means, and give the local file", False)
        if declared is not None and size != declared:
            raise BackendError(f"the connection ended after {size} of {declared} bytes", True)

    def names(self, uri: str) -> list[str]:
        """Not supported."""
        raise BackendError("HTTP has no folders: give the URL of one sound file or of prepared shards", False)

    def upload(self, *_: object) -> None:
        """Not supported."""
        raise BackendError("HTTP URLs are read-only", False)

    copy = remove = remove_tree = upload


def _open(uri: str, limits: Limits, method: str = "GET") -> Any:
    """The response of 200, after redirects."""
    for _ in range(MAX_REDIRECTS + 1):
        try:
            with _translated():
                request = _request(uri, method)
                request.limits = limits
                response = opener().open(request, timeout=http_limits.CONNECT_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                uri = _redirected(uri, error)
            continue
        try:
            _require_plain(response)
        except BackendError:
            response.close()
            raise
        return response
    raise BackendError(f"the server redirects more than {MAX_REDIRECTS} times", False)


def _require_plain(response: Any) -> None:
    """Refuses a response that is not a file as it is: a part of it, or compressed."""
    if response.status != 200:
        raise BackendError(f"the server answered {response.status} {response.reason} instead of the whole file", False)
    for header, plain in (("Content-Encoding", _NOT_ENCODED), ("Transfer-Encoding", ("", "chunked"))):
        encoding = response.headers.get(header, "").strip().lower()
        if encoding not in plain:
            raise BackendError(f"the server sends the file in an encoding that was not asked for ({encoding[:40]})",
                               False)


def _split(uri: str) -> SplitResult:
    with _translated():
        return urlsplit(uri)


def _request(uri: str, method: str) -> urllib.request.Request:
    """A request; user and password go into a header, and to no other server."""
    address = urlsplit(uri)
    user, at, host = address.netloc.rpartition("@")
    path = quote(address.path, safe=string.punctuation)
    request = urllib.request.Request(
        urlunsplit((address.scheme, host, path, quote(address.query, safe=string.punctuation), "")), method=method)
    if at:
        token = base64.b64encode(unquote(user if ":" in user else f"{user}:").encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def _redirected(uri: str, error: urllib.error.HTTPError) -> str:
    """Where a response that is not 200 leads; raises if it leads nowhere."""
    location = error.headers.get("Location") if error.code in _REDIRECTS else None
    if location is None:
        if error.code in (404, 410):
            raise FileNotFoundError(uri) from None
        raise BackendError(f"the server answered {error.code} {error.reason}".rstrip(),
                           error.code >= 500 or error.code in (408, 429)) from None
    with _translated():
        target = urljoin(uri, quote(location, encoding="latin-1", safe=string.punctuation))
        before, after = urlsplit(uri).scheme.lower(), urlsplit(target).scheme.lower()
    if after not in ("http", "https") or (before, after) == ("https", "http"):
        raise BackendError(f"the server redirects from {before}:// to {after[:20]}:, which is refused", False) from None
    return target


def _read(response: Any, limits: Limits, count: int = _BLOCK_BYTES) -> bytes:
    """The next bytes of a body; fewer at its end."""
    limits.bytes_left = 8 * _BLOCK_BYTES  # with the headers of small chunks
    with _translated(invalid="the server does not speak HTTP"):
        return response.read(count)


@contextlib.contextmanager
def _translated(invalid: str = "the address is not valid") -> Iterator[None]:
    """Turn what urllib raises, but for responses, into `BackendError`; ``invalid`` is what a `ValueError` means."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except http.client.InvalidURL:
        raise BackendError(invalid, False) from None
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        cause = getattr(error, "reason", None) or error
        retryable = isinstance(error, OSError | http.client.IncompleteRead)
        raise BackendError(f"the connection failed ({str(cause) or type(cause).__name__})",
                           retryable and not isinstance(cause, ssl.SSLCertVerificationError)) from None
    except (ValueError, OverflowError):  # whose messages quote passwords
        raise BackendError(invalid, False) from None


def _declared_size(response: Any) -> int | None:
    """Content-Length in bytes; None if there is none that counts."""
    sizes = {size.strip() for size in response.headers.get_all("Content-Length", [])}
    if not sizes or response.headers.get("Transfer-Encoding"):
        return None
    if len(sizes) > 1 or not re.fullmatch("[0-9]{1,18}", size := sizes.pop(), re.ASCII):
        raise BackendError("invalid response headers (Content-Length)", False)
    return int(size)


def _changed_ns(response: Any) -> int:
    """Time of the last change, ns since 1970; 0 if it is unknown."""
    try:
        return int(email.utils.parsedate_to_datetime(response.headers["Last-Modified"]).timestamp() * 1e9)
    except (ValueError, TypeError, OverflowError):
        return 0
