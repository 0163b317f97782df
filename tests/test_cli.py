"""The command line: arguments in, one library call, exit codes and what goes to stdout and stderr."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pty
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from command_line import SHORT, contents, invoke, program, python, trained_once, unchanged, write_damaged, write_sounds

import melgan_tf
from melgan_tf.cli import console, main, options
from melgan_tf.config import Config, from_dict, presets, to_dict
from melgan_tf.errors import MelGANError
from melgan_tf.storage.run_directory import RunDirectory

COMMANDS = ("prepare", "train", "generate", "vocode", "export", "evaluate", "import-torch", "presets", "info")
#: What renders where the sound itself does not matter: the same, whatever the package brings along.
GRIFFIN_LIM = ("--vocoder", "griffin-lim")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return trained_once(tmp_path_factory)


@pytest.fixture
def asked(monkeypatch):
    """What `train` asks of the library, without training: one entry a call."""
    def stand_in(config, data, run_dir, progress, fresh, valid=None, wait_seconds=300.0):
        calls.append(SimpleNamespace(config=config, data=data, run_dir=run_dir, progress=progress, fresh=fresh))
        return SimpleNamespace(steps=6, epochs=3, signal=0, is_chief=True,
                               sounds=SimpleNamespace(skipped=[], __len__=None))

    calls = []
    monkeypatch.setattr("melgan_tf.training.run.run", stand_in)
    monkeypatch.setattr("melgan_tf.cli.train._report", lambda *_: None)
    return calls


def train(folder: Path, *arguments: object):
    (folder / "sounds").mkdir(exist_ok=True)
    return invoke("train", folder / "sounds", "--run-dir", folder / "run", *arguments)


def begin(folder: Path, config: Config) -> None:
    """A run directory as it is before the first step."""
    RunDirectory(folder / "run").write(config, {}, {})


# -- help and what is not there --------------------------------------------------------------------------------------

@pytest.mark.parametrize(("command", "promised"), [
    ("prepare", "DATA OUT --rate --seconds --onset --no-onset --long [beginning|consecutive|random] --fade SECONDS "
                "--format [int16|float32] --seed --workers --shard-size FILES --fresh --quiet -q"),
    ("train", "DATA --run-dir --valid FOLDER --preset NAME --config FILE.json --set KEY=VALUE --epochs --steps --seed "
              "--log-every --xla --no-xla --fresh --quiet -q"),
    ("generate", "RUN --out --count --label --shard --seed --vocoder RUN|NAME --checkpoint [last|best] --force "
                 "--quiet"),
    ("vocode", "INPUT... --out --vocoder RUN|NAME --chunk-seconds --checkpoint [last|best] --force --quiet"),
    ("export", "RUN --out --format [saved-model|tflite] --version --quantize [none|float16|dynamic|int8] --force "
               "--vocoder RUN|NAME --checkpoint --quiet"),
    ("evaluate", "RUN --reference --train --count --json --markdown --png --force --seed --vocoder RUN|NAME "
                 "--checkpoint --quiet"),
    ("presets", "[NAME]"),
    ("info", "PATH --json"),
])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_of_every_command(command, promised, option):
    ended = invoke(command, option)
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"Usage: melgan-tf {command} ")
    assert set(promised.split()) <= set(re.split(r"[\s,/]+", ended.stdout))
    assert max(map(len, ended.stdout.splitlines())) <= 80


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command_with_its_own_description(option):
    ended = invoke(option)
    assert (ended.code, ended.stderr) == (0, "")
    listed = dict(re.findall(r"^  ([a-z-]+) +([A-Z].+)$", ended.stdout.partition("Commands:")[2], re.MULTILINE))
    assert tuple(listed) == COMMANDS
    for name, text in listed.items():
        assert main.main.get_command(click.Context(main.main), name).short_help == text


def test_without_a_command_the_help_appears_as_it_is():
    ended = invoke()
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.strip() == invoke("--help").stdout.strip()


def test_version():
    assert invoke("--version").stdout == f"melgan-tf, version {melgan_tf.__version__}\n"


def test_the_program_is_installed():
    entry, = metadata.entry_points(group="console_scripts", name="melgan-tf")
    assert entry.load() is main.main


@pytest.mark.parametrize(("arguments", "parts"), [
    (("sing",), ("No such command 'sing'", "melgan-tf --help")),
    (("--loud",), ("No such option '--loud'", "melgan-tf --help")),
    (("train", "--loud"), ("No such option '--loud'", "melgan-tf train --help")),
    (("train", "sounds", "--epoch", "3"), ("'--epoch'", "'--epochs'")),
    (("train", "--run-dir", "run"), ("Missing argument 'DATA'",)),
    (("train", "sounds"), ("Missing option '--run-dir'",)),
    (("train", "sounds", "--run-dir"), ("'--run-dir' requires an argument",)),
    (("train", "sounds", "more", "--run-dir", "run"), ("more",)),
    (("generate", "run"), ("Missing option '--out'", "melgan-tf generate --help")),
    (("generate", "--out", "out"), ("Missing argument 'RUN'",)),
    (("export", "run"), ("Missing option '--out'",)),
    (("evaluate", "run"), ("Missing option '--reference'",)),
    (("info",), ("Missing argument 'PATH'",)),
    (("presets", "sead"), ("unknown preset 'sead'", "'seed'")),
    (("presets", "xyz"), ("unknown preset 'xyz'", "seed")),
])
def test_what_is_not_there(arguments, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    invoke(*arguments).one_line(*parts, code=2)
    assert list(tmp_path.iterdir()) == []


# -- no TensorFlow before it is needed -------------------------------------------------------------------------------

_LOADED = """
import io, sys
from contextlib import redirect_stderr, redirect_stdout
from melgan_tf.cli.main import main
for line in sys.argv[1:]:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            main(line.split("|"))
        except SystemExit as ended:
            code = ended.code
    heavy = {"tensorflow", "keras", "tensorboard", "ai_edge_litert"} & set(sys.modules)
    print(code, ",".join(sorted(heavy)), line)
