"""The script that trains the class embedding, on made-up drums."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from drums import write_drums

from melgan_tf.cli.maintain import train_embedding
from melgan_tf.dsp.brightness import brightness_hz
from melgan_tf.errors import MelGANError
from melgan_tf.evaluation.embeddings import drums as drum_embedding
from melgan_tf.evaluation.embeddings import train_drums
from melgan_tf.evaluation.embeddings.drums import CLASSES
from melgan_tf.evaluation.embeddings.made_up_drums import made_up_drum


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    top = tmp_path_factory.mktemp("kit")
    return write_drums(top / "train"), write_drums(top / "valid", each=4, seed=1)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(train_drums, "VARIATIONS", 6)
    monkeypatch.setattr(train_drums, "MADE_UP", 30)


def trained(sounds, out, steps=80):
    result = CliRunner().invoke(train_embedding.main, [str(sounds[0]), "--valid", str(sounds[1]), "--licence",
                                                       "CC0-1.0", "--steps", str(steps), "--out", str(out)])
    assert result.exception is None, result.output
    return json.loads((out / "drum-classes-2.json").read_text())


@pytest.mark.nightly
def test_it_learns_writes_its_card_and_comes_out_the_same_again(sounds, tmp_path):
    card = trained(sounds, tmp_path / "a")
    assert card["valid"]["sounds"] == 12
    assert card["valid"]["accuracy"] > 0.5  # of three classes
    assert card["classes"]["kick"] == 8
    distances = card["frechet_against_valid"]
    assert distances["train"] < distances["train, noise 20 dB below"] < distances["train, noise 10 dB below"]
    assert "train, kick only" in distances
    assert (card["licence"], card["steps"], card["seed"]) == ("CC0-1.0", 80, 0)
    assert card["command"].endswith("--licence CC0-1.0 --steps 80")
    waveforms, labels = train_drums.load_labeled(sounds[1])
    network = drum_embedding.DrumEmbedding(drum_embedding.load_network(tmp_path / "a"))
    features, probabilities = network(waveforms, 16_000)
    heard = probabilities.argmax(axis=1)
    assert np.mean(heard == labels) == pytest.approx(card["valid"]["accuracy"], abs=1e-3)  # of the file's weights
    trained(sounds, tmp_path / "b")
    with np.load(tmp_path / "a/drum-classes-2.npz") as a, np.load(tmp_path / "b/drum-classes-2.npz") as b:
        assert a.files == b.files
        assert all((a[name] == b[name]).all() for name in a.files)
        assert {a[name].dtype for name in a.files} == {np.dtype(np.float16)}


def test_variations_keep_length_and_peak_and_differ():
    rng = np.random.default_rng(0)
    sound = made_up_drum("snare", rng)
    varied = np.stack([train_drums.vary(sound, rng) for _ in range(20)])
    assert varied.shape == (20, 8_000)
    np.testing.assert_allclose(np.abs(varied).max(axis=1), 1, atol=1e-6)
    assert np.linalg.norm(varied[:, None] - varied, axis=2)[np.triu_indices(20, 1)].min() > 1


def test_some_frames_and_bands_are_masked_and_nothing_else_changes():
    images = np.random.default_rng(0).uniform(-0.9, 1, (20, 64, 64))
    found = train_drums.masked(images, np.random.default_rng(1))
    changed = found != images
    assert (found[changed] == -1).all()
    assert 0.02 < changed.mean() < 0.2
    assert images.min() > -1


@pytest.mark.parametrize("name", CLASSES)
def test_made_up_drums_are_all_different_and_die_away(name):
    rng = np.random.default_rng(0)
    found = np.stack([made_up_drum(name, rng) for _ in range(12)])
    assert found.shape == (12, 8_000)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.abs(found).max(axis=1), 1, atol=1e-6)
    assert np.linalg.norm(found[:, None] - found, axis=2)[np.triu_indices(12, 1)].min() > 1
    energy = (found ** 2).reshape(12, 2, 4_000).sum(axis=(0, 2))
    assert energy[1] < 0.5 * energy[0]


def test_made_up_kicks_are_low_and_hats_are_high():
    rng = np.random.default_rng(0)
    low, high = ([brightness_hz(made_up_drum(name, rng), 16_000) for _ in range(10)] for name in ("kick", "hat"))
    assert np.median(low) < 800
    assert np.median(high) > 4_000


def test_a_blurred_picture_is_the_mean_of_cells():
    images = np.random.default_rng(0).normal(size=(2, 64, 64))
    found = train_drums.downsample(images).reshape(2, 16, 16)
    assert found[1, 3, 5] == pytest.approx(images[1, 12:16, 20:24].mean())


def test_a_folder_that_is_no_class_is_refused(tmp_path):
    write_drums(tmp_path / "kit", each=1)
    (tmp_path / "kit/kick").rename(tmp_path / "kit/cowbell")
    with pytest.raises(MelGANError, match="unknown class 'cowbell': give clap, cymbal"):
        train_drums.load_labeled(tmp_path / "kit")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MelGANError, match="contains no usable sound"):
        train_drums.load_labeled(tmp_path / "empty")
