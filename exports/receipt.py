"""The receipt of an export: what it holds, how big and how fast it is, and how far it is from the Keras model.

The figures come from another process that has neither this package nor Keras (for TFLite: nor TensorFlow) loaded: what
a server or a phone will have. An export that strays beyond its tolerance is no export.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from melgan_tf.errors import MelGANError
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.storage.run_directory import versions

SEEDS = 32
REPORT = "export_report.json"
Scale = Literal["own", "loudest"]
_STANDALONE = Path(__file__).parent / "standalone"


@dataclass(frozen=True)
class Receipt:
    """What is known of an export.

    Attributes:
        format: "saved-model" or "tflite".
        path: where it lies.
        quantize: how weights are stored; "none" for a SavedModel.
        size_bytes: of all its files.
        ops: the operations it is made of, with their counts.
        signatures: name -> {"inputs": ..., "outputs": ...}, as the loaded file itself tells.
        milliseconds_per_sound: by what was asked ("mel", "audio", batch), median of several calls.
        threads: threads that the timing was allowed.
        worst_difference: by output, the largest difference to the Keras model over 32 seeds, in parts of a peak.
        scale: whose peak: each sound's "own", or that of the "loudest".
        tolerance: by output, what would have been too much.
        origin: preset, step, weights, mel fingerprint.
    """

    format: str
    path: str
    quantize: str
    size_bytes: int
    ops: dict[str, int]
    signatures: dict[str, Any]
    milliseconds_per_sound: dict[str, float]
    threads: int
    worst_difference: dict[str, float]
    tolerance: dict[str, float]
    origin: dict[str, Any]
    scale: Scale = "own"
    seeds: int = SEEDS
    versions: dict[str, str] = field(default_factory=versions)

    def to_json(self) -> str:
        """The text of export_report.json."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def rows(self) -> list[tuple[str, str]]:
        """The table on screen."""
        ops = f"{sum(self.ops.values())} of {len(self.ops)} kinds, all standard"
        rows = [("size", f"{self.size_bytes / 1e6:.2f} MB"), ("operations", ops),
                ("signatures", ", ".join(self.signatures))]
        rows += [(f"ms per sound, {name}", f"{value:.2f}") for name, value in self.milliseconds_per_sound.items()]
        peak = {"own": "the sound's peak", "loudest": "the loudest peak"}[self.scale]
        rows += [(f"worst difference, {name}", f"{value:.2g} of {peak} (tolerance {self.tolerance[name]:g})")
                 for name, value in self.worst_difference.items()]
        return rows


def origin(trained: SoundModel) -> dict[str, Any]:
    """Where a model comes from, as every export says it."""
    config = trained.config
    return {"made_by": "melgan-tf", "preset": config.preset, "step": trained.step, "weights": trained.weights,
            "audio_fingerprint": config.audio.fingerprint(), "sample_rate": config.audio.sample_rate,
            "noise_dim": config.model.noise_dim, "vocoder": trained.vocoder_metadata,
            **({"style_dim": config.model.style_dim} if config.family.makes == "streams" else {}),
            **({"classes": classes.names} if (classes := trained.sampler.classes) else {})}


def reference(sampler: Sampler) -> dict[str, np.ndarray]:
    """What the Keras model makes of the first sound of 32 seeds: noise, label if any, mel and audio."""
    firsts = [sampler.inputs(seed, 1) for seed in range(SEEDS)]
    inputs = {name: np.concatenate([first[name].numpy() for first in firsts]) for name in firsts[0]}
    outputs = {name: value.numpy() for name, value in sampler(**inputs).items()}
    return {**inputs, **outputs}


def run_standalone(script: str, model: Path,
                   inputs: dict[str, np.ndarray]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Runs an export in a bare process.

    Args:
        script: a file of `exports/standalone`, which imports nothing of this package.
        model: the export.
        inputs: arrays for it.

    Returns:
        What it reports (ops, signatures, timing) and the outputs that it computed.

    Raises:
        MelGANError: the export cannot be loaded or run there; the message ends with the reason.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(given, **inputs)
        done = subprocess.run([sys.executable, "-I", str(_STANDALONE / script), str(model), str(given), str(made)],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            raise MelGANError(f"the export does not run outside of this process: {reason}")
        with np.load(made) as archive:
            return json.loads(done.stdout.splitlines()[-1]), dict(archive)


def differences(made: dict[str, np.ndarray], wanted: dict[str, np.ndarray], scale: Scale = "own") -> dict[str, float]:
    """For each output the largest difference over all sounds, in parts of a peak.

    Args:
        made, wanted: arrays by output, sounds along the first axis.
        scale: "own", the peak of the very sound, or "loudest", that of the loudest sound: fair to arithmetic that has
            one scale for all sounds.
    """
    found = {}
    for name in sorted(made):
        axes = tuple(range(1, made[name].ndim))
        peak = np.maximum(np.abs(wanted[name]).max(axis=axes), 1e-6)
        peak = peak if scale == "own" else peak.max()
        found[name] = float(np.max(np.abs(made[name] - wanted[name]).max(axis=axes) / peak))
    return found


def require_tolerance(found: dict[str, float], tolerance: dict[str, float]) -> None:
    """Raises a `MelGANError` that names the outputs which are too far off."""
    bad = [f"{name} differs by {value:.3g} of the peak (tolerance {tolerance[name]:g})" for name, value in found.items()
           if not value <= tolerance[name]]
    if bad:
        raise MelGANError(f"the export strays from the model: {'; '.join(bad)}; nothing was kept")
