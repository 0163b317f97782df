"""Arrays and numbers from callers: what is not finite, or of another shape, is refused by name."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from command_line import invoke, python

import melgan_tf as mt
from melgan_tf import presets
from melgan_tf.data.labels import Classes
from melgan_tf.errors import UsageError
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.inference.streaming import StreamingVocoder
from melgan_tf.models.spectrogram_gan.networks import Generator
from melgan_tf.storage.arrays import finite_array


@pytest.mark.parametrize(("values", "told"), [
    ([1, np.nan, np.inf], r"contains 2 of 3 values .* the first \(nan\) at \[1\]"),
    (np.float64(1e300), r"the first \(inf\) at \[\]"), (np.ones(2, complex), "of type complex128: give numbers"),
    (["a"], "of type <U1"), (None, "of type object"), ([[1, 2], [3]], "rows of different lengths")])
def test_what_is_no_finite_number_is_named(values, told):
    with pytest.raises(UsageError, match=f"^the mel .*{told}"):
        finite_array(values, "the mel")


def test_a_stream_goes_on_after_a_mel_that_was_refused():
    stream = StreamingVocoder(lambda mel, start: np.repeat(mel[..., 0], 4, axis=1), 4, 0)
    stream.push(np.ones((1, 3)))
    for mel, told in ((np.full((1, 3), np.nan), "3 of 3 values"), (np.ones(3), r"shape \(3,\)"),
                      (np.ones((1, 2)), r"shape \(1, 2\)")):
        with pytest.raises(UsageError, match=told):
            stream.push(mel)
    assert stream.push(np.ones((1, 3))).tolist() == [1.0] * 4


@pytest.fixture(scope="module")
def sampler():
    return Sampler(Generator(), presets.get("seed"))


@pytest.mark.parametrize(("noise", "told"), [
    (np.full((1, 20), np.nan), "the noise contains 20 of 20 values that are not finite"),
    (np.zeros((1, 3)), r"the noise has shape \(1, 3\): give \(sounds, 20\)"),
    (None, r"the noise is missing: give an array of shape \(sounds, 20\)"),
    (np.zeros(20), r"the noise has shape \(20,")])
def test_noise_is_checked(sampler, noise, told):
    with pytest.raises(UsageError, match=told):
        sampler(noise)


@pytest.mark.parametrize(("label", "told"), [
    (np.ones(8), r"the label has shape \(8,\): give \(sounds, 8\), one row for each sound"),
    (np.ones((1, 8)), "noise for 2 sounds and label for 1 sound: give one row of each"),
    (None, r"the label is missing: give an array of shape \(sounds, 8\)"), ("kick", "of type <U4: give numbers")])
def test_labels_are_checked(label, told):
    with pytest.raises(UsageError, match=told):
        mt.load("pretrained:drums", vocoder="griffin-lim").sampler(np.zeros((2, 20)), label)


@pytest.mark.parametrize("arguments", [{"count": np.nan}, {"count": 2.5}, {"seed": "3"}, {"start": -1},
                                       {"start": 2**63}, {"label": 3}])
def test_numbers_are_checked(sampler, arguments):
    name, = arguments
    with pytest.raises(UsageError, match=f"^{name} is .*: give "):
        SoundModel(sampler, presets.get("seed"), 0, "").generate(**{"count": 1, **arguments})


@pytest.mark.parametrize("weight", ["nan", "inf", "-1", "0", "1e308", "1e400", "", "½"])
def test_mixtures_of_classes_are_finite(weight):
    with pytest.raises(UsageError, match="must be a positive number"):
        Classes({"kick": 3, "snare": 1}).label(f"kick=1,snare={weight}")


def test_a_tiny_weight_alone_is_the_whole():
    assert Classes({"kick": 3, "snare": 1}).label("kick=1e-300").tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("command", "option"), [
    (("prepare", "sounds", "out"), "--seconds"), (("prepare", "sounds", "out"), "--fade"),
    (("generate", "pretrained:drums", "--out", "out"), "--seconds"),
    (("train", "sounds", "--run-dir", "out"), "--wait"),
    (("vocode", "a.wav", "--out", "out"), "--chunk-seconds")])
def test_lengths_of_time_are_finite(command, option):
    for value in ("nan", "inf"):
        invoke(*command, option, value).one_line(f"'{option}'", "not a number of seconds", code=2)


def test_without_docstrings_it_says_what_to_do(tmp_path):
    program = "import sys; from melgan_tf.cli.main import main; main(prog_name='melgan-tf')"
    assert sys.flags.optimize == 0
    ended = python("-OO", "-c", program, "generate", "pretrained:drums", "--out", tmp_path / "out")
    ended.one_line("TensorFlow does not run without docstrings", "PYTHONOPTIMIZE", code=2)
