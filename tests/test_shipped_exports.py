"""Every shipped model in every format and quantization that is offered; what small models share: `test_exports`."""

from __future__ import annotations

import json
import typing
from pathlib import Path

import onnxruntime
import pytest
from bare_process import worst

import melgan_tf as mt
from melgan_tf import exports
from melgan_tf.inference.exportable import Quantize
from melgan_tf.weights import PRETRAINED, pretrained_models, pretrained_vocoders

FILES = {"saved-model": "1", "tflite": "model-{}.tflite", "web": "", "onnx": "model.onnx"}
#: The largest difference of audio to the model, in parts of a peak: far less than `export` accepts. float16 holds the
#: weights exactly.
WORST = 3e-3


def kinds():
    cases = []
    for name in (*pretrained_models(), *pretrained_vocoders()):
        for format in exports.FORMATS:
            if format == "web" and name in pretrained_vocoders():
                continue
            stored = typing.get_args(Quantize) if "quantize" in exports.get_format(format).OPTIONS else ("none",)
            cases += [(name, format, quantize) for quantize in stored]
    return cases


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "format", "quantize"), kinds())
def test_shipped_models_agree(name, format, quantize, tmp_path):
    model, options = mt.load(name), {} if quantize == "none" else {"quantize": quantize}
    made = mt.export(model, tmp_path / "out", format=format, **options)
    assert Path(made.path) == tmp_path / "out" / FILES[format].format(quantize)
    report = next((tmp_path / "out").rglob("export_report.json"))
    receipt = json.loads(report.read_text(encoding="utf-8"))
    assert (receipt["format"], receipt["quantize"], receipt["path"]) == (format, quantize, made.path)
    assert receipt["worst_difference"]["audio"] < WORST
    assert receipt["origin"]["licence"] != "unknown"
    assert mt.info(made.path)["sample_rate"] == receipt["origin"]["sample_rate"]
    if (name, format) == (f"{PRETRAINED}music", "onnx"):  # another length than the one that export checked
        inputs = {key: value.numpy() for key, value in model.sampler.inputs(5, 2, steps=11).items()}
        wanted = model.sampler(**inputs)
        session = onnxruntime.InferenceSession(made.path, providers=["CPUExecutionProvider"])
        for key, value in zip(("audio", "mel"), session.run(["audio", "mel"], inputs), strict=True):
            assert worst(value, wanted[key].numpy()) < 1e-3
