"""A kit that the tests of kits share, and what its files sound like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from melgan_tf.inference.load import load_sound_model
from melgan_tf.inference.sound_model import SoundModel

TURNS, LAYERS = 2, 3
_made: list[MadeKit] = []


@dataclass(frozen=True)
class MadeKit:
    """A kit in a folder. Not to be written to."""

    folder: Path
    record: dict[str, Any]
    model: SoundModel

    @property
    def pads(self) -> dict[str, dict[str, Any]]:
        return {pad["name"]: pad for pad in self.record["pads"]}

    def file(self, ending: str) -> Path:
        return self.folder / f"{self.record['kit']}{ending}"

    def wav(self, sample: dict[str, Any]) -> np.ndarray:
        samples, rate = soundfile.read(self.folder / sample["file"])
        assert rate == self.record["sample_rate"]
        return samples


def made_once(factory: pytest.TempPathFactory) -> MadeKit:
    """The kit, made when it is first asked for."""
    if not _made:
        model, folder = load_sound_model("pretrained:drums"), factory.mktemp("kits") / "kit"
        record = model.kit(folder, 3, round_robins=TURNS, velocities=LAYERS)
        assert record == json.loads((folder / "kit.json").read_text())
        _made.append(MadeKit(folder, record, model))
    return _made[0]


def likeness(played: np.ndarray, sample: np.ndarray, most_delay: int = 4) -> tuple[float, int, float]:
    """How a rendered hit agrees with a sample: correlation, delay in samples, and level in dB."""
    def at(delay: int) -> tuple[float, int, float]:
        part = played[delay:delay + len(sample)]
        energy, own = float(part @ part), float(sample @ sample)
        return float(part @ sample) / np.sqrt(energy * own + 1e-30), delay, 10 * np.log10(energy / own + 1e-30)

    return max(at(delay) for delay in range(most_delay + 1))
