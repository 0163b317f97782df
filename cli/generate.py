"""`melgan-tf generate`."""

from __future__ import annotations

from pathlib import Path

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress
from melgan_tf.inference.output_folder import FileNames, Shard, holds_other_shards_only


class _ShardType(click.ParamType):
    """``I/N``: part I of N."""

    name = "shard"

    def convert(self, value: str | Shard, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        if isinstance(value, Shard):
            return value
        parts = value.split("/")
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 8 for part in parts):
            self.fail(f"{value!r} is not I/N, as in 1/4 to 4/4", param, ctx)
        try:
            return Shard(*map(int, parts))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("generate", short_help="Make new sounds with a trained model.")
@options.run_argument
@click.option("--out", required=True, type=options.Place(remote=False, file_okay=False), help="Folder for the sounds.")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=16, show_default=True, help="How many sounds.")
@click.option("--label", metavar="CLASS[=WEIGHT],...",
              help="Class of all sounds, or a mixture: kick, or kick=0.7,snare=0.3.  [default: as in training]")
@click.option("--seconds", type=float, help="Length of each sound, of a model that makes any: preset music.  "
              "[default: 10]")
@click.option("--loop", is_flag=True, help="Make seamless loops, of the nearest length that there is.")
@click.option("--shard", type=_ShardType(), metavar="I/N",
              help="Make part I of N of the sounds only, I from 1 to N: jobs side by side, each all or nothing, which "
                   "may share a folder. Their sounds are those that one call would make.")
@options.seed(0)
@click.option("--normalize/--no-normalize", default=True, show_default=True,
              help="Bring every sound to a peak of -1 dB, or leave levels as the model makes them.")
@options.vocoder("What renders the mels: a vocoder's run, the name of one in the package, or griffin-lim.  "
                 "[default: the package's own where it fits, else griffin-lim]")
@options.checkpoint
@options.force
@options.quiet
def command(run: Path, out: Path, count: int, label: str | None, seconds: float | None, loop: bool,
            shard: Shard | None, seed: int, normalize: bool, vocoder: str | None, checkpoint: str, force: bool,
            quiet: bool) -> None:
    """Make new sounds with the model in the run directory RUN, or with one of the package's own: pretrained:drums.

    Writes WAVs, sounds.json (what regenerates each sound), sounds.png (their spectrograms) and index.html (to hear them
    in a browser). Sound number i of a seed is always the same, however many are asked for. Picture and page show the
    first thousand. A shard writes sounds-I-of-N.json, sounds-I-of-N.png and index-I-of-N.html.
    """
    shared = shard is not None and out.is_dir() and holds_other_shards_only(out, shard)
    options.require_output(out, force or shared)
    progress, names = ConsoleProgress(quiet), FileNames.of(shard)
    model = api.load_sound_model(run, checkpoint=checkpoint, vocoder=vocoder, progress=progress)
    record = model.write(out, count, seed, label, seconds=seconds, loop=loop, normalize=normalize, shard=shard,
                         progress=progress)
    each = f" of {record['seconds']:.6g} seconds" if "seconds" in record else ""
    made, whole = record["made"], f" (shard {shard} of {count})" if shard else ""
    if record["silent"]:
        click.echo(f"warning: {record['silent']} of {made} sounds are silent", err=True)
    if not quiet and not made:
        click.echo(f"no sounds are left for shard {shard} of {count} sounds, as {out / names.record} says")
    elif not quiet:
        click.echo(f"{made} {'loops' if loop else 'sounds'}{each}{whole} in {out}, their spectrograms in "
                   f"{out / names.picture}; to hear them: {out / names.page}")
