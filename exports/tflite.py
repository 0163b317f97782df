"""TFLite files for phones.

Builtin operations only and fixed shapes (one sound, or one window, a call): XNNPACK then runs all of it.

Signatures of a sound model: ``mel`` (``noise`` ``(1, noise_dim)`` and, if the model has classes, ``label`` ``(1,
classes)`` -> ``mel`` ``(1, frames, mel_bins)``), ``generate`` (the same -> ``audio`` ``(1, samples)``, ``mel``) and
``sample`` (``seed``, ``index`` ``(1,)`` int64 and, with classes, ``label`` ``(1,)`` int32, the number of one ->
``audio``): the sound that the model makes of the seed.
Loops have one tempo and length, ``bpm`` and ``bars`` in the metadata.

Signature of a vocoder: ``vocode`` (``mel`` ``(1, frames, mel_bins)`` -> ``audio`` ``(1, frames * hop)``); a fast
vocoder takes ``present`` ``(1, frames)`` as well, 1 where a frame is sound and 0 beyond its ends, and ``start``
``(1,)`` int32, the number of the window's first frame. See `melgan_tf.inference.windows`.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from melgan_tf import storage
from melgan_tf.config import to_dict
from melgan_tf.errors import MelGANError
from melgan_tf.exports import Destination, file_destination, tflite_metadata
from melgan_tf.exports.compact import compact
from melgan_tf.exports.saved_model import write_archive
from melgan_tf.inference.exportable import Exportable, ExportableModel, Quantize
from melgan_tf.progress import Progress
from melgan_tf.runtime import muted

OPTIONS = frozenset({"quantize", "seconds", "bpm", "bars"})
RUNNER = Path(__file__).parent / "standalone" / "run_tflite.py"


def destination(path: Path, quantize: Quantize = "none", **_: Any) -> Destination:
    """See `melgan_tf.exports.Format`. A folder gets ``model-<quantize>.tflite``."""
    return file_destination(path, f"model-{quantize}.tflite")


def view(model: ExportableModel, **options: Any) -> Exportable:
    """See `melgan_tf.exports.Format`."""
    return model.exportable("phone", **options)


def write(exportable: Exportable, path: Path, progress: Progress) -> None:
    """See `melgan_tf.exports.Format`."""
    folder = path.with_name("saved_model")
    with progress.stage("tracing the model"):
        write_archive(exportable, folder)
    with progress.stage("converting it to TFLite"):
        content = compact(_convert(exportable, folder), exportable.quantize == "float16")
        path.write_bytes(tflite_metadata.add(content, {**exportable.origin, "config": to_dict(exportable.config)}))


def describe(path: Path) -> dict[str, Any] | None:
    """See `melgan_tf.exports.Format`."""
    if path.suffix != ".tflite" or path.is_dir():
        return None
    with storage.local(path) as file:
        return {"kind": "TFLite", "size_bytes": file.stat().st_size, **tflite_metadata.read(file)}


def _convert(exportable: Exportable, folder: Path) -> bytes:
    """The content of the file, from a SavedModel in a folder, which is deleted."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=list(exportable.signatures))
    try:
        with muted():
            return converter.convert()
    except Exception as error:  # the converter's own error has no public name
        foreign = sorted(set(re.findall(r"'tf\.(\w+)' op is neither", str(error))))
        first = (str(error).strip() or repr(error)).splitlines()[0]
        reason = f"TFLite has no {', '.join(foreign)}" if foreign else first
        raise MelGANError(f"TFLite conversion failed: {reason}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
