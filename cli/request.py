"""`melgan-tf request`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import echo_line
from melgan_tf.cli.delivery import delivery_options, sounds_output, tell_levels
from melgan_tf.errors import UsageError
from melgan_tf.inference.output_folder import FileNames, NamePattern


@click.command("request", short_help="Make new sounds with a model on a server.")
@click.option("--url", metavar="URL", help="The server's REST interface, such as http://HOST:8501.")
@click.option("--grpc", metavar="HOST:PORT", help="The server's gRPC interface instead, such as HOST:8500; answers are "
              "smaller.")
@click.option("--model", required=True, metavar="NAME", help="Name of the model on the server.")
@click.option("--version", type=click.IntRange(1), help="Version of the model.  [default: the newest]")
@options.sounds_out
@options.count
@options.mixture
@options.wishes
@options.seed(0)
@click.option("--start", type=click.IntRange(0, 2**53), default=0, show_default=True, help="Index of the first sound.")
@options.indices
@click.option("--fingerprint", metavar="DIGITS|FOLDER", help="Accept only the model whose weights have these twelve "
              "digits, or that made the sounds in this folder.")
@click.option("--deadline", type=options.Seconds(0, min_open=True), default=60.0, show_default=True,
              help="Seconds to keep trying while the server cannot be reached or is busy.")
@delivery_options
@options.force
@options.quiet
def command(url: str | None, grpc: str | None, model: str, version: int | None, out: Path, count: int,
            label: str | None, seed: int, start: int, indices: list[int] | None, fingerprint: str | None,
            deadline: float, name: str | None, add: bool, force: bool, quiet: bool, delivery: dict[str, Any],
            wishes: dict[str, Any]) -> None:
    """Make new sounds with a model that `melgan-tf export` wrote and TF Serving serves.

    Writes what `melgan-tf generate` writes: sound files, sounds.json, sounds.png, LICENSES.txt and index.html. The same
    seed is the same sound, and the other commands read these files as their own. All sounds are of one version of the
    model, even if the server loads another meanwhile. TensorFlow is loaded only for --add.

    \b
    Examples:
      melgan-tf request --url http://HOST:8501 --model drums --out new
      melgan-tf request --grpc HOST:8500 --model drums --label kick --out kicks
      melgan-tf request --grpc HOST:8500 --model drums --index 3,17 --out two
      melgan-tf request --grpc HOST:8500 --model drums --fingerprint new --out b
      melgan-tf request --grpc HOST:8500 --model loops --bpm 124 --out beats
      melgan-tf request --grpc HOST:8500 --model drums --brightness 0.2 --out dull
    """
    from melgan_tf.audio.delivery import Delivery

    if (url is None) == (grpc is None):
        raise UsageError("--url and --grpc are two ways to a server: give one of them")
    if indices and start:
        raise UsageError("--index names the sounds: remove --start")
    settings, names = Delivery(**delivery), FileNames.of()
    progress = sounds_output(out, force, add, quiet)
    if name:
        NamePattern(name, len(indices) if indices else count)
    connected = api.connect(url or f"grpc://{grpc}", model, version=version, deadline=deadline,
                            fingerprint=fingerprint, progress=progress).asked(**wishes)
    record = connected.write(out, count, seed, label, start=start, indices=indices or (), delivery=settings,
                             name=name, add=add, progress=progress)
    if not quiet:
        echo_line(f"{record['made']} sounds in {out}, their spectrograms in {out / names.picture}; to hear them: "
                  f"{out / names.page}")
    tell_levels(record, quiet)
