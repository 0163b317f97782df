"""Made-up drum sounds for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000


def drum(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A made-up stroke, 0.1 to 0.4 s at 16 kHz, peak 0.3 to 0.9."""
    seconds = np.arange(int(rng.uniform(0.1, 0.4) * RATE)) / RATE
    noise = rng.standard_normal(len(seconds))
    pitch = rng.uniform(45, 80)
    if kind == "kick":
        wave = np.sin(2 * np.pi * (pitch * seconds + 2 * (1 - np.exp(-40 * seconds)))) * np.exp(-12 * seconds)
    elif kind == "snare":
        wave = (0.5 * np.sin(2 * np.pi * 3 * pitch * seconds) + 0.7 * noise) * np.exp(-25 * seconds)
    else:
        wave = np.diff(noise, prepend=0.0) * np.exp(-rng.uniform(30, 80) * seconds)
    return (wave * rng.uniform(0.3, 0.9) / np.abs(wave).max()).astype(np.float32)


def write_drums(folder: Path, each: int = 8, seed: int = 0) -> Path:
    """``each`` kicks, snares and hats in folders of their own."""
    rng = np.random.default_rng(seed)
    for kind in ("kick", "snare", "hat"):
        (folder / kind).mkdir(parents=True)
        for index in range(each):
            soundfile.write(folder / kind / f"{kind}{index}.wav", drum(kind, rng), RATE)
    return folder


def decaying(seed: int = 0, samples: int = 8_000, onset: int = 480) -> np.ndarray:
    """A decaying mixture of tone and noise after 30 ms of silence; it has died away before its end."""
    rng = np.random.default_rng(seed)
    n = np.arange(samples - onset)
    sound = 0.5 * np.sin(2 * np.pi * 190 * n / RATE) + 0.1 * rng.normal(size=len(n))
    return np.concatenate([np.zeros(onset), sound * np.exp(-n / 700)])
