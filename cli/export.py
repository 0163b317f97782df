"""`melgan-tf export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melgan_tf import api, exports
from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, table


@click.command("export", short_help="Write a trained model as SavedModel, TFLite, ONNX or web page.")
@options.run_argument
@click.option("--out", required=True, type=options.Place(remote=False),
              help="SavedModel: base folder; the version becomes a folder in it. TFLite, ONNX: a folder or a file. "
                   "Page: a folder.")
@click.option("--format", "kind", type=click.Choice(list(exports.FORMATS)), default="saved-model",
              show_default=True, help="saved-model for a server, tflite for a phone, web for a browser, onnx for "
                                      "programs in C#, Rust, C++ ...")
@click.option("--version", type=click.IntRange(1), help="SavedModel version.  [default: the next one]")
@click.option("--max-batch", type=click.IntRange(1, 65_536), metavar="N",
              help="SavedModel: most sounds in one request; larger ones are refused.  [default: 256]")
@click.option("--quantize", type=click.Choice(["none", "float16"]), default="none",
              show_default=True,
              help="How a TFLite file or a page stores its weights. float16: in half the space, the same arithmetic.")
@click.option("--bpm", type=click.FloatRange(40, 300),
              help="TFLite, ONNX or page of a model of loops: beats per minute. SavedModel: requests have their own.  "
                   "[default: 120]")
@click.option("--bars", type=click.IntRange(1, 64), help="Model of loops: bars of 4/4.  [default: 2]")
@options.vocoder()
@options.checkpoint
@options.force
@options.quiet
def command(run: Path, out: Path, kind: str, vocoder: str | None, checkpoint: str, force: bool, quiet: bool,
            **settings: Any) -> None:
    """Write the model in the run directory RUN, or a bundled model, for use without melgan-tf.

    Every export is loaded and run in a separate process and compared with the model; it is kept only if they agree.
    The receipt, export_report.json, lists operations, size, speed and the largest difference.

    \b
    Examples:
      melgan-tf export pretrained:drums --out models/drums
      melgan-tf export runs/mine --format tflite --out mine.tflite
      melgan-tf export pretrained:loops --format tflite --bpm 124 --out phone
      melgan-tf export vocoder-22k --format tflite --quantize float16 --out phone
      melgan-tf export runs/mine --format web --out page
      melgan-tf export pretrained:drums --format onnx --out drums.onnx
    """
    settings = {name: value for name, value in settings.items() if value not in (None, "none")}
    destination = exports.destination(out, kind, **settings)
    exists = destination.model.exists()
    options.require_output(destination.model if exists else out, force or not exists, destination.option)
    receipt = api.export(run, out, format=kind, force=force, vocoder=vocoder, checkpoint=checkpoint,
                         progress=ConsoleProgress(quiet), **settings)
    if not quiet:
        click.echo(table(("receipt", receipt.path), receipt.rows()))
