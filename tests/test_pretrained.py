"""The sound models that the package brings along: their cards, and that they make sounds worth having at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import contents, program

import melgan_tf as mt
from melgan_tf import weights
from melgan_tf.config import Config, from_dict, presets

MODELS = weights.pretrained_models()


def config_of(model: str) -> Config:
    return from_dict(Config, card_of(model)["config"])


def card_of(model: str) -> dict:
    return weights.read_card(model.removeprefix(weights.PRETRAINED))


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return mt.load(request.param)


def options_of(model: mt.SoundModel) -> dict[str, float]:
    """A second and a half of a model that makes sounds of any length."""
    return {"seconds": 1.5} if model.config.family.makes == "streams" else {}


def test_one_of_each_kind_is_there():
    assert {"pretrained:drums", "pretrained:drums-44k", "pretrained:music", "pretrained:loops"} <= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_card_tells_how_it_was_made_and_how_good_it_is(name):
    card = card_of(name)
    assert all(card[key] for key in ("data", "licence", "command", "hours", "device", "step"))
    assert config_of(name).preset in presets.names()
    figures, = card["figures"].values()
    assert figures["sounds"] >= 100
    compared = {key: value for key, value in figures.items() if isinstance(value, dict)}
    assert compared
    if loops := compared.pop("loops", None):
        assert loops["generated"]["tight"] >= 0.8
        assert loops["generated"]["seam"] <= 1.5 * loops["floor"]["seam"]
        assert compared["rhythm"]["generated"]["coverage"] >= 0.4
        compared = {}
    for found in compared.values():
        assert found["generated"]["recall"] >= 0.4
        assert found["generated"]["coverage"] >= 0.35
        assert found["floor"]["frechet"] < found["generated"]["frechet"] < 5 * found["floor"]["frechet"]


@pytest.mark.slow
def test_it_makes_sounds_that_differ_and_are_sounds(model):
    sounds = model.generate(6, seed=3, **options_of(model))["audio"]
    assert len(sounds) == 6
    for samples in sounds:
        assert np.isfinite(samples).all()
        assert 0.01 < np.abs(samples).max() <= 1
        assert abs(samples.mean()) < 4e-3
        assert abs(samples[0]) < 0.1 or model.sampler.evaluated_as == "loops"  # which begin with what rings on
        assert np.sqrt(np.mean(np.square(samples))) > 0.0003
    assert np.abs(np.corrcoef(sounds)[np.triu_indices(6, 1)]).max() < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODELS if "kick" in card_of(name).get("classes", ())])
def test_a_class_sounds_like_itself(name):
    """Hats have their power far above that of kicks."""
    model, centers = mt.load(name), {}
    for label in ("kick", "hat"):
        spectra = np.mean(np.abs(np.fft.rfft(model.generate(6, label=label)["audio"])) ** 2, axis=0)
        centers[label] = np.average(np.linspace(0, model.config.audio.sample_rate / 2, len(spectra)), weights=spectra)
    assert centers["kick"] < 1_000 < 3_000 < centers["hat"]


@pytest.mark.nightly
def test_a_process_of_its_own_makes_the_same_files(tmp_path):
    """Where nothing but the package's own weights can have been loaded."""
    mt.load("pretrained:drums").write(tmp_path / "here", 3, seed=3)
    ended = program("generate", "pretrained:drums", "--out", tmp_path / "there", "--count", 3, "--seed", 3)
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout == (f"3 sounds in {tmp_path}/there, with spectrograms in {tmp_path}/there/sounds.png; to hear: "
                            f"{tmp_path}/there/index.html\n")
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_the_package_stays_small():
    """With all weights: less than 22 MB to download."""
    folder = Path(mt.__file__).parent
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.suffix != ".pyc" and file.is_file()) < 22e6


@pytest.mark.slow
def test_long_loops_are_the_same_in_another_process(tmp_path):
    """They were not when TensorFlow inlined both halves of a batch and optimized the whole."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        program("generate", "pretrained:loops", "--bpm", "124", "--bars", "4", "--count", "2", "--out", str(folder))
    first, second = (contents(folder) for folder in folders)
    wavs = [name for name in first if str(name).endswith(".wav")]
    assert len(wavs) == 2
    assert all(first[name] == second[name] for name in wavs)
