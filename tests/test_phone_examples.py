"""The examples for phones, run: in C against the library of ai-edge-litert, in Python with that package alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ai_edge_litert
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import melgan_tf as mt
from melgan_tf.exports import export
from melgan_tf.inference.vocoder_export import example_mels

EXAMPLES, LIBRARY = Path(__file__).parent.parent / "examples/phone", Path(ai_edge_litert.__file__).parent
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (LIBRARY / "libLiteRt.so").exists(), reason="no C library")]


def compiled(name, folder):
    program = folder / name
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", EXAMPLES / f"{name}.c", "-o", program, f"-L{LIBRARY}",
                    "-l:libLiteRt.so", f"-Wl,-rpath,{LIBRARY}", "-lm"], check=True)
    return program


def decibels(wanted, made):
    return 10 * np.log10(np.sum(wanted**2) / np.sum((wanted - made)**2))


@pytest.fixture(scope="module")
def drums(tmp_path_factory):
    file = tmp_path_factory.mktemp("phone") / "drums.tflite"
    export(mt.load("pretrained:drums"), file, "tflite", quantize="float16")
    return file


@pytest.mark.parametrize(("seed", "index", "name"), [(0, 0, "kick"), (7, 2, "snare"), (2**40 + 1, 2**33, "kick")])
def test_the_same_seed_is_the_same_sound_in_c(drums, tmp_path, seed, index, name):
    ended = subprocess.run([compiled("drum", tmp_path), drums, str(seed), str(index), name], capture_output=True,
                           check=True)
    sampler = mt.load("pretrained:drums").sampler
    label = np.float32([each == name for each in sampler.classes.names])
    wanted = sampler(**sampler.inputs(seed, 1, index) | {"label": label[None]})["audio"].numpy()[0]
    assert decibels(wanted, np.frombuffer(ended.stdout, "<f4")) > 40
    assert b"8000 samples, 16000 Hz" in ended.stderr


@pytest.mark.nightly
@pytest.mark.parametrize("quantize", ["none", "float16"])
def test_sixteen_seeds_are_the_samplers_sounds(drums, tmp_path, quantize):
    if quantize == "none":
        drums = tmp_path / "drums.tflite"
        export(mt.load("pretrained:drums"), drums, "tflite")
    sampler = mt.load("pretrained:drums").sampler
    run = Interpreter(str(drums), num_threads=1).get_signature_runner("sample")
    found = []
    for seed in (*range(15), 2**40 + 1):
        label = np.eye(len(sampler.classes), dtype=np.float32)[seed % len(sampler.classes)]
        made = run(seed=np.int64([seed]), index=np.int64([seed // 3]), label=np.int32([label.argmax()]))["audio"][0]
        inputs = sampler.inputs(seed, 1, seed // 3) | {"label": label[None]}
        found.append(decibels(sampler(**inputs)["audio"].numpy()[0], made))
    assert np.median(found) > 90
    assert min(found) > 50


def test_a_class_that_is_missing_or_unknown_is_named(drums, tmp_path):
    program = compiled("drum", tmp_path)
    for arguments, words in (((), b"give a CLASS"), (("gong",), b"no class gong")):
        ended = subprocess.run([program, drums, "0", "0", *arguments], capture_output=True, check=False)
        assert ended.returncode in (1, 2)
        assert words in ended.stderr


def test_the_python_example_runs(drums, tmp_path):
    ended = subprocess.run([sys.executable, EXAMPLES / "drum.py", drums, "kick", tmp_path / "kick.npy"],
                           capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("8000 samples, 16000 Hz, ")
    assert 0.1 < np.abs(np.load(tmp_path / "kick.npy")).max() <= 1


@pytest.mark.slow
def test_windows_in_c_equal_the_whole(tmp_path):
    vocoder, file = mt.load("vocoder-16k"), tmp_path / "vocoder.tflite"
    export(vocoder, file, "tflite", seconds=1.0)
    mel = example_mels(vocoder.audio, 4.0)[1]
    ended = subprocess.run([compiled("vocoder", tmp_path), file], input=mel.tobytes(), capture_output=True, check=True)
    assert decibels(vocoder(mel), np.frombuffer(ended.stdout, "<f4")) > 80
