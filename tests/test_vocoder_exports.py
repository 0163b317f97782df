"""Exported vocoders, and exported sound models that contain one: what they make is what the model makes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from command_line import contents, invoke
from tiny_vocoders import FAST, MELGAN, STEP, ship, tiny, tone, write_run

from melgan_tf.config import presets, to_dict
from melgan_tf.config.registry import build_network
from melgan_tf.dsp import spectral
from melgan_tf.exports import export, tflite_metadata
from melgan_tf.inference.load import load_sound_model
from melgan_tf.inference.vocoder import load_vocoder
from melgan_tf.inference.windows import join, new_frames, windows

SEED = presets.get("seed")
#: As the package's vocoder for the same mels, a frame is split.
RUNS = {"fast": tiny(model=dataclasses.replace(FAST, subframes=2)), "melgan": tiny(model=MELGAN)}
AUDIO = RUNS["fast"].audio
HOP = AUDIO.hop_samples
SECONDS = 0.3  # of a window: 9 frames

BOTH = pytest.mark.parametrize("name", list(RUNS))


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {name: write_run(folder / name, config) for name, config in RUNS.items()} | {
        "seed": write_run(folder / "seed", SEED)}


@pytest.fixture(scope="session")
def loaded(runs):
    return {name: load_vocoder(runs[name]) for name in RUNS}


def a_mel(frames: int, batch: int = 1) -> np.ndarray:
    """Of a note that fades into silence, and of noise."""
    rng = np.random.default_rng(0)
    note = tf.constant(tone(frames * HOP + AUDIO.n_fft, AUDIO.sample_rate)[None])
    mel = spectral.mel_spectrogram(note, AUDIO).numpy()[:, :frames]
    return np.concatenate([mel, *(rng.uniform(-4, 0, (1, frames, AUDIO.mel_bins)) for _ in range(batch - 1))],
                          dtype=np.float32)


def worst(made: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, in parts of the wanted sound's peak."""
    assert made.shape == wanted.shape
    return float(np.abs(made - wanted).max() / np.abs(wanted).max())


# -- SavedModel ------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def bases(runs, tmp_path_factory):
    """Version 1 of each, as the command makes it."""
    folder = tmp_path_factory.mktemp("saved")
    for name in RUNS:
        ended = invoke("export", runs[name], "--out", folder / name)
        assert (ended.code, ended.stderr) == (0, "")
        assert ended.stdout.splitlines()[0].split() == ["receipt", f"{folder}/{name}/1"]
        assert "worst difference, audio " in ended.stdout
    return {name: folder / name for name in RUNS}


@pytest.fixture(scope="module")
def signatures(bases):
    models = {name: tf.saved_model.load(str(bases[name] / "1")) for name in RUNS}
    return {name: model.signatures for name, model in models.items()}


@pytest.mark.slow
@BOTH
def test_signatures_are_those_promised(signatures, name):
    assert sorted(signatures[name]) == ["analyze", "describe", "serving_default", "vocode", "vocode_from", "vocode_wav"]
    mel, audio = (None, None, AUDIO.mel_bins), (None, None)
    for key, takes, makes in (("serving_default", {"mel": mel}, {"audio": audio}),
                              ("vocode", {"mel": mel}, {"audio": audio}),
                              ("vocode_from", {"mel": mel, "start": (None,)}, {"audio": audio}),
                              ("analyze", {"audio": audio}, {"mel": mel})):
        function = signatures[name][key]
        inputs = function.structured_input_signature[1]
        # MelGAN does not use `start`; a signature keeps what it was declared with
        assert {k: tuple(spec.shape) for k, spec in inputs.items()} == takes
        for k, shape in makes.items():
            assert function.structured_outputs[k].shape.rank == len(shape)
            assert function.structured_outputs[k].shape[0] is None


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize(("batch", "frames"), [(1, 4), (1, 33), (3, 20), (5, 7)])
def test_any_batch_and_length_gives_the_models_sounds(signatures, loaded, name, batch, frames):
    mel = a_mel(frames, batch)
    wanted = loaded[name].vocode(mel)
    for key in ("vocode", "serving_default"):
        made = signatures[name][key](mel=tf.constant(mel))["audio"].numpy()
        assert made.shape == (batch, frames * HOP)
        assert worst(made, wanted) < 1e-4


