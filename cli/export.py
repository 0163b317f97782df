"""`melgan-tf export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, table
from melgan_tf.errors import UsageError

if TYPE_CHECKING:
    from melgan_tf.exports.receipt import Receipt


@click.command("export", short_help="Write a trained model as SavedModel or TFLite.")
@options.run_argument
@click.option("--out", required=True, type=options.Place(remote=False),
              help="SavedModel: base path, the version becomes a folder in it. TFLite: a folder, or a .tflite file.")
@click.option("--format", "kind", type=click.Choice(["saved-model", "tflite"]), default="saved-model",
              show_default=True, help="For a server, or for a phone.")
@click.option("--version", type=click.IntRange(1), help="SavedModel version.  [default: the next one]")
@click.option("--quantize", type=click.Choice(["none", "float16", "dynamic", "int8"]), default="none",
              show_default=True, help="How a TFLite file stores its weights; for audio: none, a vocoder also float16.")
@options.vocoder("What renders the mels: a vocoder's run, the name of one in the package, or griffin-lim.  "
                 "[default: the package's own where it fits, else griffin-lim]")
@options.checkpoint
@options.force
@options.quiet
def command(run: Path, out: Path, kind: str, version: int | None, quantize: str, vocoder: str | None,
            checkpoint: str, force: bool, quiet: bool) -> None:
    """Write the model in RUN, or a vocoder by its name, for use without melgan-tf.

    Every export is loaded and run in a process of its own and compared with the model; what strays is not kept. The
    receipt, export_report.json, tells operations, size, speed and the worst difference.
    """
    if kind == "saved-model" and quantize != "none":
        raise UsageError(f"--quantize {quantize} is for --format tflite")
    if kind == "tflite" and version:
        raise UsageError(f"--version {version} is for --format saved-model")
    config = options.run_config(run)
    if config.family.makes == "waveforms" and vocoder:
        raise UsageError(f"{run} is a vocoder itself: leave --vocoder away")
    if kind == "tflite" and out.suffix == ".tflite":
        options.require_output(out, force)
    elif out.is_file():
        raise UsageError(f"{out} is a file: give a folder" + (" or a .tflite file" if kind == "tflite" else ""))
    elif kind == "tflite":
        options.require_output(out / f"model-{quantize}.tflite", force)
    elif version:
        options.require_output(out / str(version), force)
    else:
        options.require_output(out, force=True)

    options.start_tensorflow()
    from melgan_tf.exports import saved_model, tflite
    from melgan_tf.inference.load import load_sound_model

    progress = ConsoleProgress(quiet)
    if config.family.makes == "waveforms":
        receipt = _vocoder(run, out, kind, version, quantize, checkpoint, force, progress)
    else:
        trained = load_sound_model(run, checkpoint, progress, vocoder)
        if kind == "saved-model":
            receipt = saved_model.export(trained, out, version, force)
        else:
            receipt = tflite.export(trained, out, quantize, force)
    if not quiet:
        click.echo(table(("receipt", receipt.path), receipt.rows()))


def _vocoder(run: Path, out: Path, kind: str, version: int | None, quantize: str, checkpoint: str, force: bool,
             progress: ConsoleProgress) -> Receipt:
    from melgan_tf.exports.vocoder import export_saved_model, export_tflite
    from melgan_tf.inference.vocoder import load_vocoder

    loaded = load_vocoder(run, checkpoint, progress)
    if kind == "saved-model":
        return export_saved_model(loaded, out, version, force)
    return export_tflite(loaded, out, quantize, force)
