"""`melgan-tf generate`."""

from __future__ import annotations

from pathlib import Path

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, echo_line
from melgan_tf.inference.output_folder import FileNames, Part, has_only_other_parts


class _PartType(click.ParamType):
    """``I/N``: part I of N."""

    name = "shard"

    def convert(self, value: str | Part, param: click.Parameter | None, ctx: click.Context | None) -> Part:
        if isinstance(value, Part):
            return value
        parts = value.split("/")
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 8 for part in parts):
            self.fail(f"{value!r} is not I/N, as in 1/4 to 4/4", param, ctx)
        try:
            return Part(*map(int, parts))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("generate", short_help="Make new sounds with a trained model.")
@options.run_argument
@options.sounds_out
@click.option("--count", type=click.IntRange(1, 1_000_000), default=16, show_default=True, help="Number of sounds.")
@click.option("--label", metavar="CLASS[=WEIGHT],...",
              help="Class of all sounds, or a mixture: kick, or kick=0.7,snare=0.3.  [default: as in training]")
@click.option("--seconds", type=options.Seconds(), help="Length of each sound, only for models of the preset music.  "
              "[default: 10]")
@click.option("--loop", is_flag=True, help="Make seamless loops; the length is rounded to fit.")
@options.wishes
@click.option("--shard", "part", type=_PartType(), metavar="I/N",
              help="Make only part I of N (1 to N). Parallel jobs may share a folder; together they make the sounds "
                   "that one call would make.")
@options.seed(0)
@click.option("--normalize/--no-normalize", default=True, show_default=True,
              help="Bring every sound to a peak of -1 dB, or keep the levels that the model makes.")
@options.vocoder("What renders the mels: the run of a vocoder, the name of a bundled one, or griffin-lim.  "
                 "[default: the bundled one that matches, else griffin-lim]")
@options.checkpoint
@options.force
@options.quiet
def command(run: Path, out: Path, count: int, label: str | None, seconds: float | None, loop: bool,
            part: Part | None, seed: int, normalize: bool, vocoder: str | None, checkpoint: str, force: bool,
            quiet: bool, **wishes: float | str | None) -> None:
    """Make new sounds with the model in the run directory RUN, or with a bundled model such as pretrained:drums.

    Writes WAVs, sounds.json (how to regenerate each sound), sounds.png (their spectrograms) and index.html (a page to
    hear them in a browser). Sound i of a seed is always the same, whatever the count. The picture shows
    the first thousand sounds, the page the first five thousand. With --shard, the files are sounds-I-of-N.json,
    sounds-I-of-N.png and index-I-of-N.html.

    \b
    Examples:
      melgan-tf generate pretrained:drums --label kick --count 32 --out kicks
      melgan-tf generate pretrained:drums --label kick=0.7,snare=0.3 --out hybrids
      melgan-tf generate pretrained:music --seconds 4 --loop --out loops
    """
    shared = part is not None and out.is_dir() and has_only_other_parts(out, part)
    options.require_output(out, force or shared)
    progress, names = ConsoleProgress(quiet), FileNames.of(part)
    model = api.load_sound_model(run, checkpoint=checkpoint, vocoder=vocoder, progress=progress)
    model = model.asked(**wishes)
    record = model.write(out, count, seed, label, seconds=seconds, loop=loop, normalize=normalize, part=part,
                         progress=progress)
    each = f" of {record['seconds']:.6g} seconds" if "seconds" in record else ""
    made, whole = record["made"], f" (shard {part} of {count})" if part else ""
    if record["silent"]:
        click.echo(f"warning: {record['silent']} of {made} sounds are silent", err=True)
    if not quiet and not made:
        click.echo(f"no sounds are left for shard {part} of {count} sounds, as {out / names.record} says")
    elif not quiet:
        echo_line(f"{made} {'loops' if loop else 'sounds'}{each}{whole} in {out}, their spectrograms in "
                   f"{out / names.picture}; to hear them: {out / names.page}")
