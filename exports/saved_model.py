"""SavedModels for TF Serving, in its layout: ``path/<version>/``.

All inputs and outputs have the batch as their first axis, one row a sound, so that TF Serving can batch requests. Every
signature checks its inputs in the graph before any work (`melgan_tf.inference.served`).

Signatures of a sound model: ``serving_default`` and ``generate`` (``noise`` ``(batch, noise_dim)`` and, if the model
has classes, ``label`` ``(batch, classes)``, weights with sum 1 -> ``audio`` ``(batch, samples)``, ``mel`` ``(batch,
frames, mel_bins)``), ``sample`` (``seed`` and ``index`` int64; if there are classes, ``label``, the name of one or ""
for any; features by name, float32, 0 to 1 or -1 for any; each ``(batch,)`` -> the same), ``sample_wav`` (the same ->
``wav_bytes`` ``(batch,)``), ``draw`` (without features -> the inputs of ``generate``), ``grant`` (``noise`` and
``label`` as for ``generate``, and features -> ``noise`` that makes such sounds), ``analyze`` (``audio`` ``(batch,
samples)`` -> ``mel``) and ``describe`` (``what`` ``(batch,)``, ignored -> ``json``: configuration, weights, classes,
licenses and more). A model that makes sounds of any length takes ``noise`` and ``style`` ``(batch, steps + 10, ...)``:
five steps of 16 frames on either side are not heard themselves, but influence their neighbors; ``sample`` takes
``steps`` (int32, ``(batch,)``, all the same) as well. A model of loops takes ``bpm`` and ``swing`` (float64,
``(batch,)``) in ``generate`` and ``sample``, and in the latter ``key``, the name of one or "" for any. Its audio is as
long as the slowest loop, and the output ``samples`` ``(batch,)`` says where each ends. Audio is made by the model's
vocoder, which the SavedModel contains, or by Griffin-Lim.

Signatures of a vocoder, any length: ``serving_default`` and ``vocode`` (``mel`` ``(batch, frames, mel_bins)`` ->
``audio`` ``(batch, frames * hop)``), ``vocode_from`` (``mel`` and ``start``, int32 ``(batch,)``: the number of the
first frame, for pieces of a longer sound), ``vocode_wav``, ``analyze`` and ``describe``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from melgan_tf.config import to_dict
from melgan_tf.config.strict_json import expect
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.exports import REPORT, Destination
from melgan_tf.exports.serving_bundle import WARM_UP, warm_up_requests, write_bundle
from melgan_tf.inference.exportable import Exportable, ExportableModel
from melgan_tf.progress import Progress
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.json_file import read_json

OPTIONS = frozenset({"version", "max_batch", "bars"})
RUNNER = Path(__file__).parent / "standalone" / "run_saved_model.py"
_ORIGIN = Path("assets.extra", "config.json")


def destination(path: Path, version: int | None = None, **_: Any) -> Destination:
    """See `melgan_tf.exports.Format`."""
    if path.is_file():
        raise UsageError(f"{path} is a file: give a folder")
    model = path / str(version or next_version(path))
    return Destination(model, model / REPORT, "--version", _write_beside)


def versions(path: Path) -> list[str]:
    """The versions at a path, in the order of their numbers."""
    folders = path.iterdir() if path.is_dir() else []
    return sorted((folder.name for folder in folders if folder.name.isdecimal()), key=int)


def next_version(path: Path) -> int:
    """One more than the highest version at a path."""
    return int(["0", *versions(path)][-1]) + 1


def view(model: ExportableModel, version: int | None = None, **options: Any) -> Exportable:
    """See `melgan_tf.exports.Format`."""
    return model.exportable(**options)


def write(exportable: Exportable, path: Path, progress: Progress) -> None:
    """See `melgan_tf.exports.Format`."""
    with progress.stage("tracing the model and writing it"):
        write_archive(exportable, path)
    (path / WARM_UP).parent.mkdir(exist_ok=True)
    (path / WARM_UP).write_bytes(warm_up_requests(exportable.signatures))
    write_text(path / _ORIGIN, json.dumps({**exportable.origin, "config": to_dict(exportable.config)}, indent=2) + "\n")


def _write_beside(exportable: Exportable, path: Path) -> None:
    """What starts a server."""
    write_bundle(path.parent, exportable.signatures, exportable.max_batch)


def write_archive(exportable: Exportable, folder: Path) -> None:
    """Writes the bare SavedModel; TensorFlow's complaints about the disk become an `OSError`."""
    import keras
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    for name, signature in exportable.signatures.items():
        archive.add_endpoint(name, signature.function, input_signature=list(signature.inputs))
    try:
        archive.write_out(str(folder), verbose=False)
    except UnicodeEncodeError:
        raise OSError("TensorFlow takes only names that are valid UTF-8; give another") from None
    except tf.errors.OpError as error:  # "{{operation}} path; No space left on device [Op:SaveV2]"
        first = error.message.strip().splitlines()[0]
        raise OSError(first.rpartition("; ")[2].partition(" [Op:")[0]) from None


def describe(path: Path) -> dict[str, Any] | None:
    """See `melgan_tf.exports.Format`. Of several versions it is the newest."""
    found = [name for name in versions(path) if (path / name / "saved_model.pb").exists()]
    model = path if (path / "saved_model.pb").exists() else path / found[-1] if found else None
    if model is None:
        return None
    try:
        origin, report = read_json(model / _ORIGIN), read_json(model / REPORT)
        expect(report, signatures=dict, size_bytes=int)
        return {"kind": "SavedModel", "version": model.name, "versions": found, **origin,
                "signatures": report["signatures"], "size_bytes": report["size_bytes"]}
    except (OSError, ValueError):
        raise MelGANError(f"{model} is a SavedModel, but not one that melgan-tf made") from None
