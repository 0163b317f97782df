"""How models get into the package: shipped from a run; and that fine-tuning reads them."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from command_line import invoke
from drums import write_drums
from eagerly import eagerly

from melgan_tf import weights
from melgan_tf.cli.maintain import fit_prior, ship
from melgan_tf.config import Config, from_dict
from melgan_tf.storage.checkpoints import CheckpointStore, load
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.training.initial_weights import load_initial_weights

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
        if name.startswith("generator/"):
            np.testing.assert_array_equal(value, trained[name].astype(np.float16).astype(np.float32), err_msg=name)
        else:  # nine bits of it
            np.testing.assert_allclose(value, trained[name], rtol=0.003, atol=1e-7, err_msg=name)
            mantissa = 512 * np.frexp(value)[0]
            np.testing.assert_array_equal(mantissa, np.rint(mantissa), err_msg=name)


@pytest.mark.slow
def test_fitting_the_prior_changes_nothing_else(package, tmp_path):
    output = call(fit_prior.main, "tiny", package / "sounds", "--steps", 40, "--width", 1.2, "--remarks", "Fitted.",
                  "--out", tmp_path)
    assert "nats" in output
    before, after = weights.read_all_weights("tiny"), {}
    for name in ("tiny.npz", "tiny.training.npz"):
        after |= weights.read_weights(tmp_path / name)
    changed = {name for name, value in before.items() if not np.array_equal(after[name], value)}
    assert changed
    assert all("/prior" in name for name in changed)
    card = weights.read_card("tiny", tmp_path)
    assert card["remarks"].endswith("Fitted.")
    assert card["figures"] == weights.read_card("tiny")["figures"]


def test_the_noise_is_made_wider(package, tmp_path):
    call(fit_prior.main, "tiny", package / "sounds", "--steps", 0, "--width", 1.25, "--out", tmp_path)
    found = weights.read_weights(tmp_path / "tiny.npz")
    before = weights.read_weights(package / "weights" / "tiny.npz")
    for name, value in found.items():
        wider = np.log(1.25) if name.endswith("prior/log_scale") else 0.0
        np.testing.assert_allclose(value, before[name] + wider, atol=2e-3, err_msg=name)
