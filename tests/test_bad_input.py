"""Bad input, damaged runs and full disks, as users meet them: one line that helps, the exit code, nothing lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import (
    GRIFFIN_LIM,
    SHORT,
    contents,
    invoke,
    program,
    trained_once,
    unchanged,
    write_damaged,
    write_sounds,
)

from melgan_tf.audio.wav import save_wav
from melgan_tf.storage.checkpoints import load

NEWEST, OLDER = "step-00000006.npz", "step-00000004.npz"


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    return trained_once(tmp_path_factory)


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of the trained run, to be spoilt."""
    return Path(shutil.copytree(trained.path, tmp_path / "a run" / "drums"))


@contextlib.contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """As on a disk that is almost full: what exceeds ``size`` bytes cannot be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def commands(run: Path, sounds: Path, out: Path) -> dict[str, tuple[object, ...]]:
    """Every command that reads a run."""
    return {"train": ("train", sounds, "--run-dir", run, "--epochs", 4),
            "generate": ("generate", run, *GRIFFIN_LIM, "--out", out),
            "export": ("export", run, *GRIFFIN_LIM, "--out", out),
            "evaluate": ("evaluate", run, *GRIFFIN_LIM, "--reference", sounds),
            "info": ("info", run)}


# -- sounds ----------------------------------------------------------------------------------------------------------

def write_text(folder: Path) -> None:
    folder.mkdir()
    (folder / "notes.txt").write_text("kick, snare, hat\n")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n")


def write_silence(folder: Path) -> None:
    folder.mkdir()
    for index in range(3):
        save_wav(folder / f"{index}.wav", np.zeros(100 * index + 1), 16_000)


@pytest.mark.parametrize(("make", "parts", "code"), [
    (None, ("does not exist", "give a folder"), 2),
    (Path.mkdir, ("contains no sound files", "WAV", "FLAC"), 1),
    (write_text, ("contains no sound files", "WAV", "FLAC"), 1),
    (write_silence, ("none of the 3 sound files", "0.wav: silent"), 1),
    (write_damaged, ("none of the 5 sound files", "empty.wav: an empty file"), 1),
    (Path.touch, ("none of the 1 sound files", "sounds: an empty file"), 1),
])
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_sounds_that_cannot_be_used(trained, tmp_path, command, make, parts, code):
    sounds = tmp_path / "sounds"
    if make:
        make(sounds)
    check = unchanged(tmp_path)
    arguments = (sounds, "--run-dir", tmp_path / "new", *SHORT) if command == "train" else (
        trained.path, *GRIFFIN_LIM, "--reference", sounds, "--json", tmp_path / "figures.json")
    if make is Path.touch:
        parts = ("sounds",)  # a file may stand for a folder of one
    invoke(command, *arguments).one_line(str(sounds), *parts, code=code)
    check()


def test_too_few_sounds_for_a_batch(tmp_path):
    sounds = write_sounds(tmp_path / "sounds", 5)
    invoke("train", sounds, "--run-dir", tmp_path / "run", "--preset", "seed").one_line(
        "5 sounds", "batches of 128", "training.batch_size=2", code=2)
    assert not (tmp_path / "run").exists()


def test_too_few_sounds_to_evaluate(trained, tmp_path):
    sounds = write_sounds(tmp_path / "sounds", 5)
    invoke("evaluate", trained.path, *GRIFFIN_LIM, "--reference", sounds, "--json", tmp_path / "a.json").one_line(
        "5 real sounds are too few", "at least 6", code=1)
    assert not (tmp_path / "a.json").exists()


def test_a_fresh_start_with_unusable_sounds_keeps_the_old_run(run, tmp_path):
    (tmp_path / "empty").mkdir()
    check = unchanged(run)
    invoke("train", tmp_path / "empty", "--run-dir", run, "--fresh", *SHORT).one_line("contains no sound files", code=1)
    invoke("train", write_sounds(tmp_path / "few", 3), "--run-dir", run, "--fresh", *SHORT).one_line("too few", code=2)
    check()


# -- runs ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("command", ["generate", "export", "evaluate"])
def test_a_run_that_is_not_there(trained, tmp_path, command):
    arguments = commands(tmp_path / "none", trained.sounds, tmp_path / "out")[command]
    invoke(*arguments).one_line(f"{tmp_path}/none does not exist", "melgan-tf train", code=2)
    (tmp_path / "empty").mkdir()
    arguments = commands(tmp_path / "empty", trained.sounds, tmp_path / "out")[command]
    invoke(*arguments).one_line(f"{tmp_path}/empty", "not a run directory", "config.json", code=2)
    (tmp_path / "empty").rmdir()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["generate", "export", "evaluate"])
@pytest.mark.parametrize("choice", ["last", "best"])
def test_a_run_without_a_checkpoint(run, trained, tmp_path, command, choice):
    shutil.rmtree(run / "checkpoints")
    check = unchanged(tmp_path)
    arguments = commands(run, trained.sounds, tmp_path / "out")[command]
    invoke(*arguments, "--checkpoint", choice).one_line(str(run), "no checkpoint", "train it", code=1)
    check()


@pytest.mark.parametrize(("text", "parts"), [
    ("", ("damaged",)), ("{", ("damaged",)), ("[]", ("damaged",)), ("{}", ("damaged", "config")),
    ('{"config": {}}', ("damaged", "data")), ('{"config": 3, "data": {}, "resolved": {}, "versions": {}}', ("config",)),
    ('{"config": {"pitch": 3}, "data": {}, "resolved": {}, "versions": {}}', ("'pitch'", "training")),
    ('{"config": {"training": {"epochs": 0}}, "data": {}, "resolved": {}, "versions": {}}', ("training.epochs", "0")),
    ("\xff\xfe", ("damaged",)),
])
def test_a_damaged_config_json(trained, tmp_path, text, parts):
    """Every command that reads a run reads it the same way."""
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    check = unchanged(tmp_path)
    for arguments in commands(tmp_path, trained.sounds, tmp_path / "out").values():
        invoke(*arguments).one_line(f"{tmp_path}/config.json", *parts, code=1)
    check()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1_000])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def array(file: Path) -> None:
    with open(file, "wb") as opened:
        np.save(opened, np.zeros(3))


def foreign(file: Path) -> None:
    np.savez(file, weights=np.zeros(3))


def encrypted(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # a flag of the first entry in the archive's directory
    file.write_bytes(data)


DAMAGES = [cut, flip, empty, foreign, array, encrypted]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(run, tmp_path, damage):
    damage(run / "checkpoints" / NEWEST)
    check = unchanged(run)
    ended = invoke("generate", run, *GRIFFIN_LIM, "--out", tmp_path / "out", "--count", 1)
    assert ended.code == 0
    assert ended.stderr.startswith(f"warning: checkpoint {NEWEST} is damaged ")
    assert ended.stderr.endswith(": using that of step 4\n")
    assert ended.stderr.count("\n") == 1
    assert json.loads((tmp_path / "out/sounds.json").read_text())["step"] == 4
    check()


@pytest.mark.parametrize("damage", DAMAGES)
def test_if_all_checkpoints_are_damaged_the_newest_is_named(run, trained, tmp_path, damage):
    for file in (run / "checkpoints").glob("step-*.npz"):
        damage(file)
    check = unchanged(tmp_path)
    for command in ("train", "generate"):
        arguments = commands(run, trained.sounds, tmp_path / "out")[command]
        invoke(*arguments).one_line(f"{run}/checkpoints", f"{NEWEST} is damaged", code=1)
    check()


def test_a_damaged_best_checkpoint_is_told(run, tmp_path):
    (run / "checkpoints/best.npz").unlink()  # it has another name, which would be damaged too
    (run / "checkpoints/best.npz").write_bytes(b"")
    invoke("generate", run, *GRIFFIN_LIM, "--out", tmp_path / "out", "--checkpoint", "best").one_line(
        "best.npz is damaged", code=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("part", "field", "value", "parts"), [
    ("audio", "power", 1.0, ("step 6", "other mel spectrograms", "config.json")),
    ("model", "noise_dim", 10, ("does not fit the model", "generator/up_1/kernel")),
])
def test_a_checkpoint_of_another_configuration(run, tmp_path, part, field, value, parts):
    record = json.loads((run / "config.json").read_text())
    record["config"][part][field] = value
    (run / "config.json").write_text(json.dumps(record))
    invoke("generate", run, *GRIFFIN_LIM, "--out", tmp_path / "out").one_line(*parts, code=1)
    assert not (tmp_path / "out").exists()


# -- places to write to ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("command", ["train", "generate", "export", "evaluate"])
def test_a_place_below_a_file(trained, tmp_path, command):
    (tmp_path / "file").write_text("dear diary")
    check = unchanged(tmp_path)
    out = tmp_path / "file" / "out"
    arguments = {"train": ("train", trained.sounds, "--run-dir", out),
                 "evaluate": ("evaluate", trained.path, "--reference", trained.sounds, "--json", out)}
    arguments = arguments.get(command) or commands(trained.path, trained.sounds, out)[command]
    invoke(*arguments).one_line(str(out), "cannot be made", f"{tmp_path}/file is not a directory", code=2)
    check()


@pytest.mark.parametrize("command", ["train", "generate", "export", "evaluate"])
@pytest.mark.parametrize("there", [True, False])
def test_a_read_only_place(trained, tmp_path, monkeypatch, command, there):
    """Whoever runs the tests may be allowed everything, so the answer to "may I?" is made up."""
    place = tmp_path / "place"
    place.mkdir()
    out = place if there and command != "evaluate" else place / "out"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != place or mode != os.W_OK)
    arguments = {"train": ("train", trained.sounds, "--run-dir", out),
                 "evaluate": ("evaluate", trained.path, "--reference", trained.sounds, "--json", out)}
    arguments = arguments.get(command) or commands(trained.path, trained.sounds, out)[command]
    invoke(*arguments).one_line(str(out), "read-only", code=1)
    assert list(place.iterdir()) == []


@pytest.mark.skipif(not os.access("/proc", os.W_OK), reason="only somebody who may write anywhere gets that far")
@pytest.mark.parametrize("command", ["train", "generate", "export", "evaluate"])
def test_a_place_that_refuses_all_the_same(trained, command):
    """/proc looks writable and is not."""
    out = Path("/proc/melgan-tf-test")
    arguments = {"train": ("train", trained.sounds, "--run-dir", out, *SHORT),
                 "evaluate": ("evaluate", trained.path, *GRIFFIN_LIM, "--reference", trained.sounds, "--json", out)}
    ended = invoke(*(arguments.get(command) or commands(trained.path, trained.sounds, out)[command]))
    assert ended.code == 1
    assert ended.stderr.count("\n") == 1
    assert "cannot write" in ended.stderr
    assert str(out) in ended.stderr


def test_a_file_in_place_of_a_run_directory(trained, tmp_path):
    (tmp_path / "file").write_text("dear diary")
    invoke("train", trained.sounds, "--run-dir", tmp_path / "file", "--fresh").one_line(
        f"{tmp_path}/file is a file", "give a folder", code=2)
    assert (tmp_path / "file").read_text() == "dear diary"


# -- full disks ------------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_a_disk_that_is_full_for_a_checkpoint(run, trained, tmp_path, eager):
    """A real process; the earlier checkpoints stay, and when there is room again the run goes on."""
    again = ("train", trained.sounds, "--run-dir", run, "--epochs", 5)
    before = contents(run / "checkpoints")
    ended = program(*again, "--quiet", file_limit=1_000_000)
    ended.one_line(f"cannot write {run}/checkpoints/step-00000008.npz: File too large", code=1)
    assert contents(run / "checkpoints") == before
    assert not [path for path in run.rglob("*") if path.name.endswith((".part", ".tmp"))]
    ended = invoke(*again)
    assert ended.code == 0
    assert "resuming at step 6 (epoch 3)" in ended.stdout
    assert load(run / "checkpoints/step-00000010.npz")[1]["step"] == 10


@pytest.mark.parametrize("there", [True, False])
def test_a_disk_that_is_full_for_a_sound(trained, tmp_path, there):
    out = tmp_path / "out"
    if there:
        assert invoke("generate", trained.path, *GRIFFIN_LIM, "--out", out, "--count", 2).code == 0
    check = unchanged(tmp_path)
    with no_file_longer_than(10_000):
        ended = invoke("generate", trained.path, *GRIFFIN_LIM, "--out", out, "--count", 3, "--seed", 1, "--force",
                       "--quiet")
    ended.one_line(f"cannot write {out}/run-seed1-0000.wav: File too large", code=1)
    check()


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("arguments", [("--version", 1), ("--format", "tflite", "--quantize", "float16")])
def test_a_disk_that_is_full_for_an_export(trained, tmp_path, arguments, there):
    out = tmp_path / "out"
    name = "1" if "--version" in arguments else "model-float16.tflite"
    if there:
        out.mkdir()
        (out / name).mkdir() if name == "1" else (out / name).write_text("an older one")
    check = unchanged(tmp_path)
    with no_file_longer_than(300_000):
        ended = invoke("export", trained.path, *GRIFFIN_LIM, "--out", out, "--force", "--quiet", *arguments)
    ended.one_line(f"cannot write {out}/{name}: File too large", code=1)
    check()


def test_a_disk_that_is_full_for_figures(trained, tmp_path):
    file = tmp_path / "figures.json"
    file.write_text("older ones")
    check = unchanged(tmp_path)
    with no_file_longer_than(100):
        ended = invoke("evaluate", trained.path, *GRIFFIN_LIM, "--reference", trained.sounds, "--json", file, "--force")
    assert (ended.code, ended.stderr) == (1, f"melgan-tf: cannot write {file}: File too large\n")
    assert ended.stdout.startswith("8 sounds a set")  # the work is done: it is shown
    check()


@pytest.mark.slow
@pytest.mark.parametrize("limit", [10, 100_000])
def test_a_disk_that_is_full_from_the_beginning(trained, tmp_path, limit):
    """100 kB are not enough for a checkpoint, nor for TensorBoard's events; 10 bytes not even for config.json."""
    with no_file_longer_than(limit):
        ended = invoke("train", trained.sounds, "--run-dir", tmp_path / "run", "--epochs", 1, "--quiet", *SHORT)
    said = r"(warning: writing for TensorBoard failed.*\n)*melgan-tf: cannot write .*: File too large\n"
    assert (ended.code, ended.stdout, bool(re.fullmatch(said, ended.stderr))) == (1, "", True), ended.stderr


