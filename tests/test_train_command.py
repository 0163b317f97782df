"""`melgan-tf train`: from arguments to a configuration, runs that exist, and what training prints."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import SHORT, contents, invoke, trained_once, unchanged, write_damaged, write_sounds

from melgan_tf.cli import console
from melgan_tf.config import Config, from_dict, presets
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.training.run import Result


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return trained_once(tmp_path_factory)


class Sounds(list):
    """What a run learned from, as far as `train` prints it."""

    skipped = sounds = ()


@pytest.fixture
def asked(monkeypatch):
    """What `train` asks of the library, without training: one entry a call."""
    def stand_in(config, data, run_dir, progress, fresh, valid, wait_seconds, init_from):
        calls.append(SimpleNamespace(config=config, data=data, run_dir=run_dir, fresh=fresh, init_from=init_from))
        return Result(6, 3, 0, Sounds(), config)

    calls = []
    monkeypatch.setattr("melgan_tf.training.run.run", stand_in)
    return calls


def train(folder: Path, *arguments: object):
    """With the seed preset, unless a run exists or another is named."""
    (folder / "sounds").mkdir(exist_ok=True)
    given = " ".join(map(str, arguments))
    if "--config" in arguments and (file := arguments[arguments.index("--config") + 1]).is_file():
        given += file.read_text(errors="replace")
    named = (folder / "run").exists() and "--fresh" not in given or any(
        word in given for word in ("--preset", "preset=", '"preset"'))
    return invoke("train", folder / "sounds", "--run-dir", folder / "run", *arguments,
                  *(() if named else ("--preset", "seed")))


def begin(folder: Path, config: Config) -> None:
    """A run directory as it is before the first step."""
    RunDirectory(folder / "run").write(config, {}, {})


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_shown_is_accepted_as_a_configuration(name, asked, tmp_path):
    shown = invoke("presets", name)
    assert (shown.code, shown.stderr) == (0, "")
    assert from_dict(Config, json.loads(shown.stdout)) == presets.get(name)
    (tmp_path / "mine.json").write_text(shown.stdout)
    assert train(tmp_path, "--config", tmp_path / "mine.json").code == 0
    assert asked[0].config == presets.get(name)


# -- train: from arguments to a configuration ------------------------------------------------------------------------

def test_a_preset_is_taken_as_it_is(asked, tmp_path):
    ended = train(tmp_path)
    assert (ended.code, ended.stderr) == (0, "")
    call, = asked
    assert (call.config, call.data, call.run_dir, call.fresh) == (
        presets.get("seed"), tmp_path / "sounds", tmp_path / "run", False)


def test_later_and_narrower_ones_win(asked, tmp_path):
    """Preset < --config < --set < options of their own."""
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"training": {"epochs": 10, "seed": 10, "log_every": 10, "batch_size": 10}}))
    train(tmp_path, "--epochs", 40, "--config", file, "--set", "training.epochs=20", "--set", "training.seed=20",
          "--set", "training.log_every=20", "--seed", 40, "--preset", "seed", "--set", "training.log_every=30")
    wanted = dataclasses.replace(presets.get("seed").training, batch_size=10, log_every=30, seed=40, epochs=40)
    assert asked[0].config == dataclasses.replace(presets.get("seed"), training=wanted)


@pytest.mark.parametrize(("arguments", "field", "value"), [
    (("--epochs", 7), "epochs", 7), (("--steps", 7), "steps", 7), (("--seed", 0), "seed", 0),
    (("--seed", 2**31 - 1), "seed", 2**31 - 1), (("--log-every", 9), "log_every", 9), (("--xla",), "xla", "on"),
    (("--no-xla",), "xla", "off"), (("--set", "training.xla=on"), "xla", "on"),
    (("--set", 'training.xla="on"'), "xla", "on"), (("--set", "training.beta_1=0"), "beta_1", 0.0),
    (("--set", "training.epsilon=1e-4"), "epsilon", 1e-4), (("--set", " training.epochs =3"), "epochs", 3),
])
def test_every_option_reaches_its_field(asked, tmp_path, arguments, field, value):
    assert train(tmp_path, *arguments).code == 0
    assert asked[0].config.training == dataclasses.replace(presets.get("seed").training, **{field: value})


def test_epochs_take_over_from_steps_in_the_configuration(asked, tmp_path):
    train(tmp_path, "--set", "training.steps=500", "--epochs", 3)
    assert (asked[0].config.training.steps, asked[0].config.training.epochs) == (0, 3)


def test_fields_that_depend_on_each_other_may_be_set_in_any_order(asked, tmp_path):
    train(tmp_path, "--set", "audio.sample_rate=8000", "--set", "audio.max_hz=4000")
    train(tmp_path, "--set", "audio.max_hz=4000", "--set", "audio.sample_rate=8000")
    assert asked[0].config == asked[1].config
    assert asked[0].config.audio.max_hz == 4_000


@pytest.mark.parametrize(("arguments", "parts"), [
    (("--set", "training.batchsize=3"), ("'training.batchsize'", "'batch_size'")),
    (("--set", "trainign.epochs=3"), ("'trainign'", "'training'")),
    (("--set", "epochs=3"), ("'epochs'", "'training.epochs'")),
    (("--set", "training.epochs=many"), ("training.epochs", "'many'", "whole number")),
    (("--set", "training.epochs=2.5"), ("training.epochs", "2.5", "whole number")),
    (("--set", "training.epochs=true"), ("training.epochs", "True", "whole number")),
    (("--set", "training.epochs="), ("training.epochs", "''", "whole number")),
    (("--set", "training.epochs=0"), ("training.epochs", "0", "1 or more")),
    (("--set", "training.beta_1=1"), ("training.beta_1", "1", "less than 1")),
    (("--set", "training.beta_1=NaN"), ("training.beta_1", "nan", "finite")),
    (("--set", "training.precision=float64"), ("training.precision", "'float64'", "float32")),
    (("--set", "audio.max_hz=9000"), ("audio.max_hz", "9000", "8000")),
    (("--set", "data.clip_samples=300"), ("data.clip_samples", "300", "512")),
    (("--set", "training.epochs"), ("'training.epochs'", "KEY=VALUE")),
    (("--set", "=3"), ("'=3'", "KEY=VALUE")),
    (("--set", "training=3"), ("training", "3", "object")),
    (("--set", "training=3", "--epochs", 3), ("training", "3", "object")),
    (("--set", "audio=3"), ("audio", "3", "object")),
    (("--set", "training.epochs.most=3"), ("training.epochs", "whole number")),
    (("--set", "preset=sead"), ("'sead'", "'seed'")),
    (("--set", "preset=3"), ("preset", "3", "seed")),
    (("--set", "preset=[1]"), ("preset", "[1]", "seed")),
    (("--preset", "sead"), ("'sead'", "'seed'")),
    (("--preset", ""), ("''", "seed")),
    (("--epochs", 1, "--steps", 1), ("--epochs", "--steps", "give one")),
    (("--epochs", 0), ("'--epochs'", "0 is not in the range")),
    (("--epochs", "many"), ("'--epochs'", "'many'")),
    (("--steps", -1), ("'--steps'", "-1 is not in the range")),
    (("--seed", -1), ("'--seed'", "-1")),
    (("--seed", 2**31), ("'--seed'", "2147483648")),
    (("--log-every", 0), ("'--log-every'", "0 is not in the range")),
])
def test_a_wrong_value_is_named_with_its_remedy(asked, tmp_path, arguments, parts):
    train(tmp_path, *arguments).one_line(*parts, code=2)
    assert not asked
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("text", "parts"), [
    ("", ("mine.json", "not JSON")),
    ("{", ("mine.json", "not JSON", "line 1")),
    ("training: {epochs: 3}", ("mine.json", "not JSON")),
    ("[1]", ("[1]", "object")),
    ("3", ("3", "object")),
    ('{"training": 5}', ("training", "5", "object")),
    ('{"training": null}', ("training", "None", "object")),
    ('{"preset": 5}', ("preset", "5", "seed")),
    ('{"preset": "sead"}', ("'sead'", "'seed'")),
    ('{"training": {"epoch": 5}}', ("'training.epoch'", "'epochs'")),
    ('{"training": {"epochs": "5"}}', ("training.epochs", "'5'", "whole number")),
    ('{"training": {"epsilon": 0}}', ("training.epsilon", "0", "positive")),
])
def test_a_wrong_configuration_file_is_refused(asked, tmp_path, text, parts):
    (tmp_path / "mine.json").write_text(text)
    train(tmp_path, "--config", tmp_path / "mine.json").one_line(*parts, code=2)
    assert not asked


def test_a_configuration_file_that_cannot_be_read_is_refused(asked, tmp_path):
    train(tmp_path, "--config", tmp_path / "none.json").one_line("none.json", "No such file", code=2)
    train(tmp_path, "--config", tmp_path).one_line(str(tmp_path), "directory", code=2)
    (tmp_path / "mine.json").write_bytes(b'{"training": "\xff"}')
    train(tmp_path, "--config", tmp_path / "mine.json").one_line("mine.json", code=2)


# -- train: a run that is there --------------------------------------------------------------------------------------

def test_a_run_goes_on_with_its_own_configuration(asked, tmp_path):
    config = from_dict(Config, {"training": {"batch_size": 8, "seed": 3}, "model": {"noise_dim": 10}})
    begin(tmp_path, config)
    assert train(tmp_path).code == 0
    assert train(tmp_path, "--preset", "seed", "--seed", 3, "--set", "model.noise_dim=10").code == 0
    assert [call.config for call in asked] == [config, config]


@pytest.mark.parametrize("arguments", [("--epochs", 9), ("--steps", 9), ("--log-every", 9), ("--no-xla",),
                                       ("--set", "training.checkpoint_every=9"),
                                       ("--set", "training.keep_checkpoints=9"),
                                       ("--set", "training.preview_every=9")])
def test_what_does_not_make_it_another_run_may_change(asked, tmp_path, arguments):
    begin(tmp_path, presets.get("seed"))
    assert train(tmp_path, *arguments).code == 0
    assert asked[0].config != presets.get("seed")


@pytest.mark.parametrize(("arguments", "parts"), [
    (("--seed", 1), ("training.seed: 1 / 0",)),
    (("--set", "training.batch_size=64"), ("training.batch_size: 64 / 128",)),
    (("--set", "audio.power=1"), ("audio.power: 1.0 / 2.0",)),
    (("--set", "model.noise_dim=9", "--seed", 2), ("model.noise_dim: 9 / 20", "training.seed: 2 / 0")),
])
def test_another_configuration_is_not_trained_into_a_run(asked, tmp_path, arguments, parts):
    begin(tmp_path, presets.get("seed"))
    check = unchanged(tmp_path / "run")
    train(tmp_path, *arguments).one_line(f"{tmp_path}/run", *parts, "--run-dir", "--fresh", code=2)
    check()
    assert not asked


def test_another_preset_is_not_trained_into_a_run(asked, tmp_path):
    begin(tmp_path, presets.get("seed"))
    train(tmp_path, "--preset", "drums").one_line(
        f"{tmp_path}/run", "'seed'", "'drums'", "--run-dir", "--fresh", code=2)
    assert not asked
    assert train(tmp_path, "--preset", "drums", "--fresh").code == 0
    assert (asked[0].config.preset, asked[0].fresh) == ("drums", True)


def test_fresh_forgets_the_old_configuration(asked, tmp_path):
    begin(tmp_path, from_dict(Config, {"training": {"batch_size": 8}}))
    assert train(tmp_path, "--fresh", "--seed", 4).code == 0
    assert asked[0].config.training == dataclasses.replace(presets.get("seed").training, seed=4)


def test_fresh_does_not_mind_a_damaged_run(asked, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text("{")
    train(tmp_path).one_line("config.json is damaged", code=1)
    assert train(tmp_path, "--fresh").code == 0


# -- train: a real run -----------------------------------------------------------------------------------------------

def test_training_prints_plain_lines_and_leaves_a_whole_run(run):
    progress = r"training: \d/6 steps \(\d+ %\), \d\.\d steps/s, \d:\d\d left"  # on a machine that is slow, or busy
    assert all(re.fullmatch(progress, line) for line in run.ended.stderr.splitlines()), run.ended.stderr
    lines = run.ended.stdout.splitlines()
    number = r"\d+\.\d{4}"
    assert re.fullmatch(r"preset seed: the original recipe.* may be stopped at any time \(.*\)", lines[0])
    assert lines[1] == "16 sounds; building the model: once, about half a minute"
    for epoch, line in enumerate(lines[2:5]):
        assert re.fullmatch(rf"\[{epoch}/3\]\tLoss_D: {number}\tLoss_G: {number}\tD\(x\): {number}\t"
                            rf"D\(G\(z\)\): {number} / {number}", line)
    quoted = shlex.quote(str(run.path))
    assert lines[5:] == ["trained 3 epochs (6 steps) on 16 sounds",
                         f"hear it:    melgan-tf generate {quoted} --out sounds",
                         f"watch it:   tensorboard --logdir {quoted}/tensorboard"]
    names = {re.sub(r"events\.out\..*", "events", name) for name in contents(run.path)}
    assert names == {".lock", "config.json", "history.csv", "skipped.txt", "checkpoints/best.npz", "tensorboard/events",
                     *(f"checkpoints/step-0000000{step}.npz" for step in (2, 4, 6))}


def test_the_same_command_again_has_nothing_to_do(run):
    before = contents(run.path / "checkpoints")
    ended = invoke(*run.arguments)
    assert (ended.code, ended.stderr) == (0, "")
    assert "already trained for 6 steps (3 epochs)" in ended.stdout
    assert "--epochs" in ended.stdout
    assert contents(run.path / "checkpoints") == before


@pytest.mark.slow
def test_unusable_files_are_counted_and_named_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(console, "PLAIN_EVERY_SECONDS", 1e6)
    sounds = write_sounds(tmp_path / "sounds", 8)
    write_damaged(sounds / "more")
    ended = invoke("train", sounds, "--run-dir", tmp_path / "run", "--steps", 1, *SHORT)
    assert ended.code == 0
    assert "trained 1 epoch (1 step) on 8 sounds\n" in ended.stdout
    told = ended.stderr.splitlines()
    assert told[0] == "skipped 5 of 13 files:"
    assert [line.partition(":")[0] for line in told[1:]] == [
        f"  more/{name}" for name in ("empty.wav", "noise.flac", "silent.wav", "text.wav", "truncated.wav")]
    assert all(len(line.partition(": ")[2]) > 4 for line in told[1:])
    listed = (tmp_path / "run/skipped.txt").read_text().splitlines()
    assert [line.split("\t") for line in listed] == [line.strip().split(": ", 1) for line in told[1:]]


@pytest.mark.slow
def test_quiet_training_tells_of_unusable_files_only(tmp_path):
    sounds = write_sounds(tmp_path / "sounds", 8)
    (sounds / "bad.wav").write_bytes(b"")
    ended = invoke("train", sounds, "--run-dir", tmp_path / "run", "--steps", 1, "--quiet", *SHORT)
    assert (ended.code, ended.stdout) == (0, "")
    assert ended.stderr == "skipped 1 of 9 files:\n  bad.wav: an empty file\n"


def test_a_stopped_run_says_how_to_continue(asked, tmp_path, monkeypatch):
    stopped = SimpleNamespace(steps=41, epochs=2, signal=15, is_chief=True, sounds=Sounds())
    monkeypatch.setattr("melgan_tf.training.run.run", lambda *_: stopped)
    monkeypatch.setattr(sys, "argv", ["melgan-tf", "train", "my sounds", "--run-dir", "run", "--fresh"])
    ended = train(tmp_path, "--quiet")
    assert (ended.code, ended.stdout) == (143, "")
    assert ended.stderr == (
        "stopped after 41 steps, saved; to continue: melgan-tf train 'my sounds' --run-dir run\n")
