"""`melgan-tf request`: what a server's client writes, asks, retries and refuses. A tiny model answers."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from command_line import contents, invoke, python
from hostile_server import HostileServer, response
from model_server import Loopback, free_port
from saved_model_runner import Answer
from tiny_families import tiny
from tiny_vocoders import sound_model

import melgan_tf as mt
from melgan_tf.config import presets
from melgan_tf.data.labels import Classes
from melgan_tf.dsp import spectral
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.client.served_sampler import decibels
from melgan_tf.inference.renderer import GriffinLim
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.inference.vocoder import vocoder_for
from melgan_tf.models.loop_gan.networks import Generator as LoopGenerator
from melgan_tf.models.loop_gan.sampler import LoopSampler
from melgan_tf.models.spectrogram_gan.networks import Generator

SEED = presets.get("seed")


class Labeled(Generator):
    """Each class is another noise."""

    def mel(self, noise, label):
        return super().mel(noise + tf.reduce_sum(label * tf.range(3.0), -1, keepdims=True))


@pytest.fixture(scope="module")
def model():
    classes = Classes({"hat": 10, "kick": 30, "snare": 60})
    sampler = Sampler(Labeled(SEED.model.noise_dim, weight_std=0.1, seed=1), SEED, GriffinLim(1), classes)
    return SoundModel(sampler, SEED, 6, "0123456789ab", "runs/mine")


def loopback(model, ports=(0, 0), **export):
    """Serves a model of this process; the numbers of rows of its answers by signature are in ``asked``."""
    signatures, asked = model.exportable(**export).signatures, []

    def backend(name, **inputs):
        asked.append((name, len(next(iter(inputs.values())))))
        tensors = [tf.constant(inputs[spec.name], spec.dtype) for spec in signatures[name].inputs]
        try:
            return Answer({key: value.numpy() for key, value in signatures[name].function(*tensors).items()}, "", 0, 0)
        except tf.errors.InvalidArgumentError as error:
            return Answer({}, error.message, 0, 0, 3)

    types = {name: {spec.name: np.dtype(spec.dtype.as_numpy_dtype) for spec in called.inputs}
             for name, called in signatures.items()}
    server = Loopback(backend, types, ports=ports)
    server.asked = asked
    return server


@pytest.fixture(scope="module")
def server(model):
    with loopback(model) as server:
        yield server


def options(server, way):
    return ("--url", server.rest) if way == "rest" else ("--grpc", server.grpc.removeprefix("grpc://"))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["rest", "grpc"])
def test_a_request_writes_what_generate_writes(server, model, tmp_path, way):
    ended = invoke("request", *options(server, way), "--model", "drums", "--count", 18, "--seed", 3, "--start", 2,
                   "--out", tmp_path / "out")
    assert (ended.code, ended.stderr) == (0, "")
    model.write(tmp_path / "wanted", 18, 3, start=2)
    assert contents(tmp_path / "out").keys() == contents(tmp_path / "wanted").keys()
    made, wanted = (json.loads((tmp_path / name / "sounds.json").read_text()) for name in ("out", "wanted"))
    assert made.pop("server") == {"address": getattr(server, way), "model": "drums", "version": 1}
    assert (made.pop("source"), wanted.pop("source")) == ("mine", "runs/mine")
    for ours, theirs in zip(made["sounds"], wanted["sounds"], strict=True):
        assert ours.pop("peak") == pytest.approx(theirs.pop("peak"), abs=2e-4)
        (samples, rate), (expected, _) = (soundfile.read(tmp_path / name / ours["file"]) for name in ("out", "wanted"))
        assert rate == 16_000
        np.testing.assert_allclose(samples, expected, atol=1e-3)
    assert made == wanted
    assert len({sound["label"] for sound in made["sounds"]}) > 1


def test_some_sounds_of_a_seed(server, model, tmp_path):
    arguments = ("request", "--grpc", server.grpc.removeprefix("grpc://"), "--model", "drums", "--seed", 3, "--out")
    assert invoke(*arguments, tmp_path / "out", "--index", "7,2-3").code == 0
    model.write(tmp_path / "wanted", seed=3, indices=(7, 2, 3))
    assert contents(tmp_path / "out").keys() == contents(tmp_path / "wanted").keys()
    for file in (tmp_path / "wanted").glob("*.wav"):
        (samples, _), (expected, _) = soundfile.read(tmp_path / "out" / file.name), soundfile.read(file)
        np.testing.assert_allclose(samples, expected, atol=1e-3)
    invoke(*arguments, tmp_path / "none", "--index", "7", "--start", 1).one_line("remove --start", code=2)
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_no_more_is_asked_for_than_is_written(model, server):
    with loopback(model, max_batch=5) as small:
        made = mt.connect(small.grpc, "drums").generate(12, seed=1, label="kick=0.7,snare=0.3")
    assert small.asked == [("describe", 1), *[("draw", rows) for rows in (5, 5, 5, 1)],
                           *[("generate", rows) for rows in (5, 5, 2)]]
    whole = mt.connect(server.rest, "drums").generate(12, seed=1, label="kick=0.7,snare=0.3")
    np.testing.assert_array_equal(made["audio"], whole["audio"])


@pytest.mark.slow
def test_a_model_without_classes(tmp_path):
    plain = sound_model()
    with loopback(plain) as server:
        for address in (server.rest, server.grpc):
            served = mt.connect(address, "drums")
            np.testing.assert_allclose(served.generate(2)["audio"], plain.generate(2)["audio"], atol=1e-3)
            with pytest.raises(UsageError, match="has no classes: remove --label kick"):
                served.write(tmp_path, 1, label="kick")


@pytest.mark.slow
def test_hits_are_as_asked(server, model):
    before = len(server.asked)
    made = mt.connect(server.rest, "drums", deadline=600).asked(brightness=0.9).generate(2, 5, "kick")
    assert [name for name, _ in server.asked[before:]] == ["describe", "draw", "grant", "generate"]
    wanted, plain = model.asked(brightness=0.9).generate(2, 5, "kick"), model.generate(2, 5, "kick")
    served, local, before = (model.sampler.measures(tf.constant(sounds["mel"]))[:, 0].numpy()
                             for sounds in (made, wanted, plain))
    np.testing.assert_allclose(served, local, atol=0.02)
    assert (served > before + 0.02).all()
    assert np.abs(made["noise"] - plain["noise"]).max() > 0.1  # as in records
    for wishes, part in (({"density": 0.5}, "cannot choose the density"), ({"pitch": 2}, "--pitch 2: give 0 to 1")):
        with pytest.raises(UsageError, match=part):
            mt.connect(server.grpc, "drums").asked(**wishes)


@pytest.mark.slow
def test_loops_are_as_asked(tmp_path):
    config = tiny("loop-gan")
    sampler = LoopSampler(LoopGenerator(config, 2), config, vocoder_for(config.audio), Classes({"drums": 3, "keys": 1}))
    model = SoundModel(sampler, config, 0, "0" * 12, "runs/beats")
    with loopback(model, bars=1) as server:
        for way, address in (("--url", server.rest), ("--grpc", server.grpc.removeprefix("grpc://"))):
            ended = invoke("request", way, address, "--model", "drums", "--bpm", 160.3, "--key", "Am", "--swing", 0.5,
                           "--loudness", 0.8, "--deadline", 600, "--count", 1, "--out", tmp_path / way)
            assert (ended.code, ended.stderr) == (0, "")
        served = mt.connect(server.grpc, "drums")
        for wishes, part in (({"bpm": 30}, "--bpm 30: give 40 to 300"), ({"bars": 2}, "have 1; export"),
                             ({"decay": 0.5}, "cannot choose the decay"), ({"swing": 2}, "--swing 2: give 0 to 1"),
                             ({"density": -1}, "--density -1: give 0 to 1"), ({"key": "H"}, "key 'H'")):
            with pytest.raises(UsageError, match=part):
                served.asked(**wishes)
    model.asked(bpm=160.3, key="Am", bars=1, swing=0.5, loudness=0.8).write(tmp_path / "wanted", 1)
    wanted = json.loads((tmp_path / "wanted/sounds.json").read_text())
    for way in ("--url", "--grpc"):
        made = json.loads((tmp_path / way / "sounds.json").read_text())
        assert (made["asked"], made["loop"]) == (wanted["asked"], True)
        assert made["sounds"][0]["file"] == wanted["sounds"][0]["file"]
        samples = [soundfile.read(tmp_path / name / made["sounds"][0]["file"])[0] for name in (way, "wanted")]
        np.testing.assert_allclose(*samples, atol=2e-2)
        assert len(samples[0]) == 33_013


def test_recipes_are_made_on_a_server_and_networks_are_not_there(server, model):
    served = mt.connect(server.rest, "drums")
    recipes = [served.recipe(1, 0, "kick").vary(0.5), served.recipe(1, 4)]
    np.testing.assert_allclose(served.make(recipes)["audio"], model.make(recipes)["audio"], atol=1e-3)
    with pytest.raises(UsageError, match="a model on a server only makes sounds"):
        served.encode(np.ones(8_000, np.float32))
    with pytest.raises(UsageError, match="makes sounds of 0.5 seconds only: remove --loop"):
        served.generate(1, loop=True)


def test_more_sounds_are_added_to_those_of_the_same_model(server, tmp_path):
    for seed, more in ((1, ()), (2, ("--add", "--fingerprint", tmp_path / "out"))):
        assert invoke("request", "--url", server.rest, "--model", "drums", "--count", 1, "--seed", seed, "--out",
                      tmp_path / "out", *more).code == 0
    record = json.loads((tmp_path / "out/sounds.json").read_text())
    assert [sound["seed"] for sound in record["sounds"]] == [1, 2]


@pytest.mark.parametrize(("arguments", "parts", "code"), [
    (("--label", "kik"), ("unknown class 'kik': did you mean 'kick'?",), 2),
    (("--model", "drumz"), ("refuses: ", "drumz"), 1),
    (("--version", 4), ("refuses: Servable not found for request: Specific(drums, 4)",), 1),
    (("--fingerprint", "f" * 12), ("serves drums 1 with the weights 0123456789ab, not ffffffffffff",), 1),
    (("--fingerprint", "."), ("sounds.json is no record of generated sounds",), 2),
    (("--model", ""), ("the name of the model is empty",), 2)])
@pytest.mark.parametrize("way", ["rest", "grpc"])
def test_what_cannot_be_is_one_line_and_no_folder(server, tmp_path, monkeypatch, way, arguments, parts, code):
    monkeypatch.chdir(tmp_path)
    before = len(server.asked)
    invoke("request", *options(server, way), "--model", "drums", "--out", "out", *arguments).one_line(*parts, code=code)
    assert not (tmp_path / "out").exists()
    assert len(server.asked) <= before + 1  # describe


@pytest.mark.parametrize("address", ["localhost:8501", "ftp://host", "http://", "http://me:secret@host", "grpc://host",
                                     "http://host:99999", "http://host?x=1", "grpc://a b:1"])
def test_addresses(address):
    with pytest.raises(UsageError, match="the address '.*': give "):
        mt.connect(address, "drums")


def test_one_way_to_a_server(tmp_path):
    for given in ((), ("--url", "http://x", "--grpc", "x:1")):
        invoke("request", *given, "--model", "drums", "--out", tmp_path / "out").one_line("give one of them", code=2)


# -- patience --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("way", ["rest", "grpc"])
def test_a_server_that_is_not_there_yet(model, way):
    ports = [free_port(), free_port()]
    address = f"http://127.0.0.1:{ports[0]}" if way == "rest" else f"grpc://127.0.0.1:{ports[1]}"

    def start_later():
        time.sleep(0.4)
        with loopback(model, ports=ports):
            done.wait(60)

    done = threading.Event()
    late = threading.Thread(target=start_later)
    late.start()
    try:
        assert mt.connect(address, "drums", deadline=60).classes == ("hat", "kick", "snare")
    finally:
        done.set()
        late.join()


def scripted(*answers):
    """A server that answers in turn, the last one for ever."""
    left = list(answers)
    return HostileServer(lambda method, target: [left.pop(0) if len(left) > 1 else left[0]])


def as_json(status="200 OK", **values):
    return response(json.dumps(values).encode(), status=status)


AVAILABLE = as_json(model_version_status=[{"version": "1", "state": "END"}, {"version": "3", "state": "AVAILABLE"}])


def test_a_busy_server_is_asked_again_and_one_that_refuses_is_not():
    busy = as_json("503 Service Unavailable", error="The batch scheduling queue is full")
    server = scripted(busy, as_json(model_version_status=[]), AVAILABLE, busy, b"",
                      as_json("400 Bad Request", error="assertion failed: [seed must be 0 or more] [-1]\n\t [[{{x}}]]"))
    with pytest.raises(MelGANError) as refused:
        mt.connect(server.url, "drums")
    assert str(refused.value) == f"{server.url} refuses: seed must be 0 or more -1"
    assert [head.split(" ")[1] for head in server.requests] == ["/v1/models/drums"] * 3 + [
        "/v1/models/drums/versions/3:predict"] * 3
    server.close()


@pytest.mark.parametrize(("answer", "reason"), [
    (as_json("503 Service Unavailable", error="overloaded"), "overloaded"), (b"", "the connection was closed"),
    (as_json("502 Bad Gateway"), "status 502")])
def test_patience_ends_at_the_deadline(answer, reason):
    server, began = scripted(answer), time.monotonic()
    with pytest.raises(MelGANError, match=rf"did not answer within 0.5 seconds \({reason}\): start the server"):
        mt.connect(server.url, "drums", deadline=0.5)
    assert time.monotonic() - began < 5
    assert 2 <= len(server.requests) <= 12
    server.close()


def test_a_server_that_says_nothing_or_drips():
    for server in (HostileServer(lambda method, target: [60.0]),
                   HostileServer(lambda method, target: [AVAILABLE[:60], *[0.05, b" "] * 1_000])):
        began = time.monotonic()
        with pytest.raises(MelGANError, match=r"did not answer within 0.4 seconds \(timed out\)"):
            mt.connect(server.url, "drums", deadline=0.4)
        assert time.monotonic() - began < 5
        server.close()


@pytest.mark.parametrize("answer", [
    response(b"<html>hello</html>"), response(b"[1]"), as_json(model_version_status=3), as_json(),
    response(b"", "Location: /elsewhere", status="302 Found"), response(b"<h1>no</h1>", status="404 Not Found"),
    as_json(model_version_status=[{"version": "x", "state": "AVAILABLE"}]), b"SSH-2.0-OpenSSH\r\n",
    response(b"[" * 100_000)])
def test_what_is_no_model_server_is_one_line(answer):
    server = scripted(answer)
    with pytest.raises(MelGANError, match="does not answer as TF Serving does"):
        mt.connect(server.url, "drums", deadline=5)
    assert len(server.requests) == 1
    server.close()


def described(model, **changes):
    """What a model says of itself, with changes."""
    found, = model.exportable().signatures["describe"].function(tf.constant([""]))["json"].numpy()
    return json.dumps({**json.loads(found), **changes})


@pytest.mark.parametrize(("changes", "part"), [
    ({"samples": None}, "sounds of any length"), ({"weights": 3}, "'weights' is 3"), ({"samples": -1}, "is -1"),
    ({"config": {"audio": 1}}, "audio"), ({"config": {"unheard": 1}}, "unheard"), ({"max_batch": "x"}, "max_batch")])
def test_models_that_cannot_be_used_are_one_line(model, changes, part):
    server = scripted(AVAILABLE, as_json(outputs=[described(model, **changes)]))
    with pytest.raises(MelGANError, match=part):
        mt.connect(server.url, "drums")
    server.close()


NOISE, LABEL = [[0.0] * 20] * 16, [[0.0] * 3] * 16


@pytest.mark.parametrize(("outputs", "part"), [
    ({"noise": [[0.0] * 19] * 16, "label": LABEL}, r"noise of shape \(16, 19\)"),
    ({"noise": NOISE[1:], "label": LABEL}, r"noise of shape \(15, 20\)"),
    ({"noise": [["x"] * 20] * 16, "label": LABEL}, "could not convert"),
    ({"noise": [[float("nan")] * 20] * 16, "label": LABEL}, "noise with values that are not finite"),
    ({"noise": [[1.0], [1.0, 2.0]], "label": []}, "inhomogeneous"), ({"label": LABEL}, "KeyError"), (7, "TypeError"),
    ({"noise": NOISE, "label": ["kick"] * 16}, "label of shape")])
def test_arrays_that_make_no_sense_are_one_line(model, tmp_path, outputs, part):
    server = scripted(AVAILABLE, as_json(outputs=[described(model)]), as_json(outputs=outputs))
    with pytest.raises(MelGANError, match=f"does not answer as TF Serving does .*{part}"):
        mt.connect(server.url, "drums").write(tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()
    server.close()


# -- without TensorFlow ----------------------------------------------------------------------------------------------

def test_a_client_does_not_import_tensorflow(server, tmp_path):
    lines = ["import sys, melgan_tf as mt"]
    lines += [f"mt.connect({address!r}, 'drums').write({str(tmp_path / name)!r}, 1)"
              for name, address in (("rest", server.rest), ("grpc", server.grpc))]
    lines += ["assert not {'tensorflow', 'keras'} & set(sys.modules)"]
    ended = python("-c", "\n".join(lines))
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("preset", ["seed", "drums", "vocoder-22k"])
def test_decibels_are_those_of_the_package(preset):
    audio = presets.get(preset).audio
    mel = np.random.default_rng(0).normal(-1, 3, (1, 50, audio.mel_bins)).astype(np.float32)
    np.testing.assert_allclose(decibels(mel, audio), spectral.log_mel(tf.constant(mel), audio).numpy(), atol=1e-3)
