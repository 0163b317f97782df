"""Whatever fails beside the steps of a training costs no checkpoint and does not end it."""

from __future__ import annotations

import os

import pytest
import tensorflow as tf
from drums import write_drums
from run_contents import history
from tiny_families import task_of, tiny
from told import Told

from melgan_tf.errors import MelGANError
from melgan_tf.models.spectrogram_gan.task import SpectrogramTask
from melgan_tf.storage.checkpoints import CheckpointStore, load
from melgan_tf.storage.run_directory import with_training
from melgan_tf.training import callbacks
from melgan_tf.training.run import run

SCORE = SpectrogramTask.score_name


class Scores:
    """Stands in for `validation_score`: the given values one after the other; an exception is raised.

    A run of one step an epoch, saved every epoch.
    """

    def __init__(self, monkeypatch, *values):
        self.values = list(values)
        for name in ("setup_validation", "preview"):
            monkeypatch.setattr(SpectrogramTask, name, lambda self, *args, **options: None)
        monkeypatch.setattr(SpectrogramTask, "validation_score", lambda task: self())

    def __call__(self):
        value = self.values.pop(0)
        if isinstance(value, BaseException):
            raise value
        return value


def trained(config, sounds, path, epochs):
    lines = Told()
    run(with_training(config, batch_size=24, epochs=epochs, keep_checkpoints=9), sounds, path, lines)
    return lines


def scores(path):
    store = CheckpointStore(path / "checkpoints")
    return {step: load(store.file(step))[1].get(SCORE) for step in store.steps()}


def best(path):
    return CheckpointStore(path / "checkpoints").best_meta()


def full(*args, **options):
    raise tf.errors.ResourceExhaustedError(None, None, "events.tfevents; No space left on device")


_WRITING, _MEASURING = "writing for TensorBoard", "measuring a checkpoint"


@pytest.mark.slow
@pytest.mark.parametrize("failing", [
    {(SpectrogramTask, "setup_validation"): _MEASURING, (tf.summary, "create_file_writer"): "opening the files of "
     "TensorBoard", (SpectrogramTask, "extra_metrics"): "measuring further figures of a checkpoint"},
    {(SpectrogramTask, "validation_score"): _MEASURING, (SpectrogramTask, "preview"): "the preview",
     (tf.summary, "scalar"): _WRITING, (callbacks, "write_text"): "writing history.csv"},
    {(CheckpointStore, "mark_best"): "keeping the best checkpoint"}])
def test_what_fails_is_a_warning_and_every_checkpoint_is_saved(sound_folder, tmp_path, tiny_config, monkeypatch, eager,
                                                              failing):
    Scores(monkeypatch, 3.0, 2.0, 1.0)
    for target, name in failing:
        monkeypatch.setattr(target, name, full)
    warnings = trained(with_training(tiny_config, preview_every=1), sound_folder, tmp_path, 3).warnings
    assert sorted(scores(tmp_path)) == [1, 2, 3]
    told = {f"{what} failed (events.tfevents; No space left on device): training goes on without, and tries again"
            for what in failing.values()}
    assert told <= set(warnings)
    assert len(warnings) == len(set(warnings)) <= len(told) + 1  # a kind is told once


@pytest.mark.slow
def test_a_score_that_fails_leaves_the_best_right(sound_folder, tmp_path, tiny_config, monkeypatch, eager):
    Scores(monkeypatch, 2.0, ValueError("no"), float("nan"), 3.0, MemoryError(), 1.0, ValueError("no"))
    lines = trained(tiny_config, sound_folder, tmp_path, 7)
    assert scores(tmp_path) == {1: 2.0, 2: None, 3: None, 4: 3.0, 5: None, 6: 1.0, 7: None}
    assert (best(tmp_path)["step"], best(tmp_path)[SCORE]) == (6, 1.0)
    assert lines.warnings == [f"measuring a checkpoint failed ({reason}): training goes on without, and tries again"
                              for reason in ("no", f"its {SCORE} is nan", "MemoryError")]


