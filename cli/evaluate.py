"""`melgan-tf evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, table
from melgan_tf.errors import UsageError
from melgan_tf.evaluation.sounds import is_sound_folder
from melgan_tf.storage.atomic import write_text
from melgan_tf.weights.sources import source_config

#: The options that do not apply, by what is evaluated: a folder of sounds, or what a model makes.
_INAPPLICABLE = {"folder": ("vocoder", "count"), "clips": (), "streams": ("png",),
                 "waveforms": ("vocoder", "count", "train", "png")}
_STDOUT = Path("-")
_NAMES = {"folder": "a folder of sounds", "streams": "a model of music, which has no figure",
          "waveforms": "a vocoder itself"}


@click.command("evaluate", short_help="Measure a trained model against real sounds.")
@options.run_argument
@click.option("--reference", required=True, type=options.Place(),
              help="Folder of real sounds, preferably not used in training.")
@click.option("--train", type=options.Place(), help="Folder of the training sounds.  [default: those of the run]")
@click.option("--count", type=click.IntRange(1, 100_000), help="Number of sounds to generate.  [default: as many as "
              "the reference has]")
@click.option("--json", "json_file", type=options.Place(remote=False, dir_okay=False),
              help="Also write the metrics to this file; - writes them to standard output, alone.")
@click.option("--markdown", "markdown_file", type=options.Place(remote=False, dir_okay=False),
              help="Also write a card to this file; - writes it to standard output, alone.")
@click.option("--png", "png_file", type=options.Place(remote=False, dir_okay=False),
              help="Also draw a figure to this file.")
@click.option("--verbose", is_flag=True, help="Show all metrics, not only the figures of merit.")
@options.force
@options.seed(0)
@options.vocoder()
@options.checkpoint
@options.quiet
def command(run: Path, reference: Path, json_file: Path | None, markdown_file: Path | None, png_file: Path | None,
            verbose: bool, force: bool, quiet: bool, **settings: Any) -> None:
    """Compare the sounds of a model with real ones.

    RUN is a run directory, a bundled model (pretrained:drums, vocoder-22k) or a folder of generated sounds.

    Every metric has a baseline: the same metric for the training sounds, or else for one half of the real sounds
    against the other. The figures of merit are those of the embedding in which they are worst; ± is a standard error.
    Sub-folders are classes. A vocoder is measured by its copies of the real sounds, beside those of Griffin-Lim.

    \b
    Examples:
      melgan-tf evaluate runs/mine --reference held-out --png mine.png
      melgan-tf evaluate pretrained:drums --reference drums --count 200
      melgan-tf evaluate generated --reference drums --json figures.json
    """
    kind = "folder" if is_sound_folder(run) else source_config(run).family.makes
    for name in _INAPPLICABLE[kind]:
        if {**settings, "png": png_file}[name]:
            raise UsageError(f"{run} is {_NAMES[kind]}: remove --{name}")
    for name, folder in (("reference", reference), ("train", settings["train"])):
        if folder and not folder.exists():
            raise UsageError(f"{folder} does not exist: give a folder of real sounds as --{name}")
    _check_outputs(force, {"--json": json_file, "--markdown": markdown_file, "--png": png_file})

    piped = _STDOUT in (json_file, markdown_file)
    report = api.evaluate(run, reference, progress=ConsoleProgress(quiet or piped), **settings)
    if not piped:
        click.echo(report.header)
        for one in report.tables(verbose):
            click.echo(f"\n{one.title}\n{table(one.headers, one.rows)}")
        click.echo(f"\n{report.conclusion}")
    if json_file:
        _write(json_file, json.dumps(report.to_dict(), indent=2) + "\n")
    if markdown_file:
        _write(markdown_file, report.markdown())
    if png_file:
        report.save_figure(png_file)


def _write(file: Path, text: str) -> None:
    if file == _STDOUT:
        click.echo(text, nl=False)
    else:
        write_text(file, text)


def _check_outputs(force: bool, files: dict[str, Path | None]) -> None:
    seen: dict[Path, str] = {}
    for option, file in files.items():
        if file:
            if file != _STDOUT or option == "--png":
                options.require_output(file, force, option)
            if other := seen.get(file.absolute()):
                raise UsageError(f"{other} and {option} point to the same file {file}: give each its own")
            seen[file.absolute()] = option
