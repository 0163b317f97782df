"""What TF Serving takes besides a SavedModel: requests to warm up with, and files beside the versions to start it with.

A server compiles each signature at its first call, which takes a second or more; with the requests it does so before it
is ready. The other files are examples that work as they are: configuration of models, batching and monitoring, for
Docker Compose and for Kubernetes, and a README with requests to copy.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from melgan_tf.data.tfrecord import frame
from melgan_tf.inference.exportable import Signature
from melgan_tf.runtime.protobuf import message_field
from melgan_tf.storage.atomic import write_text

#: Where TF Serving looks for them, in the folder of a version.
WARM_UP = Path("assets.extra", "tf_serving_warmup_requests")
#: The release that the files name: that of the TensorFlow that writes the models.
SERVER = "tensorflow/serving:2.17.0"
_TEMPLATES = Path(__file__).parent / "bundle"


def warm_up_requests(signatures: Mapping[str, Signature]) -> bytes:
    """The example of every signature as a TFRecord file of PredictionLog messages.

    The field numbers are those of tensorflow_serving/apis/{prediction_log,predict,model}.proto.
    """
    import tensorflow as tf

    records = []
    for signature, called in signatures.items():
        inputs = [message_field(2, message_field(1, key.encode())
                                + message_field(2, tf.make_tensor_proto(value).SerializeToString()))
                  for key, value in called.example.items()]
        request = message_field(1, message_field(3, signature.encode())) + b"".join(inputs)
        records.append(frame(message_field(6, message_field(1, request))))  # PredictionLog.predict_log.request
    return b"".join(records)


def write_bundle(base: Path, signatures: Mapping[str, Signature], max_batch: int) -> None:
    """Writes the files beside the versions; those that exist stay, as somebody may have changed them.

    Args:
        base: the folder that holds the versions; its name is the model's.
        signatures: of the SavedModel.
        max_batch: sounds in one request.
    """
    name = base.resolve().name
    service = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-") or "model"
    values = {"name": name, "service": service, "server": SERVER, "max_batch": max_batch,
              "requests": _requests(name, signatures)}
    for template in sorted(_TEMPLATES.iterdir()):
        text = string.Template(template.read_text(encoding="utf-8")).substitute(values)
        if not (base / template.name).exists():
            write_text(base / template.name, text)


def _requests(name: str, signatures: Mapping[str, Signature]) -> str:
    """A curl line for every signature whose request is short."""
    lines = []
    for signature, called in signatures.items():
        if all(value.size <= 8 for value in called.example.values()):
            row = {key: _plain(value[0]) for key, value in called.example.items()}
            body = json.dumps({"signature_name": signature, "instances": [row]})
            lines.append(f"curl -d '{body}' localhost:8501/v1/models/{name}:predict")
    return "\n".join(lines)


def _plain(value: np.generic | np.ndarray) -> object:
    plain = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    return plain.decode() if isinstance(plain, bytes) else plain
