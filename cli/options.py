"""Options and checks that several commands share. No TensorFlow at import."""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from melgan_tf import runtime, storage
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.storage.temporaries import sweep

_MAX_INDICES = 100_000


class Place(click.Path):
    """The type of arguments that are folders or files.

    Args:
        remote: whether they may be remote (``s3://...``).
        options: of `click.Path`.
    """

    def __init__(self, remote: bool = True, **options: Any) -> None:
        super().__init__(path_type=Path, **options)
        self.remote = remote

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if not storage.is_remote(value):
            if scheme := re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", str(value)):
                raise UsageError(f"{value}: unknown scheme {scheme[0]}: give a local path, or one of "
                                 f"{', '.join(f'{name}://' for name in storage.SCHEMES)}")
            return super().convert(value, parameter, context)
        if not self.remote:
            raise UsageError(f"{value} cannot be used as {parameter.opts[0] if parameter else 'this'}: "
                             "give a local path")
        runtime.mute_native_logs()
        return storage.path(value)


class Seconds(click.FloatRange):
    """The type of lengths of time: neither NaN nor infinite."""

    def _describe_range(self) -> str:
        return "" if self.min is None and self.max is None else super()._describe_range()  # click: "x<=None"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        seconds = super().convert(value, parameter, context)
        if not math.isfinite(seconds):
            self.fail(f"{value} is not a number of seconds", parameter, context)
        return seconds


class Indices(click.ParamType):
    """The type of ``I,J,K-L``: some sounds of a seed."""

    name = "indices"

    def convert(self, value: str | list[int], param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        found: list[int] = []
        for part in value.split(","):
            ends = part.strip().split("-")
            if len(ends) > 2 or not all(end.isascii() and end.isdigit() and len(end) < 16 for end in ends):
                self.fail(f"{part!r} is not an index: give numbers, as in 3,17,40-45", param, ctx)
            first, last = int(ends[0]), int(ends[-1])
            if not first <= last < first + _MAX_INDICES:
                self.fail(f"{part!r} is not a range of at most {_MAX_INDICES} indices", param, ctx)
            found += range(first, last + 1)
        if len(set(found)) < len(found):
            self.fail(f"{value!r} has an index twice", param, ctx)
        return found


quiet = click.option("--quiet", "-q", is_flag=True, help="Print results and warnings only.")
force = click.option("--force", is_flag=True, help="Replace existing files.")
checkpoint = click.option("--checkpoint", type=click.Choice(["last", "best"]), default="last", show_default=True,
                          help="Newest checkpoint of the run, or the one with the best validation score.")
sounds_out = click.option("--out", required=True, type=Place(remote=False, file_okay=False),
                          help="Folder for the sounds.")
count = click.option("--count", type=click.IntRange(1, 1_000_000), default=16, show_default=True,
                     help="Number of sounds.")
mixture = click.option("--label", metavar="CLASS[=WEIGHT],...", help="Class of all sounds, or a mixture: kick, or "
                       "kick=0.7,snare=0.3.  [default: as in training]")
indices = click.option("--index", "indices", type=Indices(), metavar="I,J,K-L",
                       help="Make these sounds of the seed, instead of --count and --start.")
run_argument = click.argument("run", type=Place())


_VOCODER = ("Vocoder: a run, the name of a bundled one, or griffin-lim.  [default: the bundled one that matches, else "
           "griffin-lim]")


def vocoder(text: str = _VOCODER) -> Callable[[Any], Any]:
    """The option ``--vocoder``."""
    return click.option("--vocoder", metavar="RUN|NAME", help=text)


def model(text: str) -> Callable[[Any], Any]:
    """The option ``--model``."""
    return click.option("--model", metavar="RUN|NAME", help=text)


def seed(default: int | None) -> Callable[[Any], Any]:
    """The option ``--seed``."""
    return click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=default, show_default=default is not None,
                        help="Random seed.")


bpm = click.option("--bpm", type=click.FloatRange(40, 300), help="Loops and music: beats per minute.")
key = click.option("--key", metavar="KEY", help="Loops: key, such as C, F#m or Bb.  [default: any]")


_SHARE = click.FloatRange(0, 1)
_FEATURES = {"density": "Loops: hits per beat", "loudness": "Loops: level relative to the peak",
             "complexity": "Loops: off-beat onsets", "brightness": "Loops, one-shots: brightness",
             "decay": "One-shots: decay time", "pitch": "One-shots: pitch"}


def packed(into: str, **options: Callable[[Any], Any]) -> Callable[[Callable], Callable]:
    """Adds options to a command, which receives the values that were given as one dictionary.

    Args:
        into: the argument that receives them.
        options: by the name of the value.
    """
    def add(command: Callable) -> Callable:
        @functools.wraps(command)
        def packing(**values: Any) -> Any:
            found = {name: values.pop(name) for name in options}
            return command(**values, **{into: {name: value for name, value in found.items() if value is not None}})

        return functools.reduce(lambda decorated, option: option(decorated), reversed(options.values()), packing)

    return add


wishes = packed(
    "wishes", bpm=bpm,
    bars=click.option("--bars", type=click.IntRange(1, 64), help="Loops and music: bars of 4/4.  [default: 2; music: "
                      "4]"),
    key=key,
    swing=click.option("--swing", type=_SHARE, help="Loops: delay of every second sixteenth, from 0 (straight) to 1 "
                       "(triplets).  [default: 0]"),
    **{name: click.option(f"--{name}", type=_SHARE, help=f"{meaning}, from 0 (lowest of its class) to 1 (highest).  "
                          "[default: as in training]") for name, meaning in _FEATURES.items()})


def require_output(path: Path, force: bool, option: str = "--out") -> None:
    """Checks that an output can be made at the path of an option before any work is done.

    Raises:
        UsageError: something is there, and ``--force`` was not given.
        MelGANError: nothing can be written there.
    """
    if str(path) == "-":
        raise UsageError(f"{option} - is standard output, which takes one text only: give a path")
    if isinstance(path, Path) and path.is_dir():
        sweep(path)  # so that what a killed process left does not count
    if not force and ((path.is_dir() and any(path.iterdir())) or path.is_file()):
        raise UsageError(f"{path} exists: give another {option}, or --force to replace it")
    if storage.is_remote(path):  # shows when it is written
        return
    if path.is_dir() and not os.access(path, os.W_OK):
        raise MelGANError(f"cannot write in {path}: it is read-only")
    if not path.exists():
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        if not parent.is_dir():
            raise UsageError(f"{path} cannot be made: {parent} is not a directory")
        if not os.access(parent, os.W_OK):
            raise MelGANError(f"{path} cannot be made: {parent} is read-only")
