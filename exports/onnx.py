"""ONNX files for onnxruntime: programs and plug-ins in C#, Rust, C++, Java and other languages.

One graph, whose first axis is any number of sounds: one takes the shapes of what it is given. Inputs are not checked.

Of a sound model (graph ``generate``): ``noise`` ``(batch, noise_dim)`` and, if the model has classes, ``label``
``(batch, classes)`` -> ``audio`` ``(batch, samples)``, ``mel`` ``(batch, frames, mel_bins)``. A model that makes sounds
of any length takes ``noise`` and ``style`` ``(batch, steps, ...)``, ten steps more than are heard. Of a vocoder (graph
``vocode``), any length: ``mel`` ``(batch, frames, mel_bins)`` and, if it has a clock, ``start`` ``(batch,)`` int32, the
number of the first frame, for pieces of longer sounds, else 0 -> ``audio`` ``(batch, frames * hop)``.

``metadata_props`` has one entry, ``melgan_tf``: the same JSON as in a TFLite file.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melgan_tf import storage
from melgan_tf.config import to_dict
from melgan_tf.config.strict_json import parse_object
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.exports import Destination, file_destination
from melgan_tf.inference.exportable import Exportable, ExportableModel
from melgan_tf.progress import Progress
from melgan_tf.runtime import muted

if TYPE_CHECKING:
    from onnx import ModelProto

OPTIONS = frozenset({"bpm", "bars"})
RUNNER = Path(__file__).parent / "standalone" / "run_onnx.py"
#: The version of the standard's operations, from 2021: what needs no newer one runs in more places.
OPSET = 15
_NAME = "melgan_tf"
_PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
#: What the second axis of a tensor counts, where it can be any number.
_SECOND_AXIS = {"mel": "frames", "audio": "samples"}


def destination(path: Path, **_: Any) -> Destination:
    """See `melgan_tf.exports.Format`. A folder gets ``model.onnx``."""
    _require(*_PACKAGES)
    return file_destination(path, "model.onnx")


def view(model: ExportableModel, **options: Any) -> Exportable:
    """See `melgan_tf.exports.Format`."""
    return model.exportable("runtime", **options)


def write(exportable: Exportable, path: Path, progress: Progress) -> None:
    """See `melgan_tf.exports.Format`."""
    from onnx import helper

    with progress.stage("converting the model to ONNX"):
        model = _convert(exportable)
    helper.set_model_props(model, {_NAME: json.dumps({**exportable.origin, "config": to_dict(exportable.config)})})
    path.write_bytes(model.SerializeToString())


def describe(path: Path) -> dict[str, Any] | None:
    """See `melgan_tf.exports.Format`."""
    if path.suffix != ".onnx" or path.is_dir():
        return None
    _require("onnx")
    import onnx
    from google.protobuf.message import DecodeError

    with storage.local(path) as file:
        try:
            model = onnx.load(file, load_external_data=False)
            values = {entry.key: entry.value for entry in model.metadata_props}
            return {"kind": "ONNX", "size_bytes": file.stat().st_size, **parse_object(values[_NAME])}
        except (DecodeError, KeyError, ValueError):
            raise MelGANError(f"{path} is not an ONNX file that melgan-tf made") from None


def _require(*packages: str) -> None:
    missing = [name for name in packages if not importlib.util.find_spec(name)]
    if missing:
        raise UsageError(f"ONNX needs {' and '.join(missing)}: pip install 'melgan-tf[onnx]'")


def _convert(exportable: Exportable) -> ModelProto:
    """The graph of the only signature."""
    import tensorflow as tf
    import tf2onnx

    (name, signature), = exportable.signatures.items()
    function = tf.function(signature.function, autograph=False, input_signature=list(signature.inputs))
    try:
        with muted():
            model, _ = tf2onnx.convert.from_function(function, input_signature=list(signature.inputs), opset=OPSET)
    except Exception as error:  # tf2onnx raises whatever its parts do
        raise MelGANError(f"ONNX conversion failed: {(str(error).strip() or repr(error)).splitlines()[0]}") from None
    model.graph.name = name
    for tensor in (*model.graph.input, *model.graph.output):
        axes = ("batch", _SECOND_AXIS.get(tensor.name, "steps"))
        for axis, size in zip(axes, tensor.type.tensor_type.shape.dim, strict=False):
            if size.dim_param:
                size.dim_param = axis
    return model
