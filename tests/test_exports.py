"""Exports, as those who receive them have them: in a process without this package, Keras or (for TFLite) TensorFlow."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from command_line import contents, invoke, program, python, trained_once, unchanged

from melgan_tf.config import presets, to_dict
from melgan_tf.dsp import spectral
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.exports import receipt as receipts
from melgan_tf.exports import saved_model, tflite, tflite_metadata
from melgan_tf.inference.load import load_sound_model
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.models.spectrogram_gan.networks import Generator

SEED = presets.get("seed")
#: What renders where the sound itself does not matter: the same, whatever the package brings along.
GRIFFIN_LIM = ("--vocoder", "griffin-lim")
QUANTIZATIONS = ("none", "float16", "dynamic", "int8")

#: Run first in a bare process: makes packages absent, as they are on the machine of whoever receives an export.
WITHOUT = """
import sys
from importlib.machinery import ModuleSpec
class Absent:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.split(".")[0] in {names} else None
    def create_module(self, spec):
        raise ModuleNotFoundError(spec.name)
    def exec_module(self, module):
        raise ModuleNotFoundError(module)
sys.meta_path.insert(0, Absent())
"""

SERVE = WITHOUT.format(names=("keras", "melgan_tf")) + """
import numpy as np, tensorflow as tf
path, given, made = sys.argv[1:]
given, made_, functions = np.load(given), {}, tf.saved_model.load(path).signatures
def keep(name, outputs):
    made_.update({f"{name}/{key}": value.numpy() for key, value in outputs.items()})
keep("batch 1", functions["generate"](noise=tf.constant(given["noise"][:1])))
keep("batch 3", functions["generate"](noise=tf.constant(given["noise"][:3])))
keep("default", functions["serving_default"](noise=tf.constant(given["noise"][:3])))
keep("sample", functions["sample"](seed=tf.constant(5, tf.int64), count=tf.constant(20)))
keep("sample one", functions["sample"](seed=tf.constant(5, tf.int64), count=tf.constant(1)))
keep("analyze 1", functions["analyze"](audio=tf.constant(given["audio"][:1])))
keep("analyze 3", functions["analyze"](audio=tf.constant(given["audio"][:3])))
assert not {"keras", "melgan_tf"} & set(sys.modules)
np.savez(made, **made_)
"""

PHONE = WITHOUT.format(names=("tensorflow", "keras", "melgan_tf")) + """
import numpy as np
from ai_edge_litert.interpreter import Interpreter
path, given, made = sys.argv[1:]
interpreter, made_ = Interpreter(model_path=path, num_threads=1), {}
for name in interpreter.get_signature_list():
    runner = interpreter.get_signature_runner(name)
    outputs = [runner(noise=noise[None]) for noise in np.load(given)["noise"]]
    made_.update({f"{name}/{key}": np.concatenate([one[key] for one in outputs]) for key in outputs[0]})
np.savez(made, **made_)
"""


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return trained_once(tmp_path_factory)


@pytest.fixture(scope="module")
def trained(run) -> SoundModel:
    return load_sound_model(run.path, vocoder="griffin-lim")


@pytest.fixture(scope="module")
def wanted(trained) -> dict[str, np.ndarray]:
    """Twenty sounds of seed 5 as `generate` makes them."""
    return trained.sampler.generate(5, 20)


@pytest.fixture(scope="module")
def reference(trained) -> dict[str, np.ndarray]:
    return receipts.reference(trained.sampler)


@pytest.fixture
def stand_in(monkeypatch, reference):
    """Exports without waiting for TensorFlow: no archive is written, and the bare process is this one."""
    def standalone(script, model, inputs):
        report = {"ops": {"ADD": 1}, "signatures": {"mel": {}}, "threads": 1, "milliseconds_per_sound": {"mel": 1.0}}
        peaks = np.abs(reference["mel"]).max(axis=(1, 2), keepdims=True)
        return report, {"mel": reference["mel"] + off * peaks}

    off = 0.0
    monkeypatch.setattr(saved_model, "write_archive", lambda sampler, folder: folder.mkdir())
    monkeypatch.setattr(tflite, "_convert", lambda sampler, folder, quantize: _empty_model())
    for module in (saved_model, tflite):
        monkeypatch.setattr(module, "run_standalone", standalone)
        monkeypatch.setattr(module, "reference", lambda sampler: reference)

    def stray(by: float) -> None:
        nonlocal off
        off = by

    return stray


def _empty_model() -> bytes:
    from tensorflow.lite.tools import flatbuffer_utils

    model = schema.ModelT()
    model.version, model.buffers, model.subgraphs, model.operatorCodes = 3, [schema.BufferT()], [], []
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def in_bare_process(script: str, path: Path, folder: Path, **given: np.ndarray) -> dict[str, np.ndarray]:
    np.savez(folder / "given.npz", **given)
    ended = python("-I", "-c", script, path, folder / "given.npz", folder / "made.npz")
    assert ended.code == 0, ended.stderr
    with np.load(folder / "made.npz") as archive:
        return dict(archive)


def worst(made: np.ndarray, wanted: np.ndarray, scale: str = "own") -> float:
    """The largest difference in parts of each sound's own peak, or of the loudest."""
    axes = tuple(range(1, made.ndim))
    assert made.shape == wanted.shape
    peaks = np.abs(wanted).max(axis=axes)
    return float((np.abs(made - wanted).max(axis=axes) / (peaks if scale == "own" else peaks.max())).max())


