"""Whether an export computes what the model does, in a process that cannot import this package.

That process has no Keras either (for TFLite: no TensorFlow), like a server or a phone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from melgan_tf import storage
from melgan_tf.errors import MelGANError
from melgan_tf.inference.exportable import Example, Exportable
from melgan_tf.storage.arrays import read_npz


def run_examples(runner: Path, model: Path, exportable: Exportable) -> tuple[dict[str, Any], dict[str, float],
                                                                            dict[str, float]]:
    """Runs an export's examples and compares the results.

    Args:
        runner, model: as for `run_standalone`.
        exportable: the model that was written there.

    Returns:
        What the runner reports; milliseconds per sound by the receipt's names; the differences by output.

    Raises:
        MelGANError: the export cannot be run, or a difference exceeds the tolerance.
    """
    examples = exportable.examples()
    report, results = run_standalone(runner, model, examples)
    times, computed, expected = {}, {}, {}
    for example in examples:
        times |= zip(example.timings.values(), report["milliseconds_per_sound"][example.signature], strict=True)
        for name, output in example.outputs.items():
            computed[name + example.suffix] = example.select(results[f"{example.signature}/{name}"])
            expected[name + example.suffix] = output
    found = differences(computed, expected)
    require_tolerance(found, exportable.tolerance)
    return report, times, found


def run_standalone(runner: Path, model: Path, examples: list[Example]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Runs an export in a bare process.

    Args:
        runner: a script that imports nothing of this package. Its arguments: the model, a file of inputs
            (``signature/name``), a file for outputs (the same) and, as JSON, the batch sizes to time by signature. It
            prints one line of JSON.
        model: the export.
        examples: the calls.

    Returns:
        What it printed (``ops``, ``signatures``, ``threads``, ``milliseconds_per_sound``: a list by signature,
        ``first_call_milliseconds``: by signature), and the outputs.

    Raises:
        MelGANError: the export cannot be loaded or run there; the message ends with the reason.
    """
    with storage.temporary_folder() as folder:
        inputs, outputs = folder / "in.npz", folder / "out.npz"
        np.savez(inputs, **{f"{example.signature}/{name}": value for example in examples
                            for name, value in example.inputs.items()})
        batches = json.dumps({example.signature: list(example.timings) for example in examples})
        ended = subprocess.run([sys.executable, "-I", runner, model, inputs, outputs, batches], capture_output=True,
                               text=True, check=False)
        if ended.returncode:
            no_message = f"it ended with code {ended.returncode} and no message"
            reason = (ended.stderr.strip().splitlines() or [no_message])[-1]
            raise MelGANError(f"the export does not run outside of this process: {reason}")
        return json.loads(ended.stdout.splitlines()[-1]), read_npz(outputs)


def differences(results: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, float]:
    """For each output the largest difference over all sounds, in parts of the sound's peak.

    Args:
        results, expected: arrays by output, sounds along the first axis.
    """
    found = {}
    for name in sorted(results):
        axes = tuple(range(1, results[name].ndim))
        peak = np.maximum(np.abs(expected[name]).max(axis=axes), 1e-6)
        found[name] = float(np.max(np.abs(results[name] - expected[name]).max(axis=axes) / peak))
    return found


def require_tolerance(found: dict[str, float], tolerance: dict[str, float]) -> None:
    """Raises a `MelGANError` that names the outputs whose difference exceeds the tolerance."""
    bad = [f"{name} differs by {value:.3g} of the peak (tolerance {tolerance[name]:g})" for name, value in found.items()
           if not value <= tolerance[name]]
    if bad:
        raise MelGANError(f"the exported model differs from the original: {'; '.join(bad)}; nothing was kept")
