"""The sound models that the package brings along: their cards, and that they make sounds worth having at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import contents, program

import melgan_tf
from melgan_tf import weights
from melgan_tf.config import Config, from_dict, presets

MODELS = weights.pretrained_models()
EACH = pytest.mark.parametrize("model", MODELS)
#: Of a second, for models of any length.
LENGTH = ("--seconds", 1.5)


def config_of(model: str) -> Config:
    return from_dict(Config, card_of(model)["config"])


def card_of(model: str) -> dict:
    return weights.read_card(model.removeprefix(weights.PRETRAINED))


def generate(model: str, out: Path, *options: object) -> list[np.ndarray]:
    """In a process of its own, where nothing but the package's own weights can have been loaded."""
    length = LENGTH if config_of(model).family.makes == "streams" else ()
    ended = program("generate", model, "--out", out, *length, *options, "--quiet")
    assert (ended.code, ended.stderr) == (0, "")
    found = [soundfile.read(file, dtype="float32") for file in sorted(out.glob("*.wav"))]
    assert {rate for _, rate in found} == {config_of(model).audio.sample_rate}
    return [samples for samples, _ in found]


def test_one_of_each_kind_is_there():
    assert {"pretrained:drums", "pretrained:drums-44k", "pretrained:music"} <= set(MODELS)


@EACH
def test_a_card_tells_how_it_was_made_and_how_good_it_is(model):
    card = card_of(model)
    assert all(card[key] for key in ("data", "licence", "command", "hours", "device", "step"))
    assert config_of(model).preset in presets.names()
    figures, = card["figures"].values()
    assert figures["sounds"] >= 100
    compared = [value for value in figures.values() if isinstance(value, dict)]
    assert compared
    for found in compared:
        assert found["generated"]["recall"] >= 0.45
        assert found["generated"]["coverage"] >= 0.35
        assert found["floor"]["frechet"] < found["generated"]["frechet"] < 4 * found["floor"]["frechet"]


@EACH
def test_it_makes_sounds_that_differ_and_are_sounds(model, tmp_path):
    sounds = generate(model, tmp_path / "a", "--count", 6, "--seed", 3)
    assert len(sounds) == 6
    for samples in sounds:
        assert np.isfinite(samples).all()
        assert 0.1 < np.abs(samples).max() <= 1
        assert abs(samples.mean()) < 4e-3
        assert abs(samples[0]) < 0.1
        assert np.sqrt(np.mean(np.square(samples))) > 0.003
    assert np.abs(np.corrcoef(sounds)[np.triu_indices(6, 1)]).max() < 0.9
    generate(model, tmp_path / "b", "--count", 6, "--seed", 3)
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


@pytest.mark.parametrize("model", [model for model in MODELS if card_of(model).get("classes")])
def test_a_class_sounds_like_itself(model, tmp_path):
    """Hats have their power far above that of kicks."""
    centres = {}
    for label in ("kick", "hat"):
        sounds = generate(model, tmp_path / label, "--label", label, "--count", 6)
        spectra = np.mean([np.abs(np.fft.rfft(samples)) ** 2 for samples in sounds], axis=0)
        centres[label] = np.average(np.linspace(0, config_of(model).audio.sample_rate / 2, len(spectra)),
                                    weights=spectra)
    assert centres["kick"] < 1_000 < 3_000 < centres["hat"]


def test_the_package_stays_small():
    """With all weights: less than 12 MB to download."""
    folder = Path(melgan_tf.__file__).parent
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.suffix != ".pyc" and file.is_file()) < 12e6
