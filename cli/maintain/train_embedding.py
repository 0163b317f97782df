"""Trains the drum embedding: ``python -m melgan_tf.cli.maintain.train_embedding HELD-OUT --valid OTHERS ...``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from melgan_tf.evaluation.embeddings.drums import WEIGHTS
from melgan_tf.evaluation.embeddings.train_drums import STEPS, train


@click.command()
@click.argument("folder", metavar="HELD-OUT", type=click.Path(path_type=Path, exists=True))
@click.option("--valid", required=True, type=click.Path(path_type=Path, exists=True), help="Other sounds, for tests.")
@click.option("--licence", required=True, help="License of the sounds, and so of the weights.")
@click.option("--steps", default=STEPS, show_default=True, help="Number of batches.")
@click.option("--seed", default=0, show_default=True, help="Random seed.")
@click.option("--out", default=WEIGHTS, type=click.Path(path_type=Path), help="Folder.  [default: in the package]")
def main(folder: Path, valid: Path, licence: str, steps: int, seed: int, out: Path) -> None:
    """Train the drum embedding on HELD-OUT, sounds that no generator learned from; write its weights and card."""
    click.echo(json.dumps(train(folder, valid, licence, steps, seed, out), indent=1))


if __name__ == "__main__":
    main()
