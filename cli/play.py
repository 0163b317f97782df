"""`melgan-tf play`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, echo_line


@click.command("play", short_help="Play a model in the browser.")
@click.argument("source", type=options.Place())
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port of the address.  [default: any free one]")
@click.option("--no-open", is_flag=True, help="Print the address without opening a browser.")
@options.vocoder("Vocoder.  [default: as for export]")
@options.checkpoint
@options.quiet
def command(source: Path, no_open: bool, quiet: bool, **settings: Any) -> None:
    """Play a model in the browser: drums as a drum machine, loops and textures in a player.

    SOURCE is a run, a bundled model, or the folder of a page that `melgan-tf export --format web` made, which opens at
    once. The page is served to this machine only, until Ctrl-C.

    \b
    Examples:
      melgan-tf play pretrained:drums
      melgan-tf play page --port 8000 --no-open
    """
    def ready(address: str) -> None:
        echo_line(f"{address}  (Ctrl-C ends it)")
        if not no_open:
            webbrowser.open(address)

    api.play(source, ready=ready, progress=ConsoleProgress(quiet), **settings)
