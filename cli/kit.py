"""`melgan-tf kit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress
from melgan_tf.cli.delivery import bit_depth, sample_rate


@click.command("kit", short_help="Make a drum kit for samplers.")
@options.run_argument
@click.option("--out", required=True, type=options.Place(remote=False, file_okay=False), help="Folder for the kit.")
@options.seed(0)
@click.option("--label", "labels", metavar="CLASS[=WEIGHT],...", multiple=True,
              help="A class, or mixture, that gets a pad; give it several times.  [default: all classes]")
@click.option("--style-from", "style_from", metavar="FOLDER|FILE", multiple=True,
              type=options.Place(remote=False),
              help="Your own sounds: each pad starts from one that suits it. Give it several times "
                   "for several files.")
@click.option("--round-robins", type=click.IntRange(1, 16), default=3, show_default=True,
              help="Hits of each velocity, which take turns.")
@click.option("--velocities", type=click.IntRange(1, 16), default=3, show_default=True,
              help="Velocity layers, from soft and dark to hard.")
@bit_depth("24", default="24")
@sample_rate
@options.vocoder("Vocoder.  [default: as for generate]")
@options.checkpoint
@options.force
@options.quiet
def command(run: Path, out: Path, force: bool, quiet: bool, **settings: Any) -> None:
    """Make a drum kit with the model in the run directory RUN, or with a bundled model such as pretrained:drums-44k.

    Writes WAVs, equally loud and named by pad, velocity and round robin; the kit for samplers that read SFZ, for
    Hydrogen and for Decent Sampler; a list of pads and notes for all others; and a page to hear it. Closed and open
    hats silence each other. The same seed makes the same kit.

    \b
    Examples:
      melgan-tf kit pretrained:drums-44k --out kit --seed 7
      melgan-tf kit pretrained:drums --style-from my-sounds --out my-kit
      melgan-tf kit pretrained:drums --bit-depth 16 --sample-rate 44100 --out mpc
    """
    options.require_output(out, force)
    record = api.kit(run, out, progress=ConsoleProgress(quiet), **settings)
    if not quiet:
        for pad in record["pads"]:
            near = f"  from {pad['recording']} ({pad['distance_db']:.1f} dB)" if "recording" in pad else ""
            click.echo(f"{pad['pad']}  note {pad['note']:3}  {pad['name']}{near}")
        click.echo(f"{sum(len(pad['samples']) for pad in record['pads'])} samples at {record['loudness']:.1f} LUFS in "
                   f"{out}; to hear them: {out / 'index.html'}")