@pytest.mark.slow
@BOTH
def test_pieces_join_to_the_whole(signatures, loaded, name):
    """As README tells servers to do it: each piece with its context, from its own frame number."""
    mel, context, piece = a_mel(50), loaded[name].model.context_frames, 7
    whole = signatures[name]["vocode"](mel=tf.constant(mel))["audio"].numpy()

    def pieces(number):
        for first in range(0, 50, piece):
            begin, end = max(0, first - context), min(50, first + piece + context)
            audio = signatures[name]["vocode_from"](
                mel=tf.constant(mel[:, begin:end]), start=tf.fill([mel.shape[0]], number(begin)))["audio"].numpy()
            yield audio[:, (first - begin) * HOP:(min(50, first + piece) - begin) * HOP]

    assert worst(np.concatenate(list(pieces(lambda begin: begin)), axis=1), whole) < 1e-4
    if name == "fast":  # its clock
        assert worst(np.concatenate(list(pieces(lambda begin: 0)), axis=1), whole) > 0.05


@pytest.mark.slow
@BOTH
def test_analyze_is_the_packages_own_mel(signatures, name):
    audio = np.stack([tone(6_000, AUDIO.sample_rate), tone(6_000, AUDIO.sample_rate, 1_234.0)])
    made = signatures[name]["analyze"](audio=tf.constant(audio))["mel"].numpy()
    np.testing.assert_allclose(made, spectral.mel_spectrogram(tf.constant(audio), AUDIO), atol=1e-3)


@pytest.mark.slow
@BOTH
def test_a_saved_model_tells_of_its_origin(bases, runs, loaded, name):
    facts = {"made_by": "melgan-tf", **loaded[name].metadata(), "sample_rate": AUDIO.sample_rate, "licence": "unknown"}
    receipt = json.loads((bases[name] / "1/export_report.json").read_text())
    assert receipt["origin"] == facts
    assert (facts["name"], facts["step"]) == (str(runs[name]), STEP)
    assert receipt["tolerance"] == {"audio": 2e-3}
    assert 0 <= receipt["worst_difference"]["audio"] < 2e-3
    assert set(receipt["signatures"]) == {
        "analyze", "describe", "serving_default", "vocode", "vocode_from", "vocode_wav"}
    config = json.loads((bases[name] / "1/assets.extra/config.json").read_text())
    assert config == json.loads(json.dumps({**facts, "config": to_dict(RUNS[name])}))
    values = json.loads(invoke("info", bases[name], "--json").stdout)
    assert (values["kind"], values["name"], values["weights"]) == ("SavedModel", facts["name"], facts["weights"])
    assert invoke("info", bases[name]).code == 0


# -- TFLite ----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def files(loaded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tflite")
    made = {}
    for name, quantize in (("fast", "none"), ("fast", "float16"), ("melgan", "none")):
        receipt = export(loaded[name], folder / f"{name}-{quantize}.tflite", "tflite", quantize=quantize,
                         seconds=SECONDS)
        made[name, quantize] = Path(receipt.path)
    return made


FILES = pytest.mark.parametrize(("name", "quantize"), [("fast", "none"), ("fast", "float16"), ("melgan", "none")])


def render(file: Path, mel: np.ndarray) -> np.ndarray:
    """As a phone would, from what the file says of itself."""
    facts, interpreter = tflite_metadata.read(file), Interpreter(model_path=str(file), num_threads=1)
    runner = interpreter.get_signature_runner("vocode")
    shape = facts["frames"], facts["context_frames"], "present" in runner.get_input_details()
    parts = [runner(**{key: np.asarray(value)[None] for key, value in window.items()})["audio"][0]
             for window in windows(mel, *shape)]
    return join(np.stack(parts), len(mel), *shape)


