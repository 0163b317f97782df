"""The receipt of an export: its content, size and speed, and its difference to the Keras model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from melgan_tf.inference.exportable import SEEDS
from melgan_tf.storage.run_directory import versions


@dataclass(frozen=True)
class Receipt:
    """The measured facts of an export.

    Attributes:
        format: a name in `melgan_tf.exports.FORMATS`.
        path: of the model.
        quantize: how weights are stored; "none" for a SavedModel.
        size_bytes: of all its files.
        ops: its operations, with their counts.
        signatures: name -> {"inputs": ..., "outputs": ...}, as the loaded file reports them.
        milliseconds_per_sound: by output and batch, median of several calls.
        first_call_milliseconds: by signature, of the first call, on one sound.
        threads: threads that the timing was allowed.
        worst_difference: by output, the largest difference to the Keras model, in parts of a peak.
        tolerance: by output, the largest difference that is accepted.
        origin: preset, step, weights, mel fingerprint.
    """

    format: str
    path: str
    quantize: str
    size_bytes: int
    ops: dict[str, int]
    signatures: dict[str, Any]
    milliseconds_per_sound: dict[str, float]
    first_call_milliseconds: dict[str, float]
    threads: int
    worst_difference: dict[str, float]
    tolerance: dict[str, float]
    origin: dict[str, Any]
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
        rows.append(("ms of the first call", f"{max(self.first_call_milliseconds.values()):.0f}"))
        rows += [(f"worst difference, {name}", f"{value:.2g} of the sound's peak (tolerance {self.tolerance[name]:g})")
                 for name, value in self.worst_difference.items()]
        return rows
