"""Puts the vocoder of a run into the package: ``python -m melgan_tf.weights.ship RUN NAME --valid FOLDER ...``.

Writes ``NAME.npz`` and ``NAME.json`` beside this file. The card's figures are measured here, on the valid folders.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from melgan_tf.checkpoints import collect
from melgan_tf.progress import Progress
from melgan_tf.run_directory import RunDirectory
from melgan_tf.vocoder_assessment import assess_vocoder, rounded
from melgan_tf.vocoders import load_vocoder
from melgan_tf.weights import write_shipped


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("name")
@click.option("--valid", "folders", multiple=True, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--data", required=True, help="What it was trained on, in words.")
@click.option("--licence", default="CC0-1.0", show_default=True, help="Of the sounds, and so of the weights.")
@click.option("--command", required=True, help="The command that trained it.")
@click.option("--hours-before", type=float, default=0.0, help="Of training behind the weights that the run began with.")
@click.option("--steps-before", type=int, default=0, help="Likewise.")
@click.option("--checkpoint", type=click.Choice(["last", "best"]), default="last", show_default=True)
def main(run: Path, name: str, folders: tuple[Path, ...], data: str, licence: str, command: str,
         hours_before: float, steps_before: int, checkpoint: str) -> None:
    """Ship the vocoder in RUN as NAME."""
    vocoder = load_vocoder(run, checkpoint, Progress())
    hours, step = hours_before + RunDirectory(run).hours(), steps_before + vocoder.step
    figures = {}
    for folder in folders:
        found = assess_vocoder(vocoder, folder)
        figures[f"{folder.parent.name}/{folder.name}"] = {
            "vocoder": rounded(found.made), "griffin-lim 32": rounded(found.yardstick)}
        click.echo(json.dumps(figures, indent=1))
    card = {"data": data, "licence": licence, "command": command, "hours": round(hours, 2),
            "device": "2 CPU cores", "figures": figures}
    write_shipped(name, collect(generator=vocoder.model.variables), {"step": step}, vocoder.config, card)


if __name__ == "__main__":
    main()
