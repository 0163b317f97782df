"""A trained model as a TFLite file for phones: noise in; mel, and where the arithmetic allows audio, out.

Builtin operations only and fixed shapes (one sound a call): XNNPACK then runs all of it. Weights may be stored
smaller, but not those of phase retrieval (already as float16 its guards against division by zero become zero, and the
sound not a number), so the smaller files make mel spectrograms only.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.config import Config, to_dict
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.exports import tflite_metadata
from melgan_tf.exports.receipt import (
    REPORT,
    Receipt,
    Scale,
    differences,
    origin,
    reference,
    require_tolerance,
    run_standalone,
)
from melgan_tf.exports.saved_model import write_out
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.runtime import muted
from melgan_tf.storage.atomic import write_text

Quantize = Literal["none", "float16", "dynamic", "int8"]

#: In parts of each sound's peak; measured differences stand in the README. "audio" compares the same algorithm with
#: another Fourier transform: phase retrieval magnifies rounding.
TOLERANCE: dict[str, dict[str, float]] = {
    "none": {"mel": 1e-4, "audio": 5e-2},
    "float16": {"mel": 1e-2},
    "dynamic": {"mel": 0.15},
    "int8": {"mel": 0.1},
}

#: int8 arithmetic has one scale for all sounds, 256 steps up to the loudest.
_SCALE: dict[str, Scale] = {"none": "own", "float16": "own", "dynamic": "own", "int8": "loudest"}

_CALIBRATION_SOUNDS = 256


def export(trained: SoundModel, path: str | Path, quantize: Quantize = "none", force: bool = False) -> Receipt:
    """Writes a TFLite file with its receipt and checks it in a process without TensorFlow.

    Signatures: ``mel`` (``noise`` ``(1, noise_dim)`` and, if the model has classes, ``label`` ``(1, classes)`` ->
    ``mel`` ``(1, frames, mel_bins)``) and, for "none", ``generate`` (the same -> ``audio`` ``(1, samples)``, ``mel``).

    Args:
        trained: the model.
        path: a file name that ends in ``.tflite``, or a folder for ``model-<quantize>.tflite``. The receipt is
            export_report.json in the folder, or ``<name>.export_report.json`` beside the file.
        quantize: "none" (float32), "float16" (weights), "dynamic" (weights int8, activations float) or "int8" (both).
        force: replace what is there.

    Raises:
        UsageError: the file exists, and ``force`` was not given.
        MelGANError: it cannot be converted or written, or strays beyond its tolerance; nothing is left behind.
    """
    def check(model: Path) -> tuple[dict[str, Any], dict[str, float]]:
        inputs = reference(trained.sampler)
        report, made = run_standalone("run_tflite.py", model,
                                      {name: inputs[name] for name in trained.sampler.input_signature(1)})
        return report, differences(made, inputs, _SCALE[quantize])

    return publish(path, quantize, force, lambda folder: _convert(trained.sampler, folder, quantize), check,
                   TOLERANCE[quantize], {**origin(trained), "quantize": quantize}, trained.config, _SCALE[quantize])


def publish(path: str | Path, quantize: Quantize, force: bool, convert: Callable[[Path], bytes],
            check: Callable[[Path], tuple[dict[str, Any], dict[str, float]]], tolerance: dict[str, float],
            facts: dict[str, Any], config: Config, scale: Scale = "own") -> Receipt:
    """Writes a TFLite file and its receipt, if it passes its check.

    Args:
        path, quantize, force: as in `export`.
        convert: makes the file's content; may use the folder that it is given.
        check: runs a file elsewhere; returns what it reports, and its differences to the model.
        tolerance: by output, what differs too much.
        facts: what is said of its origin, in the file as well.
        config: of the model.
        scale: of the differences.

    Raises:
        UsageError, MelGANError: as in `export`.
    """
    path = Path(path)
    single = path.suffix == ".tflite"
    target = path if single else path / f"model-{quantize}.tflite"
    report_file = path.with_name(f"{path.stem}.{REPORT}") if single else path / REPORT
    if target.exists() and not force:
        raise UsageError(f"{target} exists: give another --out, or --force to replace it")
    made_folder = not target.parent.exists()
    workplace = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=".export-", dir=target.parent))
        model = workplace / target.name
        content = convert(workplace / "saved_model")
        model.write_bytes(tflite_metadata.add(content, {**facts, "config": to_dict(config)}))
        report, found = check(model)
        require_tolerance(found, tolerance)
        receipt = Receipt("tflite", str(target), quantize, model.stat().st_size, report["ops"], report["signatures"],
                          report["milliseconds_per_sound"], report["threads"], found, tolerance, facts, scale)
        write_text(workplace / REPORT, receipt.to_json())
        model.replace(target)
        (workplace / REPORT).replace(report_file)
    except OSError as error:
        raise MelGANError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        if workplace:
            shutil.rmtree(workplace, ignore_errors=True)
        if made_folder and target.parent.is_dir() and not any(target.parent.iterdir()):
            target.parent.rmdir()
    return receipt


def makes_audio(quantize: Quantize) -> bool:
    """Whether a file stored so makes audio, or mel spectrograms only."""
    return "audio" in TOLERANCE[quantize]


def _convert(sampler: Sampler, folder: Path, quantize: Quantize) -> bytes:
    specs = list(sampler.input_signature(1).values())
    archive = keras.export.ExportArchive()
    archive.track(sampler.generator)
    if sampler.vocoder.model:
        archive.track(sampler.vocoder.model)
    archive.add_endpoint("mel", lambda *inputs: {"mel": sampler.mel(*inputs)}, input_signature=specs)
    keys = ["mel"]
    if makes_audio(quantize):
        archive.add_endpoint("generate", partial(_generate, sampler), input_signature=specs)
        keys.append("generate")
    write_out(archive, folder)
    return lower(folder, keys, quantize, partial(_calibration, sampler))


def lower(folder: Path, keys: list[str], quantize: Quantize,
          calibration: Callable[[], Iterator[Any]] | None = None) -> bytes:
    """Converts signatures of a SavedModel, which is deleted, to the content of a TFLite file.

    Args:
        folder: the SavedModel.
        keys: its signatures that the file is to have.
        quantize: how weights are stored.
        calibration: examples of inputs; "int8" needs them.

    Raises:
        MelGANError: TFLite does not have all of its operations.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=keys)
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = calibration
    try:
        with muted():
            return converter.convert()
    except Exception as error:  # the converter's own error has no public name
        foreign = sorted(set(re.findall(r"'tf\.(\w+)' op is neither", str(error))))
        first = (str(error).strip() or repr(error)).splitlines()[0]
        reason = f"TFLite has no {', '.join(foreign)}" if foreign else first
        raise MelGANError(f"TFLite conversion failed: {reason}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _generate(sampler: Sampler, *inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    mel = sampler.mel(*inputs)
    return {"audio": sampler.render(mel, use_matmul_dft=True), "mel": mel}


def _calibration(sampler: Sampler) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    inputs = {name: value.numpy() for name, value in sampler.inputs(1, _CALIBRATION_SOUNDS).items()}
    for index in range(_CALIBRATION_SOUNDS):
        yield "mel", {name: value[index:index + 1] for name, value in inputs.items()}
