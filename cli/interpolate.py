"""`melgan-tf interpolate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.delivery import delivery_options, sounds_output, tell_levels
from melgan_tf.progress import counted


@click.command("interpolate", short_help="Make sounds from one sound to another.")
@click.argument("first", type=options.Place(remote=False))
@click.argument("second", required=False, type=options.Place(remote=False))
@options.sounds_out
@click.option("--steps", type=click.IntRange(2, 1_000), default=8, show_default=True,
              help="Number of sounds, both ends included.")
@click.option("--label", metavar="CLASS[=WEIGHT],...", help="Class at the end.  [default: that of SECOND]")
@options.model("Run, or name of a bundled model.  [default: the model that the files name]")
@options.vocoder("Vocoder.  [default: as for generate]")
@delivery_options
@options.force
@options.quiet
def command(first: Path, second: Path | None, out: Path, add: bool, force: bool, quiet: bool, **settings: Any) -> None:
    """Make sounds in equal steps from FIRST to SECOND, generated WAVs or any recordings.

    Without SECOND, the sound FIRST turns into the class --label.

    \b
    Examples:
      melgan-tf interpolate kick.wav snare.wav --steps 5 --out between
      melgan-tf interpolate kick.wav --label tom --out towards-tom
    """
    progress = sounds_output(out, force, add, quiet)
    record = api.interpolate(first, second, out, add=add, progress=progress, **settings)
    if not quiet:
        click.echo(f"{counted(record['made'], 'sound')} in {out}; to hear them: {out / 'index.html'}")
    tell_levels(record, quiet)
