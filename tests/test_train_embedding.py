"""The script that trains the class embedding, on made-up drums."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from drums import write_drums

from melgan_tf.cli.maintain import train_embedding
from melgan_tf.errors import MelGANError
from melgan_tf.evaluation.embeddings import drums as drum_embedding
from melgan_tf.evaluation.embeddings import train_drums


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    top = tmp_path_factory.mktemp("kit")
    return write_drums(top / "train"), write_drums(top / "valid", each=4, seed=1)


def trained(sounds, out, steps=30):
    result = CliRunner().invoke(train_embedding.main, [str(sounds[0]), "--valid", str(sounds[1]), "--licence",
                                                       "CC0-1.0", "--steps", str(steps), "--out", str(out)])
    assert result.exception is None, result.output
    return json.loads((out / "drum-classes-1.json").read_text())


@pytest.mark.slow
def test_it_learns_writes_its_card_and_comes_out_the_same_again(sounds, tmp_path):
    card = trained(sounds, tmp_path / "a")
    assert card["valid"]["sounds"] == 12
    assert card["valid"]["accuracy"] > 0.6  # of three classes
    assert card["classes"]["kick"] == 8
    distances = card["frechet_against_valid"]
    assert distances["train"] < distances["train, noise 20 dB below"] < distances["train, noise 10 dB below"]
    assert "train, kick only" in distances
    assert (card["licence"], card["steps"], card["seed"]) == ("CC0-1.0", 30, 0)
    assert card["command"].endswith("--licence CC0-1.0 --steps 30")
    waveforms, labels = train_drums.load_labeled(sounds[1])
    network = drum_embedding.DrumEmbedding(drum_embedding.load_network(tmp_path / "a"))
    features, probabilities = network(waveforms, 16_000)
    heard = probabilities.argmax(axis=1)
    assert np.mean(heard == labels) == pytest.approx(card["valid"]["accuracy"], abs=1e-3)  # of the file's weights
    trained(sounds, tmp_path / "b")
    with np.load(tmp_path / "a/drum-classes-1.npz") as a, np.load(tmp_path / "b/drum-classes-1.npz") as b:
        assert a.files == b.files
        assert all((a[name] == b[name]).all() for name in a.files)
        assert {a[name].dtype for name in a.files} == {np.dtype(np.float16)}


def test_variations_keep_shape_and_range_and_differ():
    images = np.random.default_rng(0).uniform(-1, 1, (4, 64, 64)).astype(np.float32)
    varied = train_drums.augment(images, np.random.default_rng(1))
    assert varied.shape == images.shape
    assert varied.min() >= -1
    assert varied.max() <= 1.5
    assert all(not np.array_equal(one, other) for one, other in zip(images, varied, strict=True))


def test_variations_add_no_noise():
    """The embedding must show noise."""
    silence = np.full((16, 64, 64), -1.0, np.float32)
    varied = train_drums.augment(silence, np.random.default_rng(0))
    roughness = np.abs(np.diff(varied, 2, axis=1))
    assert np.median(roughness) < 1e-6


def test_a_blurred_picture_is_the_mean_of_cells():
    images = np.random.default_rng(0).normal(size=(2, 64, 64))
    found = train_drums.downsample(images).reshape(2, 16, 16)
    assert found[1, 3, 5] == pytest.approx(images[1, 12:16, 20:24].mean())


def test_faster_sounds_are_higher():
    time = np.arange(11_200) / 16_000
    tone = np.sin(2 * np.pi * 1_000 * time)[None].astype(np.float32)
    bands = [train_drums.mel_images(tone, speed)[0, 30].argmax() for speed in (0.89, 1.0, 1.12)]
    assert bands[0] < bands[1] < bands[2]


def test_a_folder_that_is_no_class_is_refused(tmp_path):
    write_drums(tmp_path / "kit", each=1)
    (tmp_path / "kit/kick").rename(tmp_path / "kit/cowbell")
    with pytest.raises(MelGANError, match="unknown class 'cowbell': give clap, cymbal"):
        train_drums.load_labeled(tmp_path / "kit")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MelGANError, match="contains no usable sound"):
        train_drums.load_labeled(tmp_path / "empty")