@pytest.mark.parametrize(("values", "epochs"), [((1.0, KeyboardInterrupt()), 2), ((1.0, KeyboardInterrupt()), 3),
                                                ((2.0, 1.0), 2)])
def test_a_process_killed_while_it_measures_has_saved_and_is_made_up_for(sound_folder, tmp_path, tiny_config,
                                                                        monkeypatch, eager, values, epochs):
    """Killed between the checkpoint and its score, or between the score and the mark."""
    stand_in, mark = Scores(monkeypatch, *values), CheckpointStore.mark_best

    def killed(store, step):
        if step == 2:
            raise KeyboardInterrupt
        mark(store, step)

    monkeypatch.setattr(CheckpointStore, "mark_best", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(tiny_config, sound_folder, tmp_path, epochs)
    assert sorted(scores(tmp_path)) == [1, 2]
    assert best(tmp_path)["step"] == 1
    monkeypatch.setattr(CheckpointStore, "mark_best", mark)
    stand_in.values = [0.5] * (values[-1] != 1.0) + [9.0] * (epochs - 2)
    trained(tiny_config, sound_folder, tmp_path, epochs)
    assert stand_in.values == []
    assert best(tmp_path)["step"] == 2
    assert sorted(scores(tmp_path)) == list(range(1, epochs + 1))
    assert [int(row["epoch"]) for row in history(tmp_path)] == list(range(epochs))
    before = best(tmp_path)
    trained(tiny_config, sound_folder, tmp_path, epochs)  # nothing to do: nothing is measured again
    assert best(tmp_path) == before


def test_a_full_disk_at_the_checkpoint_itself_ends_training_with_older_ones_whole(sound_folder, tmp_path, tiny_config,
                                                                                  monkeypatch, eager):
    Scores(monkeypatch, 3.0, 2.0, 1.0)
    save = CheckpointStore.save

    def full_later(store, state, step, meta):
        if step == 3:
            raise MelGANError("cannot write step-00000003.npz: No space left on device")
        return save(store, state, step, meta)

    monkeypatch.setattr(CheckpointStore, "save", full_later)
    with pytest.raises(MelGANError, match="No space left"):
        trained(tiny_config, sound_folder, tmp_path, 4)
    assert scores(tmp_path) == {1: 3.0, 2: 2.0}
    assert best(tmp_path)["step"] == 2


# -- too few sounds to measure ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["spectrogram-gan", "frame-gan", "sequence-gan", "loop-gan", "melgan", "fast-vocoder"])
def test_one_usable_sound_is_refused_at_the_start_where_two_are_needed(tmp_path, sound_folder, kind):
    """Of two files one is damaged. Vocoders are measured by one sound."""
    few = write_drums(tmp_path / "few", each=1)
    for file in sorted(few.rglob("*.wav"))[1:]:
        file.unlink()
    (few / "broken.wav").write_bytes(b"RIFF")
    config = tiny(kind)
    task = config.family.load("task")
    if "gan" not in kind or kind == "melgan":
        assert len(task(config, sound_folder, Told(), few).validation_sounds) == 1
        return
    with pytest.raises(MelGANError, match=r"few has 1 usable (sound|window) \(1 files were skipped; broken.wav: .*\), "
                                          "but comparing checkpoints takes 2 or more"):
        task(config, sound_folder, Told(), few)
    if kind != "spectrogram-gan":  # which needs a batch of sounds
        with pytest.raises(MelGANError, match="few has 1 usable"):
            run(config, few, tmp_path / "run")
        assert sorted(os.listdir(tmp_path)) == ["few"]


@pytest.mark.slow
def test_two_equal_sounds_are_enough(tmp_path):
    """The fewest, and without any spread: every figure of a checkpoint is a number."""
    few = write_drums(tmp_path / "few", each=1)
    first, *others = sorted(few.rglob("*.wav"))
    for file in others:
        file.unlink()
    (first.parent / "again.wav").write_bytes(first.read_bytes())
    task = task_of(tiny("frame-gan"), few)
    task.build()
    task.setup_validation()
    assert task.validation_score() >= 0
    assert all(isinstance(value, float) for value in task.extra_metrics().values())