# -- info ------------------------------------------------------------------------------------------------------------

def write(data: bytes):
    return lambda file: file.write_bytes(data)


@pytest.mark.parametrize(("name", "make", "parts", "code"), [
    ("a.txt", write(b"kick"), ("none of", ".npz", ".tflite", "text, not audio"), 2),
    ("folder", Path.mkdir, ("neither a run, an export, prepared shards nor sounds",), 2),
    ("sounds.json", write(b"{}"), ("not a record of sounds",), 1),
    ("sounds.json", write(b'{"sounds": [3], "sample_rate": 16000}'), ("not a record of sounds",), 1),
    ("sounds.json", write(b'{"sounds": [{"file": "../a.wav"}], "sample_rate": 16000}'), ("not a record of sounds",), 1),
    ("a.wav", write(b""), ("a.wav",), 1),
    ("a.wav", write(b"kick, snare, hat"), ("not audio",), 1),
    ("a.npz", write(b""), ("damaged",), 1),
    ("a.npz", write(b"kick, snare, hat"), ("damaged",), 1),
    ("a.npz", array, ("damaged",), 1),
    ("a.npz", foreign, ("damaged",), 1),
    ("a.npz", lambda file: np.savez(file, meta=np.array("3")), ("not a checkpoint that melgan-tf made",), 1),
    ("a.npz", lambda file: np.savez(file, meta=np.array("{}")), ("not a checkpoint that melgan-tf made",), 1),
    ("a.tflite", write(b""), ("not a TFLite file",), 1),
    ("a.tflite", write(b"kick, snare, hat"), ("not a TFLite file",), 1),
    ("a.tflite", write(b"\x1c\0\0\0TFL3"), ("not a TFLite file, or a damaged one",), 1),
    ("a.tflite", write(b"\xff\xff\xff\x7fTFL3" + bytes(100)), ("not a TFLite file, or a damaged one",), 1),
])
def test_info_on_what_is_not_ours(tmp_path, name, make, parts, code):
    make(tmp_path / name)
    invoke("info", tmp_path / name).one_line(f"{name}", *parts, code=code)


@pytest.mark.parametrize("files", [
    {"saved_model.pb": ""}, {"saved_model.pb": "", "assets.extra/config.json": "{}", "export_report.json": "{}"},
    {"saved_model.pb": "", "assets.extra/config.json": "[]", "export_report.json": "{"},
    {"saved_model.pb": "", "assets.extra/config.json": "3",
     "export_report.json": '{"signatures": {}, "size_bytes": 1}'}])
def test_info_on_a_foreign_saved_model(tmp_path, files):
    for name, text in files.items():
        (tmp_path / "7" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "7" / name).write_text(text)
    for path in (tmp_path, tmp_path / "7"):
        invoke("info", path).one_line(f"{tmp_path}/7", "not one that melgan-tf made", code=1)


def test_info_on_nothing(tmp_path):
    invoke("info", tmp_path / "none").one_line(f"{tmp_path}/none does not exist", "run directory", code=2)
