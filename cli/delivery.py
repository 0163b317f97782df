"""The options of every command that writes sounds: how samples become files, and what these are called."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress
from melgan_tf.errors import UsageError
from melgan_tf.inference.output_folder import FileNames, Part, earlier_files, has_only_other_parts
from melgan_tf.progress import counted

_BESIDE = (".json", ".png", ".html")


def bit_depth(usual: str, **options: Any) -> Callable[[Any], Any]:
    """The option ``--bit-depth``."""
    return click.option("--bit-depth", type=click.Choice(["16", "24", "32f"]), **options,
                        help=f"Bits of a sample; 32f is floating point.  [default: {usual}]")


sample_rate = click.option("--sample-rate", type=click.IntRange(8_000, 192_000), metavar="HZ",
                           help="Sample rate of the files.  [default: that of the model]")
_DELIVERY = options.packed(
    "delivery",
    format=click.option("--format", type=click.Choice(["wav", "flac", "aiff", "ogg"]), help="Format of the files.  "
                        "[default: wav]"),
    bit_depth=bit_depth("16"),
    sample_rate=sample_rate,
    channels=click.option("--channels", type=click.IntRange(1, 2), help="1, or 2 equal ones.  [default: 1]"),
    normalize=click.option(
        "--normalize", is_flag=False, flag_value="peak", metavar="[peak|lufs|none]",
        type=click.Choice(["peak", "lufs", "none"]),
        help="Level: every sound at a peak of -1 dB; equally loud (ITU-R BS.1770); or as the model makes it.  "
             "[default: peak]"),
    no_normalize=click.option("--no-normalize", is_flag=True, default=None, help="The same as --normalize none."),
    lufs=click.option("--lufs", type=click.FloatRange(-70, 0), help="Loudness, for --normalize lufs.  [default: -27]"),
    trim=click.option("--trim/--no-trim", default=None, help="End each sound where it falls below -60 dB."),
    tail=click.option("--tail", type=options.Seconds(0), help="Fade out the last seconds of each sound; 0 leaves its "
                      "end as it is.  [default: only sounds that are cut off]"),
    date=click.option("--date", metavar="YYYY-MM-DD", help="Date for the tags.  [default: none, so that equal commands "
                      "make equal files]"),
    tags=click.option("--tags/--no-tags", default=None, help="Write title, class, pitch, license and so on into the "
                      "files.  [default: tags]"),
)
_NAME = click.option("--name", metavar="PATTERN", help="Names of the files, from {label}, {index}, {seed}, {model} and "
                     "{note}, as in {label}_{index:03}_{note}.")
_ADD = click.option("--add", is_flag=True, help="Add the sounds to those in the folder; its record, picture and page "
                    "cover them all.")


def delivery_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which receives them as ``delivery``, ``name`` and ``add``.

    ``delivery`` has the values that were given, by the names of `melgan_tf.audio.delivery.Delivery`.
    """
    @functools.wraps(command)
    def completed(delivery: dict[str, Any], **values: Any) -> Any:
        if delivery.pop("no_normalize", False):
            delivery.setdefault("normalize", "none")
        if "lufs" in delivery:
            delivery.setdefault("normalize", "lufs")
        return command(delivery=delivery, **values)

    return _DELIVERY(_NAME(_ADD(completed)))


def sounds_output(out: Path, force: bool, add: bool, quiet: bool, part: Part | None = None) -> ConsoleProgress:
    """Checks the folder of a command that writes sounds, and says which ones of an earlier call ``--force`` replaces.

    Returns:
        What reports the command's progress.

    Raises:
        UsageError: something is there, and neither ``--force`` nor ``--add`` was given.
        MelGANError: nothing can be written there.
    """
    if force and add:
        raise UsageError("--force replaces sounds and --add keeps them: give one of them")
    shared = part is not None and out.is_dir() and has_only_other_parts(out, part)
    options.require_output(out, force or add or shared)
    progress = ConsoleProgress(quiet)
    if force and out.is_dir():
        replaced = [name for name in earlier_files(out, FileNames.of(part)) if not name.endswith(_BESIDE)]
        if replaced:
            progress.line(f"replacing {counted(len(replaced), 'generated sound')} in {out}; other files stay")
    return progress


def tell_levels(record: dict[str, Any], quiet: bool) -> None:
    """Says which of the sounds in a record are silent, too loud, or were faded out; if quiet only warnings."""
    from melgan_tf.audio.delivery import LUFS

    def of(name: str) -> str:
        return f"{record[name]:,} of {counted(record['made'], 'sound')}"

    if record["silent"]:
        _warn(f"silent: {of('silent')}")
    if record["turned_down"]:
        _warn(f"too loud for the file, so turned down to full scale: {of('turned_down')}; --bit-depth 32f keeps their "
              "level, --normalize peak or lufs brings all to one")
    if record["over"]:
        _warn(f"above full scale, which floating point keeps: {of('over')}; turn them down before they become 16 or 24 "
              "bits, or they clip")
    if record["soft"]:
        target = record.get("delivery", {}).get("lufs", LUFS)
        _warn(f"softer than the others, so as not to clip: {of('soft')}; --lufs "
              f"{math.floor(target - record['below_lufs']):g} makes all equally loud")
    if record["abrupt"] and not quiet:
        click.echo(f"still sounding where the model's length ends, so faded out: {of('abrupt')}; --tail 0 leaves them "
                   "as they are")


def _warn(text: str) -> None:
    click.echo(f"warning: {text}", err=True)
