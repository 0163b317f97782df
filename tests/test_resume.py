"""A run that was stopped, in whatever way, ends as if it had never stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import shlex
import shutil
import signal
import time

import numpy as np
import preloaded
import pytest
from click.testing import CliRunner
from eagerly import eagerly
from run_contents import history as read_history
from told import Told

from melgan_tf.cli.main import main
from melgan_tf.config import presets
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.models.spectrogram_gan.task import SpectrogramTask
from melgan_tf.models.spectrogram_gan.train_step import SpectrogramGAN
from melgan_tf.storage.checkpoints import CheckpointStore, load
from melgan_tf.storage.run_directory import RunDirectory, with_training
from melgan_tf.storage.temporaries import new_name
from melgan_tf.training import callbacks, loop
from melgan_tf.training.run import run

SIX = with_training(presets.get("seed"), batch_size=8, epochs=6, checkpoint_every=1, log_every=1, preview_every=100,
                    xla="off")


def store(path):
    return CheckpointStore(path / "checkpoints")


def history(path):
    return [(int(row["epoch"]), *(row[name] for name in SpectrogramGAN.METRICS)) for row in read_history(path)]


def assert_same_end(path, other, step):
    """Every weight, moment and counter of both players, to the bit."""
    (ours, meta), (theirs, other_meta) = (load(store(p).file(step)) for p in (path, other))
    assert set(ours) == set(theirs)
    assert sum(name.endswith(("momentum", "velocity")) for name in ours) == 2 * (10 + 14)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert meta == other_meta
    assert ours["generator_optimizer/generator_adam/iteration"] == step


@pytest.fixture(autouse=True)
def _no_previews(monkeypatch):
    """They take longer than these runs and change nothing in them."""
    monkeypatch.setattr(callbacks.Preview, "on_train_begin", lambda self, logs=None: None)


@pytest.fixture(scope="module")
def whole(_sound_folder, tmp_path_factory):
    """Six epochs (18 steps) in one go."""
    path = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch, eagerly():
        monkeypatch.setattr(callbacks.Preview, "on_train_begin", lambda self, logs=None: None)
        assert run(SIX, _sound_folder, path).steps == 18
    return path


# -- in one process --------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_three_epochs_and_three_more_are_six(sound_folder, tmp_path, whole, eager):
    first = run(with_training(SIX, epochs=3), sound_folder, tmp_path)
    assert (first.steps, first.epochs) == (9, 3)
    lines = Told()
    second = run(SIX, sound_folder, tmp_path, lines)
    assert (second.steps, second.epochs, second.signal) == (18, 6, 0)
    assert "resuming at step 9 (epoch 3)" in lines.lines
    assert lines.warnings == []
    assert_same_end(tmp_path, whole, 18)
    assert history(tmp_path) == history(whole)
    assert RunDirectory(tmp_path).config() == SIX


@pytest.mark.slow
def test_a_stop_in_the_middle_of_an_epoch_is_exact(sound_folder, tmp_path, whole, eager):
    """Steps, then more steps, then epochs: 7 and 11 are in the middle of the third and the fourth epoch."""
    assert run(with_training(SIX, steps=7), sound_folder, tmp_path).steps == 7
    assert store(tmp_path).steps()[-1] == 7
    assert run(with_training(SIX, steps=11), sound_folder, tmp_path).steps == 11
    run(SIX, sound_folder, tmp_path)
    assert_same_end(tmp_path, whole, 18)
    epochs = [row[0] for row in history(tmp_path)]
    assert epochs == [0, 1, 2, 3, 4, 5]
    assert history(tmp_path)[4:] == history(whole)[4:]


@pytest.mark.slow
def test_compiled_and_in_shards_it_is_exact_too(sound_folder, tmp_path, monkeypatch):
    """The second run goes on from the first one's checkpoint of step 3: each of them compiles anew."""
    monkeypatch.setattr(SpectrogramTask, "min_shard_size", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    config, whole, path = with_training(SIX, xla="on", epochs=2), tmp_path / "whole", tmp_path / "run"
    run(config, sound_folder, whole)
    shutil.copytree(whole, path)
    store(path).file(6).unlink()
    lines = Told()
    assert run(config, sound_folder, path, lines).steps == 6
    assert "resuming at step 3 (epoch 1)" in lines.lines
    resolved = RunDirectory(path).record()["resolved"]
    assert (resolved["xla"], resolved["shards"]) == (True, 2)
    assert_same_end(path, whole, 6)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "rows"), [(8, 2), (9, 3)], ids=["mid-epoch", "epoch-end"])