# -- SavedModel ------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def base(trained, tmp_path_factory) -> Path:
    """A model's base path with version 1."""
    path = tmp_path_factory.mktemp("saved") / "drums"
    saved_model.export(trained, path)
    return path


@pytest.fixture(scope="module")
def served(base, wanted, tmp_path_factory) -> dict[str, np.ndarray]:
    """What version 1 computes in a process with neither Keras nor this package."""
    return in_bare_process(SERVE, base / "1", tmp_path_factory.mktemp("served"), **wanted)


@pytest.mark.slow
def test_saved_model_has_the_layout_of_a_server(base):
    assert [path.name for path in base.iterdir()] == ["1"]
    assert set(contents(base / "1")) == {
        "saved_model.pb", "fingerprint.pb", "variables/variables.index", "variables/variables.data-00000-of-00001",
        "assets.extra/config.json", "export_report.json"}
    assert (base / "1").stat().st_mode & 0o555 == 0o555  # a server may run as another user


@pytest.mark.slow
def test_signatures_are_those_promised(base):
    signatures = tf.saved_model.load(str(base / "1")).signatures
    assert sorted(signatures) == ["analyze", "generate", "sample", "serving_default"]
    for name, takes, makes in (
            ("serving_default", {"noise": (None, 20)}, {"audio": (None, 8_000), "mel": (None, 16, 64)}),
            ("generate", {"noise": (None, 20)}, {"audio": (None, 8_000), "mel": (None, 16, 64)}),
            ("sample", {"seed": (), "count": ()}, {"audio": (None, 8_000), "mel": (None, 16, 64)}),
            ("analyze", {"audio": (None, 8_000)}, {"mel": (None, 16, 64)})):
        inputs = signatures[name].structured_input_signature[1]
        assert {key: tuple(spec.shape) for key, spec in inputs.items()} == takes
        assert {key: tuple(spec.shape) for key, spec in signatures[name].structured_outputs.items()} == makes
    sample = signatures["sample"].structured_input_signature[1]
    assert (sample["seed"].dtype, sample["count"].dtype) == (tf.int64, tf.int32)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
def test_any_batch_gives_the_models_sounds(served, wanted, batch):
    assert worst(served[f"batch {batch}/mel"], wanted["mel"][:batch]) < 1e-4
    assert worst(served[f"batch {batch}/audio"], wanted["audio"][:batch]) < 5e-2  # phase retrieval magnifies rounding


@pytest.mark.slow
def test_serving_default_is_generate(served):
    for name in ("audio", "mel"):
        np.testing.assert_array_equal(served[f"default/{name}"], served[f"batch 3/{name}"])


@pytest.mark.slow
def test_sample_makes_the_sounds_of_generate(served, wanted):
    """A seed means the same here, there and on the command line."""
    assert worst(served["sample/mel"], wanted["mel"]) < 1e-4
    assert worst(served["sample/audio"], wanted["audio"]) < 5e-2  # phase retrieval magnifies rounding
    assert worst(served["sample one/audio"], wanted["audio"][:1]) < 5e-2


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
def test_analyze_is_the_package_own_mel(served, wanted, batch):
    mel = spectral.mel_spectrogram(tf.constant(wanted["audio"][:batch]), SEED.audio).numpy()
    assert worst(served[f"analyze {batch}/mel"], mel) < 1e-5


