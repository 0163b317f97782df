"""A music model and a vocoder small enough for tests, and sounds for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import soundfile

from melgan_tf.config import presets
from melgan_tf.config.registry import build_network
from melgan_tf.inference.vocoder import Vocoder
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.sequence_gan.networks import Generator
from melgan_tf.models.sequence_gan.sampler import SequenceSampler

RATE = 22_050
MUSIC = presets.get("music")
TINY = dataclasses.replace(
    MUSIC, model=dataclasses.replace(MUSIC.model, channels=8, noise_dim=4, style_dim=3),
    training=dataclasses.replace(MUSIC.training, batch_size=8))


#: The same with windows of a third of a second.
SHORT = dataclasses.replace(TINY, data=dataclasses.replace(TINY.data, clip_samples=8192))


def write_notes(folder: Path, count: int = 6, seconds: float = 3.0) -> Path:
    """Decaying notes of different heights."""
    folder.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * RATE)) / RATE
    for index in range(count):
        wave = sum(np.sin(2 * np.pi * 110 * 2 ** (index / 5) * n * time) / n for n in range(1, 6))
        soundfile.write(folder / f"note{index}.wav", 0.2 * wave * np.exp(-time * (1 + index % 3)), RATE)
    return folder


def tiny_vocoder() -> Vocoder:
    """Untrained, with everything that looks around."""
    model = FastVocoderConfig(channels=16, sub_channels=16, dilations=(1, 2), low_rounds=1, corrections=1)
    config = dataclasses.replace(presets.get("vocoder-22k"), model=model)
    return Vocoder(build_network(config), config, "tiny", 0, "000000000000")


def tiny_sampler(vocoder: Vocoder | None = None) -> SequenceSampler:
    """Untrained."""
    return SequenceSampler(Generator(TINY), TINY, vocoder=vocoder)
