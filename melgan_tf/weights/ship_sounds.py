"""Puts the sound model of a run into the package: ``python -m melgan_tf.weights.ship_sounds RUN NAME --valid FOLDER``.

Writes ``NAME.npz`` and ``NAME.json`` beside this file; from then on ``pretrained:NAME`` is that model. Its figures
are measured here, on the weights as they are shipped, with float16 and all.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from melgan_tf.assessment import assess_run
from melgan_tf.checkpoints import collect
from melgan_tf.progress import Progress
from melgan_tf.run_directory import RunDirectory
from melgan_tf.trained import load_trained
from melgan_tf.weights import PRETRAINED, write_shipped


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("name")
@click.option("--valid", required=True, type=click.Path(path_type=Path, exists=True), help="Sounds to measure against.")
@click.option("--data", required=True, help="What it was trained on, in words.")
@click.option("--licence", default="CC0-1.0", show_default=True, help="Of the sounds, and so of the weights.")
@click.option("--command", required=True, help="The command that trained it.")
@click.option("--device", default="2 CPU cores", show_default=True, help="What it was trained with.")
@click.option("--remarks", default="", help="What else is to be known of how it was trained.")
@click.option("--checkpoint", type=click.Choice(["last", "best"]), default="last", show_default=True)
def main(run: Path, name: str, valid: Path, data: str, licence: str, command: str, device: str, remarks: str,
         checkpoint: str) -> None:
    """Ship the sound model in RUN as NAME."""
    trained = load_trained(run, checkpoint, Progress())
    directory = RunDirectory(run)
    card = {"data": data, "licence": licence, "command": command, "hours": round(directory.hours(), 2),
            "device": device, **({"remarks": remarks} if remarks else {}),
            # what tells a sound model from a vocoder, be there classes or none
            "classes": trained.sampler.classes.counts if trained.sampler.classes else {}}
    state = collect(generator=trained.sampler.generator.variables)
    write_shipped(name, state, {"step": trained.step}, trained.config, card)

    report = assess_run(load_trained(PRETRAINED + name), valid, directory.record()["data"]["folder"]).report
    figures = {"sounds": report.sounds, "floor": report.floor}
    for title, comparison in ((report.embedding, report.drums), (report.statistics_embedding, report.statistics)):
        if comparison is None:
            continue
        figures[title] = {which: {key: round(value, 4) for key, value in
                                  dataclasses.asdict(getattr(comparison, which)).items()}
                          for which in ("generated", "floor")}
    click.echo(json.dumps(figures, indent=1))
    write_shipped(name, state, {"step": trained.step}, trained.config, {**card, "figures": {valid.name: figures}})


if __name__ == "__main__":
    main()
