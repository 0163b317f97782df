"""The public API: `import melgan_tf as mt`. Every function once, on small models."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from command_line import python, write_sounds
from tiny_vocoders import tiny, tone, write_run

import melgan_tf as mt
from melgan_tf.cli.main import main

SEED = mt.presets.get("seed")
STEPS = {"training": {"steps": 2, "batch_size": 8, "xla": "off"}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {"seed": write_run(folder / "seed", SEED), "vocoder": write_run(folder / "vocoder", tiny())}


@pytest.fixture(scope="module")
def model(runs):
    return mt.load(runs["seed"], vocoder="griffin-lim")


@pytest.fixture(scope="module")
def vocoder(runs):
    return mt.load(runs["vocoder"])


def test_importing_is_free():
    code = ("import sys, time; start = time.perf_counter(); import melgan_tf; spent = time.perf_counter() - start; "
            "print(spent, 'tensorflow' in sys.modules, 'numpy' in sys.modules)")
    made = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
            for _ in range(3)]
    assert min(float(spent) for spent, *_ in made) < 0.1
    assert {tuple(loaded) for _, *loaded in made} == {("False", "False")}


def test_every_public_name_exists():
    assert {name for name in mt.__all__ if getattr(mt, name) is None} == set()
    assert set(mt.__all__) <= set(dir(mt))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mt.nothing  # noqa: B018


def test_every_command_is_a_function_with_an_example():
    for name in (name.replace("-", "_") for name in main.list_commands(None)):
        others = {"generate": mt.SoundModel.write, "presets": mt.presets.get, "request": mt.connect}
        function = others.get(name) or getattr(mt, name)
        assert ">>> " in function.__doc__, name


def test_configurations_need_no_tensorflow():
    code = ("import sys, melgan_tf as mt; mt.presets.names(), mt.Config(), mt.AudioConfig(), mt.MelGANError, "
            "mt.Family, mt.register; print('tensorflow' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.slow
def test_one_line_of_python_makes_kicks_without_a_word(tmp_path):
    """In a process of its own, where TensorFlow would write to stderr, and Keras take another backend or layout."""
    code = ("import melgan_tf as mt; mt.SoundModel; "
            "print(mt.load('pretrained:drums').generate(4, seed=1, label='kick')['audio'].shape)")
    (tmp_path / "keras.json").write_text('{"floatx": "float16", "image_data_format": "channels_first"}')
    ended = python("-c", code, env={"KERAS_HOME": str(tmp_path)})
    assert (ended.code, ended.stdout, ended.stderr) == (0, "(4, 8000)\n", "")


def test_load_returns_what_the_source_makes(model, vocoder):
    assert isinstance(model, mt.SoundModel)
    assert isinstance(vocoder, mt.Vocoder)
    assert (model.step, model.classes) == (7, ())


@pytest.mark.parametrize(("source", "part"), [
    ("nowhere", "nowhere does not exist"), ("pretrained:drum", "did you mean 'pretrained:drums'"),
    ("vocoder-16", "did you mean")])
def test_load_names_what_does_not_exist(source, part):
    with pytest.raises(mt.MelGANError, match=part):
        mt.load(source)


def test_a_vocoder_is_no_sound_model_and_the_other_way_round(runs):
    with pytest.raises(mt.MelGANError, match="makes no sounds of its own"):
        mt.load_sound_model(runs["vocoder"])
    with pytest.raises(mt.MelGANError, match="give the run of a vocoder"):
        mt.load_vocoder(runs["seed"])
    with pytest.raises(mt.MelGANError, match="remove --vocoder"):
        mt.load(runs["vocoder"], vocoder="griffin-lim")


def test_generated_sounds_are_arrays_by_name(model):
    sounds = model.generate(3, seed=5)
    assert {name: value.shape for name, value in sounds.items()} == {
        "audio": (3, 8_000), "mel": (3, 16, 64), "noise": (3, 20)}
    assert sounds.sample_rate == 16_000
    np.testing.assert_array_equal(model.generate(1, seed=5, start=2)["audio"][0], sounds["audio"][2])
    assert len(repr(sounds)) < 200


@pytest.mark.parametrize(("arguments", "part"), [
    ({"seed": -1}, "seed is -1"), ({"count": 0}, "count is 0"), ({"seconds": 1.0}, "at most 0.5 seconds"),
    ({"loop": True}, "remove --loop"), ({"label": "kick"}, "has no classes")])
def test_a_model_refuses_what_it_cannot_make(model, arguments, part, tmp_path):
    with pytest.raises(mt.MelGANError, match=part):
        model.generate(**arguments)
    with pytest.raises(mt.MelGANError, match=part):
        model.write(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_sounds_show_themselves_in_a_notebook(model):
    page = model.generate(18, seed=1)._repr_html_()
    assert "the first 16 of 18 sounds of 0.5 s at 16000 Hz" in page
    assert page.count("<audio controls") == page.count("<img") == 16
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(re.search(r"audio/wav;base64,([^\"]+)", page)[1])))
    assert rate == 16_000
    np.testing.assert_allclose(samples, model.generate(1, seed=1)["audio"][0], atol=1 / 32_768)
    assert base64.b64decode(re.search(r"image/png;base64,([^\"]+)", page)[1]).startswith(b"\x89PNG")


def test_write_makes_a_folder_to_listen_to(model, tmp_path):
    record = model.write(tmp_path / "out", 2, seed=3)
    assert record["made"] == 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "seed-seed3-0000.wav", "seed-seed3-0001.wav", "sounds.json", "sounds.png", "index.html", "LICENSES.txt"}


def test_a_vocoder_renders_its_own_mels(vocoder):
    mel = vocoder.mel_spectrogram(tone(8_000, 16_000))
    assert mel.shape == (16, 64)
    wave = vocoder(mel)
    assert (wave.shape, wave.dtype) == ((16 * 512,), np.float32)
    np.testing.assert_allclose(vocoder(mel[None])[0], wave, atol=1e-6)
    stream = vocoder.stream()
    pieces = [stream.push(mel[first:first + 5]) for first in range(0, 16, 5)]
    np.testing.assert_allclose(np.concatenate([*pieces, stream.finish()]), wave, atol=1e-5)


@pytest.mark.parametrize("shape", [(64,), (5, 63), (1, 1, 5, 64), (0, 64)])
def test_a_vocoder_refuses_other_shapes(vocoder, shape):
    with pytest.raises(mt.MelGANError, match=re.escape(f"mels of shape {shape}")):
        vocoder(np.zeros(shape))


@pytest.mark.slow
def test_train_prepare_and_continue(tmp_path):
    sounds = write_sounds(tmp_path / "sounds", 8)
    prepared = mt.prepare(sounds, tmp_path / "prepared", workers=1)
    assert prepared.counts.clips == 8
    first = mt.train(tmp_path / "prepared", tmp_path / "run", preset="seed", changes=STEPS)
    assert (first.steps, first.config.training.batch_size) == (2, 8)
    again = mt.train(tmp_path / "prepared", tmp_path / "run", changes={"training": {"steps": 3}})
    assert again.steps == 3
    with pytest.raises(mt.MelGANError, match="batch_size"):
        mt.train(tmp_path / "prepared", tmp_path / "run", changes={"training": {"batch_size": 4}})
    assert mt.load(tmp_path / "run", vocoder="griffin-lim").step == 3


def test_vocode_takes_sounds_and_mels(runs, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(4_000, 16_000), 16_000)
    np.save(tmp_path / "b.npy", np.full((10, 64), -4.0, np.float32))
    done = mt.vocode([tmp_path / "a.wav", tmp_path / "b.npy"], tmp_path / "out", vocoder=runs["vocoder"])
    assert [soundfile.info(file).frames for file in done.files] == [4_000, 5_120]


@pytest.mark.slow
def test_evaluate_and_export(model, vocoder, tmp_path):
    sounds = write_sounds(tmp_path / "sounds", 16)
    assert mt.evaluate(model, sounds, count=8).to_dict()["preset"] == "seed"
    assert mt.evaluate(vocoder, sounds).to_dict()["vocoder"]
    receipt = mt.export(vocoder, tmp_path / "served")
    assert (tmp_path / "served/1/saved_model.pb").exists()
    assert receipt.rows()
