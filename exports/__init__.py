"""Trained models in the formats that servers, phones, browsers and other programs run, a module for each.

No TensorFlow at import.

A further format is one module with what `Format` asks for, and one line in `FORMATS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from melgan_tf.errors import UsageError, did_you_mean
from melgan_tf.progress import Progress

if TYPE_CHECKING:
    from melgan_tf.exports.receipt import Receipt
    from melgan_tf.inference.exportable import Exportable, ExportableModel

#: The module of each format, by the name that ``--format`` takes.
FORMATS = {"saved-model": "melgan_tf.exports.saved_model", "tflite": "melgan_tf.exports.tflite",
           "web": "melgan_tf.exports.web", "onnx": "melgan_tf.exports.onnx"}
#: The name of receipts.
REPORT = "export_report.json"


@dataclass(frozen=True)
class Destination:
    """The paths of an export.

    Attributes:
        model: a file, or a folder.
        receipt: its receipt, in the folder or beside the file.
        option: the option that chooses another path.
        write_beside: writes what belongs beside a model that was kept; None: nothing.
    """

    model: Path
    receipt: Path
    option: str
    write_beside: Callable[[Exportable, Path], None] | None = None


def file_destination(path: Path, default: str) -> Destination:
    """The paths of an export that is one file, with its receipt beside it.

    Args:
        path: the file, or a folder.
        default: the file's name in a folder.

    Raises:
        UsageError: the path is another file.
    """
    suffix = Path(default).suffix
    if path.suffix == suffix:
        return Destination(path, path.with_name(f"{path.stem}.{REPORT}"), "--out")
    if path.is_file():
        raise UsageError(f"{path} is a file: give a folder or a {suffix} file")
    return Destination(path / default, path / REPORT, "--out")


class Format(Protocol):
    """The module of a format.

    Attributes:
        OPTIONS: the options that it takes, besides the path.
        RUNNER: a script that runs a model without this package; see `melgan_tf.exports.check.run_standalone`.
    """

    OPTIONS: frozenset[str]
    RUNNER: Path

    def destination(self, path: Path, **options: Any) -> Destination:
        """The paths of an export to ``path``; raises a `UsageError` if it cannot be made there."""

    def view(self, model: ExportableModel, **options: Any) -> Exportable:
        """The model as this format holds it."""

    def write(self, exportable: Exportable, path: Path, progress: Progress) -> None:
        """Writes the model, without a receipt, and reports stages; raises a `MelGANError` or an `OSError`."""

    def describe(self, path: Path) -> dict[str, Any] | None:
        """What is known of the export at a path, for `melgan-tf info`; None if it is not of this format."""


def get_format(name: str) -> Format:
    """The module of a format.

    Raises:
        UsageError: there is no such format.
    """
    if name not in FORMATS:
        raise UsageError(f"unknown export format {name!r}: {did_you_mean(name, FORMATS)}")
    return importlib.import_module(FORMATS[name])


def destination(path: str | Path, format: str = "saved-model", **options: Any) -> Destination:
    """The paths of an export; checks the options, without TensorFlow.

    Args: as for `export`.

    Raises:
        UsageError: the options or the path do not suit the format.
    """
    module = get_format(format)
    for name, value in options.items():
        if name not in module.OPTIONS:
            others = [other for other in FORMATS if name in get_format(other).OPTIONS]
            raise UsageError(f"--{name.replace('_', '-')} {value} is for --format {' or '.join(others)}" if others
                             else f"unknown export option {name!r}")
    suffix = Path(path).suffix.removeprefix(".")
    if suffix in FORMATS and suffix != format:
        raise UsageError(f"{path} would not be {suffix}: add --format {suffix}, or give another name")
    return module.destination(Path(path), **options)


def export(model: ExportableModel, path: str | Path, format: str = "saved-model", force: bool = False,
           progress: Progress | None = None, **options: Any) -> Receipt:
    """Writes a trained model in a format, runs it in a bare process, and keeps it if the results agree.

    Args:
        model: a sound model or a vocoder.
        path: of a SavedModel its base path on the server; of another format the file, or a folder for it.
        format: one of `FORMATS`.
        force: replace what exists there.
        progress: reports stages.
        options: of the format: ``version`` of a SavedModel, by default the next one, and ``max_batch``, the most sounds
            in one request (256); ``quantize`` of a TFLite file or a page ("none" or "float16"), of a
            vocoder's file ``seconds`` of new sound in a window, of loops ``bpm``; of all formats ``bars`` of loops.

    Raises:
        UsageError: the options do not suit the model or the format, or something exists there.
        MelGANError: it cannot be written, or differs from the model by more than the tolerance; nothing is kept.

    Example::

        export(load("pretrained:drums"), "drums.tflite", "tflite", quantize="float16")
    """
    paths = destination(path, format, **options)
    from melgan_tf.exports.publish import publish

    return publish(get_format(format).view(model, **options), format, paths, force, progress or Progress())
