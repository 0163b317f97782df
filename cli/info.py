"""`melgan-tf info`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from melgan_tf import exports
from melgan_tf.cli import options
from melgan_tf.cli.console import json_text, table
from melgan_tf.config import to_dict
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.weights import bundled_models, packaged_name, pretrained_models, pretrained_vocoders, read_card


@click.command("info", short_help="Describe a model, a run, an export, a sound or a folder.")
@click.argument("path", required=False, type=options.Place())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(path: Path | None, as_json: bool) -> None:
    """List the models that are included; or describe PATH: a run directory, a checkpoint, a SavedModel, a TFLite file
    or a generated WAV.

    PATH may also be the name of a bundled model, such as pretrained:drums or vocoder-22k: this prints its card.

    \b
    Examples:
      melgan-tf info
      melgan-tf info runs/mine
      melgan-tf info kicks/kick-seed0-0000.wav
      melgan-tf info pretrained:drums
    """
    if path is None:
        models = bundled_models()
        if as_json:
            click.echo(json_text(models))
        else:
            click.echo(table(("model", "length", "rate", "size", "makes"), [
                (name, model["length"], f"{model['sample_rate'] / 1000:g} kHz", f"{model['size_bytes'] / 1e6:.1f} MB",
                 model["makes"]) for name, model in models.items()]))
            click.echo("\nmelgan-tf generate pretrained:drums --out sounds\n"
                       "melgan-tf vocode SOUND.wav --vocoder vocoder-22k --out copies")
        return
    description = _describe(path) if path.exists() else _card(str(path))
    if as_json:
        click.echo(json_text(description))
        return
    kind = description.pop("kind")
    click.echo(table((kind, str(path)), list(_rows(description))))


def _describe(path: Path) -> dict[str, Any]:
    if path.is_dir() and RunDirectory(path).exists():
        return _run(path)
    for name in exports.FORMATS:
        if description := exports.get_format(name).describe(path):
            return description
    if path.is_dir():
        raise UsageError(f"{path} is neither a run directory nor a SavedModel")
    kinds = {".npz": _checkpoint, ".wav": _wav}
    if path.suffix not in kinds:
        raise UsageError(f"{path} is none of: run directory, checkpoint (.npz), SavedModel, .tflite, generated .wav")
    return kinds[path.suffix](path)


def _card(name: str) -> dict[str, Any]:
    if not (found := packaged_name(name)):
        raise UsageError(f"{name} does not exist: give a run directory, a checkpoint, an export or a generated WAV, or "
                         f"one of {', '.join([*pretrained_models(), *pretrained_vocoders()])}")
    return {"kind": "vocoder" if name == found else "sound model", **read_card(found)}


def _run(path: Path) -> dict[str, Any]:
    from melgan_tf.storage.checkpoints import CheckpointStore

    directory = RunDirectory(path)
    record, config, store = directory.record(), directory.config(), CheckpointStore(directory.checkpoints)
    training, steps, best = config.training, store.steps(), store.best_meta()
    wanted = f"{training.steps} steps" if training.steps else f"{training.epochs} epochs"
    per_epoch = record["resolved"].get("steps_per_epoch")
    epochs = f" ({steps[-1] // per_epoch} epochs)" if steps and type(per_epoch) is int and per_epoch > 0 else ""
    return {"kind": "run", "preset": config.preset, "trained": f"{steps[-1] if steps else 0} steps{epochs} of {wanted}",
            "checkpoints": steps, "best": f"step {best['step']}" if best else "none", "sounds": record["data"],
            "audio_fingerprint": config.audio.fingerprint(), "resolved": record["resolved"],
            "versions": record["versions"], "config": to_dict(config)}


def _checkpoint(path: Path) -> dict[str, Any]:
    from melgan_tf.storage.checkpoints import inspect

    headers, meta = inspect(path)
    return {"kind": "checkpoint", **meta, "variables": len(headers),
            "numbers": sum(header.size for header in headers.values())}


def _wav(path: Path) -> dict[str, Any]:
    from melgan_tf.inference.origin import read_record

    if origin := read_record(path):
        return {"kind": "", **origin} | {"kind": "generated WAV"}
    raise MelGANError(f"{path} is a WAV, but does not say that melgan-tf made it")


def _rows(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """One row for each value; a record of plain values is one row."""
    for key, value in values.items():
        if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
            yield from _rows(value, f"{prefix}{key}.")
        elif isinstance(value, dict):
            text = ", ".join(f"{name}={', '.join(map(str, inner)) if isinstance(inner, list) else inner}"
                             for name, inner in value.items())
            yield from _wrapped(prefix + key, text)
        else:
            yield from _wrapped(prefix + key, ", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _wrapped(key: str, text: str) -> Iterator[tuple[str, str]]:
    first, *more = textwrap.wrap(text, 90) or [""]
    yield key, first
    yield from (("", line) for line in more)
