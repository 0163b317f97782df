"""The configuration of a run, from what was asked for and what exists. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from melgan_tf.config import Config, from_dict, merge, presets, to_dict
from melgan_tf.data.survey import survey
from melgan_tf.errors import ConfigError, UsageError
from melgan_tf.progress import Progress
from melgan_tf.storage.run_directory import RunDirectory, conflicts
from melgan_tf.weights.sources import source_config, trained_steps


def resolve(data: str | Path, run: str | Path, preset: str | None = None, changes: Mapping[str, Any] | None = None,
            init_from: str | Path | None = None, fresh: bool = False, progress: Progress | None = None) -> Config:
    """The configuration of the existing run, or else of the preset or the initial weights, with changes over it.

    Args:
        data: folder of sounds; without a preset, the one that suits them is taken.
        run: the run directory; it need not exist.
        preset: name of a preset.
        changes: values as in config.json; it may be partial.
        init_from: the run or model whose weights a new run starts from.
        fresh: ignore the existing run.
        progress: reports which preset was chosen and why.

    Raises:
        ConfigError: an unknown preset or key, or a value out of range.
        UsageError: the existing run has another configuration; or there are no sounds.
    """
    directory, changes = RunDirectory(run), dict(changes or {})
    existing = directory.config() if directory.exists() and not fresh else None
    name = changes.get("preset") if preset is None else preset
    if not isinstance(name, str | None):
        raise ConfigError(f"preset is {name!r}: give one of {', '.join(presets.names())}")
    if existing and name is not None and presets.get(name).preset != existing.preset:
        raise UsageError(f"{directory.path} contains a run of preset {existing.preset!r}, not {name!r}: give another "
                         "--run-dir, or --fresh to start over")
    if not existing and name is None and init_from is None:
        name = _suggested(data, progress or Progress())
    base = existing or (source_config(init_from) if name is None else presets.get(name))
    if init_from and not existing:
        base = base.fine_tuning(trained_steps(init_from))
    config = from_dict(Config, merge(to_dict(base), changes))
    if existing and (differing := conflicts(config, existing)):
        raise UsageError(f"{directory.path} contains a run started with a different configuration "
                         f"({'; '.join(differing)}): give another --run-dir, or --fresh to start over")
    return config


def _suggested(data: str | Path, progress: Progress) -> str:
    """The preset that suits the sounds; reports which, why and how long it takes."""
    found = survey(data)
    name = presets.suggest(found.seconds, found.sample_rate)
    progress.line(f"preset {name}: {found}; it takes about {presets.hours(name):g} hours on two cores and may be "
                  "stopped at any time (--preset chooses another, --steps another length)")
    return name