"""


def test_nothing_heavy_is_loaded_before_the_arguments_are_known_to_be_good(run, tmp_path):
    sounds, path, out, taken = run.sounds, run.path, tmp_path / "out", tmp_path / "taken"
    taken.mkdir()
    for name in ("letter.txt", "model-none.tflite"):
        (taken / name).write_text("dear diary")
    (taken / "1").mkdir()
    (taken / "1/saved_model.pb").write_text("dear diary")
    wrong = [
        "sing", "train", f"train|{sounds}|--run-dir|{out}|--loud", f"train|{tmp_path}/none|--run-dir|{out}",
        f"train|{sounds}|--run-dir|{out}|--preset|none", f"train|{sounds}|--run-dir|{out}|--set|training.epochs=0",
        f"train|{sounds}|--run-dir|{out}|--set|audio.pitch=3", f"train|{sounds}|--run-dir|{out}|--config|{out}.json",
        f"train|{sounds}|--run-dir|{taken}/letter.txt", f"train|{sounds}|--run-dir|{taken}/letter.txt/run",
        f"train|{sounds}|--run-dir|{path}|--seed|1", f"train|{sounds}|--run-dir|{out}|--epochs|1|--steps|1",
        f"generate|{tmp_path}|--out|{out}", f"generate|{path}|--out|{taken}", f"generate|{path}|--out|{out}|--count|0",
        f"export|{path}|--out|{taken}|--version|1", f"export|{path}|--out|{taken}/letter.txt",
        f"export|{path}|--out|{taken}|--format|tflite",
        f"export|{path}|--out|{taken}/model-none.tflite|--format|tflite",
        f"evaluate|{path}|--reference|{tmp_path}/none",
        f"vocode|{tmp_path}/none.wav|--out|{out}", f"vocode|{sounds}|--out|{taken}",
        f"vocode|{sounds}|--out|{out}|--chunk-seconds|nan", f"vocode|{sounds}|--out|{out}|--vocoder|griffin-lim",
        f"evaluate|{path}|--reference|{sounds}|--json|{taken}/letter.txt/a.json",
        f"evaluate|{path}|--reference|{sounds}|--markdown|{taken}/letter.txt",
        f"evaluate|{path}|--reference|{sounds}|--train|{tmp_path}/none", f"evaluate|{tmp_path}|--reference|{sounds}",
        f"evaluate|{path}|--reference|{sounds}|--json|{out}|--png|{out}",
        f"info|{tmp_path}/none", f"info|{tmp_path}"]
    right = ["--help", "--version", *(f"{name}|--help" for name in COMMANDS), "presets", "presets|seed", f"info|{path}",
             f"info|{path}/checkpoints/best.npz"]
    check = unchanged(tmp_path)
    ended = python("-c", _LOADED, *wrong, *right)
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [*(f"2  {line}" for line in wrong), *(f"0  {line}" for line in right)]
    check()


def test_another_keras_backend_is_refused(run, tmp_path):
    ended = program("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", env={"KERAS_BACKEND": "torch"})
    ended.one_line("KERAS_BACKEND is 'torch'", "tensorflow", code=1)
    assert list(tmp_path.iterdir()) == []


# -- presets ---------------------------------------------------------------------------------------------------------

def test_presets_lists_every_preset_with_its_purpose():
    ended = invoke("presets")
    assert (ended.code, ended.stderr) == (0, "")
    for name in presets.names():
        assert re.search(rf"^{name} +{re.escape(presets.description(name)[:20])}", ended.stdout, re.MULTILINE)
    assert max(map(len, ended.stdout.splitlines())) <= 100


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_shown_is_accepted_as_a_configuration(name, asked, tmp_path):
    shown = invoke("presets", name)
    assert (shown.code, shown.stderr) == (0, "")
    assert from_dict(Config, json.loads(shown.stdout)) == presets.get(name)
    (tmp_path / "mine.json").write_text(shown.stdout)
    assert train(tmp_path, "--config", tmp_path / "mine.json").code == 0
    assert asked[0].config == presets.get(name)


# -- train: from arguments to a configuration ------------------------------------------------------------------------

def test_without_options_it_is_the_seed_preset(asked, tmp_path):
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


def test_another_preset_is_not_trained_into_a_run(asked, tmp_path, monkeypatch):
    monkeypatch.setitem(presets._PRESETS, "other", Config(preset="other"))
    begin(tmp_path, presets.get("seed"))
    train(tmp_path, "--preset", "other").one_line(
        f"{tmp_path}/run", "'seed'", "'other'", "--run-dir", "--fresh", code=2)
    assert not asked
    assert train(tmp_path, "--preset", "other", "--fresh").code == 0
    assert (asked[0].config.preset, asked[0].fresh) == ("other", True)


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
    for epoch, line in enumerate(lines[:3]):
        assert re.fullmatch(rf"\[{epoch}/3\]\tLoss_D: {number}\tLoss_G: {number}\tD\(x\): {number}\t"
                            rf"D\(G\(z\)\): {number} / {number}", line)
    quoted = shlex.quote(str(run.path))
    assert lines[3:] == ["trained 3 epochs (6 steps) on 16 sounds",
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


def test_unusable_files_are_counted_and_named_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(console, "_PLAIN_EVERY_SECONDS", math.inf)
    sounds = write_sounds(tmp_path / "sounds", 8)
    write_damaged(sounds / "more")
    ended = invoke("train", sounds, "--run-dir", tmp_path / "run", "--steps", 1, *SHORT)
    assert ended.code == 0
    assert "trained 1 epochs (1 steps) on 8 sounds\n" in ended.stdout
    told = ended.stderr.splitlines()
    assert told[0] == "skipped 5 of 13 files:"
    assert [line.partition(":")[0] for line in told[1:]] == [
        f"  more/{name}" for name in ("empty.wav", "noise.flac", "silent.wav", "text.wav", "truncated.wav")]
    assert all(len(line.partition(": ")[2]) > 4 for line in told[1:])
    listed = (tmp_path / "run/skipped.txt").read_text().splitlines()
    assert [line.split("\t") for line in listed] == [line.strip().split(": ", 1) for line in told[1:]]


def test_quiet_training_tells_of_unusable_files_only(tmp_path):
    sounds = write_sounds(tmp_path / "sounds", 8)
    (sounds / "bad.wav").write_bytes(b"")
    ended = invoke("train", sounds, "--run-dir", tmp_path / "run", "--steps", 1, "--quiet", *SHORT)
    assert (ended.code, ended.stdout) == (0, "")
    assert ended.stderr == "skipped 1 of 9 files:\n  bad.wav: an empty file\n"


def test_a_stopped_run_says_how_to_go_on(monkeypatch, capsys):
    from melgan_tf.cli.train import _report

    monkeypatch.setattr(sys, "argv", ["melgan-tf", "train", "my sounds", "--run-dir", "run", "--fresh"])
    result = SimpleNamespace(steps=41, epochs=2, signal=15, sounds=SimpleNamespace(skipped=[]))
    with pytest.raises(click.exceptions.Exit) as ended:
        _report(result, Path("run"), vocoder=False, quiet=True)
    assert ended.value.exit_code == 143
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "stopped after 41 steps, saved; to go on: melgan-tf train 'my sounds' --run-dir run\n"


# -- programs of their own -------------------------------------------------------------------------------------------

def test_generate_by_itself(run, tmp_path):
    ended = program("generate", run.path, *GRIFFIN_LIM, "--out", "out", "--count", 2, cwd=tmp_path)
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout == ("2 sounds in out, their spectrograms in out/sounds.png; to hear them: "
                            "out/index.html\n")
    here = invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "here", "--count", 3)
    assert here.code == 0
    first = "seed0-0000.wav"
    assert (tmp_path / "out" / first).read_bytes() == (tmp_path / "here" / first).read_bytes()


def test_evaluate_by_itself(run, tmp_path):
    ended = program("evaluate", run.path, *GRIFFIN_LIM, "--reference", run.sounds, "--json", "figures.json",
                    cwd=tmp_path)
    assert (ended.code, ended.stderr) == (0, "")
    header, drums, statistics, _, faults, conclusion = ended.stdout.strip().split("\n\n")
    assert header == ("8 sounds a set (of 8 generated, 16 reference), 0.5 s at 16000 Hz, seed 0, k 5; "
                      "real vs real: two halves of the reference")  # trained on the reference: that is no floor
    values = json.loads((tmp_path / "figures.json").read_text())
    assert conclusion == values["conclusion"]
    assert (values["preset"], values["step"], values["sounds"], values["reference"]) == ("seed", 6, 8, str(run.sounds))
    for text, name in ((drums, "drums"), (statistics, "statistics")):
        rows = [re.split(r"  +", line) for line in text.splitlines()]
        assert rows[1] == ["figure", "generated", "real vs real", "better"]
        assert [row[0] for row in rows[3:5]] == ["Fréchet distance", "kernel distance"]
        assert float(rows[3][1]) == pytest.approx(values[name]["generated"]["frechet"], rel=1e-3)
    assert faults.splitlines()[1].split() == ["waveforms", "generated", "real"]
    again = invoke("evaluate", run.path, *GRIFFIN_LIM, "--reference", run.sounds)
    assert (again.code, again.stdout) == (0, ended.stdout)


def test_evaluate_warns_of_unusable_files_and_quiet_keeps_the_figures(run, tmp_path):
    sounds = write_sounds(tmp_path / "sounds", 12)
    (sounds / "bad.wav").write_bytes(b"")
    ended = invoke("evaluate", run.path, *GRIFFIN_LIM, "--reference", sounds, "--quiet")
    assert (ended.code, ended.stderr) == (0, "warning: skipped bad.wav: an empty file\n")
    assert ended.stdout.startswith("12 sounds a set ")
    assert "12 of the 12 reference sounds are training sounds" in ended.stdout  # other files, equal sounds


def test_debug_shows_where(tmp_path):
    ended = program("--debug", "info", tmp_path / "none")
    assert ended.code == 1
    assert ended.stderr.startswith("Traceback ")
    assert "UsageError" in ended.stderr


def test_a_reader_that_has_gone_is_no_error():
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.readline()"], stdin=subprocess.PIPE) as reader:
        reader.stdin.write(b"\n")
        reader.stdin.flush()
        reader.wait()
        ended = program("presets", "seed", stdout=reader.stdin)
        assert (ended.code, ended.stderr) == (1, "")
        reader.stdin.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_under_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        ended = program("presets", "seed", stdout=full)
    ended.one_line("No space left on device", code=1)


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_closed_streams_do_no_harm(closed, tmp_path):
    """The next file to be opened must not be taken for stdout or stderr."""
    script = ("import os\nfrom melgan_tf.cli.main import main\nfrom melgan_tf.cli.console import ConsoleProgress\n"
              "try: main(['sing'])\nexcept SystemExit as ended: code = ended.code\n"
              "with open('file', 'w'):\n"
              " ConsoleProgress().warning('to nobody')\n ConsoleProgress().line('to nobody')\n"
              " os.write(1, b'raw'); os.write(2, b'raw')\nraise SystemExit(code)")
    done = subprocess.run(["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, script], cwd=tmp_path,
                          check=False, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == ""


def test_a_name_that_is_not_utf8(run, tmp_path):
    odd = tmp_path / os.fsdecode(b"n\xff")
    invoke("train", run.sounds, "--run-dir", odd).one_line("UTF-8", "another name", code=2)
    invoke("generate", odd, "--out", tmp_path / "out").one_line("does not exist", code=2)
    assert list(tmp_path.iterdir()) == []


# -- what progress looks like ----------------------------------------------------------------------------------------

def test_without_a_terminal_progress_is_plain_lines(run, tmp_path, monkeypatch):
    monkeypatch.setattr(console, "_PLAIN_EVERY_SECONDS", 0.0)
    ended = invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--count", 20)
    lines = ended.stderr.splitlines()
    assert "\x1b" not in ended.stderr + ended.stdout
    assert "\r" not in ended.stderr
    pattern = r"generating: (\d+)/20 sounds \((\d+) %\), [\d,.]+ sounds/s, \d+:\d\d left"
    found = [re.fullmatch(pattern, line).groups() for line in lines]
    assert found == [(str(i), f"{5 * i}") for i in range(1, 21)]


def test_plain_lines_come_seldom(monkeypatch, capsys):
    clock = iter(range(0, 1_000, 4))
    monkeypatch.setattr(console.time, "perf_counter", lambda: next(clock))
    with console.ConsoleProgress().task("training", 100, "steps", done=40) as advance:
        for _ in range(8):
            advance(5)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == ["training: 55/100 steps (55 %), 1.2 steps/s, 0:36 left",
                                      "training: 70/100 steps (70 %), 1.2 steps/s, 0:24 left"]


def test_quiet_progress_says_warnings_only(monkeypatch, capsys):
    monkeypatch.setattr(console, "_PLAIN_EVERY_SECONDS", 0.0)
    progress = console.ConsoleProgress(quiet=True)
    with progress.task("training", 10, "steps") as advance:
        advance(5)
        progress.line("nothing")
        progress.warning("something")
    assert capsys.readouterr() == ("", "warning: something\n")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3_600, "1:00:00"),
                                               (100_000, "27:46:40")])
def test_time_left_reads_as_a_clock(seconds, text):
    assert console._clock(seconds) == text


_BARS = """
from melgan_tf.cli.console import ConsoleProgress
progress = ConsoleProgress()
with progress.task("training", 10, "steps") as advance:
    advance(5)
    progress.line("[0/3]\\tLoss_D: 1.3854 [bold]" + "x" * 100)
    progress.warning("mind the gap")
    print("printed")