def test_an_interrupted_run_saves_its_last_step_and_goes_on_exactly(sound_folder, tmp_path, whole, eager, monkeypatch,
                                                                                    step, rows):
    class PressingCtrlC(Told):
        taken = 0

        def task(self, description, total, unit, done=0):
            if description == "training":
                return self.training()
            return super().task(description, total, unit, done)

        def training(self):
            return contextlib.nullcontext(self.advance)

        def advance(self, count):
            self.taken += count
            if self.taken == step:
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, "STEPS_PER_CALL", 1)
    lines = PressingCtrlC()
    before = signal.getsignal(signal.SIGINT)
    result = run(SIX, sound_folder, tmp_path, lines)
    assert signal.getsignal(signal.SIGINT) is before
    assert (result.signal, result.steps, result.epochs) == (signal.SIGINT, step, step // 3)
    assert lines.warnings == ["stopping after this step and saving; once more to stop at once"]
    assert store(tmp_path).steps()[-1] == step
    assert history(tmp_path) == history(whole)[:rows]  # an epoch that was completed counts
    assert run(SIX, sound_folder, tmp_path).signal == 0
    assert_same_end(tmp_path, whole, 18)
    assert [row[0] for row in history(tmp_path)] == [0, 1, 2, 3, 4, 5]


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_costs_its_epochs_only(sound_folder, tmp_path, whole, eager):
    """The damaged file is the best as well (two names of one file) and of the step at which the run will end."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    newest, best = store(tmp_path).file(18), store(tmp_path).best_file
    os.truncate(newest, 100_000)
    best.unlink()
    os.link(newest, best)
    lines = Told()
    assert run(SIX, sound_folder, tmp_path, lines).steps == 18
    assert len(lines.warnings) == 1
    assert lines.warnings[0].startswith("checkpoint step-00000018.npz is damaged (")
    assert lines.warnings[0].endswith("): going back to step 15")
    assert_same_end(tmp_path, whole, 18)
    assert history(tmp_path) == history(whole)
    assert store(tmp_path).best_meta() is not None


@pytest.mark.slow
def test_changed_sounds_are_reported_and_fresh_forgets(sound_folder, tmp_path, whole, eager):
    folder = tmp_path / "drums"
    shutil.copytree(sound_folder, folder)
    shutil.copytree(whole, tmp_path / "run")
    (folder / "hat" / "hat0.wav").unlink()
    lines = Told()
    run(with_training(SIX, epochs=7), folder, tmp_path / "run", lines)
    assert lines.warnings == ["the sounds have changed since this run started (24 then, 23 now): training "
                              "continues with the new ones"]
    lines = Told()
    assert run(with_training(SIX, epochs=1, seed=5), folder, tmp_path / "run", lines, fresh=True).steps == 3
    assert lines.warnings == []
    assert store(tmp_path / "run").steps() == [3]
    assert [row[0] for row in history(tmp_path / "run")] == [0]
    assert RunDirectory(tmp_path / "run").config().training.seed == 5


def test_checkpoints_that_do_not_fit_or_cannot_be_read_are_errors(sound_folder, tmp_path):
    path = tmp_path / "run"
    RunDirectory(path).write(SIX, {"sounds": 24}, {"xla": False, "shards": 1})
    store(path).save({"generator/up_1/kernel": np.zeros(3)}, 3, {"epoch": 0})
    with pytest.raises(MelGANError, match="checkpoint step-00000003.npz does not fit the model: "):
        run(SIX, sound_folder, path)
    store(path).file(3).write_bytes(b"damaged")
    with pytest.raises(MelGANError, match="^no checkpoint in .* can be read; the newest: checkpoint step-00000003"):
        run(SIX, sound_folder, path)
    assert store(path).steps() == [3]


# -- what may change -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("arguments", "told"), [
    (["--set", "training.batch_size=4"], "training.batch_size: 4 / 8"),
    (["--seed", "3"], "training.seed: 3 / 0"),
    (["--set", "training.generator_learning_rate=0.1"], "training.generator_learning_rate: 0.1 / 0.0002"),
    (["--set", "audio.hop_samples=256"], "audio.hop_samples: 256 / 512")])
def test_another_configuration_is_refused(sound_folder, tmp_path, arguments, told):
    directory = RunDirectory(tmp_path / "run")
    directory.write(SIX, {}, {})
    before = directory.config_file.read_bytes()
    result = CliRunner().invoke(main, ["train", str(sound_folder), "--run-dir", str(directory.path), *arguments])
    assert result.exit_code == 2
    assert result.stderr == (f"melgan-tf: {directory.path} contains a run started with a different "
                             f"configuration ({told}): give another --run-dir, or --fresh to start over\n")
    assert directory.config_file.read_bytes() == before
    assert not directory.checkpoints.exists()


def test_another_preset_is_refused(sound_folder, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.write(dataclasses.replace(SIX, preset="mine"), {}, {})
    arguments = ["train", str(sound_folder), "--run-dir", str(directory.path), "--preset", "seed"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "contains a run of preset 'mine', not 'seed'" in result.stderr


def test_the_library_refuses_another_configuration_too(sound_folder, tmp_path):
    RunDirectory(tmp_path).write(SIX, {}, {})
    with pytest.raises(UsageError, match=r"configuration \(training.batch_size: 4 / 8; training.seed: 1 / 0\)"):
        run(with_training(SIX, batch_size=4, seed=1, epochs=9), sound_folder, tmp_path)


# -- in processes of their own ---------------------------------------------------------------------------------------

def command(folder, path, epochs=1_000_000):
    settings = ["training.batch_size=8", "training.checkpoint_every=1", "training.preview_every=1000000"]
    return ["train", str(folder), "--run-dir", str(path), "--preset", "seed", "--epochs", str(epochs), "--no-xla",
            *(part for setting in settings for part in ("--set", setting))]


def ended(running):
    """Its exit code, and what it said: on stderr, but for the line of progress that comes every ten seconds."""
    result = running.ended()
    lines = result.stderr.splitlines()
    return result.code, result.stdout, [line for line in lines if not line.startswith(("training: ", "reading "))]


def stopped(running, path, number, delay):
    """Sends a signal some time after the first checkpoint that this process wrote."""
    had, deadline = max(store(path).steps(), default=0), time.monotonic() + preloaded.LONGEST
    while max(store(path).steps(), default=0) <= had:
        assert running.process.is_alive(), running.output()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(delay)
    os.kill(running.process.pid, number)
    return ended(running)


@pytest.mark.slow
def test_killed_at_any_moment_a_run_ends_as_if_it_had_not_been(sound_folder, tmp_path):
    """Until it is stopped it has no end in sight, however fast the machine is: its epochs are counted afterwards."""
    whole, path, rng = tmp_path / "whole", tmp_path / "run", random.Random(0)

    def started(path, *epochs):
        return preloaded.start(tmp_path / new_name(), {}, *command(sound_folder, path, *epochs))

    code, *_ = stopped(started(path), path, signal.SIGKILL, rng.uniform(0, 1))
    assert code == -signal.SIGKILL
    killed_at = store(path).steps()[-1]
    (path / "checkpoints" / new_name()).write_bytes(b"half")  # had it been killed while writing

    code, out, err = stopped(started(path), path, signal.SIGINT, rng.uniform(0, 0.3))
    assert code == 130
    steps = store(path).steps()[-1]
    assert killed_at < steps
    assert f"resuming at step {killed_at}" in out
    assert err == ["warning: stopping after this step and saving; once more to stop at once",
                   f"stopped after {steps} steps, saved; to continue: "
                   f"{shlex.join(['melgan-tf', *command(sound_folder, path)])}"]

    epochs = steps // 3 + 4
    code, out, err = ended(started(path, epochs))
    assert (code, err) == (0, [])
    assert f"resuming at step {steps}" in out
    assert f"trained {epochs} epochs ({3 * epochs} steps) on 24 sounds" in out

    code, _, err = ended(started(whole, epochs))
    assert (code, err) == (0, [])
    assert_same_end(path, whole, 3 * epochs)
    assert history(path) == history(whole)
    assert len(history(path)) == epochs
    assert sorted(os.listdir(path / "checkpoints")) == sorted(os.listdir(whole / "checkpoints"))
