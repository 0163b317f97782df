"""The messages of TF Serving's gRPC interface, against the classes that it publishes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from melgan_tf.inference.client.grpc_transport import predict_request, predict_response

ARRAYS = {"noise": np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32), "seed": np.arange(3) + 2**62,
          "steps": np.full(3, 7, np.int32), "bpm": np.full(3, 123.4),
          "label": np.array([b"kick", b"", "鼓".encode() * 60], object),
          "none": np.zeros((0, 4), np.float32)}


@pytest.mark.parametrize("version", [None, 1, 70_000])
def test_a_request_is_read_as_it_was_meant(version):
    request = predict_request("my drums", version, "draw", ARRAYS)
    read = predict_pb2.PredictRequest.FromString(request)
    assert (read.model_spec.name, read.model_spec.signature_name) == ("my drums", "draw")
    assert read.model_spec.HasField("version") == (version is not None)
    assert read.model_spec.version.value == (version or 0)
    assert read.inputs.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        found = tf.make_ndarray(read.inputs[name])
        assert (found.dtype, found.shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(found, value)


def answer(as_numbers):
    """A PredictResponse with tensors as numbers, or as bytes: TF Serving has an option for it."""
    response = predict_pb2.PredictResponse()
    response.model_spec.version.value = 300
    response.outputs["samples"].CopyFrom(tf.make_tensor_proto([1, 2]))
    for name in ("noise", "label", "none"):
        tensor = response.outputs[name]
        tensor.CopyFrom(tf.make_tensor_proto(ARRAYS[name]))
        if as_numbers and name == "noise":
            tensor.ClearField("tensor_content")
            tensor.float_val.extend(ARRAYS[name].ravel())
    return response


@pytest.mark.parametrize("as_numbers", [False, True])
def test_an_answer_is_read(as_numbers):
    outputs, version = predict_response(answer(as_numbers).SerializeToString(), ["noise", "label", "none", "more"])
    assert version == 300
    assert outputs.keys() == {"noise", "label", "none"}
    for name, found in outputs.items():
        assert (found.dtype, found.shape) == (ARRAYS[name].dtype, ARRAYS[name].shape)
        np.testing.assert_array_equal(found, ARRAYS[name])


def test_other_tensors_are_refused():
    response = predict_pb2.PredictResponse()
    response.outputs["count"].CopyFrom(tf.make_tensor_proto(3))
    with pytest.raises(ValueError, match="a tensor of type 3"):
        predict_response(response.SerializeToString(), ["count"])
    response.outputs["count"].CopyFrom(tf.make_tensor_proto(np.ones(5, np.float32)))
    response.outputs["count"].tensor_shape.dim[0].size = 2**40
    with pytest.raises(ValueError, match="with 5 values"):
        predict_response(response.SerializeToString(), ["count"])


def test_damaged_answers_are_no_crash():
    content, rng = answer(True).SerializeToString(), np.random.default_rng(1)
    for _ in range(2_000):
        damaged = bytearray(content[:rng.integers(1, len(content))])
        for place in rng.integers(0, len(damaged), 3):
            damaged[place] = rng.integers(256)
        try:
            predict_response(bytes(damaged), ["noise", "label", "none"])
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
