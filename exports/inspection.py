"""What a path or a name stands for: what `melgan-tf info` tells. No TensorFlow.

A description has a ``kind`` and, where they are known, ``seconds`` (None: any length), ``sample_rate`` (Hz),
``classes`` and ``try``, a command to go on with.
"""

from __future__ import annotations

import contextlib
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from melgan_tf import exports, storage
from melgan_tf.audio.find import SoundFile, scan
from melgan_tf.audio.isolated import describe_sound, measure
from melgan_tf.audio.magic import EXTENSIONS
from melgan_tf.config import Config, from_dict, presets, to_dict
from melgan_tf.config.strict_json import expect
from melgan_tf.data.labels import Classes
from melgan_tf.data.shards import Prepared, is_prepared
from melgan_tf.data.survey import survey, tempo_range
from melgan_tf.errors import ConfigError, DecodeError, MelGANError, UsageError, did_you_mean
from melgan_tf.inference.origin import record_in
from melgan_tf.progress import counted
from melgan_tf.storage.checkpoints import CheckpointStore, inspect
from melgan_tf.storage.json_file import MAX_LIST_BYTES, read_json
from melgan_tf.storage.run_directory import RunDirectory, leaves
from melgan_tf.weights import (
    PRETRAINED,
    WEIGHTS,
    card_config,
    packaged_name,
    pretrained_models,
    pretrained_vocoders,
    read_card,
)
from melgan_tf.weights.licenses import folder_license, model_licenses, short_license

#: So many sounds or fewer learn more from a bundled model than from scratch.
_FEW_SOUNDS = 500


def describe(source: str | Path) -> dict[str, Any]:
    """See `melgan_tf.api.info`."""
    path = storage.path(source)
    if not path.exists():
        return _bundled(str(source))
    if path.is_dir():
        found = _run(path) or _export(path) or _prepared(path) or _record(path / "sounds.json") or _folder(path)
        if not found:
            raise UsageError(f"{path} contains neither a run, an export, prepared shards nor sounds")
        return found
    if path.suffix == ".npz":
        return _checkpoint(path)
    return _export(path) or (_record(path) if path.suffix == ".json" else _sound(path))


def bundled_models() -> dict[str, dict[str, Any]]:
    """What the models of the package make, by name."""
    return {name: {key: value for key, value in _bundled(name).items()
                   if key in ("kind", "seconds", "sample_rate", "size_bytes", "classes", "try")}
            for name in [*pretrained_models(), *pretrained_vocoders()]}


def compare(first: str | Path, second: str | Path) -> dict[str, Any]:
    """What differs between two models: ``config`` and ``figures``, by key the values of both; None where one has none.

    Raises:
        UsageError: one is neither a run nor another model.
        MelGANError: as `describe`.
    """
    both = [describe(source) for source in (first, second)]
    for source, description in zip((first, second), both, strict=True):
        if "config" not in description:
            raise UsageError(f"{source} ({description['kind']}) has no configuration to compare: give two runs or "
                             "models")
    configs, figures = ([dict(leaves(description.get(part, {}))) for description in both]
                        for part in ("config", "figures"))
    for one, description in zip(figures, both, strict=True):
        one |= {key: description[key] for key in ("step", "sounds", "classes") if key in description}
    return {"kind": "comparison", "sources": [str(first), str(second)], "config": _differences(*configs),
            "figures": _differences(*figures)}


def _differences(first: dict[str, Any], second: dict[str, Any]) -> dict[str, list[Any]]:
    pairs = {key: [first.get(key), second.get(key)] for key in (*first, *second)}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _of_config(config: Config, classes: Any = ()) -> dict[str, Any]:
    length = config.data.clip_samples / config.audio.sample_rate if config.family.makes == "clips" else None
    return {"preset": config.preset, "seconds": length, "sample_rate": config.audio.sample_rate,
            **({"classes": classes} if classes else {})}


def _bundled(source: str) -> dict[str, Any]:
    name = packaged_name(source) or packaged_name(f"{PRETRAINED}{source}")
    if not name:
        known = [*pretrained_models(), *pretrained_vocoders()]
        remedy = "give a run directory, an export, a sound, a folder of sounds, or a bundled model:"
        raise UsageError(f"{source} does not exist: {did_you_mean(source, known, remedy)}")
    card, vocoder = read_card(name), name in pretrained_vocoders()
    command = (f"melgan-tf vocode SOUND.wav --vocoder {name} --out copies" if vocoder else
               f"melgan-tf generate {PRETRAINED}{name} --out sounds")
    return {"kind": "vocoder" if vocoder else "sound model", **card, **_of_config(card_config(card)),
            "size_bytes": (WEIGHTS / f"{name}.npz").stat().st_size, "try": command}


def _run(path: Path) -> dict[str, Any] | None:
    directory = RunDirectory(path)
    if not directory.exists():
        return None
    record, config, store = directory.record(), directory.config(), CheckpointStore(directory.checkpoints)
    training, steps, best = config.training, store.steps(), store.best_meta()
    wanted = counted(training.steps, "step") if training.steps else counted(training.epochs, "epoch")
    per_epoch = record["resolved"].get("steps_per_epoch")
    step = steps[-1] if steps else 0
    epochs = f" ({counted(step // per_epoch, 'epoch')})" if step and type(per_epoch) is int and per_epoch > 0 else ""
    counts = record["data"].get("classes")
    command = (f"melgan-tf {config.family.listen_command.format(run=shlex.quote(str(path)))}" if steps else
               f"melgan-tf train {shlex.quote(str(record['data'].get('folder', 'SOUNDS')))} --run-dir "
               f"{shlex.quote(str(path))}")
    return {"kind": "run", "trained": f"{counted(step, 'step')}{epochs} of {wanted}", "step": step,
            "checkpoints": steps, "best": f"step {best['step']}" if best else "none",
            **_of_config(config, Classes(counts).names if counts else ()), "sounds": record["data"], **_licenses(path),
            "figures": {**_last_row(directory), **{f"best.{key}": value for key, value in (best or {}).items()
                                                   if isinstance(value, float)}},
            "audio_fingerprint": config.audio.fingerprint(), "resolved": record["resolved"],
            "versions": record["versions"], "config": to_dict(config), "try": command}


