"""What a run leaves on disk, tells on the way, and refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from drums import write_drums
from run_contents import events, history
from told import Told

from melgan_tf.config import presets
from melgan_tf.data.mel_dataset import batches
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.models.spectrogram_gan import task as spectrogram_task
from melgan_tf.models.spectrogram_gan.task import SpectrogramTask
from melgan_tf.models.spectrogram_gan.train_step import SpectrogramGAN
from melgan_tf.storage.checkpoints import CheckpointStore, load
from melgan_tf.storage.run_directory import RunDirectory, with_training
from melgan_tf.training import callbacks, loop
from melgan_tf.training import run as run_module
from melgan_tf.training.plan import plan
from melgan_tf.training.run import run

SCORE = SpectrogramTask.score_name
SEED = with_training(presets.get("seed"), batch_size=8)


@pytest.fixture(scope="module")
def finished(_sound_folder, tmp_path_factory):
    """A run of four epochs, and what it said."""
    path, lines = tmp_path_factory.mktemp("finished") / "run", Told()
    config = with_training(SEED, epochs=4, checkpoint_every=1, keep_checkpoints=2, log_every=2, preview_every=2,
                           xla="off")
    return path, config, run(config, _sound_folder, path, lines), lines


@pytest.mark.slow
def test_a_run_reports_what_it_did(finished):
    path, config, result, lines = finished
    assert (result.steps, result.epochs, result.signal, len(result.sounds)) == (12, 4, 0, 24)
    shown = [line for line in lines.lines if line.startswith("[")]
    assert [line.split("\t")[0] for line in shown] == ["[0/4]", "[2/4]", "[3/4]"]
    rows = history(path)
    wanted = "Loss_D: {:.4f} Loss_G: {:.4f} D(x): {:.4f} D(G(z)): {:.4f} / {:.4f}".format(
        *(float(rows[2][name]) for name in SpectrogramGAN.METRICS))
    assert shown[1].split("\t")[1:] == [part.strip() for part in wanted.replace(" Loss_G", "\tLoss_G").replace(
        " D(", "\tD(").split("\t")]
    assert lines.warnings == []


@pytest.mark.slow
def test_history_has_one_row_an_epoch(finished):
    rows = history(finished[0])
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3]
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds == sorted(seconds)
    for row in rows:
        assert all(0 < float(row[name]) < 3 for name in SpectrogramGAN.METRICS)


@pytest.mark.slow
def test_tensorboard_shows_metrics_pictures_and_sounds(finished):
    path, config, *_ = finished
    found, rows = events(path), history(path)
    assert set(found) == {*SpectrogramGAN.METRICS, SCORE, "mel/real", "mel/fake", "audio/real", "audio/fake"}
    for name in SpectrogramGAN.METRICS:
        assert [step for step, _ in found[name]] == [0, 1, 2, 3]
        shown = [float(tf.make_ndarray(value.tensor)) for _, value in found[name]]
        assert shown == pytest.approx([float(row[name]) for row in rows], rel=1e-5)
    assert [step for step, _ in found["audio/real"]] == [0]
    assert [step for step, _ in found["audio/fake"]] == [1, 3]
    for tag in ("audio/real", "audio/fake"):
        clips = tf.make_ndarray(found[tag][0][1].tensor)[:, 0]
        assert len(clips) == 16
        waveform, rate = tf.audio.decode_wav(clips[0])
        assert (int(rate), waveform.shape) == (16_000, (8_000, 1))
    for tag in ("mel/real", "mel/fake"):
        width, height, *pictures = tf.make_ndarray(found[tag][0][1].tensor)
        assert len(pictures) == 16
        assert tf.io.decode_png(pictures[0]).shape[:2] == (int(height), int(width))
    assert all(value.metadata.plugin_data.plugin_name == "audio" for _, value in found["audio/fake"])
    assert all(value.metadata.plugin_data.plugin_name == "images" for _, value in found["mel/fake"])


@pytest.mark.slow
def test_checkpoints_on_disk_are_the_newest_and_the_best(finished):
    path, config, *_ = finished
    store = CheckpointStore(path / "checkpoints")
    assert store.steps() == [9, 12]
    distances = [float(tf.make_ndarray(value.tensor)) for _, value in events(path)[SCORE]]
    assert len(distances) == 4
    best = store.best_meta()
    assert best[SCORE] == pytest.approx(min(distances), rel=1e-6)
    assert best["step"] == 3 * (int(np.argmin(distances)) + 1)
    state, meta = load(store.file(12))
    assert meta["audio_fingerprint"] == config.audio.fingerprint()
    assert meta["epoch"] == 3
    assert {name.split("/")[0] for name in state} == {"run", "generator", "discriminator", "generator_optimizer",
                                                      "discriminator_optimizer"}
    assert state["run/step"] == 12


@pytest.mark.slow
def test_config_json_is_complete(finished, sound_folder):
    path, config, result, _ = finished
    record = RunDirectory(path).record()
    assert RunDirectory(path).config() == config
    assert record["data"] == {"folder": str(sound_folder.resolve()), "sounds": 24, "skipped": 0,
                              "fingerprint": result.sounds.fingerprint}
    assert record["resolved"] == {"xla": False, "shards": 1, "steps_per_epoch": 3, "replicas": 1}
    assert (path / "skipped.txt").read_text() == ""


@pytest.mark.slow
def test_a_finished_run_has_nothing_to_do(finished, sound_folder):
    path, config, *_ = finished
    before = {file: file.stat().st_mtime_ns for file in (path / "checkpoints").iterdir()}
    lines = Told()
    assert run(config, sound_folder, path, lines).steps == 12
    assert any("already trained for 12 steps (4 epochs): nothing to do" in line for line in lines.lines)
    assert {file: file.stat().st_mtime_ns for file in (path / "checkpoints").iterdir()} == before
    assert len(history(path)) == 4


def test_config_json_is_there_before_the_first_step_and_skipped_sounds_are_reported(tmp_path, tiny_config, monkeypatch):
    folder = write_drums(tmp_path / "drums", each=4)
    (folder / "broken.wav").write_bytes(b"RIFF")

    class Halt(Exception):  # noqa: N818
        pass

    def halt(*args, **kwargs):
        raise Halt

    monkeypatch.setattr(loop, "train", halt)
    with pytest.raises(Halt):
        run(tiny_config, folder, tmp_path / "run")
    assert RunDirectory(tmp_path / "run").config() == tiny_config
    name, reason = (tmp_path / "run" / "skipped.txt").read_text().strip().split("\t")
    assert name == "broken.wav"
    assert reason


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["mean", "weights"])
def test_a_non_finite_loss_or_weight_stops_the_run_and_keeps_the_last_checkpoint(
        sound_folder, tmp_path, tiny_config, monkeypatch, eager, moment):
    """A loss shows in the epoch's mean; a weight spoilt by the last step of an epoch shows in no metric yet."""
    monkeypatch.setattr(callbacks.Preview, "on_train_begin", lambda self, logs=None: None)
    if moment == "mean":
        def poisoned(images, batch_size, seed, start_step=0):
            whole = batches(images, batch_size, seed, start_step)
            return whole.enumerate(start_step).map(
                lambda step, pair: (tf.where(step == 7, math.nan, pair[0]), pair[1]))  # in the third epoch

        monkeypatch.setattr(spectrogram_task, "batches", poisoned)
        message = r"discriminator/loss became nan in epoch 3: stopped; lower the learning rates"
    else:
        def spoil(self, epoch, logs=None):
            if epoch == 2:
                bias = self.model.generator.up_3.bias
                bias.assign(bias * math.nan)

        monkeypatch.setattr(callbacks.LogLine, "on_epoch_end", spoil)
        message = r"generator/up_3/bias became infinite or not a number in epoch 3: stopped; lower the learning rates"
    with pytest.raises(MelGANError, match=message + "; the last good checkpoint is .*step-00000006.npz"):
        run(tiny_config, sound_folder, tmp_path / "run")
    store = CheckpointStore(tmp_path / "run" / "checkpoints")
    assert store.steps() == [3, 6]
    state, _, damaged = store.newest()
    assert not damaged
    assert all(np.isfinite(value).all() for value in state.values())
    assert [int(row["epoch"]) for row in history(tmp_path / "run")][:2] == [0, 1]


