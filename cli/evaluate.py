"""`melgan-tf evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, table
from melgan_tf.errors import UsageError
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.run_directory import RunDirectory


@click.command("evaluate", short_help="Measure a trained model against real sounds.")
@options.run_argument
@click.option("--reference", required=True, type=options.Place(),
              help="Folder of real sounds; best ones that the model was not trained on.")
@click.option("--train", type=options.Place(),
              help="Folder of the sounds that it was trained on.  [default: of a run, its own]")
@click.option("--count", type=click.IntRange(1, 100_000), help="How many sounds to generate.  [default: as many as the "
              "reference has]")
@click.option("--json", "json_file", type=options.Place(remote=False, dir_okay=False),
              help="Also write the figures here.")
@click.option("--markdown", "markdown_file", type=options.Place(remote=False, dir_okay=False),
              help="Also write a card here.")
@click.option("--png", "png_file", type=options.Place(remote=False, dir_okay=False), help="Also draw a picture here.")
@options.force
@options.seed(0)
@options.vocoder("What renders the mels: a vocoder's run, the name of one in the package, or griffin-lim.  "
                 "[default: the package's own where it fits, else griffin-lim]")
@options.checkpoint
@options.quiet
def command(run: Path, reference: Path, train: Path | None, count: int | None, json_file: Path | None,
            markdown_file: Path | None, png_file: Path | None, force: bool, seed: int, vocoder: str | None,
            checkpoint: str, quiet: bool) -> None:
    """Measure the sounds of the model in RUN, or a folder of sounds that a model made, against real ones.

    Every figure stands beside its floor: the same figure for training sounds, or else for one half of the real sounds
    against the other. Sub-folders of sounds count as their classes. Of a vocoder (a run, or a name) its copies of the
    real sounds are measured, beside Griffin-Lim's.
    """
    folder = run.is_dir() and not RunDirectory(run).exists() and _has_sounds(run)
    config = None if folder else options.run_config(run)
    for name, given in (("--vocoder", vocoder), ("--count", count)):
        if given and folder:
            raise UsageError(f"{run} is a folder of sounds: leave {name} away")
    if config:
        options.require_no_vocoder(run, config, vocoder=vocoder, count=count, train=train, markdown=markdown_file,
                                   png=png_file)
    if config and config.family.makes == "streams" and png_file:
        raise UsageError(f"{run} (preset {config.preset}) makes no drums, which the picture shows: leave --png away")
    for name, given in (("reference", reference), ("train", train)):
        if given and not given.exists():
            raise UsageError(f"{given} does not exist: give a folder of real sounds as --{name}")
    given_files = {"--json": json_file, "--markdown": markdown_file, "--png": png_file}
    outputs = [path for path in given_files.values() if path]
    for option, path in given_files.items():
        if path:
            options.require_output(path, force, option)
    if len({path.absolute() for path in outputs}) < len(outputs):
        raise UsageError(f"{outputs[0]} is to hold two things: give each its own file")

    options.start_tensorflow()
    progress = ConsoleProgress(quiet)
    if config and config.family.makes == "waveforms":
        values = _vocoder(run, reference, checkpoint, progress)
    else:
        values = _sounds(run, folder, reference, train, count, vocoder, checkpoint, seed, progress,
                         markdown_file, png_file)
    if json_file:
        write_text(json_file, json.dumps(values, indent=2) + "\n")


def _has_sounds(folder: Path) -> bool:
    from melgan_tf.audio.find import SoundFile, scan

    return any(isinstance(entry, SoundFile) for entry in scan(folder))


def _sounds(run: Path, folder: bool, reference: Path, train: Path | None, count: int | None, vocoder: str | None,
            checkpoint: str, seed: int, progress: ConsoleProgress, markdown_file: Path | None,
            png_file: Path | None) -> dict[str, Any]:
    from melgan_tf.evaluation import card
    from melgan_tf.evaluation import evaluate as assessment
    from melgan_tf.inference.load import load_sound_model

    for name, other in (("--train", train), ("the generated sounds", run if folder else None)):
        if other and assessment.overlap(other, reference):
            raise UsageError(f"{other} as {name} and {reference} as --reference hold the same sounds: give a reference "
                             "of other sounds")
    if folder:
        found = assessment.assess_folder(run, reference, train, seed, progress)
    else:
        trained = load_sound_model(run, checkpoint, progress, vocoder)
        train = train or assessment.training_folder(run, reference)
        found = assessment.assess_run(trained, reference, train, count, seed, progress)
    click.echo(card.header(found.report))
    for one in card.tables(found.report):
        click.echo(f"\n{one.title}\n{table(one.headers, one.rows)}")
    click.echo(f"\n{found.report.conclusion}")
    if markdown_file:
        write_text(markdown_file, card.markdown(found.report, found.facts))
    if png_file:
        from melgan_tf.dsp.spectrogram_image import save_png
        from melgan_tf.evaluation.figure import draw

        save_png(draw(found.report), png_file)
    return found.to_dict()


def _vocoder(run: Path, reference: Path, checkpoint: str, progress: ConsoleProgress) -> dict[str, Any]:
    from melgan_tf.evaluation.evaluate_vocoder import ITERATIONS, assess_vocoder
    from melgan_tf.inference.vocoder import load_vocoder

    found = assess_vocoder(load_vocoder(run, checkpoint, progress), reference, progress)
    rows = [(figure, f"{made:.4g}", "" if other is None else f"{other:.4g}", better)
            for figure, made, other, better in found.made.rows(found.yardstick)]
    click.echo(table(("copy synthesis", "vocoder", f"Griffin-Lim {ITERATIONS}", "better"), rows))
    return found.to_dict()
