"""What servers are sent: refused in the graph before any work, in the client's terms; and answered for any batch."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import saved_model_runner
import soundfile
import tensorflow as tf
from saved_model_runner import Runner

import melgan_tf as mt
from melgan_tf.inference import served

CLASSES = ("clap", "kick")


def whole(*numbers):
    return np.array(numbers, np.int64)


def texts(*values):
    return np.array(values, object)


def shares(rows, **wanted):
    """Features of hits: any, but for those that are wanted."""
    return {name: np.full(rows, wanted.get(name, -1), np.float32) for name in ("brightness", "decay", "pitch")}


# -- checks ----------------------------------------------------------------------------------------------------------

NOISE = tf.TensorSpec((None, 3), tf.float32, name="noise")
LABEL = tf.TensorSpec((None, 2), tf.float32, name="label")
GOOD_NOISE, GOOD_LABEL = np.ones((2, 3), np.float32), np.array([[1, 0], [0.25, 0.75]], np.float32)


@pytest.fixture(scope="module")
def weighted():
    """A signature of noise and label."""
    def checks(noise, label):
        yield from served.finite_checks("noise", noise, 100.0)
        yield from served.label_checks(label)

    signature = served.served(lambda noise, label: {"sum": tf.reduce_sum(noise, 1)}, [NOISE, LABEL], 4, checks)
    # shapes of any rank, as a server's feeds: what a signature declares binds nobody there
    free = [tf.TensorSpec(None, spec.dtype) for spec in signature.inputs]
    return tf.function(signature.function, autograph=False, input_signature=free)


def test_a_good_request_is_answered(weighted):
    assert weighted(GOOD_NOISE, GOOD_LABEL)["sum"].numpy().tolist() == [3.0, 3.0]


@pytest.mark.parametrize(("noise", "label", "said"), [
    (GOOD_NOISE[:0], GOOD_LABEL[:0], r"ask for 1 to 4 sounds in a request, not\] \[0\]"),
    (np.ones((5, 3), np.float32), np.ones((5, 2), np.float32) / 2, r"ask for 1 to 4 sounds in a request, not\] \[5\]"),
    (GOOD_NOISE[0], GOOD_LABEL, r"noise must have the shape \(batch, 3\), not\] \[3\]"),
    (GOOD_NOISE[:, :2], GOOD_LABEL, r"noise must have the shape \(batch, 3\), not\] \[2 2\]"),
    (GOOD_NOISE, GOOD_LABEL[:1], r"noise and label must have as many rows, not\] \[2\] \[1\]"),
    (GOOD_NOISE * np.nan, GOOD_LABEL, "noise has values that are not finite"),
    (GOOD_NOISE * 101, GOOD_LABEL, "noise has values beyond 100"),
    (GOOD_NOISE, GOOD_LABEL + np.inf, "label has values that are not finite"),
    (GOOD_NOISE, GOOD_LABEL * 2, "each row of label must be 0 or more and sum to 1"),
    (GOOD_NOISE, np.array([[2, -1], [1, 0]], np.float32), "each row of label must be 0 or more and sum to 1")])
def test_a_bad_request_is_refused_by_its_own_sentence(weighted, noise, label, said):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        weighted(noise, label)


def test_names_of_classes_are_known_or_empty():
    def require(*names):
        served.checked([tf.constant(names)], [served.class_check(tf.constant(names), CLASSES)])

    require("kick", "", "clap")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"one of clap, kick, or empty.*\n?.*b'gong'"):
        require("kick", "gong")


# -- as TF Serving runs them -----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def drums(tmp_path_factory):
    """The exported drums, run by C++."""
    folder = tmp_path_factory.mktemp("served")
    program = saved_model_runner.build(folder)
    mt.export("pretrained:drums", folder / "drums")
    with Runner(program, folder / "drums/1") as runner:
        yield runner


@pytest.fixture(scope="module")
def model():
    return mt.load_sound_model("pretrained:drums")


@pytest.mark.nightly
def test_cpp_makes_the_same_sounds_for_any_batch(drums, model):
    made = model.generate(48, seed=7)
    requests = {"sample": {"seed": np.full(48, 7), "index": np.arange(48), "label": texts(*[b""] * 48),
                           **shares(48)},
                "generate": {"noise": made["noise"], "label": made["label"]}}
    for name, request in requests.items():
        whole_batch = drums(name, **request).outputs["audio"]
        np.testing.assert_allclose(whole_batch, made["audio"], atol=1e-4)
        for batch in (1, 2, 3, 16):
            answer = drums(name, **{key: value[:batch] for key, value in request.items()})
            np.testing.assert_array_equal(answer.outputs["audio"], whole_batch[:batch])


@pytest.mark.nightly
def test_cpp_makes_wavs_of_a_class_and_describes_itself(drums, model, tmp_path):
    answer = drums("sample_wav", seed=whole(7, 7), index=whole(0, 900), label=texts(b"kick", b"snare"), **shares(2))
    for content, index, label in zip(answer.outputs["wav_bytes"], (0, 900), ("kick", "snare"), strict=True):
        (tmp_path / "made.wav").write_bytes(content)
        samples, rate = soundfile.read(tmp_path / "made.wav")
        wanted = model.generate(1, seed=7, label=label, start=index)["audio"][0]
        assert rate == 16_000
        np.testing.assert_allclose(samples, wanted, atol=1 / 32_000)
    facts = json.loads(drums("describe", what=texts(b"")).outputs["json"][0])
    assert (facts["classes"], facts["sample_rate"], facts["samples"]) == (list(model.classes), 16_000, 8_000)


def test_a_description_has_as_many_rows_as_any_request():
    describe = served.description({"sample_rate": 16_000}, 2)
    text, = describe.function(tf.constant([""]))["json"].numpy()
    assert json.loads(text) == {"sample_rate": 16_000, "max_batch": 2}
    with pytest.raises(tf.errors.InvalidArgumentError, match="ask for 1 to 2 sounds in a request"):
        describe.function(tf.constant(["", "", ""]))


def bad_requests():
    rng = np.random.default_rng(0)
    noise, label = rng.normal(size=(2, 20)).astype(np.float32), np.eye(8, dtype=np.float32)[:2]
    sample = {"seed": whole(1), "index": whole(0), "label": texts(b"")}
    for rows in (0, 257, 20_000):
        yield "generate", {"noise": np.zeros((rows, 20), np.float32), "label": np.zeros((rows, 8), np.float32)}
        yield "serving_default", {"noise": np.zeros((rows, 20), np.float32), "label": np.zeros((rows, 8), np.float32)}
        yield "analyze", {"audio": np.zeros((min(rows, 257), 8_000), np.float32)}
    yield "describe", {"what": texts(*[b""] * 10_000)}
    for bad in (1.5, -0.5, np.nan, np.inf):
        yield "sample", {**sample, **shares(1, decay=bad)}
        yield "grant", {"noise": noise, "label": label, **shares(2, decay=bad)}
    for name, rest in (("sample", shares(1)), ("sample_wav", shares(1)), ("draw", {})):
        sample = {"seed": whole(1), "index": whole(0), "label": texts(b""), **rest}
        yield name, {key: np.resize(value, 10_000) for key, value in sample.items()}
        yield name, {key: value[:0] for key, value in sample.items()}
        yield name, {**sample, "seed": whole(-1)}
        yield name, {**sample, "seed": whole(1, 2)}
        yield name, {**sample, "seed": np.int64(1)}
        yield name, {**sample, "index": whole(-1)}
        yield name, {**sample, "index": whole(0)[None]}
        yield name, {**sample, "label": texts(b"gong")}
        yield name, {**sample, "label": texts(b"kick\xff\x00")}
    for bad in (noise[:, :5], noise[0], noise[None], noise * np.nan, noise + np.inf, noise * 1e6, noise[:1]):
        yield "generate", {"noise": bad, "label": label}
    for bad in (label[:, :5], label[0], label * np.nan, label * 8, label * 0, -label, label[:1]):
        yield "generate", {"noise": noise, "label": bad}
    for bad in (np.zeros((1, 10)), np.zeros(8_000), np.full((1, 8_000), np.inf), np.full((1, 8_000), 1e9)):
        yield "analyze", {"audio": bad.astype(np.float32)}


@pytest.mark.nightly
def test_no_request_can_block_or_end_a_server(drums):
    for signature, inputs in (("generate", {"noise": np.zeros((256, 20), np.float32),
                                            "label": np.eye(8, dtype=np.float32)[np.zeros(256, int)]}),
                              ("sample", {"seed": np.zeros(256, np.int64), "index": np.arange(256),
                                          "label": texts(*[b""] * 256), **shares(256, pitch=0.5)}),
                              ("sample_wav", {"seed": np.zeros(256, np.int64), "index": np.arange(256),
                                              "label": texts(*[b""] * 256), **shares(256)}),
                              ("analyze", {"audio": np.zeros((256, 8_000), np.float32)})):
        before = drums(signature, **inputs)
        assert not before.error
    cases, refusal = list(bad_requests()), r"assertion failed: \[(\w+ (must|has)|ask for|each row of|\w+ and \w+ must)"
    assert len(cases) > 40
    for signature, inputs in cases:
        answer = drums(signature, **inputs)
        assert re.match(refusal, answer.error), inputs
        assert answer.megabytes < before.megabytes + 50  # what is sent has to be held
    assert not drums("sample", seed=whole(1), index=whole(0), label=texts(b""), **shares(1, pitch=0.5)).error
