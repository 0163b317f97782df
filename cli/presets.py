"""`melgan-tf presets`."""

from __future__ import annotations

import textwrap

import click

from melgan_tf.cli.console import json_text
from melgan_tf.config import presets, to_dict


@click.command("presets", short_help="List the presets, or show one in full.")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the presets; with a NAME, show that one as JSON, ready to be edited and given to `train --config`.

    \b
    Examples:
      melgan-tf presets
      melgan-tf presets drums
    """
    if name:
        click.echo(json_text(to_dict(presets.get(name))))
        return
    width = max(map(len, presets.names())) + 2
    for known in presets.names():
        click.echo(textwrap.fill(presets.description(known), 100, initial_indent=known.ljust(width),
                                 subsequent_indent=" " * width))