@pytest.mark.slow
@FILES
@pytest.mark.parametrize("frames", [4, 9, 10, 18, 29, 64])
def test_windows_join_to_the_whole(files, loaded, name, quantize, frames):
    """Shorter than a window, just one, whole numbers of them, and more."""
    mel, context = a_mel(frames, 2)[1], loaded[name].model.context_frames
    made, wanted = render(files[name, quantize], mel), loaded[name].vocode(mel[None])[0]
    assert np.isfinite(made).all()
    assert made.shape == wanted.shape
    sure = frames * HOP
    if name == "melgan" and frames < 9 + 2 * context:  # lengthened by its last frame, which is heard at its end
        sure = max(0, frames - context) * HOP
    limit = (1e-3 if quantize == "none" else 5e-2) * np.abs(wanted).max()
    np.testing.assert_allclose(made[:sure], wanted[:sure], rtol=0, atol=limit)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_single_frame_needs_a_window_too(files, loaded, frames):
    mel = a_mel(frames, 2)[1]
    assert worst(render(files["fast", "none"], mel), loaded["fast"].vocode(mel[None])[0]) < 1e-3


@pytest.mark.slow
def test_silence_is_silent_on_a_phone(files):
    silence = np.full((30, AUDIO.mel_bins), np.log10(AUDIO.floor), np.float32)
    assert not render(files["fast", "none"], silence).any()


@pytest.mark.slow
@FILES
def test_a_file_tells_how_to_use_it(files, loaded, name, quantize):
    facts = tflite_metadata.read(files[name, quantize])
    context = loaded[name].model.context_frames
    assert facts == json.loads(json.dumps({
        "made_by": "melgan-tf", **loaded[name].metadata(), "sample_rate": AUDIO.sample_rate, "licence": "unknown",
        "quantize": quantize, "frames": 9 + 2 * context, "context_frames": context, "hop_samples": HOP,
        "config": to_dict(RUNS[name])}))
    inputs = Interpreter(model_path=str(files[name, quantize])).get_signature_runner("vocode").get_input_details()
    shapes = {key: tuple(detail["shape"]) for key, detail in inputs.items()}
    assert shapes == {"mel": (1, facts["frames"], AUDIO.mel_bins)} | (
        {"present": (1, facts["frames"]), "start": (1,)} if name == "fast" else {})
    values = json.loads(invoke("info", files[name, quantize], "--json").stdout)
    assert values == {"kind": "TFLite", "size_bytes": files[name, quantize].stat().st_size, "seconds": None, **facts}


@pytest.mark.slow
@FILES
def test_receipt_of_a_tflite_file(files, name, quantize):
    file = files[name, quantize]
    receipt = json.loads(file.with_name(f"{file.stem}.export_report.json").read_text())
    assert (receipt["format"], receipt["quantize"], receipt["path"]) == ("tflite", quantize, str(file))
    assert receipt["worst_difference"]["audio"] < receipt["tolerance"]["audio"] == {"none": 2e-3}.get(quantize, 5e-2)
    (title, milliseconds), = receipt["milliseconds_per_sound"].items()
    assert title.startswith("window of ")
    assert milliseconds > 0


@pytest.mark.slow
def test_float16_is_smaller(files):
    assert files["fast", "float16"].stat().st_size < files["fast", "none"].stat().st_size


@pytest.mark.parametrize("length", [1, 3, 5, 6, 11, 12, 40])
@pytest.mark.parametrize("masked", [True, False])
def test_windows_cover_every_frame_once(length, masked):
    """Each frame's own samples come back, with as much context as there is; no model needed."""
    mel = np.arange(length, dtype=np.float32)[:, None] + 1
    frames, context = 10, 2
    made = list(windows(mel, frames, context, masked))
    assert all(len(window["mel"]) == frames for window in made)
    if masked:
        for window in made:
            numbers = window["start"] + np.arange(frames)
            np.testing.assert_array_equal(window["present"], (numbers >= 0) & (numbers < length))
            inside = window["present"] == 1
            np.testing.assert_array_equal(window["mel"][inside, 0], numbers[inside] + 1)
    audio = np.stack([np.repeat(window["mel"][:, 0], 3) for window in made])
    np.testing.assert_array_equal(join(audio, length, frames, context, masked), np.repeat(mel[:, 0], 3))


