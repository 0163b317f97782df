"""The command line: help, errors, and that nothing heavy is loaded before the arguments are known to be good."""

from __future__ import annotations

import json
import re
import shlex
from importlib import metadata

import click
import pytest
from command_line import GRIFFIN_LIM, invoke, program, python, trained_once, unchanged

import melgan_tf
from melgan_tf import runtime
from melgan_tf.cli import main
from melgan_tf.config import presets
from melgan_tf.errors import MelGANError

COMMANDS = ("prepare", "train", "generate", "explore", "regenerate", "vary", "interpolate", "kit", "vocode", "export",
            "play", "request", "evaluate", "import-torch", "presets", "info")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return trained_once(tmp_path_factory)


# -- help and what is not there --------------------------------------------------------------------------------------

@pytest.mark.parametrize(("command", "promised"), [
    ("prepare", "DATA OUT --rate --seconds --onset --no-onset --long [beginning|consecutive|random|bars] "
                "--fade SECONDS --format [int16|float32] --seed --workers --shard-size FILES --fresh --quiet -q"),
    ("train", "DATA --run-dir --valid FOLDER --preset NAME --config FILE.json --set KEY=VALUE --epochs --steps --seed "
              "--log-every --xla --no-xla --fresh --quiet -q"),
    ("generate", "RUN --out --count --label --shard --diverse --avoid FOLDER --candidates --seed --vocoder RUN|NAME "
                 "--checkpoint [last|best] --force --quiet"),
    ("explore", "SOURCE --out --count --label --seconds --seed --favorites LIST --vocoder --checkpoint --force -q"),
    ("regenerate", "FILES... --out --model RUN|NAME --vocoder RUN|NAME --force --quiet"),
    ("vary", "FILE --out --intensity --direction --count --label --model RUN|NAME --vocoder --force --quiet"),
    ("interpolate", "FIRST [SECOND] --out --steps --label --model RUN|NAME --vocoder --force --quiet"),
    ("kit", "RUN --out --seed --label CLASS[=WEIGHT] --style-from FOLDER|FILE --round-robins --velocities --vocoder "
            "--checkpoint --force --quiet"),
    ("vocode", "INPUT... --out --vocoder RUN|NAME --chunk-seconds --checkpoint [last|best] --force --quiet"),
    ("export", "RUN --out --format [saved-model|tflite|web|onnx] --version --quantize [none|float16] --force "
               "--vocoder RUN|NAME --checkpoint --quiet"),
    ("play", "SOURCE --port --no-open --vocoder RUN|NAME --checkpoint [last|best] --quiet"),
    ("evaluate", "RUN --reference --train --count --json --markdown --png --verbose --force --seed --vocoder RUN|NAME "
                 "--checkpoint --quiet"),
    ("presets", "[NAME]"),
    ("info", "[PATH] [OTHER] --verbose -v --json"),
    ("request", "--url --grpc HOST:PORT --model NAME --version --out --count --label CLASS[=WEIGHT] --bpm --key --seed "
                "--start --fingerprint DIGITS|FOLDER --deadline --add --force --quiet -q"),
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
    listed = dict(re.findall(r"^  ([a-z-]+) +([A-Z].+)$", ended.stdout.partition("Make sounds:")[2], re.MULTILINE))
    assert sorted(listed) == sorted(COMMANDS)
    for name, text in listed.items():
        assert main.main.get_command(click.Context(main.main), name).short_help == text


def parsed(line):
    """The command of a line and what click reads from its words; fails where it does not parse."""
    name, *words = shlex.split(line)[1:]
    parent = main.main.make_context("melgan-tf", [name])
    return name, main.main.get_command(parent, name).make_context(name, words, parent)


def test_without_a_command_there_are_five_to_begin_with():
    ended = invoke()
    assert (ended.code, ended.stdout) == (2, "")
    lines = re.findall(r"^  (melgan-tf .+?)  +\S.*$", ended.stderr, re.MULTILINE)
    assert [parsed(line)[0] for line in lines] == ["generate", "vary", "train", "generate", "info"]
    assert "melgan-tf --help" in ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_ends_its_help_with_examples_that_parse(command):
    lines = invoke(command, "--help").stdout.partition("\n  Examples:\n")[2].strip().splitlines()
    assert len(lines) >= 2
    assert {parsed(line)[0] for line in lines} == {command}


def test_an_example_that_does_not_parse_would_be_found():
    with pytest.raises(click.UsageError):
        parsed("melgan-tf vary kick.wav --intensity 2 --out variations")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_speaks_of_numbers(command):
    text = invoke(command, "--help").stdout
    assert not re.search("RANGE|None\\b", text)


def test_version():
    assert invoke("--version").stdout == f"melgan-tf, version {melgan_tf.__version__}\n"


def test_the_program_is_installed():
    entry, = metadata.entry_points(group="console_scripts", name="melgan-tf")
    assert entry.load() is main.main


@pytest.mark.parametrize(("arguments", "parts"), [
    (("sing",), ("No such command 'sing'", "melgan-tf --help")),
    (("--loud",), ("No such option '--loud'", "melgan-tf --help")),
    (("train", "--loud"), ("No such option '--loud'", "options are --run-dir, --valid", "melgan-tf train --help")),
    (("trian",), ("No such command 'trian': did you mean 'train'?",)), (("Info",), ("did you mean 'info'?",)),
    (("sing",), ("commands are generate, vary",)),
    (("prepare", "a", "b", "--sample-rate", "3"), ("did you mean '--rate'?",)),
    (("vary", "a", "--intens", "1"), ("did you mean '--intensity'?",)),
    (("generate", "drums", "--out", "x"), ("drums does not exist: did you mean 'pretrained:drums'?",)),
    (("generate", "pretrained:drum-44", "--out", "x"), ("did you mean 'pretrained:drums-44k'",)),
    (("generate", "mine", "--out", "x"), ("mine does not exist: train one", "bundled model: pretrained:drums, ")),
    (("train", ".", "--run-dir", "x", "--preset", "drums", "--set", "learning_rate=1"),
     ("unknown configuration key 'learning_rate': did you mean 'training.generator_learning_rate' or",)),
    (("train", "sounds", "--epoch", "3"), ("'--epoch'", "'--epochs'")),
    (("train", "--run-dir", "run"), ("Missing argument 'DATA'",)),
    (("train", "sounds"), ("Missing option '--run-dir'",)),
    (("train", "sounds", "--run-dir"), ("'--run-dir' requires an argument",)),
    (("train", "sounds", "more", "--run-dir", "run"), ("more",)),
    (("generate", "run"), ("Missing option '--out'", "melgan-tf generate --help")),
    (("generate", "--out", "out"), ("Missing argument 'RUN'",)),
    (("export", "run"), ("Missing option '--out'",)),
    (("evaluate", "run"), ("Missing option '--reference'",)),
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


# -- models and presets -----------------------------------------------------------------------------------------------

def test_info_alone_lists_the_models_that_are_included():
    ended = invoke("info")
    assert (ended.code, ended.stderr) == (0, "")
    table, _, commands = ended.stdout.partition("\n\n")
    rows = [re.split("  +", line) for line in table.splitlines()]
    assert rows[0] == ["model", "length", "rate", "size", "makes"]
    assert ["pretrained:drums", "0.5 s", "16 kHz", "1.2 MB", "clap, cymbal, hat, kick, perc, rim, snare, tom"] in rows
    assert ["pretrained:music", "any", "22.05 kHz", "1.5 MB", "music"] in rows
    assert [parsed(line)[0] for line in re.findall("melgan-tf .*", commands)] == ["generate", "vocode"]
    models = json.loads(invoke("info", "--json").stdout)
    assert list(models) == [row[0] for row in rows[2:]]
    assert models["pretrained:drums-44k"]["sample_rate"] == 44_100


def test_presets_lists_every_preset_with_its_purpose():
    ended = invoke("presets")
    assert (ended.code, ended.stderr) == (0, "")
    for name in presets.names():
        assert re.search(rf"^{name} +{re.escape(presets.description(name)[:20])}", ended.stdout, re.MULTILINE)
    assert max(map(len, ended.stdout.splitlines())) <= 100


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


def test_options_have_their_defaults_in_the_help():
    text = invoke("generate", "--help").stdout
    assert re.search(r"--count .*default: 16", text, re.DOTALL)


def test_tensorflow_is_told_of_threads_only_where_asked(monkeypatch):
    import tensorflow as tf

    told = []
    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", told.append)
    runtime.start_tensorflow()
    runtime.start_tensorflow(threads_per_op=1)
    assert told == [1]
