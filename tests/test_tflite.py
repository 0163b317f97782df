"""A sound model as TFLite files, one of each quantization. Most with one iteration of Griffin-Lim, one with 32."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from bare_process import PHONE, run_bare, worst
from command_line import invoke, program
from tiny_vocoders import sound_model, write_run

from melgan_tf.config import presets, to_dict
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.exports import export, tflite, tflite_metadata
from melgan_tf.exports.check import run_standalone
from melgan_tf.inference import portable_noise
from melgan_tf.inference.exportable import Example
from melgan_tf.inference.sound_export import FIXED_TOLERANCE

SEED = presets.get("seed")
EACH = pytest.mark.parametrize("quantize", ["none", "float16"])
slow = pytest.mark.slow


@pytest.fixture(scope="session")
def converted(exported_model, tmp_path_factory):
    """Makes the file of a quantization when it is first asked for."""
    folder = tmp_path_factory.mktemp("tflite")
    return functools.cache(lambda quantize: Path(
        export(exported_model, folder / f"{quantize}.tflite", "tflite", quantize=quantize).path))


def model_of(path: Path) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))


@pytest.mark.slow
@slow
@EACH
def test_tflite_runs_without_tensorflow_and_agrees(converted, quantize, exported_sounds, tmp_path):
    made = run_bare(PHONE, converted(quantize), tmp_path, noise=exported_sounds["noise"])
    tolerance = FIXED_TOLERANCE[quantize]
    assert set(made) == {"mel/mel", "generate/mel", "generate/audio"}
    # not the sounds that export checked
    assert worst(made["mel/mel"], exported_sounds["mel"]) < 2 * tolerance["mel"]
    np.testing.assert_array_equal(made["generate/mel"], made["mel/mel"])
    assert worst(made["generate/audio"], exported_sounds["audio"]) < (1e-3 if quantize == "none" else 1e-2)


@pytest.mark.nightly
def test_phase_retrieval_of_32_iterations_agrees(tmp_path):
    """Its 32 Fourier transforms as matrix products magnify rounding; also the only export of these tests as a process
    of its own: a table on stdout, exit code 0."""
    run = write_run(tmp_path / "run", SEED)
    ended = program("export", run, "--vocoder", "griffin-lim", "--out", tmp_path / "out", "--format", "tflite")
    assert ended.code == 0, ended.stderr  # stages that take long are reported there
    lines = ended.stdout.splitlines()
    assert lines[0].split() == ["receipt", f"{tmp_path}/out/model-none.tflite"]
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "size", "operations", "signatures", "ms per sound, mel", "ms per sound, audio", "ms of the first call",
        "worst difference, audio", "worst difference, audio_by_seed", "worst difference, mel"]
    assert "\x1b" not in ended.stdout
    receipt = json.loads((tmp_path / "out/export_report.json").read_text())
    assert receipt["worst_difference"]["audio"] < receipt["tolerance"]["audio"] == 5e-2
    assert receipt["origin"]["vocoder"] == {"name": "griffin-lim", "iterations": 32}


@slow
@EACH
def test_tflite_has_builtin_operations_only_and_fixed_shapes(converted, quantize):
    content = model_of(converted(quantize))
    assert [code.customCode for code in content.operatorCodes] == [None] * len(content.operatorCodes)
    custom = schema.BuiltinOperator.CUSTOM
    assert custom not in {max(code.builtinCode, code.deprecatedBuiltinCode) for code in content.operatorCodes}
    tensors = [tensor for graph in content.subgraphs for tensor in graph.tensors]
    for tensor in tensors:
        assert tensor.shapeSignature is None or -1 not in tensor.shapeSignature, tensor.name
    assert (schema.TensorType.FLOAT16 in {tensor.type for tensor in tensors}) == (quantize == "float16")


@slow
@EACH
def test_tflite_stores_weights_as_asked(converted, quantize, exported_model):
    """By the size of the file: weights of four bytes and of two, and what phase retrieval needs besides."""
    weights = sum(int(np.prod(variable.shape)) for variable in exported_model.sampler.generator.variables)
    least, most = {"none": (4, 6), "float16": (2, 4)}[quantize]
    assert least < converted(quantize).stat().st_size / weights < most


@slow
@EACH
def test_metadata_and_receipt_of_a_file(converted, quantize, exported_model):
    path = converted(quantize)
    origin = {"made_by": "melgan-tf", "preset": "seed", "step": 6, "weights": exported_model.weights, "noise_dim": 20,
              "audio_fingerprint": SEED.audio.fingerprint(), "sample_rate": 16_000, "licence": "unknown",
              "quantize": quantize, "vocoder": {"name": "griffin-lim", "iterations": 1},
              "noise_recipe": portable_noise.RECIPE}
    read = tflite_metadata.read(path)
    assert read == {**origin, "config": to_dict(SEED)}
    values = json.loads(invoke("info", path, "--json").stdout)
    assert values == {"kind": "TFLite", "size_bytes": path.stat().st_size, "seconds": 0.5, **read}
    assert SEED.audio.fingerprint() in invoke("info", path, "--verbose").stdout

    receipt = json.loads(path.with_name(f"{quantize}.export_report.json").read_text())
    names = ["mel", "audio"]
    assert (receipt["format"], receipt["quantize"], receipt["path"]) == ("tflite", quantize, str(path))
    assert (receipt["size_bytes"], receipt["threads"]) == (path.stat().st_size, 1)
    assert receipt["origin"] == origin
    assert list(receipt["milliseconds_per_sound"]) == names
    assert sorted(receipt["worst_difference"]) == ["audio", "audio_by_seed", "mel"]
    assert receipt["signatures"]["sample"] == {"inputs": ["index", "seed"], "outputs": ["audio"]}
    assert receipt["tolerance"] == FIXED_TOLERANCE[quantize]
    assert sum(receipt["ops"].values()) == sum(len(graph.operators) for graph in model_of(path).subgraphs)


@pytest.mark.slow
def test_an_operation_that_tflite_lacks_is_refused(tmp_path):
    """Not converted to one of TensorFlow's own, which a phone would have to carry."""
    model = sound_model()
    model.sampler.mel = lambda noise: tf.tile(tf.linalg.cholesky(tf.eye(16)[None] * tf.reduce_sum(noise**2)), (1, 1, 4))
    with pytest.raises(MelGANError, match="^TFLite conversion failed: TFLite has no Cholesky$"):
        export(model, tmp_path / "out", "tflite", quantize="float16")
    assert list(tmp_path.iterdir()) == []


def test_options_of_other_models_are_refused(exported_model, tmp_path):
    with pytest.raises(UsageError, match="--quantize int4: use one of none, float16"):
        export(exported_model, tmp_path / "out", "tflite", quantize="int4")
    with pytest.raises(UsageError, match="window of 2.0 seconds is for vocoders"):
        export(exported_model, tmp_path / "out", "tflite", seconds=2.0)
    assert list(tmp_path.iterdir()) == []


@slow
@pytest.mark.parametrize("name", ["FlexIgamma", "OurOwn"])
def test_a_file_with_a_custom_operation_is_refused(converted, tmp_path, name):
    from tensorflow.lite.tools import flatbuffer_utils

    content = model_of(converted("float16"))
    code = content.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = name.encode()
    path = tmp_path / "model.tflite"
    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(content))
    with pytest.raises(MelGANError, match=f"does not run outside of this process: .*{name}"):
        run_standalone(tflite.RUNNER, path, [Example("mel", {"noise": np.zeros((2, 20), np.float32)}, {})])
