"""`melgan-tf vocode`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, echo_line
from melgan_tf.progress import counted


@click.command("vocode", short_help="Render mel spectrograms, or copies of sounds, to WAVs.")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=options.Place(remote=False))
@click.option("--out", required=True, type=options.Place(remote=False, file_okay=False), help="Folder for the WAVs.")
@options.vocoder(f"Run of a vocoder, or the name of a bundled one.  [default: {api.DEFAULT_VOCODER}]")
@click.option("--chunk-seconds", type=options.Seconds(0.0, min_open=True),
              help="Render in pieces of this length, for long inputs; the result is the same.")
@options.checkpoint
@options.force
@options.quiet
def command(inputs: tuple[Path, ...], out: Path, force: bool, quiet: bool, **settings: Any) -> None:
    """Render every INPUT to a WAV.

    An INPUT is a sound or a folder of sounds, which are turned into mel spectrograms and back (copy synthesis: the
    vocoder at its best), or a .npy file of a mel spectrogram (frames, mel_bins) on the vocoder's own scale.

    \b
    Examples:
      melgan-tf vocode loop.wav --out copies
      melgan-tf vocode mels/*.npy --vocoder runs/vocoder --out rendered
    """
    options.require_output(out, force)
    progress = ConsoleProgress(quiet)
    done = api.vocode(inputs, out, progress=progress, **settings)
    for file in done.clipped:
        progress.warning(f"{file} was clipped to full scale")
    if not quiet:
        echo_line(f"{counted(len(done.files), 'sound')} in {out}: {done.seconds:.1f} s of sound in {done.spent:.2f} s, "
                  f"{done.seconds / max(done.spent, 1e-9):.0f} times real time"
                  + (f"; {len(done.skipped)} skipped" if done.skipped else ""))
