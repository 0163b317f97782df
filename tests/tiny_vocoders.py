"""Vocoders and models small enough for tests: untrained ones, as runs on disk and as if the package brought them."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from melgan_tf import weights
from melgan_tf.config import Config, presets
from melgan_tf.config.registry import build_network
from melgan_tf.inference import vocoder as vocoders
from melgan_tf.inference.renderer import GriffinLim
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.melgan.config import MelGANConfig
from melgan_tf.models.spectrogram_gan.networks import Generator
from melgan_tf.storage.checkpoints import CheckpointStore, collect
from melgan_tf.storage.run_directory import RunDirectory, with_training

#: Of half a second or less it makes something loud, in no time.
FAST = FastVocoderConfig(channels=16, sub_channels=16, dilations=(1, 2), carriers=2)
MELGAN = MelGANConfig(ratios=(8, 8, 8), channels=4, residual_layers=1)
CARD = {"data": "untrained", "licence": "CC0-1.0", "command": "none", "hours": 0.0, "figures": {}}
STEP = 7


def tiny(name: str = "vocoder-16k", model: FastVocoderConfig | MelGANConfig = FAST, seed: int = 0,
         **audio: object) -> Config:
    """A preset's mels, save for some fields, and a tiny model that understands them."""
    preset = presets.get(name)
    config = dataclasses.replace(preset, audio=dataclasses.replace(preset.audio, **audio), model=model)
    return with_training(config, seed=seed)


#: Of each kind, and for the mels of two presets.
VOCODERS = {"fast": tiny(), "fast 22k": tiny("vocoder-22k"), "melgan": tiny(model=MELGAN)}


def write_run(folder: Path, config: Config) -> Path:
    """A run of a vocoder, or of a sound model, with the weights that training begins with."""
    model = build_network(config, training=True) if config.family.makes == "waveforms" else Generator(
        config.model.noise_dim, weight_std=0.1, seed=config.training.seed)  # loud enough to be heard
    directory = RunDirectory(folder)
    directory.write(config, {}, {})
    CheckpointStore(directory.checkpoints).save(
        collect(generator=model.variables), STEP, {"audio_fingerprint": config.audio.fingerprint()})
    return folder


def sound_model() -> SoundModel:
    """The seed preset's generator, untrained, whose mels one iteration of Griffin-Lim renders."""
    config = presets.get("seed")
    sampler = Sampler(Generator(config.model.noise_dim, seed=1), config, GriffinLim(iterations=1))
    return SoundModel(sampler, config, 6, "0123456789ab")


def ship(monkeypatch: pytest.MonkeyPatch, folder: Path, **configs: Config) -> Path:
    """Makes the package bring along these vocoders, and no others; underscores in names become hyphens."""
    folder.mkdir(exist_ok=True)
    for name, config in configs.items():
        state = collect(generator=build_network(config).variables)
        weights.package_weights(name.replace("_", "-"), state, {"step": STEP}, config, CARD, folder)
    for module in (weights, vocoders):
        monkeypatch.setattr(module, "WEIGHTS", folder)
    fresh = functools.lru_cache(maxsize=4)(vocoders.load_pretrained_vocoder.__wrapped__)
    monkeypatch.setattr(vocoders, "load_pretrained_vocoder", fresh)  # forgets this folder's
    return folder


def tone(samples: int, rate: int, hertz: float = 330.0) -> np.ndarray:
    """A decaying note under a little noise."""
    seconds = np.arange(samples) / rate
    hiss = np.random.default_rng(0).normal(0, 0.05, samples)
    return ((0.5 * np.sin(2 * np.pi * hertz * seconds) + hiss) * np.exp(-6 * seconds)).astype(np.float32)