progress.line("after")
"""


def in_terminal(stdout_too: bool, tmp_path: Path, **environment: str) -> tuple[str, str]:
    """What 80 columns of terminal show, and what a file took that stdout was sent to."""
    ours, theirs = pty.openpty()
    with open(tmp_path / "stdout", "w+") as file, os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen([sys.executable, "-c", _BARS], stdin=theirs, stderr=theirs,
                                   stdout=theirs if stdout_too else file,
                                   env={**os.environ, "TERM": "xterm", "COLUMNS": "80", **environment})
        os.close(theirs)
        shown = b""
        try:
            while chunk := screen.read(65_536):
                shown += chunk
        except OSError:  # the other end is closed
            pass
        assert process.wait() == 0
        file.seek(0)
        return shown.decode(), file.read()


def test_in_a_terminal_lines_appear_above_the_bar(tmp_path):
    screen, _ = in_terminal(True, tmp_path)
    assert "\x1b[" in screen
    assert "5/10" in screen
    assert "Loss_D: 1.3854 [bold]" + "x" * 100 in screen  # neither read as markup nor broken into two lines
    for text in ("warning: mind the gap", "printed", "after"):
        assert text in screen


def test_results_sent_to_a_file_do_not_end_on_the_screen(tmp_path):
    screen, file = in_terminal(False, tmp_path)
    assert file == "[0/3]\tLoss_D: 1.3854 [bold]" + "x" * 100 + "\nprinted\nafter\n"
    assert "5/10" in screen
    assert "warning: mind the gap" in screen
    assert "Loss_D" not in screen


def test_a_terminal_that_can_do_nothing_gets_plain_lines(tmp_path):
    screen, _ = in_terminal(True, tmp_path, TERM="dumb")
    assert "\x1b" not in screen
    assert "warning: mind the gap" in screen


def test_a_table_has_numbers_to_the_right():
    assert console.table(("name", "value"), [("a", "1.5"), ("longer", "10"), ("c", "1,000.25 MB")]).splitlines() == [
        "name          value", "------  -----------", "a               1.5", "longer           10",
        "c       1,000.25 MB"]


def test_a_failures_message_is_one_line_whatever_it_holds(monkeypatch):
    def fail(*_):
        raise MelGANError("first\nsecond\t third")

    monkeypatch.setattr(presets, "get", fail)
    invoke("presets", "seed").one_line("melgan-tf: first second third", code=1)


def test_a_defect_keeps_its_traceback(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(presets, "get", fail)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        invoke("presets", "seed")


def test_an_interrupted_command_says_so(monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(presets, "get", fail)
    ended = invoke("presets", "seed")
    assert (ended.code, ended.stdout, ended.stderr.strip()) == (130, "", "melgan-tf: interrupted")


# -- info ------------------------------------------------------------------------------------------------------------

def test_info_tells_of_a_run(run):
    values = json.loads(invoke("info", run.path, "--json").stdout)
    recorded = json.loads((run.path / "config.json").read_text())
    assert (values["kind"], values["preset"], values["trained"]) == ("run", "seed", "6 steps (3 epochs) of 3 epochs")
    assert values["checkpoints"] == [2, 4, 6]
    assert re.fullmatch("step [246]", values["best"])
    assert values["sounds"] == recorded["data"]
    assert (values["sounds"]["sounds"], values["sounds"]["folder"]) == (16, str(run.sounds))
    assert values["config"] == recorded["config"]
    assert values["audio_fingerprint"] == presets.get("seed").audio.fingerprint() == recorded["audio_fingerprint"]
    ended = invoke("info", run.path)
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[0].split() == ["run", str(run.path)]
    assert re.search(r"^trained +6 steps \(3 epochs\) of 3 epochs$", ended.stdout, re.MULTILINE)
    assert re.search(r"^config.training +.*batch_size=8,", ended.stdout, re.MULTILINE)


def test_info_tells_of_a_run_that_has_not_begun(tmp_path):
    config = presets.get("seed")
    begin(tmp_path, dataclasses.replace(config, training=dataclasses.replace(config.training, steps=70)))
    values = json.loads(invoke("info", tmp_path / "run", "--json").stdout)
    assert (values["trained"], values["checkpoints"], values["best"]) == ("0 steps of 70 steps", [], "none")


def test_info_tells_of_a_checkpoint(run):
    values = json.loads(invoke("info", run.path / "checkpoints/step-00000004.npz", "--json").stdout)
    assert (values["kind"], values["step"], values["epoch"]) == ("checkpoint", 4, 1)
    assert values["audio_fingerprint"] == presets.get("seed").audio.fingerprint()
    assert values["numbers"] > 1_000_000  # two players, two moments each


def test_info_tells_what_regenerates_a_wav(run, tmp_path):
    invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--count", 2, "--seed", 3)
    values = json.loads(invoke("info", tmp_path / "out/seed3-0001.wav", "--json").stdout)
    weights = json.loads((tmp_path / "out/sounds.json").read_text())["weights"]
    assert values == {"kind": "generated WAV", "made_by": "melgan-tf", "weights": weights, "step": 6, "seed": 3,
                      "index": 1}


def test_options_have_their_defaults_in_the_help():
    text = invoke("generate", "--help").stdout
    assert re.search(r"--count .*default: 16", text, re.DOTALL)
    assert to_dict(presets.get("seed"))["training"]["seed"] == 0


def test_tensorflow_is_told_of_threads_only_where_asked(monkeypatch):
    import tensorflow as tf

    told = []
    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", told.append)
    options.start_tensorflow()
    options.start_tensorflow(threads_per_op=1)
    assert told == [1]


@pytest.mark.parametrize(("gpus", "left"), [(0, "SystemExit"), (1, "SystemExit"), (2, "at once")])
def test_with_several_gpus_a_process_leaves_without_taking_tensorflow_down(monkeypatch, gpus, left):
    """Which might never end."""
    def leave(code):
        raise KeyboardInterrupt(f"at once, {code}")

    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind] * gpus)
    monkeypatch.setattr(console.atexit, "_run_exitfuncs", lambda: None)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises((SystemExit, KeyboardInterrupt)) as ended:
        console._leave(3)
    assert left in repr(ended)
    assert "3" in str(ended.value)
