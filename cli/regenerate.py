"""`melgan-tf regenerate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.delivery import delivery_options, sounds_output, tell_levels
from melgan_tf.progress import counted


@click.command("regenerate", short_help="Make generated sounds again from their WAVs.")
@click.argument("files", nargs=-1, required=True, type=options.Place(remote=False))
@options.sounds_out
@options.model("Run, or name of a bundled model.  [default: the model that the WAVs name]")
@options.vocoder("Vocoder.  [default: as for generate]")
@delivery_options
@options.force
@options.quiet
def command(files: tuple[Path, ...], out: Path, add: bool, force: bool, quiet: bool, **settings: Any) -> None:
    """Make generated sounds again from the recipes in FILES, or in the files of folders: the same model makes the same
    bytes.

    \b
    Examples:
      melgan-tf regenerate kick-drums-seed1-0003.wav --out again
      melgan-tf regenerate pack --model runs/mine --bit-depth 24 --out delivered
    """
    progress = sounds_output(out, force, add, quiet)
    record = api.regenerate(files, out, add=add, progress=progress, **settings)
    if record["same"] < record["made"]:
        click.echo(f"warning: {record['made'] - record['same']} of {record['made']} files differ from the originals",
                   err=True)
    if not quiet:
        click.echo(f"{counted(record['made'], 'sound')} in {out}, {record['same']} of them equal to the originals")
    tell_levels(record, quiet)
