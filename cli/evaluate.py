"""`melgan-tf evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, table
from melgan_tf.errors import UsageError
from melgan_tf.run_directory import write_text


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

    Every figure stands beside its floor: the same figure between two halves of the real sounds. Of a vocoder (a run, or
    a name) its copies of the real sounds are measured, beside Griffin-Lim's.
    """
    config = options.run_config(run)
    if config.is_vocoder and vocoder:
        raise UsageError(f"{run} is a vocoder itself: leave --vocoder away")
    if not reference.exists():
        raise UsageError(f"{reference} does not exist: give a folder of real sounds")
    if json_file:
        options.require_output(json_file, force=True)

    options.start_tensorflow()
    progress = ConsoleProgress(quiet)
    if config.is_vocoder:
        values = _vocoder(run, reference, checkpoint, progress)
    else:
        values = _sounds(run, reference, vocoder, checkpoint, seed, progress)
    if json_file:
        write_text(json_file, json.dumps(values, indent=2) + "\n")


def _sounds(run: Path, reference: Path, vocoder: str | None, checkpoint: str, seed: int,
            progress: ConsoleProgress) -> dict[str, Any]:
    from melgan_tf.assessment import assess
    from melgan_tf.trained import load_trained

    found = assess(load_trained(run, checkpoint, progress, vocoder), reference, seed, progress)
    rows = [(figure, f"{made:.4g}", f"{real:.4g}", better) for figure, made, real, better in found.report.rows()]
    click.echo(table(("figure", "generated", "real vs real", "better"), rows))
    click.echo()
    click.echo(table(("waveforms", "generated"), [(k, f"{v:.4g}") for k, v in found.waveforms.items()]))
    click.echo(f"\n{found.report.conclusion}")
    return found.to_dict()


def _vocoder(run: Path, reference: Path, checkpoint: str, progress: ConsoleProgress) -> dict[str, Any]:
    from melgan_tf.vocoder_assessment import ITERATIONS, assess_vocoder
    from melgan_tf.vocoders import load_vocoder

    found = assess_vocoder(load_vocoder(run, checkpoint, progress), reference, progress)
    rows = [(figure, f"{made:.4g}", "" if other is None else f"{other:.4g}", better)
            for figure, made, other, better in found.made.rows(found.yardstick)]
    click.echo(table(("copy synthesis", "vocoder", f"Griffin-Lim {ITERATIONS}", "better"), rows))
    return found.to_dict()