@pytest.mark.slow
def test_receipt_of_a_saved_model(base, trained, run):
    receipt = json.loads((base / "1/export_report.json").read_text())
    config = json.loads((base / "1/assets.extra/config.json").read_text())
    origin = {"made_by": "melgan-tf", "preset": "seed", "step": 6, "weights": trained.weights, "noise_dim": 20,
              "audio_fingerprint": SEED.audio.fingerprint(), "sample_rate": 16_000,
              "vocoder": {"name": "griffin-lim", "iterations": 32}}
    assert receipt["origin"] == origin
    assert config == {**origin, "config": json.loads((run.path / "config.json").read_text())["config"]}
    assert (receipt["format"], receipt["quantize"], receipt["path"], receipt["seeds"]) == (
        "saved-model", "none", str(base / "1"), 32)
    files = [path for path in (base / "1").rglob("*") if path.is_file() and path.name != "export_report.json"]
    assert receipt["size_bytes"] == sum(path.stat().st_size for path in files) > 2_000_000
    assert receipt["signatures"]["sample"] == {"inputs": ["count", "seed"], "outputs": ["audio", "mel"]}
    assert receipt["tolerance"] == saved_model.TOLERANCE
    assert receipt["worst_difference"].keys() == receipt["tolerance"].keys()
    assert all(0 <= value <= receipt["tolerance"][name] for name, value in receipt["worst_difference"].items())
    assert all(0 < value < 10_000 for value in receipt["milliseconds_per_sound"].values())
    assert receipt["versions"]["tensorflow"] == tf.__version__
    assert receipt["ops"].keys() >= {"RFFT", "MatMul", "StatelessRandomNormalV2"}


@pytest.mark.slow
def test_a_saved_model_with_a_foreign_operation_is_refused(base, tmp_path):
    """The pb is edited to call for an operation that no server has."""
    model = tmp_path / "model"
    for name, data in contents(base / "1").items():
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(data.replace(b"\x04RFFT", b"\x04RFFX") if name == "saved_model.pb" else data)
    with pytest.raises(MelGANError, match="does not run outside of this process: .*RFFX"):
        receipts.run_standalone("run_saved_model.py", model, {"noise": np.zeros((32, 20), np.float32)})


@pytest.mark.slow
def test_info_tells_of_a_saved_model(base, tmp_path):
    values = json.loads(invoke("info", base, "--json").stdout)
    assert (values["kind"], values["version"], values["versions"]) == ("SavedModel", "1", ["1"])
    assert (values["audio_fingerprint"], values["step"]) == (SEED.audio.fingerprint(), 6)
    assert values["config"]["training"]["batch_size"] == 8
    assert values["signatures"].keys() == {"analyze", "generate", "sample", "serving_default"}
    text = invoke("info", base / "1").stdout
    assert text.startswith("SavedModel ")
    assert SEED.audio.fingerprint() in text


@pytest.mark.slow
def test_export_command_by_itself(run, tmp_path):
    """A real process: the table on stdout, nothing on stderr, exit code 0."""
    ended = program("export", run.path, *GRIFFIN_LIM, "--out", tmp_path / "tflite", "--format", "tflite",
                    "--quantize", "float16")
    assert (ended.code, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0] == f"receipt{' ' * 16}{tmp_path}/tflite/model-float16.tflite"
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "size", "operations", "signatures", "ms per sound, mel", "worst difference, mel"]
    assert "\x1b" not in ended.stdout


def test_next_version_is_one_more_than_the_highest(tmp_path):
    assert saved_model.next_version(tmp_path / "nowhere") == 1
    for name in ("1", "9", "10", "beta", "2x", ".export-3"):
        (tmp_path / name).mkdir()
    assert saved_model.next_version(tmp_path) == 11


def test_versions_increment(trained, stand_in, tmp_path):
    made = [saved_model.export(trained, tmp_path / "drums").path for _ in range(3)]
    assert made == [str(tmp_path / "drums" / number) for number in "123"]
    assert saved_model.export(trained, tmp_path / "drums", version=7).path.endswith("drums/7")
    assert saved_model.export(trained, tmp_path / "drums").path.endswith("drums/8")
    assert sorted(path.name for path in (tmp_path / "drums").iterdir()) == ["1", "2", "3", "7", "8"]


