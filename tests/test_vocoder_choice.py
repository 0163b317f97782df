"""The choice of a vocoder for a model's mels, and sounds rendered with one."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from command_line import invoke, unchanged
from tiny_vocoders import ship, tiny, tone
from told import Told

from melgan_tf.config import AudioConfig, from_dict, presets, to_dict
from melgan_tf.dsp import spectral
from melgan_tf.errors import UsageError
from melgan_tf.inference.load import load_sound_model
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.vocoder import choose_vocoder, load_vocoder, vocoder_for
from melgan_tf.models.spectrogram_gan.networks import Generator

SEED = presets.get("seed")
FALLBACK = "no bundled vocoder matches this mel configuration; falling back to Griffin-Lim"
pytestmark = pytest.mark.usefixtures("elsewhere")


# -- which vocoder for which mels ------------------------------------------------------------------------------------

def test_a_vocoder_is_found_for_its_own_mels_and_for_those_of_another_compression(package):
    assert vocoder_for(presets.get("vocoder-16k").audio).name == "vocoder-16k"
    assert vocoder_for(SEED.audio).name == "vocoder-16k"
    assert vocoder_for(presets.get("melgan").audio).name == "vocoder-22k"


@pytest.mark.parametrize("field", [{"hop_samples": 256}, {"mel_bins": 32}, {"max_hz": 7_000.0}, {"min_hz": 20.0},
                                   {"mel_scale": "slaney"}, {"padding": "half-hop"}, {"n_fft": 2048},
                                   {"sample_rate": 16_100}])
def test_no_vocoder_is_found_for_other_mels(package, field):
    audio = from_dict(AudioConfig, to_dict(SEED.audio) | field)
    told = Told()
    assert vocoder_for(audio).name == "griffin-lim"
    assert choose_vocoder(None, audio, told).name == "griffin-lim"
    assert told.warnings == [FALLBACK]
    with pytest.raises(UsageError, match="takes other mels than the model makes") as error:
        choose_vocoder("vocoder-16k", audio)
    (name, value), = field.items()
    assert f"{name}: {value} / {getattr(SEED.audio, name)}" in str(error.value)
    assert str(error.value).count(" / ") == 2  # "model / vocoder", and one field


def test_the_choice(package, vocoder_runs):
    told = Told()
    assert choose_vocoder(None, SEED.audio, told).name == "vocoder-16k"
    assert choose_vocoder("griffin-lim", SEED.audio, told).name == "griffin-lim"
    assert choose_vocoder(str(vocoder_runs["melgan"]), SEED.audio, told).name == str(vocoder_runs["melgan"])
    assert told.warnings == []


@pytest.mark.parametrize("typo", ["griffinlim", "Griffin-Lim", "griffin_lim"])
def test_griffin_lim_is_a_name_too(package, typo):
    with pytest.raises(UsageError, match="did you mean 'griffin-lim'"):
        choose_vocoder(typo, SEED.audio)


# -- sounds rendered with a vocoder ----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["fast", "melgan"])
def test_the_sampler_renders_with_the_vocoder(loaded, name):
    """As the vocoder itself does, from mels brought to its scale by hand: linear power to its logarithm."""
    vocoder = loaded[name]
    sampler = Sampler(Generator(weight_std=0.1, seed=3), SEED, vocoder=vocoder)
    made = sampler.generate(seed=7, count=3)
    assert made["audio"].shape == (3, SEED.data.clip_samples)
    assert np.isfinite(made["audio"]).all()
    assert (np.abs(made["audio"]).max(axis=1) > 1e-3).all()
    assert np.abs(made["audio"]).max() <= 1.0
    assert made["mel"].min() < 0  # what no sound has: an untrained generator's
    converted = np.log10(np.maximum(made["mel"], vocoder.audio.floor))
    wanted = vocoder.model(tf.constant(converted)).numpy()[:, :SEED.data.clip_samples]
    assert np.abs(made["audio"][:, -1]).max() == 0  # faded out
    unfaded = slice(8, SEED.data.clip_samples - 80)
    loud = np.maximum(np.abs(sampler.finish(tf.constant(wanted))).max(axis=1, keepdims=True), 1e-9)
    finished = sampler.finish(tf.constant(wanted)).numpy()
    np.testing.assert_allclose(made["audio"] / loud, finished / loud, atol=1e-3)
    quiet = np.abs(wanted).max(axis=1) <= 1
    np.testing.assert_allclose(made["audio"][quiet, unfaded], wanted[quiet, unfaded], atol=1e-3)


def test_power_becomes_its_logarithm_for_the_vocoder():
    """Of a real note: what the seed preset calls a mel becomes what the vocoder's own analysis makes of it."""
    sound = tf.constant(tone(8_000, 16_000)[None])
    theirs = presets.get("vocoder-16k").audio
    converted = spectral.convert(spectral.mel_spectrogram(sound, SEED.audio), SEED.audio, theirs)
    np.testing.assert_allclose(converted, spectral.mel_spectrogram(sound, theirs), atol=1e-4)


def record(folder) -> dict:
    return json.loads((folder / "sounds.json").read_text())


