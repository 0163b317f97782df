"""The metadata of a TFLite file: origin, mel fingerprint and configuration, as JSON in a buffer of their own."""

from __future__ import annotations

import json
from pathlib import Path

from melgan_tf.config.strict_json import parse_object
from melgan_tf.errors import MelGANError

#: The buffer's name in the file.
NAME = "melgan_tf"


def add(content: bytes, values: dict[str, object]) -> bytes:
    """Adds our record to the bytes of a TFLite file; interpreters ignore it."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    buffer = schema.BufferT()
    buffer.data = list(json.dumps(values).encode())
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = NAME, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def read(path: str | Path) -> dict[str, object]:
    """The record that `add` wrote, without TensorFlow.

    Raises:
        MelGANError: the file is not TFLite, or not one of ours.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        content = Path(path).read_bytes()
        if content[4:8] != b"TFL3":
            raise ValueError(content[4:8])
        model = schema.Model.GetRootAs(content, 0)
        for index in range(model.MetadataLength()):
            entry = model.Metadata(index)
            if entry.Name() == NAME.encode():
                return parse_object(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
    except OSError as error:
        raise MelGANError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception:  # flatbuffers checks nothing: a damaged file can raise almost anything
        raise MelGANError(f"{path} is not a TFLite file, or a damaged one") from None
    raise MelGANError(f"{path} is a TFLite file, but not one that melgan-tf made")