def test_an_existing_version_is_replaced_only_with_force(run, trained, stand_in, tmp_path):
    saved_model.export(trained, tmp_path, version=3)
    (tmp_path / "3/old.txt").write_text("old")
    check = unchanged(tmp_path)
    with pytest.raises(UsageError, match=f"^{tmp_path}/3 exists: give another --version, or --force"):
        saved_model.export(trained, tmp_path, version=3)
    invoke("export", run.path, *GRIFFIN_LIM, "--out", tmp_path, "--version", 3).one_line(
        f"{tmp_path}/3 exists", "--force", code=2)
    check()
    assert invoke("export", run.path, *GRIFFIN_LIM, "--out", tmp_path, "--version", 3, "--force").code == 0
    assert set(contents(tmp_path)) == {"3/assets.extra/config.json", "3/export_report.json"}


# -- TFLite ----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def converted(trained, tmp_path_factory):
    """Makes the file of a quantization when it is first asked for."""
    folder = tmp_path_factory.mktemp("tflite")

    @functools.cache
    def attempt(quantize: str) -> Path | MelGANError:
        try:
            return Path(tflite.export(trained, folder / f"{quantize}.tflite", quantize).path)
        except MelGANError as error:
            return error

    def convert(quantize: str) -> Path:
        path = attempt(quantize)
        if isinstance(path, MelGANError):
            pytest.fail(f"{quantize}: {path}")
        return path

    return convert


@pytest.fixture(params=QUANTIZATIONS)
def quantize(request) -> str:
    return request.param


def model_of(path: Path) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))


@pytest.mark.slow
def test_tflite_runs_without_tensorflow_and_agrees(converted, quantize, wanted, tmp_path):
    made = in_bare_process(PHONE, converted(quantize), tmp_path, noise=wanted["noise"])
    tolerance = tflite.TOLERANCE[quantize]
    assert set(made) == ({"mel/mel", "generate/mel", "generate/audio"} if quantize == "none" else {"mel/mel"})
    scale = "loudest" if quantize == "int8" else "own"
    assert worst(made["mel/mel"], wanted["mel"], scale) < 2 * tolerance["mel"]  # not the sounds that export checked
    if quantize == "none":
        np.testing.assert_array_equal(made["generate/mel"], made["mel/mel"])
        assert worst(made["generate/audio"], wanted["audio"]) < 2 * tolerance["audio"]


@pytest.mark.slow
def test_tflite_has_builtin_operations_only(converted, quantize):
    model = model_of(converted(quantize))
    assert [code.customCode for code in model.operatorCodes] == [None] * len(model.operatorCodes)
    custom = schema.BuiltinOperator.CUSTOM
    assert custom not in {max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes}


@pytest.mark.slow
def test_tflite_has_fixed_shapes(converted, quantize):
    for graph in model_of(converted(quantize)).subgraphs:
        for tensor in graph.tensors:
            assert tensor.shapeSignature is None or -1 not in tensor.shapeSignature, tensor.name


@pytest.mark.slow
def test_tflite_stores_weights_as_asked(converted, quantize):
    """By the size of the file: weights of 4, 2, 1 and 1 bytes, and for "none" phase retrieval besides."""
    weights = sum(int(np.prod(variable.shape)) for variable in Generator().variables)
    least, most = {"none": (4, 20), "float16": (2, 2.5), "dynamic": (1, 1.5), "int8": (1, 1.5)}[quantize]
    assert least < converted(quantize).stat().st_size / weights < most


@pytest.mark.slow
def test_int8_computes_in_whole_numbers(converted):
    types = {tensor.type for graph in model_of(converted("int8")).subgraphs for tensor in graph.tensors}
    assert schema.TensorType.INT8 in types


@pytest.mark.slow
def test_tflite_tells_of_its_origin(converted, quantize, trained):
    read = tflite_metadata.read(converted(quantize))
    assert read == {"made_by": "melgan-tf", "preset": "seed", "step": 6, "weights": trained.weights, "noise_dim": 20,
                    "audio_fingerprint": SEED.audio.fingerprint(), "sample_rate": 16_000, "quantize": quantize,
                    "vocoder": {"name": "griffin-lim", "iterations": 32}, "config": to_dict(trained.config)}
    values = json.loads(invoke("info", converted(quantize), "--json").stdout)
    assert values == {"kind": "TFLite", "size_bytes": converted(quantize).stat().st_size, **read}
    assert SEED.audio.fingerprint() in invoke("info", converted(quantize)).stdout


