"""A sound model as a SavedModel. One iteration of Griffin-Lim: the operations are those of 32."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from bare_process import SERVER, run_bare, worst
from command_line import contents, invoke

from melgan_tf.config import presets, to_dict
from melgan_tf.dsp import spectral
from melgan_tf.errors import MelGANError
from melgan_tf.exports import export, saved_model
from melgan_tf.exports.check import run_standalone
from melgan_tf.inference.exportable import Example

SEED = presets.get("seed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def base(exported_model, tmp_path_factory) -> Path:
    """A model's base path with version 1."""
    path = tmp_path_factory.mktemp("saved") / "drums"
    export(exported_model, path)
    return path


@pytest.fixture(scope="session")
def served(base, exported_sounds, tmp_path_factory) -> dict[str, np.ndarray]:
    """The results of version 1 in a process with neither Keras nor this package."""
    return run_bare(SERVER, base / "1", tmp_path_factory.mktemp("served"), **exported_sounds)


def test_saved_model_has_the_layout_of_a_server(base):
    assert sorted(path.name for path in base.iterdir()) == [
        "1", "README.md", "batching.config", "compose.yaml", "kubernetes.yaml", "models.config", "monitoring.config"]
    assert set(contents(base / "1")) == {
        "saved_model.pb", "fingerprint.pb", "variables/variables.index", "variables/variables.data-00000-of-00001",
        "assets.extra/config.json", "assets.extra/tf_serving_warmup_requests", "export_report.json"}
    assert (base / "1").stat().st_mode & 0o555 == 0o555  # a server may run as another user


def test_signatures_are_those_promised(base):
    signatures = tf.saved_model.load(str(base / "1")).signatures
    assert sorted(signatures) == ["analyze", "describe", "draw", "generate", "grant", "sample", "sample_wav",
                                  "serving_default"]
    shares = dict.fromkeys(("brightness", "decay", "pitch"), (None,))
    for name, takes, makes in (
            ("serving_default", {"noise": (None, 20)}, {"audio": (None, 8_000), "mel": (None, 16, 64)}),
            ("generate", {"noise": (None, 20)}, {"audio": (None, 8_000), "mel": (None, 16, 64)}),
            ("sample", {"seed": (None,), "index": (None,), **shares}, {"audio": (None, 8_000), "mel": (None, 16, 64)}),
            ("sample_wav", {"seed": (None,), "index": (None,), **shares}, {"wav_bytes": (None,)}),
            ("draw", {"seed": (None,), "index": (None,)}, {"noise": (None, 20)}),
            ("grant", {"noise": (None, 20), **shares}, {"noise": (None, 20)}),
            ("describe", {"what": (None,)}, {"json": (None,)}),
            ("analyze", {"audio": (None, 8_000)}, {"mel": (None, 16, 64)})):
        inputs = signatures[name].structured_input_signature[1]
        assert {key: tuple(spec.shape) for key, spec in inputs.items()} == takes
        assert {key: tuple(spec.shape) for key, spec in signatures[name].structured_outputs.items()} == makes
    sample = signatures["sample"].structured_input_signature[1]
    assert (sample["seed"].dtype, sample["index"].dtype) == (tf.int64, tf.int64)


def test_a_server_makes_the_models_sounds(served, exported_sounds):
    """Of any batch, and by seed: a seed means the same here, there and on the command line."""
    for batch in (1, 3):
        assert worst(served[f"batch {batch}/mel"], exported_sounds["mel"][:batch]) < 1e-4
        assert worst(served[f"batch {batch}/audio"], exported_sounds["audio"][:batch]) < 1e-3
    for name in ("audio", "mel"):
        np.testing.assert_array_equal(served[f"default/{name}"], served[f"batch 3/{name}"])
    assert worst(served["sample/mel"], exported_sounds["mel"]) < 1e-4
    assert worst(served["sample/audio"], exported_sounds["audio"]) < 1e-3
    assert worst(served["sample 3/audio"], exported_sounds["audio"][3:4]) < 1e-3


def test_analyze_is_the_package_own_mel(served, exported_sounds):
    for batch in (1, 3):
        mel = spectral.mel_spectrogram(tf.constant(exported_sounds["audio"][:batch]), SEED.audio).numpy()
        assert worst(served[f"analyze {batch}/mel"], mel) < 1e-5


def test_receipt_of_a_saved_model(base, exported_model):
    receipt = json.loads((base / "1/export_report.json").read_text())
    config = json.loads((base / "1/assets.extra/config.json").read_text())
    origin = {"made_by": "melgan-tf", "preset": "seed", "step": 6, "weights": exported_model.weights, "noise_dim": 20,
              "audio_fingerprint": SEED.audio.fingerprint(), "sample_rate": 16_000, "licence": "unknown",
              "vocoder": {"name": "griffin-lim", "iterations": 1}}
    assert receipt["origin"] == origin
    assert config == json.loads(json.dumps({**origin, "config": to_dict(SEED)}))
    assert (receipt["format"], receipt["quantize"], receipt["path"], receipt["seeds"]) == (
        "saved-model", "none", str(base / "1"), 32)
    files = [path for path in (base / "1").rglob("*") if path.is_file() and path.name != "export_report.json"]
    assert receipt["size_bytes"] == sum(path.stat().st_size for path in files) > 1_500_000
    assert receipt["signatures"]["sample"] == {"inputs": ["brightness", "decay", "index", "pitch", "seed"],
                                                "outputs": ["audio", "mel"]}
    assert set(receipt["worst_difference"]) == {"mel", "audio", "audio_by_seed", "mel_analyzed"}
    assert receipt["worst_difference"].keys() == receipt["tolerance"].keys()
    assert list(receipt["milliseconds_per_sound"]) == ["audio, batch 1", "audio, batch 16"]
    assert all(0 < value < 10_000 for value in receipt["milliseconds_per_sound"].values())
    assert receipt["versions"]["tensorflow"] == tf.__version__
    assert receipt["ops"].keys() >= {"RFFT", "MatMul", "StatelessRandomNormalV2"}


def test_info_tells_of_a_saved_model(base):
    values = json.loads(invoke("info", base, "--json").stdout)
    assert (values["kind"], values["version"], values["versions"]) == ("SavedModel", "1", ["1"])
    assert (values["audio_fingerprint"], values["step"]) == (SEED.audio.fingerprint(), 6)
    assert values["config"]["training"]["batch_size"] == SEED.training.batch_size
    assert values["signatures"].keys() == {"analyze", "describe", "draw", "generate", "grant", "sample", "sample_wav",
                                           "serving_default"}
    text = invoke("info", base / "1", "--verbose").stdout
    assert text.startswith("SavedModel ")
    assert SEED.audio.fingerprint() in text


def test_a_saved_model_with_a_foreign_operation_is_refused(base, tmp_path):
    """The pb is edited to call for an operation that no server has."""
    folder = tmp_path / "model"
    for name, data in contents(base / "1").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data.replace(b"\x04RFFT", b"\x04RFFX") if name == "saved_model.pb" else data)
    with pytest.raises(MelGANError, match="does not run outside of this process: .*RFFX"):
        run_standalone(saved_model.RUNNER, folder, [Example("generate", {"noise": np.zeros((2, 20), np.float32)}, {})])
