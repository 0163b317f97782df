"""Exports of the shipped models in every format: size, the first call, speed, the largest difference to the model.

    python benchmarks/exports.py [--format onnx ...] [--model pretrained:drums ...]

What is not measured again stays as it is in ``results/exports.json``. Speed is that of one sound: of a SavedModel with
all cores, of others with one thread. A page is timed in browsers only. Partitions are those parts of a TFLite file that
XNNPACK runs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import results
from ai_edge_litert.interpreter import Interpreter

import melgan_tf as mt
from melgan_tf.exports import FORMATS
from melgan_tf.exports.receipt import Receipt
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.inference.vocoder import Vocoder
from melgan_tf.inference.vocoder_export import EXAMPLE_SECONDS
from melgan_tf.weights import pretrained_models, pretrained_vocoders

MODELS = (*pretrained_models(), *pretrained_vocoders())
KINDS: dict[str, dict[str, str]] = {name: {"format": name} for name in FORMATS} | {
    "tflite-float16": {"format": "tflite", "quantize": "float16"}}
SPEED = ("first call, ms", "ms a sound", "times real time")
COLUMNS = {kind: ("model", "MB", *(() if kind == "web" else SPEED), *(("partitions",) if "tflite" in kind else ()),
                  "largest difference, of the peak") for kind in KINDS}


def seconds(model: SoundModel | Vocoder, receipt: Receipt) -> float:
    """The length of the sound that a receipt has timed."""
    facts, rate = receipt.origin, receipt.origin["sample_rate"]
    if isinstance(model, SoundModel):
        return model.sampler.samples / rate
    if "frames" in facts:  # of a window
        return (facts["frames"] - 2 * facts["context_frames"]) * facts["hop_samples"] / rate
    return EXAMPLE_SECONDS


def measure(name: str, options: dict[str, str]) -> list[Any]:
    """A row of the table."""
    model = mt.load(name)
    with tempfile.TemporaryDirectory() as folder:
        receipt = mt.export(model, Path(folder, "model"), **options)
        parts = [partitions(receipt.path)] if options["format"] == "tflite" else []
    row = [name, receipt.size_bytes / 1e6]
    if options["format"] != "web":
        times = receipt.milliseconds_per_sound
        audio = times.get("audio, batch 1") or times.get("audio") or next(iter(times.values()))
        first = receipt.first_call_milliseconds["vocode" if isinstance(model, Vocoder) else "generate"]
        row += [first, audio, 1000 * seconds(model, receipt) / audio]
    return [*row, *parts, receipt.worst_difference["audio"]]


def partitions(path: str) -> int:
    """In how many parts XNNPACK runs what makes the audio of a TFLite file, its first graph."""
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    return sum(node["op_name"] == "DELEGATE" for node in interpreter._get_ops_details())  # it has no public name


def overview(tables: dict[str, Any]) -> dict[str, Any]:
    """The sizes of all formats beside each other."""
    sizes = {(kind, row[0]): row[1] for kind, table in tables.items() for row in table["rows"]}
    return results.table(["model", *(f"{kind}, MB" for kind in tables)],
                         [[name, *(sizes.get((kind, name)) for kind in tables)] for name in MODELS])


def main() -> None:
    """Measures and writes ``results/exports.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", action="append", choices=KINDS)
    parser.add_argument("--model", action="append", choices=MODELS)
    arguments, file = parser.parse_args(), results.FOLDER / "exports.json"
    before = json.loads(file.read_text(encoding="utf-8"))["tables"] if file.exists() else {}
    measured = {kind: {row[0]: row for row in before.get(kind, {"rows": []})["rows"]} for kind in KINDS}
    for kind in arguments.format or KINDS:
        for name in arguments.model or MODELS:
            try:
                measured[kind][name] = measure(name, KINDS[kind])
            except mt.MelGANError as error:
                measured[kind].pop(name, None)
                print(f"{name}, {kind}: {error}", flush=True)
            else:
                print(kind, *measured[kind][name], flush=True)
            tables = {kind: results.table(COLUMNS[kind], [rows[name] for name in MODELS if name in rows])
                      for kind, rows in measured.items() if rows}
            results.save("exports", {"sizes": overview(tables), **tables}, arguments=())


if __name__ == "__main__":
    main()