@pytest.mark.slow
def test_generate_takes_the_packages_vocoder_and_says_so(vocoder_runs, package, tmp_path):
    ended = invoke("generate", vocoder_runs["seed"], "--out", "ours", "--count", 2)
    assert (ended.code, ended.stderr) == (0, "")
    values = record(tmp_path / "ours")
    assert values["vocoder"] == load_vocoder("vocoder-16k").metadata()
    assert values["vocoder"]["name"] == "vocoder-16k"
    assert (values["preset"], values["audio_fingerprint"]) == ("seed", SEED.audio.fingerprint())
    again = invoke("generate", vocoder_runs["seed"], "--out", "named", "--count", 2, "--vocoder", "vocoder-16k")
    assert again.code == 0
    for file in ("seed-seed0-0000.wav", "seed-seed0-0001.wav"):
        assert (tmp_path / "ours" / file).read_bytes() == (tmp_path / "named" / file).read_bytes()


@pytest.mark.slow
def test_griffin_lim_restores_the_sounds_of_old(vocoder_runs, package, tmp_path):
    assert invoke("generate", vocoder_runs["seed"], "--out", "old", "--count", 2, "--vocoder", "griffin-lim").code == 0
    assert invoke("generate", vocoder_runs["seed"], "--out", "new", "--count", 2).code == 0
    assert record(tmp_path / "old")["vocoder"] == {"name": "griffin-lim", "iterations": 32}
    trained = load_sound_model(vocoder_runs["seed"], vocoder="griffin-lim")
    plain = Sampler(trained.sampler.generator, SEED).generate(0, 2)["audio"]  # as it was before there were vocoders
    np.testing.assert_array_equal(trained.sampler.generate(0, 2)["audio"], plain)
    first = "seed-seed0-0000.wav"
    assert (tmp_path / "old" / first).read_bytes() != (tmp_path / "new" / first).read_bytes()


def test_generate_without_a_vocoder_that_fits_says_griffin_lim(vocoder_runs, monkeypatch, tmp_path):
    ship(monkeypatch, tmp_path / "weights", vocoder_22k=tiny("vocoder-22k"))
    ended = invoke("generate", vocoder_runs["seed"], "--out", "out", "--count", 1)
    assert (ended.code, ended.stderr) == (
        0, f"warning: {FALLBACK}\n")
    assert record(tmp_path / "out")["vocoder"]["name"] == "griffin-lim"


def test_generate_with_a_run_of_a_vocoder(vocoder_runs, package, tmp_path):
    ended = invoke("generate", vocoder_runs["seed"], "--out", "out", "--count", 1, "--vocoder", vocoder_runs["melgan"])
    assert (ended.code, ended.stderr) == (0, "")
    assert record(tmp_path / "out")["vocoder"] == load_vocoder(vocoder_runs["melgan"]).metadata()


@pytest.mark.parametrize("command", [("generate", "--out", "out"), ("export", "--out", "out"),
                                     ("export", "--out", "out", "--format", "tflite"),
                                     ("evaluate", "--reference", "sounds", "--json", "out")])
@pytest.mark.parametrize(("choice", "parts"), [
    ("vocoder-22k", ("the vocoder vocoder-22k", "sample_rate: 16000 / 22050", "hop_samples: 512 / 256",
                     "mel_bins: 64 / 80", "max_hz: 8000.0 / 11025.0", "mel_scale: htk / slaney",
                     "padding: centre / half-hop")),
    ("vocoder-16", ("did you mean 'vocoder-16k'?",)), ("seed", ("makes mels from noise",))])
def test_a_vocoder_that_does_not_fit_is_refused(vocoder_runs, package, tmp_path, command, choice, parts):
    (tmp_path / "sounds").mkdir()
    choice = vocoder_runs["seed"] if choice == "seed" else choice
    check = unchanged(tmp_path)
    ended = invoke(command[0], vocoder_runs["seed"], *command[1:], "--vocoder", choice)
    ended.one_line(*parts, code=2)
    assert "compression" not in ended.stderr  # that could be converted
    check()


def test_generate_on_a_vocoder_says_what_to_do_instead(vocoder_runs, package, tmp_path):
    check = unchanged(tmp_path)
    for source in (vocoder_runs["fast"], "vocoder-16k"):
        invoke("generate", source, "--out", "out").one_line(
            f"{source} is a vocoder", f"melgan-tf vocode SOUND --vocoder {source}", code=2)
    check()
    with pytest.raises(UsageError, match="makes no sounds of its own: melgan-tf vocode SOUND --vocoder"):
        load_sound_model(vocoder_runs["fast"])


@pytest.mark.parametrize("command", [("evaluate", "--reference", "sounds"), ("export", "--out", "out")])
def test_a_vocoder_takes_no_vocoder(vocoder_runs, package, tmp_path, command):
    (tmp_path / "sounds").mkdir()
    check = unchanged(tmp_path)
    for source in (vocoder_runs["fast"], "vocoder-16k"):
        invoke(command[0], source, *command[1:], "--vocoder", "griffin-lim").one_line(
            f"{source} is a vocoder itself", "remove --vocoder", code=2)
    check()


@pytest.mark.parametrize("command", [("generate", "--out", "out"), ("evaluate", "--reference", "."),
                                     ("export", "--out", "out")])
def test_a_misspelt_name_in_place_of_a_run_is_told_the_nearest(package, command):
    invoke(command[0], "vocoder-22", *command[1:]).one_line(
        "run directory vocoder-22 does not exist", "did you mean 'vocoder-22k'?", code=2)
