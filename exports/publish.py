"""From a draft in a temporary folder to an export that is checked and has its receipt: the same for every format."""

from __future__ import annotations

from pathlib import Path

from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.exports import Destination, get_format
from melgan_tf.exports.check import run_examples
from melgan_tf.exports.receipt import Receipt
from melgan_tf.inference.exportable import Exportable
from melgan_tf.progress import Progress
from melgan_tf.runtime.signals import postponed
from melgan_tf.storage.atomic import folder_beside, write_text


def publish(exportable: Exportable, format: str, destination: Destination, force: bool,
            progress: Progress) -> Receipt:
    """Writes a model and its receipt, if a bare process computes what the model does.

    Args:
        exportable: the model, as the format holds it.
        format: its name.
        destination: the paths.
        force: replace what exists there.
        progress: reports stages.

    Raises:
        UsageError, MelGANError: as `melgan_tf.exports.export`.
    """
    module, target = get_format(format), destination.model
    if target.exists() and not force:
        raise UsageError(f"{target} exists: give another {destination.option}, or --force to replace it")
    try:
        with folder_beside(target) as folder:
            draft = folder / target.name
            module.write(exportable, draft, progress)
            with progress.stage("running the export and comparing it with the model"):
                receipt = _check(exportable, format, draft, target)
            inside = destination.receipt.is_relative_to(target)
            report = draft / destination.receipt.relative_to(target) if inside else folder / "receipt"
            write_text(report, receipt.to_json())
            with postponed():
                if draft.is_dir() and target.exists():
                    target.rename(folder / "replaced")
                draft.replace(target)
                if not inside:
                    report.replace(destination.receipt)
            if destination.write_beside:
                destination.write_beside(exportable, target)
    except OSError as error:
        raise MelGANError(f"cannot write {target}: {error.strerror or error}") from None
    return receipt


def _check(exportable: Exportable, format: str, draft: Path, target: Path) -> Receipt:
    report, times, differences = run_examples(get_format(format).RUNNER, draft, exportable)
    size = sum(file.stat().st_size for file in (draft, *draft.rglob("*")) if file.is_file())
    return Receipt(format, str(target), exportable.quantize, size, report["ops"], report["signatures"], times,
                   report["first_call_milliseconds"], report["threads"], differences, exportable.tolerance,
                   exportable.origin)
