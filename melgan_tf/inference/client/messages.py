"""The messages of TF Serving's gRPC interface by the numbers of their fields. No TensorFlow.

The package tensorflow-serving-api has them as classes, but imports TensorFlow, which takes seconds, and each of its
releases needs one of TensorFlow.

Reference: tensorflow_serving/apis/{predict,model}.proto, tensorflow/core/framework/tensor.proto.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from melgan_tf.inference.client.transport import Arrays
from melgan_tf.runtime.protobuf import fields, message_field, number_field

_FLOAT, _STRING = 1, 7
_TYPES = {"float32": _FLOAT, "float64": 2, "int32": 3, "int64": 9}


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
