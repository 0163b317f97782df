"""Models as ONNX files, run by onnxruntime: small ones; the shipped ones: `test_shipped_exports`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from bare_process import PROGRAM, run_bare, worst
from command_line import invoke
from tiny_vocoders import VOCODERS

from melgan_tf.config import presets, to_dict
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.exports import export
from melgan_tf.exports import onnx as onnx_format
from melgan_tf.inference import portable_noise
from melgan_tf.inference.vocoder_export import example_mels

SEED = presets.get("seed")
KINDS = pytest.mark.parametrize("name", ["fast", "melgan"])
slow = pytest.mark.slow


@pytest.fixture(scope="session")
def file(exported_model, tmp_path_factory) -> Path:
    return Path(export(exported_model, tmp_path_factory.mktemp("onnx") / "seed.onnx", "onnx").path)


@pytest.fixture(scope="session")
def vocoder_files(loaded, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("onnx")
    return {name: Path(export(loaded[name], folder / name, "onnx").path) for name in ("fast", "melgan")}


def run(path: Path, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def shapes(values) -> dict[str, tuple[int | str, ...]]:
    return {value.name: tuple(size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim)
            for value in values}


# -- sound models ----------------------------------------------------------------------------------------------------

@slow
def test_onnx_runs_without_tensorflow_and_agrees(file, exported_sounds, tmp_path):
    made = run_bare(PROGRAM, file, tmp_path, noise=exported_sounds["noise"])
    for batch in ("1", "3", "20"):  # not the sounds that export checked
        count = int(batch)
        assert worst(made[f"{batch}/mel"], exported_sounds["mel"][:count]) < 1e-4
        assert worst(made[f"{batch}/audio"], exported_sounds["audio"][:count]) < 1e-3


@slow
def test_a_file_tells_what_it_is(file, exported_model):
    content = onnx.load(file)
    onnx.checker.check_model(content)
    assert shapes(content.graph.input) == {"noise": ("batch", 20)}
    assert shapes(content.graph.output) == {"audio": ("batch", 8000), "mel": ("batch", 16, 64)}
    assert content.graph.name == "generate"
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["melgan_tf"])
    origin = {"made_by": "melgan-tf", "preset": "seed", "step": 6, "weights": exported_model.weights, "noise_dim": 20,
              "audio_fingerprint": SEED.audio.fingerprint(), "sample_rate": 16_000, "licence": "unknown",
              "vocoder": {"name": "griffin-lim", "iterations": 1}, "noise_recipe": portable_noise.RECIPE}
    assert facts == origin | {"config": to_dict(SEED)}
    values = json.loads(invoke("info", file, "--json").stdout)
    assert values == {"kind": "ONNX", "size_bytes": file.stat().st_size, "seconds": 0.5, **facts}
    receipt = json.loads(file.with_name("seed.export_report.json").read_text())
    assert (receipt["format"], receipt["quantize"], receipt["threads"]) == ("onnx", "none", 1)
    assert receipt["origin"] == origin
    assert receipt["signatures"] == {"generate": {"inputs": ["noise"], "outputs": ["audio", "mel"]}}
    assert list(receipt["milliseconds_per_sound"]) == ["audio, batch 1", "audio, batch 16"]
    assert receipt["ops"]["MatMul"] > 5


@slow
def test_operations_of_others_are_refused(file, tmp_path, monkeypatch, exported_model):
    """They would need onnxruntime's extensions."""
    content = onnx.load(file)
    node = content.graph.node.add()
    node.CopyFrom(onnx.helper.make_node("Gelu", ["noise"], ["more"], domain="com.microsoft"))
    content.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    monkeypatch.setattr(onnx_format, "_convert", lambda *_: content)
    with pytest.raises(MelGANError, match=r"an operation that is not ONNX's own: com\.microsoft\.Gelu$"):
        export(exported_model, tmp_path / "out", "onnx")
    assert list(tmp_path.iterdir()) == []


