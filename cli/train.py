"""`melgan-tf train`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf import config as configuration
from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, tell
from melgan_tf.data.reading import note_lines
from melgan_tf.errors import ConfigError, UsageError
from melgan_tf.progress import counted
from melgan_tf.runtime.signals import Stopped
from melgan_tf.training.cluster import worker_from_environment


@click.command("train", short_help="Learn from a folder of sounds.")
@click.argument("data", type=options.Place())
@click.option("--run-dir", required=True, type=options.Place(),
              help="Folder for everything about this run; an existing run is continued.")
@click.option("--valid", type=options.Place(), metavar="FOLDER",
              help="Folder of sounds that training does not see; the best checkpoint is the one closest to them.")
@click.option("--preset", metavar="NAME",
              help="Configuration to start with; see `melgan-tf presets`.  [default: the one that suits the sounds]")
@click.option("--init-from", metavar="RUN|NAME",
              help="Fine-tune: start from the weights of a run, or of a bundled model (pretrained:drums).")
@click.option("--config", "config_file", type=options.Place(remote=False), metavar="FILE.json",
              help="Values that override those of the preset.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE",
              help="Change one value, for example training.batch_size=64. Repeatable.")
@options.packed(
    "training",
    epochs=click.option("--epochs", type=click.IntRange(1), help="Total number of passes over the sounds."),
    steps=click.option("--steps", type=click.IntRange(1), help="Total number of training steps, instead of --epochs."),
    seed=options.seed(None),
    log_every=click.option("--log-every", type=click.IntRange(1), help="Epochs between two log lines."),
    xla=click.option("--xla/--no-xla", default=None, help="Force XLA on or off.  [default: on where it is faster]"))
@click.option("--fresh", is_flag=True, help="Delete the existing run and start over.")
@click.option("--wait", "wait_seconds", type=options.Seconds(0), default=300.0, show_default=True, metavar="SECONDS",
              help="How long to wait for the other workers that TF_CONFIG names.")
@options.quiet
def command(data: Path, run_dir: Path, valid: Path | None, config_file: Path | None, assignments: tuple[str, ...],
            training: dict[str, Any], quiet: bool, **settings: Any) -> None:
    """Learn from the sounds in the folder DATA (searched at any depth).

    DATA may also be the output of `melgan-tf prepare`.

    To continue a run that was stopped by Ctrl-C, a crash or a power cut, run the same command again.

    If the environment variable TF_CONFIG names several workers, this process is one of them: run the same command on
    every worker.

    \b
    Examples:
      melgan-tf train drums --run-dir runs/drums --valid held-out
      melgan-tf train few --init-from pretrained:drums --run-dir runs/few
      melgan-tf train music --preset music --steps 20000 --run-dir runs/music
    """
    spec = worker_from_environment()
    if {"epochs", "steps"} <= set(training):
        raise UsageError("--epochs and --steps exclude each other: give one")
    if "epochs" in training:
        training["steps"] = 0
    if "xla" in training:
        training["xla"] = "on" if training["xla"] else "off"
    changes = _changes(config_file, assignments, training)
    if not data.exists():
        raise UsageError(f"{data} does not exist: give a folder of sounds")
    if valid and not valid.exists():
        raise UsageError(f"--valid {valid} does not exist: give a folder of sounds")
    if run_dir.is_file():
        raise UsageError(f"{run_dir} is a file: give a folder for the run")
    if spec is None or spec.is_chief:
        options.require_output(run_dir, force=True)
    try:
        str(run_dir).encode()
    except UnicodeEncodeError:
        raise UsageError(f"{run_dir} is not valid UTF-8, which TensorFlow needs: give another name") from None
    result = api.train(data, run_dir, valid=valid, changes=changes, progress=ConsoleProgress(quiet), **settings)
    if not result.is_chief and not result.signal:
        if not quiet:
            click.echo(f"{spec.name(spec.index)}: trained {_length(result)}")
        return
    _report(result, run_dir, quiet)


def _changes(config_file: Path | None, assignments: tuple[str, ...], training: dict[str, Any]) -> dict[str, Any]:
    """What was asked for on the command line, as nested values; later ones win."""
    changes = configuration.merge({}, configuration.read_json(config_file)) if config_file else {}
    for assignment in assignments:
        changes = configuration.merge(changes, configuration.parse_assignment(assignment))
    if not isinstance(changes.get("training", {}), dict):  # the options would quietly replace it
        raise ConfigError(f"training is {changes['training']!r}: give an object with named values")
    return configuration.merge(changes, {"training": training})


def _length(result: object) -> str:
    """Epochs and steps in words; steps alone before the first epoch is over."""
    steps = counted(result.steps, "step")
    return f"{counted(result.epochs, 'epoch')} ({steps})" if result.epochs else steps


def _report(result: object, run_dir: Path, quiet: bool) -> None:
    skipped = result.sounds.skipped
    if skipped:
        tell(f"skipped {len(skipped)} of {len(skipped) + len(result.sounds)} files:")
        for item in skipped:
            tell(f"  {item.name}: {item.reason}")
    for line in note_lines((sound.name, note) for sound in result.sounds.sounds for note in sound.notes):
        click.echo(line, err=True)
    if result.signal:
        arguments = shlex.join(["melgan-tf", *sys.argv[1:]]).replace(" --fresh", "")
        raise Stopped(result.signal, f"stopped after {counted(result.steps, 'step')}, saved; to continue: {arguments}")
    if not quiet:
        run = shlex.quote(str(run_dir))
        hear = result.config.family.listen_command.format(run=run)
        page = (f"compare it: {result.page}",) if result.page else ()
        for line in (f"trained {_length(result)} on {counted(len(result.sounds), 'sound')}", *result.findings, *page):
            click.echo(line)
        click.echo(f"hear it:    melgan-tf {hear}\n"
                   f"watch it:   tensorboard --logdir {run}/tensorboard")