def test_too_few_sounds_are_refused_and_nothing_is_written(sound_folder, tmp_path, tiny_config):
    with pytest.raises(UsageError, match="24 sounds are too few for batches of 25: add sounds or set"):
        run(with_training(tiny_config, batch_size=25), sound_folder, tmp_path / "run")
    with pytest.raises(UsageError, match="folder .* does not exist"):
        run(tiny_config, tmp_path / "missing", tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_two_runs_in_one_directory_are_refused(sound_folder, tmp_path, tiny_config):
    with RunDirectory(tmp_path).lock(), pytest.raises(MelGANError, match="another process is training in"):
        run(tiny_config, sound_folder, tmp_path)


@pytest.mark.slow
def test_a_run_on_two_devices_is_saved_and_goes_on(sound_folder, tmp_path, tiny_config, monkeypatch, eager):
    def on_two(*args):
        return plan(*args, strategy=tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))

    monkeypatch.setattr(run_module, "plan", on_two)
    monkeypatch.setattr(callbacks.Preview, "on_train_begin", lambda self, logs=None: None)
    assert run(with_training(tiny_config, epochs=1), sound_folder, tmp_path / "run").steps == 3
    assert run(with_training(tiny_config, epochs=2), sound_folder, tmp_path / "run").steps == 6
    assert CheckpointStore(tmp_path / "run" / "checkpoints").steps() == [3, 6]
    assert RunDirectory(tmp_path / "run").record()["resolved"]["replicas"] == 2
    assert len(history(tmp_path / "run")) == 2
