"""What commands work with, small: sounds, shards, a run of each of two kinds, mels."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import commands
import numpy as np
from command_line import write_sounds

from melgan_tf.config import presets, to_dict


@dataclass(frozen=True)
class Belongings:
    """Paths below one folder."""

    folder: Path

    @property
    def sounds(self) -> Path:
        return self.folder / "sounds"

    @property
    def shards(self) -> Path:
        return self.folder / "shards"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def config(self) -> Path:
        return self.folder / "config.json"

    @property
    def mel(self) -> Path:
        return self.folder / "mel.npy"

    def train(self, data: Path, run: Path, steps: int = 6) -> tuple[object, ...]:
        """The command that made the run."""
        return ("train", data, "--run-dir", run, "--config", self.config, "--steps", steps, "--quiet")


def make(folder: Path, steps: int = 6) -> Belongings:
    """Makes everything from scratch, with the commands themselves."""
    ours = Belongings(folder)
    write_sounds(ours.sounds, 16)
    for index, file in enumerate(sorted(ours.sounds.glob("*.wav"))):
        label = ours.sounds / ("kick" if index % 2 else "snare")
        label.mkdir(exist_ok=True)
        file.rename(label / file.name)
    ours.config.write_text(json.dumps(to_dict(tiny())))
    np.save(ours.mel, np.random.default_rng(0).normal(-2, 1, (20, 80)).astype(np.float32))
    for arguments in (("prepare", ours.sounds, ours.shards, "--workers", 1, "--shard-size", 4, "--quiet"),
                      ours.train(ours.sounds, ours.run, steps)):
        ended = commands.run(*arguments, seconds=120)
        if ended.code:
            raise SystemExit(f"{' '.join(map(str, arguments))}: {ended.stderr}")
    return ours


def tiny():
    """A spectrogram GAN by class, small enough to be trained in seconds."""
    config = presets.get("drums")
    training = dataclasses.replace(config.training, batch_size=8, steps=6, xla="off", log_every=1,
                                   checkpoint_every=1, preview_every=100)
    return dataclasses.replace(config, model=dataclasses.replace(config.model, channels=8),
                               data=dataclasses.replace(config.data, clip_samples=8_000), training=training)


def copy(source: Path, target: Path) -> Path:
    """A copy of a folder, to be damaged."""
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target, symlinks=True))
