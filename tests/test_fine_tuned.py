"""What fine-tuning ends with: a page of new sounds beside one's own, findings in words, near copies named."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from drums import write_drums
from told import Told

from melgan_tf.data.mel_dataset import load_folder
from melgan_tf.data.sources import held_out
from melgan_tf.evaluation import fine_tuned
from melgan_tf.evaluation.memorization import EmbeddedSounds, measure_memorization
from melgan_tf.inference.load import load_sound_model
from melgan_tf.progress import Progress
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.training.resolve import resolve
from melgan_tf.training.run import Result


def embedded(rng, count):
    return EmbeddedSounds(rng.standard_normal((count, 8)), 10 * rng.standard_normal((count, 16, 8)).astype(np.float32))


def test_without_held_out_sounds_those_of_training_judge_each_other():
    rng = np.random.default_rng(0)
    own, fresh = embedded(rng, 30), embedded(rng, 10)
    copied = EmbeddedSounds(*(np.concatenate([new, real[:2] + 0.001]) for new, real in
                              ((fresh.features, own.features), (fresh.mels, own.mels))))
    found = measure_memorization(copied, None, own, list("abcdefghijkl"), [f"own{i}" for i in range(30)])
    apart = np.sqrt(((own.features[:, None] - own.features[None]) ** 2).sum(axis=2)) + np.diag(np.full(30, np.inf))
    assert found.embedding_threshold == pytest.approx(np.quantile(apart.min(axis=1), 0.01), rel=1e-5)
    assert found.real_embedding == pytest.approx(np.median(apart.min(axis=1)), rel=1e-5)
    assert {("k", "own0"), ("l", "own1")} <= {(pair.generated, pair.training) for pair in found.named}
    assert found.share < 0.3
    assert found.shared == 0


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Of the shipped model, beside 24 made-up drums."""
    folder = tmp_path_factory.mktemp("compared")
    write_drums(folder / "own")
    return fine_tuned.compare("pretrained:drums", folder / "own", folder / "page", Progress())


def test_every_new_sound_stands_beside_the_nearest_of_ones_own(page):
    file, found = page
    cards = json.loads(re.search(r'<script[^>]*json[^>]*>(.*?)</script>', file.read_text(), re.DOTALL)[1])["sounds"]
    assert len(cards) == fine_tuned.MIN_NEW
    for card in cards:
        assert (card["mark"], card["beside"]["mark"]) == ("new", "yours")
        assert card["beside"]["name"] in card["note"]
        assert (file.parent / card["file"]).is_file()
        assert (file.parent / card["beside"]["file"]).is_file()
        if card["label"] in ("kick", "snare", "hat"):
            assert card["beside"]["label"] == card["label"]
    assert [line.partition(":")[0] for line in found] == ["like yours", "variety", "near copies"]


def test_near_copies_are_named(page, tmp_path, monkeypatch):
    """A model that makes one's own sounds."""
    class Copies:
        config, sampler = (getattr(load_sound_model("pretrained:drums"), name) for name in ("config", "sampler"))

        def write(self, folder, count, progress):
            write_drums(folder, each=8)

    monkeypatch.setattr(fine_tuned, "load_sound_model", lambda *_: Copies())
    file, found = fine_tuned.compare("run", write_drums(tmp_path / "own"), tmp_path / "page", Progress())
    assert found[-1].startswith("near copies: 24 of 24 new sounds (")
    assert "near copy of kick/kick0.wav" in file.read_text()


@pytest.mark.parametrize("data", [{"init_from": {"source": "a"}}, {}])
def test_a_page_that_fails_is_a_warning(data, tmp_path, monkeypatch):
    def failing(*_):
        raise MemoryError("no memory")

    monkeypatch.setattr(RunDirectory, "record", lambda _: {"data": data})
    monkeypatch.setattr(fine_tuned, "compare", failing)
    result, told = Result(3, 1, 0, range(20), None), Told()
    assert fine_tuned.compared(result, tmp_path, tmp_path, told) is result
    assert len(told.warnings) == len(data)
    assert all("the run is complete without it" in line for line in told.warnings)


def test_sounds_kept_aside_are_not_learned_from_and_are_said(tmp_path, monkeypatch):
    """A class of few keeps all; with which others it lies makes no difference to a sound."""
    write_drums(tmp_path / "own", each=34)
    config = resolve(tmp_path / "own", tmp_path / "run", init_from="pretrained:drums")
    assert config.data.hold_out == 10
    whole = load_folder(tmp_path / "own", config)
    kept = [sound.name for sound in whole.seen(config.data.hold_out).sounds]
    aside = [sound.name for sound in whole.sounds if sound.name not in kept]
    assert 5 < len(aside) < 20
    assert len(whole.seen(config.data.hold_out).mels) == len(kept)
    assert held_out([(name, "hat") for name in aside * 2], 10).all()
    assert not held_out([(name, name) for name in aside], 10).any()
    model = load_sound_model("pretrained:drums")
    monkeypatch.setattr(fine_tuned, "load_sound_model", lambda *_: dataclasses.replace(model, config=config))
    like, variety, _ = fine_tuned.compare("run", tmp_path / "own", tmp_path / "page", Progress())[1]
    assert f"of the {len(aside)} of yours that it did not learn from" in like
    assert re.match(r"variety: \d+% of these, and \d+% of the others, have", variety)