def _last_row(directory: RunDirectory) -> dict[str, float]:
    """The metrics of the last epoch."""
    with contextlib.suppress(ValueError):
        return {f"last.{key}": float(value) for key, value in (directory.history() or [{}])[-1].items()
                if key not in ("epoch", "step", "seconds")}
    return {}


def _export(path: Path) -> dict[str, Any] | None:
    for name in exports.FORMATS:
        if description := exports.get_format(name).describe(path):
            with contextlib.suppress(ConfigError, KeyError):
                length, samples = {}, description.get("samples")
                if "bars" in description:  # loops: of one tempo, or of any
                    length["seconds"] = samples and samples / description["sample_rate"]
                description = {**_of_config(from_dict(Config, description["config"])), **length, **description}
            return description
    return None


def _prepared(path: Path) -> dict[str, Any] | None:
    if not is_prepared(path):
        return None
    index = Prepared.open(path).index
    rate = index["sample_rate"]
    return {"kind": "prepared sounds", "sounds": index["clips"], "seconds": index["clip_samples"] / rate,
            "sample_rate": rate, "try": f"melgan-tf train {shlex.quote(str(path))} --run-dir RUN"}


def _record(path: Path) -> dict[str, Any] | None:
    """Of generated sounds: what sounds.json says of all of them."""
    if not path.is_file():
        return None
    try:
        record = read_json(path, MAX_LIST_BYTES)
        expect(record, sounds=list, sample_rate=int)
        sounds = record.pop("sounds")
        counts = Counter(sound["label"] for sound in sounds if "label" in sound)
        first = [SoundFile(path.parent / _name(sound["file"]), sound["file"], "") for sound in sounds[:1]]
    except (OSError, ValueError, TypeError, KeyError):
        raise MelGANError(f"{path} is not a record of sounds that melgan-tf made") from None
    length = [{"seconds": samples / rate} for rate, samples in filter(None, measure(first, 60.0))]
    licenses = {"licence": short_license(record["licenses"])} if isinstance(record.get("licenses"), list) else {}
    return {"kind": "generated sounds", **(length[0] if length else {}), **record, **licenses, "sounds": len(sounds),
            **({"classes": dict(sorted(counts.items()))} if counts else {}),
            "try": f"melgan-tf evaluate {shlex.quote(str(path.parent))} --reference REAL-SOUNDS"}


def _licenses(source: str | Path) -> dict[str, Any]:
    """What a model and those that it started from learned from, and under which licenses."""
    entries = model_licenses(source)
    return {"licence": short_license(entries), "licenses": entries}


def _name(file: str) -> str:
    if file != Path(file).name or "\0" in file:
        raise ValueError("not a file of this folder")
    return file


def _folder(path: Path) -> dict[str, Any] | None:
    """Of real sounds: what training would make of them."""
    files = [entry for entry in scan(path) if isinstance(entry, SoundFile)]
    if not files:
        return None
    found, counts = survey(path), Counter(file.label for file in files if file.label)
    preset, quoted = found.preset, shlex.quote(str(path))
    model = PRETRAINED + preset
    start = f" --init-from {model}" if len(files) <= _FEW_SOUNDS and model in pretrained_models() else ""
    return {"kind": "folder of sounds", "sounds": len(files), "seconds": found.seconds,
            "sample_rate": found.sample_rate, **({"sample_rates": found.rates} if len(found.rates) > 1 else {}),
            **({"tempos": tempo_range(found.tempos)} if found.tempos else {}),
            **({"classes": dict(sorted(counts.items()))} if counts else {}), "preset": preset,
            "hours": presets.hours(preset), **({"licence": stated["name"]} if (stated := folder_license(path)) else {}),
            "try": f"melgan-tf train {quoted}{start} --run-dir RUN"}


def _checkpoint(path: Path) -> dict[str, Any]:
    headers, meta = inspect(path)
    return {"kind": "checkpoint", **meta, "variables": len(headers),
            "numbers": sum(header.size for header in headers.values())}


def _sound(path: Path) -> dict[str, Any]:
    try:
        facts, quoted = describe_sound(path), shlex.quote(str(path))
    except DecodeError as error:
        if path.suffix.lower() in EXTENSIONS:
            raise
        raise UsageError(f"{path} is none of: checkpoint (.npz), export (.tflite), sounds.json, sound file "
                         f"({error.reason})") from None
    if origin := record_in(facts.pop("comment")):
        licenses = _licenses(origin["source"]) if isinstance(origin.get("source"), str) else {}
        return {**origin, **facts, **licenses, "kind": f"generated {facts['format']}",
                "try": f"melgan-tf vary {quoted} --out variations"}
    return {"kind": "sound", **facts, "try": f"melgan-tf vary {quoted} --model pretrained:drums --out variations"}
