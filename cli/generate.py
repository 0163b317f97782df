"""`melgan-tf generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import echo_line
from melgan_tf.cli.delivery import delivery_options, sounds_output, tell_levels
from melgan_tf.errors import UsageError
from melgan_tf.inference.output_folder import FileNames, NamePattern, Part
from melgan_tf.progress import counted


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
@options.count
@options.mixture
@click.option("--stems", metavar="CLASS,CLASS,...", help="Make --count sets of loops that play together: one of "
              "each class in the same style, key and tempo, and their mix.")
@click.option("--seconds", type=options.Seconds(), help="Length of each sound: any for models of the preset music, "
              "others are only cut.  [default: 10 for music, else the model's length]")
@click.option("--loop", is_flag=True, help="Make seamless loops; the length is rounded to fit.")
@options.wishes
@options.seed(0)
@click.option("--start", type=click.IntRange(0, 2**53), default=0, show_default=True,
              help="Index of the first sound: --seed 1 --start 900 --count 1 is sound 900 of seed 1.")
@options.indices
@click.option("--diverse", is_flag=True, help="Choose the --count most different sounds among --candidates.")
@click.option("--avoid", type=options.Place(), metavar="FOLDER",
              help="Skip sounds that are too close to one in this folder.")
@click.option("--candidates", type=click.IntRange(2, 5_000), metavar="N",
              help="Sounds of the seed to choose from, for --diverse and --avoid.  [default: 8 x count]")
@click.option("--shard", "part", type=_PartType(), metavar="I/N",
              help="Make only part I of N (1 to N). Parallel jobs may share a folder; together they make the sounds "
                   "that one call would make.")
@delivery_options
@options.vocoder()
@options.checkpoint
@options.force
@options.quiet
def command(run: Path, out: Path, count: int, label: str | None, stems: str | None, seed: int, start: int,
            indices: list[int] | None, diverse: bool, avoid: Path | None, candidates: int | None, part: Part | None,
            name: str | None, add: bool, vocoder: str | None, checkpoint: str, force: bool, quiet: bool,
            delivery: dict[str, Any], wishes: dict[str, Any], **length: Any) -> None:
    """Make new sounds with the model in the run directory RUN, or with a bundled model such as pretrained:drums.

    Writes sound files, sounds.json (how to regenerate each sound), sounds.png (their spectrograms), LICENSES.txt (what
    the model learned from) and index.html (a page to hear them in a browser). Sound i of a seed is always the same,
    whatever the count. The picture shows the first thousand sounds, the page the first five thousand. With --shard, the
    files are sounds-I-of-N.json, sounds-I-of-N.png and index-I-of-N.html.

    --diverse and --avoid choose among the sounds of the seed; sounds.json has their indices. Ctrl-C keeps the sounds
    that are finished.

    \b
    Examples:
      melgan-tf generate pretrained:drums --label kick --count 32 --out kicks
      melgan-tf generate pretrained:drums --label kick=0.7,snare=0.3 --out hybrids
      melgan-tf generate pretrained:drums --diverse --avoid my-samples --out new
      melgan-tf generate pretrained:music --seconds 4 --loop --out loops
      melgan-tf generate pretrained:loops --bpm 124 --bars 4 --key Am --out beats
      melgan-tf generate pretrained:loops --stems drums,bass --bpm 124 --out sets
      melgan-tf generate pretrained:drums-44k --bit-depth 24 --trim --out hits
      melgan-tf generate runs/mine --name "{label}_{index:03}" --out pack
    """
    from melgan_tf.audio.delivery import Delivery

    if indices and (part or start):
        raise UsageError(f"--index names the sounds: remove {'--shard' if part else '--start'}")
    if chosen := "--diverse" if diverse else "--avoid" if avoid else "":
        for given, option in ((indices, "--index"), (part, "--shard"), (start, "--start")):
            if given:
                raise UsageError(f"{chosen} chooses the sounds: remove {option}")
    elif candidates:
        raise UsageError("--candidates are what --diverse and --avoid choose from: give one of these")
    for given, option in ((label, "--label"), (indices, "--index"), (part, "--shard"), (chosen, chosen)):
        if stems and given:
            raise UsageError(f"--stems are of several classes: remove {option}")
    if part and add:
        raise UsageError("parts of a job share a folder anyway: remove --add")
    settings, names = Delivery(**delivery), FileNames.of(part)
    progress = sounds_output(out, force, add, quiet, part)
    if name:
        NamePattern(name, len(indices) if indices else count)
    model = api.load_sound_model(run, checkpoint=checkpoint, vocoder=vocoder, progress=progress).asked(**wishes)
    if chosen:
        choice = api.choose(model, count, seed=seed, label=label, candidates=candidates, diverse=diverse, avoid=avoid,
                            progress=progress)
        indices = list(choice.indices)
        if not quiet:
            near = f"; too near to {avoid}: {choice.near} of these" if avoid else ""
            echo_line(f"chosen: {count} of the first {choice.candidates} sounds of seed {seed}{near}")
    record = model.write(out, count, seed, label, start=start, indices=indices or (),
                         stems=stems.split(",") if stems else (), delivery=settings, name=name, add=add, part=part,
                         progress=progress, **length)
    each = f" of {record['seconds']:.6g} seconds" if "seconds" in record else ""
    made, whole = record["made"], f" (shard {part} of {count})" if part else ""
    if not quiet and not made:
        click.echo(f"no sounds are left for shard {part} of {count} sounds, as {out / names.record} says")
    elif not quiet:
        echo_line(f"{counted(made, 'loop' if length['loop'] else 'sound')}{each}{whole} in {out}, with spectrograms in "
                  f"{out / names.picture}; to hear: {out / names.page}")
    tell_levels(record, quiet)
