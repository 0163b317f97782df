"""Measures a shipped sound model again, after a change of `evaluate`: ``python -m melgan_tf.cli.maintain.measure drums
--valid HELD-OUT --train SOUNDS`` writes the figures of its card."""

from __future__ import annotations

import json
from pathlib import Path

import click

from melgan_tf import weights
from melgan_tf.evaluation.evaluate import evaluate
from melgan_tf.inference.load import load_sound_model
from melgan_tf.progress import Progress


@click.command()
@click.argument("name")
@click.option("--valid", required=True, type=click.Path(path_type=Path, exists=True), help="Held-out sounds.")
@click.option("--train", type=click.Path(path_type=Path, exists=True), help="What it learned from.")
@click.option("--out", default=weights.WEIGHTS, type=click.Path(path_type=Path), help="Folder of the card.  "
              "[default: in the package]")
def main(name: str, valid: Path, train: Path | None, out: Path) -> None:
    """Measure the shipped sound model NAME against held-out sounds."""
    found = evaluate(load_sound_model(weights.PRETRAINED + name, "last", Progress()), valid, train).summary()
    card = weights.read_card(name, out)
    weights.write_card(name, {**card, "figures": {valid.name: found}}, out)
    click.echo(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
