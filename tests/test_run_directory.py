"""The run directory: what is written is whole or not there, and one process has it at a time."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import melgan_tf
from melgan_tf import config as configuration
from melgan_tf.config import Config, presets
from melgan_tf.errors import ConfigError, MelGANError, UsageError
from melgan_tf.storage.atomic import atomic_write, write_text
from melgan_tf.storage.run_directory import CHANGEABLE, RunDirectory, conflicts, versions, with_training
from melgan_tf.storage.temporaries import new_name

SEED = presets.get("seed")


def started(tmp_path, config=SEED):
    directory = RunDirectory(tmp_path / "run")
    directory.write(config, {"sounds": 24}, {"xla": False})
    return directory


# -- config.json -----------------------------------------------------------------------------------------------------

def test_config_json_says_everything(tmp_path):
    config = with_training(SEED, batch_size=16, seed=5)
    directory = started(tmp_path, config)
    assert directory.exists()
    assert directory.config() == config
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["config"]["training"]["seed"] == 5
    assert record["audio_fingerprint"] == SEED.audio.fingerprint()
    assert record["data"] == {"sounds": 24}
    assert record["resolved"] == {"xla": False}
    assert record["versions"] == versions()


def test_versions_are_those_that_are_running():
    assert versions() == {"melgan-tf": melgan_tf.__version__, "tensorflow": tf.__version__,
                          "keras": keras.__version__, "numpy": np.__version__,
                          "python": ".".join(map(str, sys.version_info[:3]))}


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="run directory .*nothing does not exist: train one with `melgan-tf train`"):
        RunDirectory(tmp_path / "nothing").config()
    with pytest.raises(UsageError, match="is not a run directory"):
        RunDirectory(tmp_path).config()
    assert not RunDirectory(tmp_path).exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"config": {}}', '{"config": 1}', "\xff"])
def test_a_damaged_config_json_is_reported(tmp_path, text):
    directory = started(tmp_path)
    directory.config_file.write_bytes(text.encode("latin-1"))
    with pytest.raises(MelGANError, match=r"config\.json is damaged: ."):
        directory.config()


def test_a_key_of_another_version_is_reported(tmp_path):
    directory = started(tmp_path)
    record = directory.record()
    record["config"]["training"]["momentum"] = 0.9
    write_text(directory.config_file, json.dumps(record))
    with pytest.raises(MelGANError, match=r"config\.json cannot be used: unknown .* 'training\.momentum'"):
        directory.config()


def test_clear_takes_away_what_a_run_wrote_and_nothing_else(tmp_path):
    directory = started(tmp_path)
    directory.history_file.write_text("epoch\n")
    directory.skipped_file.write_text("")
    for folder in (directory.checkpoints, directory.tensorboard):
        folder.mkdir()
        (folder / "file").write_text("x")
    (directory.path / "notes.txt").write_text("mine")
    directory.clear()
    assert [path.name for path in directory.path.iterdir()] == ["notes.txt"]
    directory.clear()  # nothing there: nothing to do


# -- what may change between sessions --------------------------------------------------------------------------------

def test_conflicts_names_keys_with_both_values():
    theirs = with_training(SEED, batch_size=64, seed=1, epochs=9, steps=3, xla="off")
    assert conflicts(SEED, theirs) == ["training.batch_size: 128 / 64", "training.seed: 0 / 1"]
    other = dataclasses.replace(SEED, audio=dataclasses.replace(SEED.audio, hop_samples=256))
    assert conflicts(other, SEED) == ["audio.hop_samples: 256 / 512"]
    assert conflicts(dataclasses.replace(SEED, preset="x"), SEED) == ["preset: x / seed"]
    assert conflicts(SEED, SEED) == []


def test_changeable_keys_exist_and_do_not_conflict():
    assert set(CHANGEABLE) <= set(configuration.known_keys(configuration.Config))
    changed = with_training(SEED, epochs=1, steps=1, log_every=1, checkpoint_every=1, keep_checkpoints=1,
                            preview_every=1, xla="on")
    assert len(configuration.to_dict(changed)["training"].items() - configuration.to_dict(SEED)["training"].items()
               ) == len(CHANGEABLE)
    assert conflicts(changed, SEED) == []


def test_with_training_checks_its_values():
    assert with_training(SEED, epochs=3).training.epochs == 3
    assert with_training(SEED, epochs=3).audio == SEED.audio
    with pytest.raises(ConfigError):
        with_training(SEED, epochs=0)


# -- whole files -----------------------------------------------------------------------------------------------------

def test_text_is_written_as_a_whole_with_its_folder(tmp_path):
    file = tmp_path / "deep" / "folder" / "text"
    write_text(file, "zwölf")
    assert file.read_text(encoding="utf-8") == "zwölf"
    write_text(file, "x")
    assert file.read_text() == "x"
    assert os.listdir(file.parent) == ["text"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("x")],
                         ids=lambda failure: type(failure).__name__)
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, failure):
    file = tmp_path / "text"
    file.write_text("old")

    def fail():
        with atomic_write(file) as temporary:
            temporary.write_text("half")
            assert file.read_text() == "old"
            raise failure

    expected = MelGANError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected) as error:
        fail()
    if expected is MelGANError:
        assert str(error.value) == f"cannot write {file}: No space left on device"
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["text"]


def test_an_unwritable_path_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MelGANError, match="cannot write .*text: "):
        write_text(tmp_path / "file" / "text", "x")


# -- the lock --------------------------------------------------------------------------------------------------------

def test_one_process_trains_at_a_time(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    with directory.lock(), pytest.raises(MelGANError, match="another process is training in .*run"), \
            RunDirectory(tmp_path / "run").lock():
        pass
    with directory.lock():  # given back
        pass
    with pytest.raises(ZeroDivisionError), directory.lock():
        raise ZeroDivisionError
    with directory.lock():  # given back after an error, too
        pass


def test_the_lock_goes_with_a_killed_process(tmp_path):
    code = ("import sys, time; from melgan_tf.storage.run_directory import RunDirectory\n"
            "with RunDirectory(sys.argv[1]).lock():\n    print('locked', flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "locked\n"
            with pytest.raises(MelGANError, match="another process"), RunDirectory(tmp_path).lock():
                pass
        finally:
            holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    with RunDirectory(tmp_path).lock():
        pass


def test_a_run_directory_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MelGANError, match="cannot write run directory .*: "), RunDirectory(tmp_path / "file").lock():
        pass


def test_incomplete_files_of_a_killed_process_are_removed(tmp_path):
    directory = started(tmp_path)
    directory.checkpoints.mkdir()
    left = [folder / new_name() for folder in (directory.path, directory.checkpoints)]
    for file in left:
        file.write_text("half")
    kept = directory.checkpoints / "step-00000002.npz"
    kept.write_text("whole")
    with directory.lock():
        pass
    assert not any(file.exists() for file in left)
    assert kept.exists()
    assert directory.config() == Config()


def test_a_run_that_never_started_leaves_no_files(tmp_path):
    with RunDirectory(tmp_path / "run").lock():
        assert (tmp_path / "run").is_dir()
    assert os.listdir(tmp_path) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("")
    with RunDirectory(tmp_path / "mine").lock():
        pass
    assert os.listdir(tmp_path / "mine") == ["notes.txt"]
