"""What all export formats share: checking, receipts, versions, nothing left behind. TensorFlow has no work here."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import answers_format
import numpy as np
import pytest
from answers_format import Model
from command_line import contents, invoke, unchanged
from tiny_vocoders import write_run

from melgan_tf import exports
from melgan_tf.config import presets, to_dict
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.exports import check, onnx, receipt, saved_model, tflite, tflite_metadata
from melgan_tf.inference import load

#: Of a page, which is a TFLite file and more, see `test_drum_machine`.
EACH = pytest.mark.parametrize("name", [name for name in exports.FORMATS if name != "web"])


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "seed", presets.get("seed"))


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    """Every model is one whose answers are known, and all formats store these answers."""
    monkeypatch.setattr(load, "load_sound_model", lambda *_: Model())
    for module in (saved_model, tflite, onnx):
        monkeypatch.setattr(module, "write", answers_format.write)
        monkeypatch.setattr(module, "RUNNER", answers_format.RUNNER)


# -- one module a format ---------------------------------------------------------------------------------------------

def test_a_further_format_is_one_module(monkeypatch, tmp_path):
    """It exports, refuses what exists, and `info` knows it."""
    monkeypatch.setitem(exports.FORMATS, "answers", "answers_format")
    made = exports.export(Model(), tmp_path, "answers", ink="red")
    assert (made.format, made.path) == ("answers", str(tmp_path / "red"))
    assert sorted(contents(tmp_path)) == ["receipt.json", "red/answers.npz"]
    assert json.loads(invoke("info", tmp_path / "red", "--json").stdout) == {"kind": "answers"}
    with pytest.raises(UsageError, match="red exists: give another --ink, or --force"):
        exports.export(Model(), tmp_path, "answers", ink="red")
    with pytest.raises(UsageError, match="--ink red is for --format answers"):
        exports.destination(tmp_path, "tflite", ink="red")


def test_unknown_formats_and_options_are_refused(tmp_path):
    with pytest.raises(UsageError, match="unknown export format 'coreml': known are saved-model, tflite, web, onnx"):
        exports.export(Model(), tmp_path, "coreml")
    with pytest.raises(UsageError, match="unknown export option 'colour'"):
        exports.export(Model(), tmp_path, "tflite", colour="red")


# -- where it goes ---------------------------------------------------------------------------------------------------

def test_next_version_is_one_more_than_the_highest(tmp_path):
    assert saved_model.next_version(tmp_path / "nowhere") == 1
    for name in ("1", "9", "10", "beta", "2x", ".export-3"):
        (tmp_path / name).mkdir()
    assert saved_model.next_version(tmp_path) == 11


def test_versions_increment(tmp_path):
    made = [exports.export(Model(), tmp_path / "drums").path for _ in range(3)]
    assert made == [str(tmp_path / "drums" / number) for number in "123"]
    assert exports.export(Model(), tmp_path / "drums", version=7).path.endswith("drums/7")
    assert exports.export(Model(), tmp_path / "drums").path.endswith("drums/8")
    assert saved_model.versions(tmp_path / "drums") == ["1", "2", "3", "7", "8"]


@pytest.mark.parametrize("quantize", ["none", "float16"])
def test_a_folder_gets_one_file_a_quantization(quantize, tmp_path):
    made = exports.export(Model(), tmp_path / "out", "tflite", quantize=quantize)
    assert made.path == str(tmp_path / "out" / f"model-{quantize}.tflite")
    assert sorted(contents(tmp_path)) == ["out/export_report.json", f"out/model-{quantize}.tflite"]
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_file_name_is_taken_as_it_is(tmp_path):
    exports.export(Model(), tmp_path / "a/drums.tflite", "tflite", quantize="float16")
    assert sorted(contents(tmp_path)) == ["a/drums.export_report.json", "a/drums.tflite"]


@pytest.mark.parametrize(("name", "out", "model", "option"), [
    ("saved-model", ".", "1", "--version"), ("tflite", "out", "out/model-none.tflite", "--out"),
    ("tflite", "drums.tflite", "drums.tflite", "--out"), ("onnx", "out", "out/model.onnx", "--out")])
def test_what_exists_is_replaced_only_with_force(run, tmp_path, name, out, model, option):
    arguments = ("export", run, "--out", tmp_path / out, "--format", name,
                 *(("--version", 1) if name == "saved-model" else ()))
    assert invoke(*arguments).code == 0
    written = tmp_path / model
    before = set(contents(tmp_path))
    if name == "saved-model":
        (written / "old.txt").write_text("old")
    else:
        written.write_bytes(b"old")
    kept = unchanged(tmp_path)
    with pytest.raises(UsageError, match=f"^{written} exists: give another {option}, or --force"):
        exports.export(Model(), tmp_path / out, name, **({"version": 1} if name == "saved-model" else {}))
    invoke(*arguments).one_line(f"{written} exists: give another {option}", "--force", code=2)
    kept()
    assert invoke(*arguments, "--force").code == 0
    assert set(contents(tmp_path)) == before
    assert b"old" not in contents(tmp_path).values()


# -- what differs is not kept ----------------------------------------------------------------------------------------

@EACH
@pytest.mark.parametrize("error", [0.01, np.nan, np.inf])
def test_an_export_that_differs_is_not_kept(run, monkeypatch, tmp_path, name, error):
    monkeypatch.setattr(answers_format, "error", error)
    ended = invoke("export", run, "--out", tmp_path / "out", "--format", name)
    ended.one_line(f"mel differs by {error:.3g} of the peak", "(tolerance 0.0001)", "nothing was kept", code=1)
    assert list(tmp_path.iterdir()) == []


@EACH
def test_a_replacement_that_differs_leaves_the_old_one(run, monkeypatch, tmp_path, name):
    arguments = ("export", run, "--out", tmp_path, "--format", name, "--force",
                 *(("--version", 1) if name == "saved-model" else ()))
    assert invoke(*arguments).code == 0
    kept = unchanged(tmp_path)
    monkeypatch.setattr(answers_format, "error", 0.5)
    assert invoke(*arguments).code == 1
    kept()


def test_the_least_difference_beyond_the_tolerance_is_too_much():
    check.require_tolerance({"mel": 0.1}, {"mel": 0.1})
    with pytest.raises(MelGANError, match="mel differs by 0.11 of the peak"):
        check.require_tolerance({"audio": 0.0, "mel": 0.11}, {"audio": 0.0, "mel": 0.1})


def test_differences_are_in_parts_of_a_peak():
    expected = {"mel": np.array([[[1.0, -4.0]], [[0.0, 0.1]]]), "audio": np.zeros((2, 3)), "unasked": np.ones(1)}
    results = {"mel": np.array([[[1.0, -4.4]], [[0.02, 0.1]]]), "audio": np.zeros((2, 3))}
    assert check.differences(results, expected) == {"audio": 0.0, "mel": pytest.approx(0.2)}


@EACH
def test_an_export_that_does_not_run_is_not_kept(run, monkeypatch, tmp_path, name):
    """It cannot be loaded, or its process dies without a message."""
    script = tmp_path / "dies.py"
    for text, reason in (("raise SystemExit('no such operation')", "no such operation"),
                         ("import os; os.kill(os.getpid(), 9)", "it ended with code -9 and no message")):
        script.write_text(text)
        monkeypatch.setattr(exports.get_format(name), "RUNNER", script)
        ended = invoke("export", run, "--out", tmp_path / "out", "--format", name)
        ended.one_line(f"the export does not run outside of this process: {reason}", code=1)
        assert list(tmp_path.iterdir()) == [script]


@EACH
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("where", ["write", "run_standalone"])
def test_an_interrupted_export_leaves_nothing(monkeypatch, tmp_path, name, there, where):
    def interrupt(*_):
        raise KeyboardInterrupt

    if there:
        (tmp_path / "out").mkdir()
    kept = unchanged(tmp_path)
    monkeypatch.setattr(exports.get_format(name) if where == "write" else check, where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        exports.export(Model(), tmp_path / "out", name)
    kept()


# -- receipts --------------------------------------------------------------------------------------------------------

def test_the_receipt_holds_every_measurement(tmp_path):
    made = exports.export(Model(), tmp_path / "out.tflite", "tflite", quantize="float16")
    written = json.loads((tmp_path / "out.export_report.json").read_text())
    assert written == dataclasses.asdict(made)
    assert written.pop("versions").keys() >= {"tensorflow", "keras", "numpy", "python"}
    assert written == {
        "format": "tflite", "path": str(tmp_path / "out.tflite"), "quantize": "float16",
        "size_bytes": (tmp_path / "out.tflite").stat().st_size, "ops": {"ADD": 3, "MUL": 2},
        "signatures": {"generate": {}, "sample": {}}, "threads": 1, "seeds": 32,
        "first_call_milliseconds": {"generate": 12.3},
        "milliseconds_per_sound": {"mel, batch 1": 0.1234, "mel, batch 2": 0.1234},
        "worst_difference": {"mel": 0.0, "mel_by_seed": 0.0}, "tolerance": {"mel": 1e-4, "mel_by_seed": 1e-4},
        "origin": {"made_by": "melgan-tf", "preset": "seed"}}


def test_the_receipts_table_names_every_figure():
    made = receipt.Receipt("tflite", "a", "none", 1_234_567, {"ADD": 3, "MUL": 2}, {"a": {}, "b": {}},
                           {"mel": 0.1234}, {"generate": 12.3, "mel": 4.0}, 1, {"mel": 0.00123}, {"mel": 1e-4}, {})
    assert made.rows() == [
        ("size", "1.23 MB"), ("operations", "5 of 2 kinds, all standard"), ("signatures", "a, b"),
        ("ms per sound, mel", "0.12"), ("ms of the first call", "12"),
        ("worst difference, mel", "0.0012 of the sound's peak (tolerance 0.0001)")]


def test_the_command_shows_the_receipt(run, tmp_path):
    ended = invoke("export", run, "--out", tmp_path / "out")
    assert (ended.code, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0].split() == ["receipt", f"{tmp_path}/out/1"]
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "size", "operations", "signatures", "ms per sound, mel, batch 1", "ms per sound, mel, batch 2",
        "ms of the first call", "worst difference, mel", "worst difference, mel_by_seed"]
    ended = invoke("export", run, "--out", tmp_path / "out", "--quiet")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


# -- the command's arguments -----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("arguments", "parts"), [
    (("--quantize", "float16"), ("--quantize float16", "--format tflite")),
    (("--format", "tflite", "--version", 2), ("--version 2", "--format saved-model")),
    (("--format", "coreml"), ("'coreml'", "saved-model", "tflite")),
    (("--quantize", "int8"), ("'int8'", "float16")),
    (("--version", 0), ("'--version'", "0 is not in the range")),
])
def test_arguments_that_do_not_fit_are_refused(run, tmp_path, arguments, parts):
    invoke("export", run, "--out", tmp_path / "out", *arguments).one_line(*parts, code=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "out"), [("saved-model", "a.onnx"), ("onnx", "a.tflite"), ("tflite", "a.onnx")])
def test_a_name_that_means_another_format_is_refused(run, tmp_path, name, out):
    invoke("export", run, "--out", tmp_path / out, "--format", name).one_line(
        f"{tmp_path / out} would not be {out[2:]}: add --format {out[2:]}", code=2)
    assert list(tmp_path.iterdir()) == []


@EACH
def test_a_file_in_place_of_the_folder_is_refused(run, tmp_path, name):
    (tmp_path / "out").write_text("dear diary")
    invoke("export", run, "--out", tmp_path / "out", "--format", name, "--force").one_line(
        f"{tmp_path}/out is a file", "give a folder", code=2)
    assert (tmp_path / "out").read_text() == "dear diary"


# -- metadata --------------------------------------------------------------------------------------------------------

def test_metadata_survives_beside_what_is_there(tmp_path):
    from ai_edge_litert import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = schema.ModelT()
    model.version, model.buffers, model.subgraphs, model.operatorCodes = 3, [schema.BufferT()], [], []
    content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    values = {"first": "ü", "config": json.loads(json.dumps(to_dict(presets.get("seed"))))}
    content = tflite_metadata.add(tflite_metadata.add(content, values), {"second": 1})
    (tmp_path / "a.tflite").write_bytes(content)
    assert tflite_metadata.read(tmp_path / "a.tflite") == values
    assert [entry.name for entry in schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0)).metadata] == [
        b"melgan_tf"] * 2
