"""An export format for tests, and a model for it: what is stored are the answers to the examples.

Its `write` and `RUNNER` also stand in for those of a real format, where the format does not matter: no TensorFlow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from melgan_tf.config import presets
from melgan_tf.exports import Destination
from melgan_tf.inference.exportable import Example, Exportable
from melgan_tf.progress import Progress

OPTIONS = frozenset({"ink"})
RUNNER = Path(__file__).with_name("run_answers.py")
#: What is added to every answer, in parts of the largest one.
error = 0.0
MEL = np.linspace(-1.0, 1.0, 24).reshape(2, 4, 3)


class Model:
    """A model whose answers are known; tolerance 1e-4."""

    def exportable(self, target: str = "server", quantize: str = "none", seconds: float | None = None,
                   max_batch: int = 256) -> Exportable:
        timings = {batch: f"mel, batch {batch}" for batch in (1, 2)}
        examples = [Example("generate", {"noise": np.zeros((2, 5))}, {"mel": MEL}, timings),
                    Example("sample", {"seed": np.int64(0)}, {"mel": MEL[:1]}, suffix="_by_seed")]
        return Exportable(presets.get("seed"), {"made_by": "melgan-tf", "preset": "seed"}, {}, lambda: examples,
                          {"mel": 1e-4, "mel_by_seed": 1e-4}, quantize=quantize)


def destination(path: Path, ink: str = "blue") -> Destination:
    return Destination(path / ink, path / "receipt.json", "--ink")


def view(model: Model, ink: str = "blue") -> Exportable:
    return model.exportable()


def write(exportable: Exportable, path: Path, progress: Progress) -> None:
    """A folder, or for a name with a suffix a file."""
    if not path.suffix:
        path.mkdir()
    with open(path if path.suffix else path / "answers.npz", "wb") as file:
        np.savez(file, **{f"{example.signature}/{name}": output + error * np.abs(output).max()
                          for example in exportable.examples() for name, output in example.outputs.items()})


def describe(path: Path) -> dict[str, Any] | None:
    return {"kind": "answers"} if (path / "answers.npz").exists() else None