# -- sound models that contain a vocoder -----------------------------------------------------------------------------

@pytest.fixture(scope="session")
def with_vocoder(runs):
    return {name: load_sound_model(runs["seed"], vocoder=str(runs[name])) for name in RUNS}


@pytest.fixture(scope="session")
def sounds(with_vocoder):
    """Five sounds of seed 5 of each, rendered by its vocoder."""
    return {name: trained.sampler.generate(5, 5) for name, trained in with_vocoder.items()}


@pytest.mark.slow
def test_a_saved_model_contains_the_vocoder(runs, with_vocoder, sounds, tmp_path):
    ended = invoke("export", runs["seed"], "--vocoder", runs["fast"], "--out", tmp_path)
    assert (ended.code, ended.stderr) == (0, "")
    model, wanted = tf.saved_model.load(str(tmp_path / "1")), sounds["fast"]
    made = model.signatures["generate"](noise=tf.constant(wanted["noise"]))
    assert worst(made["mel"].numpy(), wanted["mel"]) < 1e-4
    assert worst(made["audio"].numpy(), wanted["audio"]) < 1e-3  # no phase retrieval that would magnify rounding
    request = {"seed": tf.fill([5], np.int64(5)), "index": tf.range(5, dtype=tf.int64),
               **{name: tf.fill([5], -1.0) for name in ("brightness", "decay", "pitch")}}
    by_seed = model.signatures["sample"](**request)["audio"].numpy()
    assert worst(by_seed, wanted["audio"]) < 1e-3
    receipt = json.loads((tmp_path / "1/export_report.json").read_text())
    assert receipt["origin"]["vocoder"] == with_vocoder["fast"].vocoder_metadata
    assert receipt["origin"]["vocoder"]["name"] == str(runs["fast"])
    assert json.loads((tmp_path / "1/assets.extra/config.json").read_text())["vocoder"]["step"] == STEP
    ops = receipt["ops"]
    assert ops.get("RFFT", 0) <= 4  # Griffin-Lim has one for each of its iterations, four signatures


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fast", pytest.param("melgan", marks=pytest.mark.nightly)])
def test_a_tflite_file_contains_the_vocoder(with_vocoder, sounds, name, tmp_path):
    receipt = export(with_vocoder[name], tmp_path / "drums.tflite", "tflite")
    interpreter, wanted = Interpreter(model_path=receipt.path, num_threads=1), sounds[name]
    assert sorted(interpreter.get_signature_list()) == ["generate", "mel", "sample"]
    runner = interpreter.get_signature_runner("generate")
    made = [runner(noise=noise[None]) for noise in wanted["noise"]]
    assert worst(np.concatenate([one["mel"] for one in made]), wanted["mel"]) < 1e-4
    assert worst(np.concatenate([one["audio"] for one in made]), wanted["audio"]) < 1e-3
    wanted = with_vocoder[name].vocoder_metadata
    assert tflite_metadata.read(receipt.path)["vocoder"] == wanted == receipt.origin["vocoder"]
    assert sorted(contents(tmp_path)) == ["drums.export_report.json", "drums.tflite"]


def test_the_vocoder_of_an_export_is_the_one_that_generate_chooses(runs, monkeypatch, tmp_path):
    """Without a choice: the package's own, and the receipt says so."""
    ship(monkeypatch, tmp_path / "weights", vocoder_16k=RUNS["fast"])
    for choice, name in ((None, "vocoder-16k"), ("griffin-lim", "griffin-lim")):
        assert load_sound_model(runs["seed"], vocoder=choice).exportable().origin["vocoder"]["name"] == name


@pytest.mark.parametrize("name", ["melgan", "vocoder-22k", "vocoder-16k"])
def test_most_of_a_window_is_new_by_default(name):
    """And a window holds a second at least."""
    config = presets.get(name)
    second, context = config.audio.sample_rate / config.audio.hop_samples, build_network(config).context_frames
    new = new_frames(second, context)
    assert new >= round(second)
    assert new / (new + 2 * context) >= 2 / 3
    assert new_frames(second, context, 2.0) == round(2 * second)
