"""What TF Serving takes besides a SavedModel."""

from __future__ import annotations

import json
import re
import shlex

import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from melgan_tf.exports import saved_model, serving_bundle
from melgan_tf.inference import load


@pytest.fixture(scope="module")
def signatures():
    return load.load_sound_model("pretrained:drums").exportable(max_batch=12).signatures


#: Messages as tensorflow_serving/apis/*.proto publish them: number, name, type and label of each field.
MESSAGES = {"Spec": [(3, "signature_name", "", "OPTIONAL")],
            "Input": [(1, "key", "", "OPTIONAL"), (2, "value", ".tensorflow.TensorProto", "OPTIONAL")],
            "Request": [(1, "spec", ".t.Spec", "OPTIONAL"), (2, "inputs", ".t.Input", "REPEATED")],
            "Predict": [(1, "request", ".t.Request", "OPTIONAL")],
            "Log": [(6, "predict", ".t.Predict", "OPTIONAL")]}


def prediction_log():
    """The message class."""
    file = descriptor_pb2.FileDescriptorProto(name="log.proto", package="t", syntax="proto3",
                                              dependency=["tensorflow/core/framework/tensor.proto"])
    field = descriptor_pb2.FieldDescriptorProto
    for message, fields in MESSAGES.items():
        added = file.message_type.add(name=message)
        for number, name, kind, label in fields:
            typed = {"type": field.TYPE_MESSAGE, "type_name": kind} if kind else {"type": field.TYPE_STRING}
            added.field.add(number=number, name=name, label=getattr(field, f"LABEL_{label}"), **typed)
    made = descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(made.message_types_by_name["Log"])


@pytest.mark.slow
def test_requests_to_warm_up_call_every_signature_with_good_inputs(signatures, tmp_path):
    (tmp_path / "requests").write_bytes(serving_bundle.warm_up_requests(signatures))
    called, log = [], prediction_log()
    for record in tf.data.TFRecordDataset(str(tmp_path / "requests")).as_numpy_iterator():
        request = log.FromString(record).predict.request
        signature = signatures[request.spec.signature_name]
        inputs = {entry.key: tf.make_ndarray(entry.value) for entry in request.inputs}
        assert list(inputs) == [spec.name for spec in signature.inputs]
        call = tf.function(signature.function, autograph=False, input_signature=list(signature.inputs))
        assert all(len(value) == 1 for value in call(*inputs.values()).values())
        called.append(request.spec.signature_name)
    assert called == list(signatures) == ["serving_default", "generate", "sample", "sample_wav", "draw", "grant",
                                          "analyze", "describe"]


@pytest.mark.parametrize(("name", "service"), [("drums", "drums"), ("My Drums_2", "my-drums-2"), ("鼓", "model")])
def test_files_beside_the_versions(signatures, tmp_path, name, service):
    base = tmp_path / name
    (base / "1").mkdir(parents=True)
    (base / "batching.config").write_text("mine")
    serving_bundle.write_bundle(base, signatures, 12)
    texts = {path.name: path.read_text(encoding="utf-8") for path in base.iterdir() if path.is_file()}
    assert texts["batching.config"] == "mine"
    compose = yaml.safe_load(texts["compose.yaml"])["services"][service]
    assert compose["volumes"] == [f".:/models/{name}:ro"]
    deployment, _ = yaml.safe_load_all(texts["kubernetes.yaml"])
    container, = deployment["spec"]["template"]["spec"]["containers"]
    for arguments in (compose["command"], container["args"]):
        for argument in arguments:
            if "=" in argument:  # a file of the bundle, where the server sees it
                folder, file = argument.split("=", 1)[1].rsplit("/", 1)
                assert folder == f"/models/{name}"
                assert file in texts
    assert f'base_path: "/models/{name}"' in texts["models.config"]
    assert not any("$" in text for text in texts.values())


def test_requests_of_the_readme_are_those_of_the_signatures(signatures, tmp_path):
    serving_bundle.write_bundle(tmp_path / "drums", signatures, 12)
    text = (tmp_path / "drums/README.md").read_text(encoding="utf-8")
    bodies = [json.loads(shlex.split(line)[2]) for line in re.findall("^curl -d .*", text, re.MULTILINE)]
    assert [body["signature_name"] for body in bodies] == ["sample", "sample_wav", "draw", "describe"]
    for body in bodies:
        row, = body["instances"]
        specs = {spec.name: spec for spec in signatures[body["signature_name"]].inputs}
        assert row.keys() == specs.keys()
        for key, value in row.items():
            assert np.asarray([value]).dtype.kind == {tf.int64: "i", tf.string: "U", tf.float32: "f"}[specs[key].dtype]
    grpc = json.loads(re.search(r"-d '(.*?)'", text[text.index("grpcurl -plaintext"):], re.DOTALL)[1])
    assert grpc["inputs"].keys() == {spec.name for spec in signatures["describe"].inputs}
    assert "12 rows" in text


def test_the_server_named_is_that_of_tensorflow():
    wanted = serving_bundle.SERVER.rpartition(":")[2]
    if tf.__version__.startswith("2.17"):
        assert wanted.split(".")[:2] == tf.__version__.split(".")[:2]
    assert saved_model.WARM_UP.parts[0] == "assets.extra"
