"""`melgan-tf info`."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import echo_line, format_duration, json_text, table
from melgan_tf.errors import UsageError

#: What most people want to know, in this order; the rest is for --verbose.
_FIRST = ("trained", "best", "sounds", "seconds", "sample_rate", "sample_rates", "tempos", "channels", "bits",
          "peak_db", "loudness_lufs", "source", "label", "seed", "index", "classes", "preset", "hours", "data",
          "licence", "near_copies", "size_bytes", "notes", "try")
_NAMES = {"seconds": "length", "sample_rate": "sample rate", "sample_rates": "sample rates", "peak_db": "peak",
          "loudness_lufs": "loudness", "hours": "training", "source": "model", "licence": "license",
          "size_bytes": "size", "near_copies": "near copies"}


@click.command("info", short_help="Describe a model, a run, an export, a sound or a folder.")
@click.argument("paths", nargs=-1, metavar="[PATH] [OTHER]", type=options.Place())
@click.option("--verbose", "-v", is_flag=True, help="Print everything that is recorded, metrics and configuration too.")
@click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON.")
def command(paths: tuple[Path, ...], verbose: bool, as_json: bool) -> None:
    """Describe PATH, compare two, or list the bundled models.

    PATH is a run, a bundled model (pretrained:drums, or just drums), an export, a checkpoint, a sound file, a folder of
    sounds, or the sounds.json of generated ones. With OTHER, a second run or model, shows what differs. Without
    any, the bundled models are listed.

    \b
    Examples:
      melgan-tf info
      melgan-tf info drums-44k
      melgan-tf info ~/samples/drums
      melgan-tf info runs/first runs/second
    """
    if len(paths) > 2:
        raise UsageError(f"{len(paths)} paths: give one to describe, or two to compare")
    found = api.info(*paths)
    if as_json:
        click.echo(json_text(found))
    elif not paths:
        _list(found)
    elif len(paths) == 2:
        _compare(found)
    else:
        _describe(paths[0], found, verbose)


def _list(models: dict[str, Any]) -> None:
    click.echo(table(("model", "length", "rate", "size", "makes"), [
        (name, *(_text(key, model[key]) for key in ("seconds", "sample_rate", "size_bytes")),
         ", ".join(model.get("classes", ())) or ("music" if model["kind"] == "sound model" else "waveforms of mels"))
        for name, model in models.items()]))
    commands = {model["kind"]: model["try"] for model in reversed(models.values())}
    click.echo("\ntry: " + "\n     ".join(reversed(commands.values())))


def _compare(found: dict[str, Any]) -> None:
    for title, values in (("setting", found["config"]), ("figure", found["figures"])):
        if values:
            rows = [(key, *(_plain(value) for value in pair)) for key, pair in values.items()]
            click.echo(table((title, *found["sources"]), rows) + "\n")
        else:
            click.echo(f"no {title} differs\n")


def _describe(path: Path, found: dict[str, Any], verbose: bool) -> None:
    kind = found.pop("kind")
    first = {_NAMES.get(key, key): _text(key, found[key]) for key in _FIRST if found.get(key) not in ([], None)
             or (key == "seconds" and key in found)}
    if kind == "folder of sounds":
        first["length"] = f"typically {first['length']}"
    rows = [row for key, text in first.items()  # commands are there to be copied
            for row in (_wrapped(key, text) if key != "try" else [(key, text)])]
    if verbose:
        rows += _rows({key: value for key, value in found.items() if key not in _FIRST or isinstance(value, dict)})
    click.echo(table((kind, str(path)), rows))
    if not verbose and any(key not in _FIRST for key in found):
        click.echo()
        echo_line(f"more: melgan-tf info {shlex.quote(str(path))} --verbose")


def _text(key: str, value: Any) -> str:
    """A value of a description, as people say it."""
    if key == "seconds" and isinstance(value, float | None):
        short = value is None or value < 60
        return "any" if value is None else f"{value:.3g} s" if short else f"{format_duration(value)} min"
    if key == "sounds" and isinstance(value, dict):
        return f"{value.get('sounds')} in {value.get('folder')}"
    if key in ("classes", "sample_rates") and isinstance(value, dict):
        return ", ".join(f"{name} ({count})" for name, count in value.items())
    units = {"sample_rate": (1000, "kHz"), "size_bytes": (1e6, "MB"), "peak_db": (1, "dB"),
             "loudness_lufs": (1, "LUFS"), "hours": (1, "h")}
    if key in units and isinstance(value, int | float):
        factor, unit = units[key]
        return f"{round(value / factor, 1 if unit == 'MB' else 4):g} {unit}"
    if key == "bits":
        return str(value) if value else "floating point, or compressed"
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_plain(inner)}" for name, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else "-" if value is None else str(value)


def _rows(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """One row for each value; a record of plain values is one row."""
    for key, value in values.items():
        if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
            yield from _rows(value, f"{prefix}{key}.")
        else:
            yield from _wrapped(prefix + key, _plain(value))


def _wrapped(key: str, text: str) -> Iterator[tuple[str, str]]:
    first, *more = textwrap.wrap(text, 90, break_on_hyphens=False) or [""]
    yield key, first
    yield from (("", line) for line in more)