@pytest.mark.slow
def test_receipt_of_a_tflite_file(converted, quantize, trained):
    path = converted(quantize)
    receipt = json.loads(path.with_name(f"{quantize}.export_report.json").read_text())
    names = ["mel", "audio"] if quantize == "none" else ["mel"]
    assert (receipt["format"], receipt["quantize"], receipt["path"]) == ("tflite", quantize, str(path))
    assert (receipt["size_bytes"], receipt["threads"]) == (path.stat().st_size, 1)
    assert receipt["origin"] == {**receipts.origin(trained), "quantize": quantize}
    assert list(receipt["milliseconds_per_sound"]) == names
    assert sorted(receipt["worst_difference"]) == sorted(receipt["tolerance"]) == sorted(names)
    assert all(0 <= value <= receipt["tolerance"][name] for name, value in receipt["worst_difference"].items())
    counted = sum(len(graph.operators) for graph in model_of(path).subgraphs)
    assert sum(receipt["ops"].values()) == counted


@pytest.mark.slow
def test_an_operation_that_tflite_lacks_is_refused(tmp_path):
    """Not converted to one of TensorFlow's own, which a phone would have to carry."""
    sampler = Sampler(Generator(), SEED)
    sampler.mel = lambda noise: tf.tile(tf.linalg.cholesky(tf.eye(16)[None] * tf.reduce_sum(noise**2)), (1, 1, 4))
    with pytest.raises(MelGANError, match="^TFLite conversion failed: TFLite has no Cholesky$"):
        tflite.export(SoundModel(sampler, SEED, 1, "0" * 12), tmp_path / "out", "float16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["FlexIgamma", "OurOwn"])
def test_a_file_with_a_custom_operation_is_refused(converted, tmp_path, name):
    from tensorflow.lite.tools import flatbuffer_utils

    model = model_of(converted("float16"))
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = name.encode()
    path = tmp_path / "model.tflite"
    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    with pytest.raises(MelGANError, match=f"does not run outside of this process: .*{name}"):
        receipts.run_standalone("run_tflite.py", path, {"noise": np.zeros((32, 20), np.float32)})


def test_a_folder_gets_one_file_a_quantization(trained, stand_in, quantize, tmp_path):
    receipt = tflite.export(trained, tmp_path / "out", quantize)
    assert receipt.path == str(tmp_path / "out" / f"model-{quantize}.tflite")
    assert sorted(contents(tmp_path)) == ["out/export_report.json", f"out/model-{quantize}.tflite"]
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_file_name_is_taken_as_it_is(trained, stand_in, tmp_path):
    tflite.export(trained, tmp_path / "a/drums.tflite", "dynamic")
    assert sorted(contents(tmp_path)) == ["a/drums.export_report.json", "a/drums.tflite"]


@pytest.mark.parametrize("name", ["out", "drums.tflite"])
def test_an_existing_file_is_replaced_only_with_force(run, trained, stand_in, tmp_path, name):
    out = tmp_path / name
    written = Path(tflite.export(trained, out).path)
    check = unchanged(tmp_path)
    with pytest.raises(UsageError, match=f"^{written} exists: give another --out, or --force"):
        tflite.export(trained, out)
    invoke("export", run.path, *GRIFFIN_LIM, "--out", out, "--format", "tflite").one_line(
        f"{written} exists", "--force", code=2)
    check()
    written.write_bytes(b"old")
    assert invoke("export", run.path, *GRIFFIN_LIM, "--out", out, "--format", "tflite", "--force").code == 0
    assert tflite_metadata.read(written)["quantize"] == "none"


def test_metadata_survives_beside_what_is_there():
    content = tflite_metadata.add(tflite_metadata.add(_empty_model(), {"first": 1}), {"second": "ü"})
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    assert [entry.name for entry in model.metadata] == [b"melgan_tf"] * 2
    assert [bytes(model.buffers[entry.buffer].data).decode() for entry in model.metadata] == [
        '{"first": 1}', '{"second": "\\u00fc"}']


# -- what strays is not kept -----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("kind", "limits"), [("saved-model", lambda: saved_model.TOLERANCE),
                                              ("tflite", lambda: tflite.TOLERANCE["none"])])
