"""How models get into the package: shipped from a run, completed for fine-tuning; and that fine-tuning reads them."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from command_line import invoke
from drums import write_drums
from eagerly import eagerly

from melgan_tf import weights
from melgan_tf.cli.maintain import complete, ship
from melgan_tf.config import Config, from_dict
from melgan_tf.storage.checkpoints import CheckpointStore, load
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.training.initial_weights import load_initial_weights
from melgan_tf.training.optimizers import Adam

TINY = ("--preset", "drums", "--set", "model.channels=8", "--set", "training.batch_size=8", "--no-xla", "--quiet",
        "--set", "training.preview_every=1000", "--set", "training.checkpoint_every=1000")


def call(command, *arguments):
    ended = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.output


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with a run of two steps, its sounds, others, and the package that it was shipped to."""
    folder = tmp_path_factory.mktemp("package")
    write_drums(folder / "sounds")
    write_drums(folder / "valid", seed=1)
    (folder / "weights").mkdir()
    with eagerly():
        ended = invoke("train", folder / "sounds", "--run-dir", folder / "run", "--steps", 2, *TINY)
        assert ended.code == 0, ended.stderr
        call(ship.main, folder / "run", "tiny", "--valid", folder / "valid", "--data", "drums", "--command", "train",
             "--steps-before", 5, "--out", folder / "weights")
    return folder


@pytest.fixture(autouse=True)
def _packaged(package, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS", package / "weights")


def test_adam_leaves_frozen_variables_and_their_moments():
    free, frozen = keras.Variable([1.0, 2.0], name="free"), keras.Variable([1.0, 2.0], name="frozen")
    optimizer = Adam(0.1)
    optimizer.build([free, frozen])
    optimizer.frozen = frozenset({frozen.path})
    optimizer.apply([keras.ops.ones(2)] * 2, [free, frozen])
    np.testing.assert_allclose(free, [0.9, 1.9], rtol=1e-5)
    np.testing.assert_array_equal(frozen, [1.0, 2.0])
    moments = [variable for variable in optimizer.variables if "frozen" in variable.path]
    assert len(moments) == 2
    assert not np.any(moments)


def parts(state):
    return {name.split("/", 1)[0] for name in state}


def test_a_run_ships_all_that_fine_tuning_needs(package):
    files = {name: load(package / "weights" / name) for name in ("tiny.npz", "tiny.training.npz")}
    assert [parts(state) for state, _ in files.values()] == [{"generator"}, {"encoder", "discriminator"}]
    assert {value.dtype.name for state, _ in files.values() for value in state.values()} == {"float16"}
    assert {meta["step"] for _, meta in files.values()} == {7}
    card = weights.read_card("tiny")
    assert list(card["classes"]) == ["hat", "kick", "snare"]
    assert card["figures"]["valid"]["sounds"] == 24
    trained = CheckpointStore(RunDirectory(package / "run").checkpoints).newest()[0]
    initial = load_initial_weights("pretrained:tiny", from_dict(Config, card["config"]))
    assert parts(initial.state) == {"generator", "encoder", "discriminator"}
    for name, value in initial.state.items():
        np.testing.assert_array_equal(value, trained[name].astype(np.float16).astype(np.float32), err_msg=name)


@pytest.mark.slow
def test_completing_trains_everything_but_the_generator(package, tmp_path):
    (package / "weights" / "tiny.training.npz").rename(tmp_path / "shipped.npz")
    before = json.loads((package / "weights" / "tiny.json").read_text())

    def completed(steps, hold):
        out = tmp_path / f"out-{steps}"
        out.mkdir()
        call(complete.main, "tiny", package / "sounds", "--valid", package / "valid", "--steps", steps, "--hold", hold,
             "--run-dir", tmp_path / "run", "--out", out)
        return load(out / "tiny.training.npz")[0], json.loads((out / "tiny.json").read_text())

    started, card = completed(1, 0.75)
    assert {key: value for key, value in card.items() if key != "training"} == before
    first = card["training"]["figures"]
    trained, card = completed(200, 1e9)  # holds the discriminator after the first 100
    assert (card["training"]["steps"], card["training"]["discriminator_steps"]) == (200, 100)
    for which, figures in card["training"]["figures"].items():
        assert figures["reconstruction"] < 0.95 * first[which]["reconstruction"]
        assert figures["noise"] == first[which]["noise"]
    assert parts(trained) == {"encoder", "discriminator"}
    for network in parts(trained):
        assert any((trained[name] != started[name]).any() for name in trained if name.startswith(network))

    state = CheckpointStore(tmp_path / "run").newest()[0]
    for name, value in weights.read_weights(package / "weights" / "tiny.npz").items():
        np.testing.assert_array_equal(state[name], value)
        np.testing.assert_array_equal(state[f"learning_{name}"], value)
