"""The configuration of a run, from what was asked for and what exists. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from melgan_tf.config import Config, from_dict, merge, presets, to_dict
from melgan_tf.data.sources import open_sounds
from melgan_tf.data.survey import survey
from melgan_tf.errors import ConfigError, UsageError
from melgan_tf.progress import Progress, counted
from melgan_tf.storage.run_directory import RunDirectory, conflicts
from melgan_tf.weights.sources import source_config, trained_steps

#: Short names of `training.precision`.
PRECISIONS = {"bf16": "mixed_bfloat16", "bfloat16": "mixed_bfloat16", "fp16": "mixed_float16",
              "float16": "mixed_float16", "fp32": "float32"}

#: Of so many sounds or more, fine-tuning keeps one in ten aside.
_HELD_OUT_FROM, _HOLD_OUT = 100, 10
_MINUTES = 10  # of fine-tuning, at most, unless steps are asked for
_USES = 1600  # of each sound in fine-tuning: a choice, tried with 91 sounds only
_LEAST_SOUNDS = 40  # that fine-tuning counts at least


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
        found = survey(data)
        name = found.preset
        (progress or Progress()).line(f"preset {name} suits these sounds: {found} (--preset chooses another)")
    base = existing or (source_config(init_from) if name is None else presets.get(name))
    if init_from and not existing:
        base = _fine_tuning(base, data, changes, trained_steps(init_from))
    config = from_dict(Config, _in_full(merge(to_dict(base), changes)))
    if existing and (differing := conflicts(config, existing)):
        raise UsageError(f"{directory.path} contains a run started with a different configuration "
                         f"({'; '.join(differing)}): give another --run-dir, or --fresh to start over")
    if init_from and not existing and (differing := source_config(init_from).audio.differences(config.audio)):
        raise UsageError(f"--init-from {init_from} has another mel configuration (source / this run): "
                         f"{'; '.join(differing)}")
    return config


def _in_full(values: dict[str, Any]) -> dict[str, Any]:
    """Configuration values with `PRECISIONS` written out."""
    training = values.get("training")
    precision = training.get("precision") if isinstance(training, dict) else None
    if not isinstance(precision, str) or precision not in PRECISIONS:
        return values
    return merge(values, {"training": {"precision": PRECISIONS[precision]}})


def _fine_tuning(base: Config, data: str | Path, changes: Mapping[str, Any], trained: int) -> Config:
    """The configuration of fine-tuning: as many steps as the number of sounds calls for, and ten minutes allow.

    Lines, checkpoints and previews come as often as in a run of many sounds, whose epochs are longer.
    """
    full, hours = _preset_length(base)
    if not full or not hours or base.family.makes != "clips":
        return base.fine_tuning(trained)
    sounds, size = len(open_sounds(data, base.audio.sample_rate, None)), base.training.batch_size
    steps = 100 * max(1, round(min(_USES * max(_LEAST_SOUNDS, sounds) / size, full / hours / 60 * _MINUTES) / 100))
    asked = changes.get("training")
    planned = asked.get("steps") if isinstance(asked, dict) else None
    epochs = (planned if isinstance(planned, int) and planned > 0 else steps) * size // max(sounds, size)
    config = base.fine_tuning(trained, steps)
    data_config = dataclasses.replace(config.data, hold_out=_HOLD_OUT if sounds >= _HELD_OUT_FROM else 0)
    return dataclasses.replace(config, data=data_config, training=dataclasses.replace(
        config.training, log_every=max(1, epochs // 20), checkpoint_every=max(1, epochs // 10),
        preview_every=max(1, epochs // 5)))


def introduction(config: Config, init_from: str = "") -> str:
    """What a new run will do, for whoever waits for it."""
    parts = []
    if config.preset in presets.names():
        parts.append(presets.description(config.preset).partition(";")[0].rstrip("."))
    steps, (full, hours) = config.training.steps, _preset_length(config)
    if steps:
        minutes = 60 * hours * steps / full if full and hours else None
        parts.append(counted(steps, "step") + (f", about {_duration(minutes)} on two cores" if minutes else ""))
    parts.append("may be stopped at any time (--steps chooses another length)")
    return f"{f'fine-tuning {init_from}, ' if init_from else ''}preset {config.preset}: {'; '.join(parts)}"


def _duration(minutes: float) -> str:
    return counted(max(1, round(minutes)), "minute") if minutes < 100 else f"{minutes / 60:.0f} hours"


def _preset_length(config: Config) -> tuple[int, float | None]:
    """The steps of a configuration's preset and the hours that they take; nothing of one that is not known here."""
    if config.preset not in presets.names():
        return 0, None
    return presets.get(config.preset).training.steps, presets.hours(config.preset)
