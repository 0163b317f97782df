"""Begins a vocoder's run with the weights of another: ``python -m melgan_tf.cli.maintain.start RUN --vocoder NAME``.

Every variable that the new generator shares with the old one, by name and shape, takes its values; the rest begins as
usual. ``melgan-tf train SOUNDS --run-dir RUN`` then trains it.
"""

from __future__ import annotations

from pathlib import Path

import click

from melgan_tf.config import Config, from_dict, merge, parse_assignment, presets, to_dict
from melgan_tf.config.registry import build_network
from melgan_tf.inference.vocoder import load_vocoder
from melgan_tf.models.melgan.torch_import import require_new
from melgan_tf.storage.checkpoints import CheckpointStore, collect
from melgan_tf.storage.run_directory import RunDirectory


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--vocoder", "source", required=True, help="A run, or the name of a vocoder of the package.")
@click.option("--preset", help="Of the new one  [default: the old one's configuration]")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="One value of its configuration.")
def main(run: Path, source: str, preset: str | None, assignments: tuple[str, ...]) -> None:
    """Make the run directory RUN at step 0 with the weights of another vocoder."""
    require_new(run)
    old = load_vocoder(source)
    values = to_dict(presets.get(preset) if preset else old.config)
    for assignment in assignments:
        values = merge(values, parse_assignment(assignment))
    config = from_dict(Config, values)
    state, known = collect(generator=build_network(config, training=True).variables), collect(
        generator=old.model.variables)
    shared = [name for name, value in state.items() if name in known and known[name].shape == value.shape]
    state |= {name: known[name] for name in shared}
    origin = {"started_from": old.name, "weights": old.weights}
    directory = RunDirectory(run)
    CheckpointStore(directory.checkpoints).save(
        state, 0, {"epoch": 0, "audio_fingerprint": config.audio.fingerprint(), **origin})
    directory.write(config, origin, {})
    click.echo(f"{len(shared)} of {len(state)} variables from {old.name}: {run}")


if __name__ == "__main__":
    main()
