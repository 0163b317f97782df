"""`melgan-tf generate`."""

from __future__ import annotations

from pathlib import Path

import click

from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress
from melgan_tf.errors import UsageError


@click.command("generate", short_help="Make new sounds with a trained model.")
@options.run_argument
@click.option("--out", required=True, type=options.Place(remote=False, file_okay=False), help="Folder for the sounds.")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=16, show_default=True, help="How many sounds.")
@click.option("--label", metavar="CLASS[=WEIGHT],...",
              help="Class of all sounds, or a mixture: kick, or kick=0.7,snare=0.3.  [default: as in training]")
@options.seed(0)
@click.option("--normalize/--no-normalize", default=True, show_default=True,
              help="Bring every sound to a peak of -1 dB, or leave levels as the model makes them.")
@options.vocoder("What renders the mels: a vocoder's run, the name of one in the package, or griffin-lim.  "
                 "[default: the package's own where it fits, else griffin-lim]")
@options.checkpoint
@options.force
@options.quiet
def command(run: Path, out: Path, count: int, label: str | None, seed: int, normalize: bool, vocoder: str | None,
            checkpoint: str, force: bool, quiet: bool) -> None:
    """Make new sounds with the model in the run directory RUN, or with one of the package's own: pretrained:drums.

    Writes WAVs, sounds.json (what regenerates each sound), sounds.png (their spectrograms) and index.html (to hear them
    in a browser). Sound number i of a seed is always the same, however many are asked for.
    """
    if options.run_config(run).is_vocoder:
        raise UsageError(f"{run} is a vocoder, which makes no sounds of its own: melgan-tf vocode SOUND "
                         f"--vocoder {run}")
    options.require_output(out, force)

    options.start_tensorflow()
    from melgan_tf.generation import PAGE, PICTURE, write_sounds
    from melgan_tf.trained import load_trained

    progress = ConsoleProgress(quiet)
    trained = load_trained(run, checkpoint, progress, vocoder)
    record = write_sounds(trained, out, count, seed, str(run), progress, normalize, label)
    silent = sum(sound["silent"] for sound in record["sounds"])
    if silent:
        click.echo(f"warning: {silent} of {count} sounds are silent", err=True)
    if not quiet:
        click.echo(f"{count} sounds in {out}, their spectrograms in {out / PICTURE}; to hear them: {out / PAGE}")
