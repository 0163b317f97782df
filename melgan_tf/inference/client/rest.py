"""TF Serving's REST interface, by the standard library. No TensorFlow.

Reference: https://www.tensorflow.org/tfx/serving/api_rest, its column format.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from melgan_tf.errors import UsageError
from melgan_tf.inference.client.transport import MAX_ANSWER_BYTES, Arrays, UnavailableError, refusal, strange

_BUSY = frozenset({429, 502, 503, 504})
_BLOCK_BYTES = 1 << 20
_JSON = {"Content-Type": "application/json"}


class RestTransport:
    """See `melgan_tf.inference.client.transport.Transport`.

    Args:
        address: ``http://HOST:8501``, or ``https://...`` of a proxy before it, which may have a path.
        model: its name on the server.
        version: of it; None: the newest that is available.

    Raises:
        UsageError: the address is none.
    """

    def __init__(self, address: str, model: str, version: int | None = None) -> None:
        try:
            parts = urlsplit(address)
            port, host = parts.port, parts.hostname
        except ValueError:
            port = host = None
        if not host or parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment:
            raise UsageError(f"the address {address!r}: give http://HOST:8501 or https://HOST, without user and query")
        self.address, self.version = address.rstrip("/"), version
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = host, port
        self._path = f"{parts.path.rstrip('/')}/v1/models/{quote(model, safe='')}"

    def predict(self, signature: str, outputs: Sequence[str], inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        """See `melgan_tf.inference.client.transport.Transport.predict`."""
        end = time.monotonic() + seconds
        if self.version is None:  # of all later requests, so that the sounds of a call are of one model
            self.version = self._newest(end)
        body = {"signature_name": signature, "inputs": {name: _plain(value) for name, value in inputs.items()}}
        answer = self._ask("POST", f"{self._path}/versions/{self.version}:predict", json.dumps(body).encode(), end)
        try:
            found = answer["outputs"]
            return {name: _array(found if len(outputs) == 1 else found[name]) for name in outputs}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise strange(self.address, repr(error)) from None

    def _newest(self, end: float) -> int:
        """The newest version that the server has loaded."""
        answer = self._ask("GET", self._path, None, end)
        try:
            versions = [int(one["version"]) for one in answer["model_version_status"] if one["state"] == "AVAILABLE"]
        except (KeyError, TypeError, ValueError) as error:
            raise strange(self.address, repr(error)) from None
        if not versions:
            raise UnavailableError("no version of the model is available")
        return max(versions)

    def _ask(self, method: str, path: str, body: bytes | None, end: float) -> Any:
        """The JSON of an answer."""
        try:
            status, content = self._exchange(method, path, body, end)
        except ssl.SSLCertVerificationError as error:
            raise strange(self.address, error.verify_message) from None
        except http.client.BadStatusLine as error:
            if isinstance(error, http.client.RemoteDisconnected):
                raise UnavailableError("the connection was closed") from None
            raise strange(self.address, "not HTTP") from None
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(getattr(error, "strerror", None) or str(error) or type(error).__name__) from None
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        said = str(answer["error"]) if isinstance(answer, dict) and "error" in answer else ""
        if status in _BUSY:
            raise UnavailableError(said or f"status {status}")
        if said:
            raise refusal(self.address, said)
        raise strange(self.address, f"status {status}")

    def _exchange(self, method: str, path: str, body: bytes | None, end: float) -> tuple[int, bytes]:
        """Status and content of an answer that is there in time."""
        connection = self._kind(self._host, self._port)
        try:
            _wait_until(connection, end)
            connection.request(method, path, body, {"Connection": "close"} | (_JSON if body else {}))
            response, content = connection.getresponse(), bytearray()
            while block := response.read1(_BLOCK_BYTES):
                content += block
                if len(content) > MAX_ANSWER_BYTES:
                    raise strange(self.address, f"more than {MAX_ANSWER_BYTES:,} bytes")
                _wait_until(connection, end)
        finally:
            connection.close()
        return response.status, bytes(content)


def _wait_until(connection: http.client.HTTPConnection, end: float) -> None:
    """Sets how long the next operation may take."""
    connection.timeout = end - time.monotonic()
    if connection.timeout <= 0:
        raise TimeoutError("timed out")
    if connection.sock is not None:
        connection.sock.settimeout(connection.timeout)


def _plain(value: np.ndarray) -> list[Any]:
    """An array as JSON takes it."""
    return [text.decode() for text in value] if value.dtype == object else value.tolist()


def _array(value: Any) -> np.ndarray:
    """Texts as bytes, numbers as float32: TF Serving writes them so that they are the same again."""
    if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
        return np.array([text.encode() for text in value], object)
    return np.asarray(value, np.float32)
