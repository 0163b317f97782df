"""Puts the model of a run into the package: ``python -m melgan_tf.cli.maintain.ship RUN NAME --valid FOLDER ...``.

Writes ``NAME.npz`` and ``NAME.json`` beside this file: from then on ``NAME`` is that vocoder, or
``pretrained:NAME`` that sound model. The card's figures are measured here: a vocoder's on every valid folder; a sound
model's on the first, with the weights as they are shipped, float16 and all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from melgan_tf.evaluation.evaluate import evaluate
from melgan_tf.inference.load import load_sound_model
from melgan_tf.inference.vocoder import load_vocoder
from melgan_tf.progress import Progress
from melgan_tf.storage.checkpoints import collect
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.weights import PRETRAINED, package_weights


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("name")
@click.option("--valid", "folders", multiple=True, required=True, type=click.Path(path_type=Path, exists=True),
              help="Sounds to measure against.")
@click.option("--data", required=True, help="What it was trained on, in words.")
@click.option("--licence", default="CC0-1.0", show_default=True, help="Of the sounds, and so of the weights.")
@click.option("--command", required=True, help="The command that trained it.")
@click.option("--device", default="2 CPU cores", show_default=True, help="What it was trained with.")
@click.option("--remarks", default="", help="What else is to be known of how it was trained.")
@click.option("--hours-before", type=float, default=0.0, help="Of training behind the weights that the run began with.")
@click.option("--steps-before", type=int, default=0, help="Likewise.")
@click.option("--checkpoint", type=click.Choice(["last", "best"]), default="last", show_default=True)
def main(run: Path, name: str, folders: tuple[Path, ...], data: str, licence: str, command: str, device: str,
         remarks: str, hours_before: float, steps_before: int, checkpoint: str) -> None:
    """Ship the model in RUN as NAME."""
    directory = RunDirectory(run)
    card = {"data": data, "licence": licence, "command": command,
            "hours": round(hours_before + directory.hours(), 2), "device": device,
            **({"remarks": remarks} if remarks else {})}
    if directory.config().family.makes == "waveforms":
        _ship_vocoder(run, name, folders, card, steps_before, checkpoint)
    else:
        _ship_sounds(run, name, folders[0], card, steps_before, checkpoint)


def _ship_vocoder(run: Path, name: str, folders: tuple[Path, ...], card: dict[str, Any], steps_before: int,
                  checkpoint: str) -> None:
    vocoder = load_vocoder(run, checkpoint, Progress())
    figures = {}
    for folder in folders:
        figures[f"{folder.parent.name}/{folder.name}"] = evaluate(vocoder, folder).summary()
        click.echo(json.dumps(figures, indent=1))
    package_weights(name, collect(generator=vocoder.model.variables), {"step": steps_before + vocoder.step},
                  vocoder.config, {**card, "figures": figures})


def _ship_sounds(run: Path, name: str, valid: Path, card: dict[str, Any], steps_before: int, checkpoint: str) -> None:
    trained = load_sound_model(run, checkpoint, Progress())
    if trained.sampler.classes:
        card["classes"] = trained.sampler.classes.counts
    state, meta = collect(generator=trained.sampler.generator.variables), {"step": steps_before + trained.step}
    package_weights(name, state, meta, trained.config, card)

    figures = evaluate(load_sound_model(PRETRAINED + name), valid,
                       RunDirectory(run).record()["data"]["folder"]).summary()
    click.echo(json.dumps(figures, indent=1))
    package_weights(name, state, meta, trained.config, {**card, "figures": {valid.name: figures}})


if __name__ == "__main__":
    main()
