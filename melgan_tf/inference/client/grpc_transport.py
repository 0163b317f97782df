"""TF Serving's gRPC interface, its messages by the numbers of their fields. No TensorFlow.

The package tensorflow-serving-api has the messages as classes, but imports TensorFlow, which takes seconds, and each of
its releases needs one of TensorFlow.

Reference: tensorflow_serving/apis/{predict,model}.proto, tensorflow/core/framework/tensor.proto.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import grpc
import numpy as np

from melgan_tf.errors import UsageError
from melgan_tf.inference.client.transport import MAX_ANSWER_BYTES, Arrays, UnavailableError, refusal, strange
from melgan_tf.runtime.protobuf import fields, message_field, number_field

_METHOD = "/tensorflow.serving.PredictionService/Predict"
#: Connects again as soon as the client's own pauses allow, and takes answers of any sane size.
_OPTIONS = (("grpc.max_receive_message_length", MAX_ANSWER_BYTES), ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.enable_http_proxy", 0))
_LATER = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
#: What is not TF Serving, or not gRPC.
_STRANGE = frozenset({grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL})
_FLOAT, _STRING = 1, 7
_TYPES = {"float32": _FLOAT, "float64": 2, "int32": 3, "int64": 9}


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


def predict_request(model: str, version: int | None, signature: str, inputs: Arrays) -> bytes:
    """A PredictRequest; version None is the newest."""
    spec = message_field(1, model.encode()) + message_field(3, signature.encode())
    if version is not None:
        spec += message_field(2, number_field(1, version))
    return message_field(1, spec) + b"".join(
        message_field(2, message_field(1, name.encode()) + message_field(2, _tensor(value)))
        for name, value in inputs.items())


def predict_response(content: bytes, names: Sequence[str]) -> tuple[dict[str, np.ndarray], int | None]:
    """These outputs of a PredictResponse, and the version of the model.

    Raises:
        ValueError: the message is damaged, or they are of other types than float32 and strings.
    """
    outputs, version = {}, None
    for number, value in fields(content):
        if number == 1:
            entry = dict(fields(value))
            if (name := entry[1].decode()) in names:
                outputs[name] = _array(entry[2])
        elif number == 2 and (chosen := dict(fields(value)).get(2)):
            version = dict(fields(chosen)).get(1, 0)
    return outputs, version


def _tensor(value: np.ndarray) -> bytes:
    """A TensorProto."""
    shape = b"".join(message_field(2, number_field(1, size)) for size in value.shape)
    head = number_field(1, _TYPES.get(value.dtype.name, _STRING)) + message_field(2, shape)
    if value.dtype == object:
        return head + b"".join(message_field(8, text) for text in value.ravel())
    return head + message_field(4, value.tobytes())


def _array(content: bytes) -> np.ndarray:
    """A TensorProto as an array: of float32, or of bytes as objects."""
    kind, shape, packed, texts = 0, [], [], []
    for number, value in fields(content):
        if number == 1:
            kind = value
        elif number == 2:
            shape = [dict(fields(size)).get(1, 0) for one, size in fields(value) if one == 2]
        elif number in (4, 5):  # as bytes, or as numbers, which are the same bytes
            packed.append(value)
        elif number == 8:
            texts.append(value)
    values = np.array(texts, object) if kind == _STRING else np.frombuffer(b"".join(packed), "<f4")
    if kind not in (_FLOAT, _STRING) or math.prod(shape) != len(values):
        raise ValueError(f"a tensor of type {kind} and shape {shape} with {len(values)} values")
    return values.reshape(shape)
