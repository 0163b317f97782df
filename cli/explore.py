"""`melgan-tf explore`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, echo_line
from melgan_tf.progress import counted


@click.command("explore", short_help="Choose sounds by ear, on a map.")
@click.argument("source", type=options.Place(remote=False))
@click.option("--out", required=True, type=options.Place(remote=False, file_okay=False), help="Folder for the page.")
@click.option("--count", type=click.IntRange(2, 5_000), default=256, show_default=True,
              help="Number of sounds that a model makes.")
@click.option("--label", metavar="CLASS[=WEIGHT],...", help="Class of these sounds.  [default: as in training]")
@click.option("--seconds", type=options.Seconds(), help="Length of these sounds, as for generate.")
@options.seed(0)
@click.option("--favorites", type=options.Place(remote=False, dir_okay=False), metavar="LIST",
              help="Copy the sounds of SOURCE that the page's list names to --out, and make no page.")
@options.vocoder("Vocoder.  [default: as for generate]")
@options.checkpoint
@options.force
@options.quiet
def command(source: Path, out: Path, force: bool, quiet: bool, **settings: Any) -> None:
    """Make a page to choose sounds by ear: a map on which near sounds sound alike.

    SOURCE is a folder of sounds, your own or generated, or a model, whose sounds are generated first. Near duplicates
    are left out. On the page, sort by brightness, length, pitch or loudness, star what you like, and export the list;
    with --favorites, that list becomes a folder. The page works from disk, without a network.

    \b
    Examples:
      melgan-tf explore pretrained:drums --count 500 --out page
      melgan-tf explore my-samples --out page
      melgan-tf explore page --favorites favorites.txt --out chosen
    """
    options.require_output(out, force)
    found = api.explore(source, out, progress=ConsoleProgress(quiet), **settings)
    if quiet:
        return
    if settings["favorites"]:
        echo_line(f"{counted(found.sounds, 'sound')} copied to {out}")
        return
    left_out = f" ({found.duplicates} near duplicates left out)" if found.duplicates else ""
    echo_line(f"{counted(found.sounds, 'sound')}{left_out}; to choose among them: {found.page}")