# -- vocoders --------------------------------------------------------------------------------------------------------

@slow
@KINDS
@pytest.mark.parametrize(("more", "batch"), [(0, 1), (6, 3), (150, 1)])
def test_a_vocoder_takes_any_length(vocoder_files, loaded, name, more, batch):
    frames = json.loads(invoke("info", vocoder_files[name], "--json").stdout)["min_frames"] + more
    assert frames == {"fast": 1, "melgan": 4}[name] + more
    mel = np.random.default_rng(0).uniform(-4, 0, (batch, frames, 64)).astype(np.float32)
    start = {"start": np.zeros(batch, np.int32)} if name == "fast" else {}
    assert worst(run(vocoder_files[name], mel=mel, **start)["audio"], loaded[name].vocode(mel, 0)) < 1e-3


@slow
def test_pieces_of_a_long_sound_join_to_the_whole(vocoder_files, loaded):
    mel, config = example_mels(loaded["fast"].audio, 2.0)[:1], VOCODERS["fast"].audio
    facts = json.loads(invoke("info", vocoder_files["fast"], "--json").stdout)
    context, hop, parts = facts["context_frames"], facts["hop_samples"], []
    assert hop == config.hop_samples
    for first in range(0, mel.shape[1], 20):
        begin, end = max(0, first - context), min(mel.shape[1], first + 20)
        audio = run(vocoder_files["fast"], mel=mel[:, begin:end + context], start=np.full(1, begin, np.int32))["audio"]
        parts.append(audio[:, (first - begin) * hop:(end - begin) * hop])
    whole = loaded["fast"].vocode(mel, 0)
    assert worst(np.concatenate(parts, axis=1), whole) < 1e-3


@slow
@KINDS
def test_a_vocoders_file_names_its_axes(vocoder_files, name):
    content = onnx.load(vocoder_files[name])
    assert vocoder_files[name].name == "model.onnx"
    assert shapes(content.graph.input) == {"mel": ("batch", "frames", 64)} | (
        {"start": ("batch",)} if name == "fast" else {})
    assert shapes(content.graph.output) == {"audio": ("batch", "samples")}
    assert content.graph.name == "vocode"


# -- what goes wrong -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("package", ["tf2onnx", "onnx", "onnxruntime"])
def test_without_the_extra_it_is_named(monkeypatch, tmp_path, package):
    monkeypatch.setitem(sys.modules, package, None)
    invoke("export", "pretrained:drums", "--format", "onnx", "--out", tmp_path / "out").one_line(
        f"ONNX needs {package}: pip install 'melgan-tf[onnx]'", code=2)
    assert list(tmp_path.iterdir()) == []
    if package == "onnx":
        (tmp_path / "a.onnx").touch()
        invoke("info", tmp_path / "a.onnx").one_line("ONNX needs onnx: pip install", code=2)


@pytest.mark.parametrize("content", [b"", b"dear diary", onnx.ModelProto(ir_version=8).SerializeToString()])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.onnx").write_bytes(content)
    invoke("info", tmp_path / "a.onnx").one_line(f"{tmp_path}/a.onnx is not an ONNX file that melgan-tf made", code=1)


def test_a_conversion_that_fails_leaves_nothing(exported_model, monkeypatch, tmp_path):
    import tf2onnx

    def fail(*_, **__):
        raise ValueError("no such operation: Cholesky\nand more")

    monkeypatch.setattr(tf2onnx.convert, "from_function", fail)
    with pytest.raises(MelGANError, match="^ONNX conversion failed: no such operation: Cholesky$"):
        export(exported_model, tmp_path / "out", "onnx")
    with pytest.raises(UsageError, match="--quantize float16 is for --format tflite"):
        export(exported_model, tmp_path / "out", "onnx", quantize="float16")
    assert list(tmp_path.iterdir()) == []
