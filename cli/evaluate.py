"""`melgan-tf evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, table
from melgan_tf.errors import UsageError
from melgan_tf.run_directory import RunDirectory, write_text


@click.command("evaluate", short_help="Measure a trained model against real sounds.")
@options.run_argument
@click.option("--reference", required=True, type=click.Path(path_type=Path),
              help="Folder of real sounds; best ones that the model was not trained on.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False),
              help="Also write the figures here.")
@options.seed(0)
@options.vocoder("What renders the mels: a vocoder's run, the name of one in the package, or griffin-lim.  "
                 "[default: the package's own where it fits, else griffin-lim]")
@options.checkpoint
@options.quiet
def command(run: Path, reference: Path, json_file: Path | None, seed: int, vocoder: str | None, checkpoint: str,
            quiet: bool) -> None:
    """Measure the sounds of the model in RUN against real ones.

    Every figure stands beside its floor: the same figure between two halves of the real sounds.
    """
    RunDirectory(run).config()
    if not reference.exists():
        raise UsageError(f"{reference} does not exist: give a folder of real sounds")
    if json_file:
        options.require_output(json_file, force=True)

    options.start_tensorflow()
    from melgan_tf.assessment import assess
    from melgan_tf.trained import load_trained

    progress = ConsoleProgress(quiet)
    found = assess(load_trained(run, checkpoint, progress, vocoder), reference, seed, progress)
    values = found.to_dict()
    rows = [(figure, f"{made:.4g}", f"{real:.4g}", better) for figure, made, real, better in found.report.rows()]
    click.echo(table(("figure", "generated", "real vs real", "better"), rows))
    click.echo()
    click.echo(table(("waveforms", "generated"), [(k, f"{v:.4g}") for k, v in found.waveforms.items()]))
    click.echo(f"\n{found.report.conclusion}")
    if json_file:
        write_text(json_file, json.dumps(values, indent=2) + "\n")
