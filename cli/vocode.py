"""`melgan-tf vocode`."""

from __future__ import annotations

import math
from pathlib import Path

import click

from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress
from melgan_tf.errors import UsageError


@click.command("vocode", short_help="Turn mels, or the mels of sounds, into sounds.")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=options.Place(remote=False))
@click.option("--out", required=True, type=options.Place(remote=False, file_okay=False), help="Folder for the WAVs.")
@options.vocoder(f"Run of a vocoder, or the name of one in the package.  [default: {options.DEFAULT_VOCODER}]")
@click.option("--chunk-seconds", type=click.FloatRange(0.0, min_open=True),
              help="Render in pieces of this length, for long inputs; the result is the same.")
@options.checkpoint
@options.force
@options.quiet
def command(inputs: tuple[Path, ...], out: Path, vocoder: str | None, chunk_seconds: float | None, checkpoint: str,
            force: bool, quiet: bool) -> None:
    """Render every INPUT to a WAV.

    An INPUT is a sound, which is turned into a mel spectrogram and back (copy synthesis: what the vocoder can do at its
    best), a folder of sounds, or a .npy file of a mel spectrogram (frames, mel_bins) on the vocoder's own scale.
    """
    if vocoder == "griffin-lim":
        raise UsageError("--vocoder griffin-lim has no mels of its own: give a run, or the name of a vocoder")
    if chunk_seconds is not None and not math.isfinite(chunk_seconds):
        raise UsageError(f"--chunk-seconds {chunk_seconds}: give a number of seconds")
    for given in inputs:
        if not given.exists():
            raise UsageError(f"{given} does not exist: give sound files, folders of them, or mels (.npy)")
    options.require_output(out, force)

    options.start_tensorflow(threads_per_op=1)  # pieces are rendered side by side
    from melgan_tf.inference.vocode_files import plan, vocode_files
    from melgan_tf.inference.vocoder import load_shipped, load_vocoder

    pairs = plan(inputs, out)
    progress = ConsoleProgress(quiet)
    chosen = (load_shipped(options.DEFAULT_VOCODER) if vocoder is None else
              load_vocoder(vocoder, checkpoint, progress))
    done = vocode_files(chosen, pairs, chunk_seconds, progress)
    for file in done.clipped:
        progress.warning(f"{file} was held to full scale")
    if not quiet:
        click.echo(f"{len(done.files)} sounds in {out}: {done.seconds:.1f} s of sound in {done.spent:.2f} s, "
                   f"{done.seconds / max(done.spent, 1e-9):.0f} times real time")
