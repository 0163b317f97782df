"""TF Serving's gRPC interface. No TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Sequence

import grpc
import numpy as np

from melgan_tf.errors import UsageError
from melgan_tf.inference.client.messages import predict_request, predict_response
from melgan_tf.inference.client.transport import MAX_ANSWER_BYTES, Arrays, UnavailableError, refusal, strange

_METHOD = "/tensorflow.serving.PredictionService/Predict"
#: Connects again as soon as the client's own pauses allow, and takes answers of any sane size.
_OPTIONS = (("grpc.max_receive_message_length", MAX_ANSWER_BYTES), ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.enable_http_proxy", 0))
_LATER = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
#: What is not TF Serving, or not gRPC.
_STRANGE = frozenset({grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL})


class GrpcTransport:
    """See `melgan_tf.inference.client.transport.Transport`.

    Args:
        address: ``grpc://HOST:8500``.
        model: its name on the server.
        version: of it; None: the newest.

    Raises:
        UsageError: the address is none.
    """

    def __init__(self, address: str, model: str, version: int | None = None) -> None:
        target = address.removeprefix("grpc://")
        if not re.fullmatch(r"([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}", target, re.ASCII):
            raise UsageError(f"the address {target!r}: give HOST:8500")
        self.address, self.version, self._model = address, version, model
        self._predict = grpc.insecure_channel(target, _OPTIONS).unary_unary(_METHOD)

    def predict(self, signature: str, outputs: Sequence[str], inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        """See `melgan_tf.inference.client.transport.Transport.predict`."""
        request = predict_request(self._model, self.version, signature, inputs)
        try:
            found, version = predict_response(self._predict(request, timeout=seconds), outputs)
            self.version = self.version or version  # all later requests are for it
            return {name: found[name] for name in outputs}
        except grpc.RpcError as error:
            said = _reason(error.details() or error.code().name)
            if error.code() in _STRANGE or "HTTP/2" in said:
                raise strange(self.address, said) from None
            if error.code() in _LATER:
                raise UnavailableError(said) from None
            raise refusal(self.address, said) from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise strange(self.address, repr(error)) from None


def _reason(details: str) -> str:
    """What gRPC says of an error, without the list of its attempts.

    Examples:
        >>> _reason("failed to connect to all addresses; last error: UNKNOWN: ipv4:1.2.3.4:1: Connection refused")
        'Connection refused'
    """
    return re.sub(r"^[A-Z]+: (ip\w+:\S+: )?", "", details.rpartition("last error: ")[2])
