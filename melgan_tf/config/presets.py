"""Named, complete configurations: the presets of all families. No TensorFlow."""

from __future__ import annotations

from melgan_tf.config import registry
from melgan_tf.config.config import Config
from melgan_tf.config.registry import Preset
from melgan_tf.errors import ConfigError, did_you_mean


def _presets() -> dict[str, Preset]:
    return {name: preset for family in registry.families().values() for name, preset in family.presets.items()}


def names() -> list[str]:
    """The names of all presets."""
    return list(_presets())


def description(name: str) -> str:
    """What a preset is for, in a sentence.

    Raises:
        ConfigError: as `get`.
    """
    return _preset(name).description


def get(name: str) -> Config:
    """The configuration of that name.

    Raises:
        ConfigError: there is no such preset; the message names the nearest.

    Examples:
        >>> get("drums").audio.sample_rate
        16000
    """
    return _preset(name).config


def hours(name: str) -> float | None:
    """About how long a preset's steps take on two cores; None if nobody measured it.

    Raises:
        ConfigError: as `get`.
    """
    return _preset(name).hours


def suggest(seconds: float, sample_rate: int, loops: bool = False) -> str:
    """The preset for sounds of a typical length and sample rate, or for loops.

    Of the presets for them it is the one of the highest rate that the sounds have, or else of the lowest.

    Args:
        seconds: typical length.
        sample_rate: Hz.
        loops: whether they are whole bars of a known tempo.

    Examples:
        >>> suggest(0.4, 16_000), suggest(0.4, 48_000), suggest(8.0, 44_100), suggest(8.0, 44_100, loops=True)
        ('drums', 'drums-44k', 'music', 'loops')
    """
    rates = {name: preset.config.audio.sample_rate for name, preset in _presets().items()
             if (preset.suits_loops if loops else
                 preset.suits_seconds and preset.suits_seconds[0] <= seconds < preset.suits_seconds[1])}
    return max(rates, key=lambda name: (rates[name] <= sample_rate, rates[name] * (1 if rates[name] <= sample_rate
                                                                                    else -1)))


def _preset(name: str) -> Preset:
    known = _presets()
    if name not in known:
        raise ConfigError(f"unknown preset {name!r}: {did_you_mean(name, known)}")
    return known[name]