@pytest.mark.parametrize("off", [0.01, np.nan, np.inf])
def test_an_export_that_strays_is_not_kept(run, stand_in, tmp_path, kind, limits, off):
    stand_in(off)
    ended = invoke("export", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--format", kind)
    ended.one_line(f"mel differs by {off:.3g} of the peak", f"(tolerance {limits()['mel']:g})", "nothing was kept",
                   code=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["saved-model", "tflite"])
def test_a_replacement_that_strays_leaves_the_old_one(run, stand_in, tmp_path, kind):
    arguments = ("export", run.path, *GRIFFIN_LIM, "--out", tmp_path, "--format", kind, "--force",
                 *(("--version", 1) if kind == "saved-model" else ()))
    assert invoke(*arguments).code == 0
    check = unchanged(tmp_path)
    stand_in(0.5)
    assert invoke(*arguments).code == 1
    check()


def test_the_least_difference_beyond_the_tolerance_is_too_much():
    receipts.require_tolerance({"mel": 0.1}, {"mel": 0.1})
    with pytest.raises(MelGANError, match="mel differs by 0.11 of the peak"):
        receipts.require_tolerance({"audio": 0.0, "mel": 0.11}, {"audio": 0.0, "mel": 0.1})


def test_differences_are_in_parts_of_a_peak():
    wanted = {"mel": np.array([[[1.0, -4.0]], [[0.0, 0.1]]]), "audio": np.zeros((2, 3)), "unasked": np.ones(1)}
    made = {"mel": np.array([[[1.0, -4.4]], [[0.02, 0.1]]]), "audio": np.zeros((2, 3))}
    assert receipts.differences(made, wanted) == {"audio": 0.0, "mel": pytest.approx(0.2)}
    assert receipts.differences(made, wanted, "loudest") == {"audio": 0.0, "mel": pytest.approx(0.1)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["saved-model", "tflite"])
def test_an_export_that_does_not_run_is_not_kept(run, stand_in, monkeypatch, tmp_path, kind):
    """The bare process is real, and what was converted cannot be loaded there."""
    for module in (saved_model, tflite):
        monkeypatch.setattr(module, "run_standalone", receipts.run_standalone)
    ended = invoke("export", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--format", kind)
    ended.one_line("the export does not run outside of this process: ", code=1)
    assert list(tmp_path.iterdir()) == []


def test_a_bare_process_that_dies_without_a_word_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(receipts, "_STANDALONE", tmp_path)
    (tmp_path / "dies.py").write_text("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(MelGANError, match="outside of this process: it ended without a word"):
        receipts.run_standalone("dies.py", tmp_path, {})


@pytest.mark.parametrize("kind", ["saved-model", "tflite"])
@pytest.mark.parametrize("there", [True, False])
def test_an_interrupted_export_leaves_nothing(trained, stand_in, monkeypatch, tmp_path, kind, there):
    module = saved_model if kind == "saved-model" else tflite
    out = tmp_path / "out"
    if there:
        out.mkdir()
    check = unchanged(tmp_path)
    monkeypatch.setattr(module, "run_standalone", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        module.export(trained, out)
    check()


# -- the command's arguments -----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("arguments", "parts"), [
    (("--quantize", "int8"), ("--quantize int8", "--format tflite")),
    (("--format", "tflite", "--version", 2), ("--version 2", "--format saved-model")),
    (("--format", "onnx"), ("'onnx'", "saved-model", "tflite")),
    (("--quantize", "int4"), ("'int4'", "float16")),
    (("--version", 0), ("'--version'", "0 is not in the range")),
])
def test_arguments_that_do_not_fit_are_refused(run, tmp_path, arguments, parts):
    invoke("export", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", *arguments).one_line(*parts, code=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["saved-model", "tflite"])
def test_a_file_in_place_of_the_folder_is_refused(run, tmp_path, kind):
    (tmp_path / "out").write_text("dear diary")
    invoke("export", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--format", kind, "--force").one_line(
        f"{tmp_path}/out is a file", "give a folder", code=2)
    assert (tmp_path / "out").read_text() == "dear diary"


def test_quiet_export_says_nothing(run, stand_in, tmp_path):
    ended = invoke("export", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--quiet")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


def test_the_receipts_table_names_every_figure(trained, stand_in, tmp_path):
    receipt = tflite.export(trained, tmp_path / "out")
    receipt = dataclasses.replace(receipt, ops={"ADD": 3, "MUL": 2}, size_bytes=1_234_567,
                                  signatures={"a": {}, "b": {}}, milliseconds_per_sound={"mel": 0.1234},
                                  worst_difference={"mel": 0.00123})
    assert receipt.rows() == [
        ("size", "1.23 MB"), ("operations", "5 of 2 kinds, all standard"), ("signatures", "a, b"),
        ("ms per sound, mel", "0.12"), ("worst difference, mel", "0.0012 of the sound's peak (tolerance 0.0001)")]
