"""`melgan-tf vary`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.delivery import delivery_options, sounds_output, tell_levels
from melgan_tf.progress import counted


@click.command("vary", short_help="Make variations of a sound.")
@click.argument("file", type=options.Place(remote=False))
@options.sounds_out
@click.option("--intensity", type=click.FloatRange(0, 1), default=0.3, show_default=True,
              help="How different: 0 is the sound itself, 1 any sound of its class.")
@click.option("--direction", type=click.IntRange(0), default=0, show_default=True,
              help="Number of the first variation; each number is another one.")
@click.option("--count", type=click.IntRange(1, 10_000), default=8, show_default=True, help="Number of variations.")
@click.option("--label", metavar="CLASS[=WEIGHT],...", help="Class of the variations.  [default: that of FILE]")
@options.wishes
@options.model("Run, or name of a bundled model.  [default: the model that FILE names]")
@options.vocoder("Vocoder.  [default: as for generate]")
@delivery_options
@options.force
@options.quiet
def command(file: Path, out: Path, add: bool, force: bool, quiet: bool, **settings: Any) -> None:
    """Make variations of FILE, a generated WAV or any recording.

    A recording is encoded first, as the nearest sound that the model can make; the command says how near that is.
    Variations of a loop keep its tempo, bars and key unless you give others.

    \b
    Examples:
      melgan-tf vary kick.wav --intensity 0.2 --out variations
      melgan-tf vary my-snare.flac --model pretrained:drums --out variations
      melgan-tf vary beat_124bpm.wav --model pretrained:loops --out variations
    """
    progress = sounds_output(out, force, add, quiet)
    record = api.vary(file, out, add=add, progress=progress, **settings)
    if not quiet:
        if "distance_db" in record:
            click.echo(f"the model comes within {record['distance_db']:.1f} dB of {file.name}")
        click.echo(f"{counted(record['made'], 'variation')} in {out}; to hear them: {out / 'index.html'}")
    tell_levels(record, quiet)
