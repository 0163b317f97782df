"""Classes: labels as they are asked for, drawn as often as in training, and carried through files and commands."""

import dataclasses
import json
import shutil
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from command_line import contents, invoke, trained_once
from drums import write_drums
from eagerly import eagerly
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from melgan_tf.config import presets
from melgan_tf.data.labels import Classes
from melgan_tf.data.mel_dataset import class_probabilities, labeled_batches
from melgan_tf.errors import UsageError
from melgan_tf.inference.generate import Request, write_sounds
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.models import sound_task
from melgan_tf.models.frame_gan.networks import Generator
from melgan_tf.models.frame_gan.task import FrameTask
from melgan_tf.storage.checkpoints import load
from melgan_tf.training import callbacks

DRUMS = presets.get("drums")
TINY = dataclasses.replace(DRUMS, model=dataclasses.replace(DRUMS.model, channels=8))
THREE = Classes({"hat": 10, "kick": 30, "snare": 60})


@pytest.fixture(scope="module")
def sampler():
    return Sampler(Generator(TINY, 3), TINY, classes=THREE)


@pytest.mark.parametrize(("text", "vector"), [
    ("kick", [0, 1, 0]), ("kick=2,hat=2", [0.5, 0.5, 0]), (" snare = 1 , kick ", [0, 0.5, 0.5])])
def test_labels_are_read(text, vector):
    np.testing.assert_allclose(THREE.label(text), vector)
    np.testing.assert_allclose(THREE.label(THREE.describe(THREE.label(text))), vector)


@pytest.mark.parametrize(("text", "part"), [
    ("kik", "did you mean 'kick'"), ("", "known are hat, kick, snare"), ("kick=0", "'0' must be a positive number"),
    ("kick=nan", "'nan' must be a positive number"), ("kick=inf", "positive number"), ("kick=-1,snare=2", "'-1'"),
    ("kick,", "unknown")])
def test_labels_that_cannot_be_are_refused(text, part):
    with pytest.raises(UsageError, match=part):
        THREE.label(text)


ODD = Classes({"": 1, "unlabelled": 2, "a,b": 1, "a": 1, "b": 1, "x=1": 1, " kick": 1, "kick": 1, "kick ": 3})


@pytest.mark.parametrize(("text", "shares"), [
    ("a,b", {"a,b": 1}), ("a, b", {"a": 1, "b": 1}), ("a,b=3,a=1", {"a,b": 3, "a": 1}), ("x=1", {"x=1": 1}),
    ("x=1=3,a", {"x=1": 3, "a": 1}), (" kick", {" kick": 1}), ("kick ", {"kick ": 1}), ("kick,kick ", {
        "kick": 1, "kick ": 1}), ("unlabelled", {"unlabelled": 1}), ("unlabelled-2", {"unlabelled-2": 1})])
def test_the_exact_name_comes_first(text, shares):
    found = ODD.label(text)
    assert {name: share for name, share in zip(ODD.names, found, strict=True) if share} == pytest.approx(
        {name: share / sum(shares.values()) for name, share in shares.items()})
    np.testing.assert_allclose(ODD.label(ODD.describe(found)), found, atol=1e-4)
    assert ODD.names[:2] == ["unlabelled-2", "unlabelled"]


def test_sounds_in_no_folder_are_a_class_as_well():
    assert Classes({"": 5}).names == ["unlabelled"]
    np.testing.assert_array_equal(Classes({"": 5}).label("unlabelled"), [1])


def test_classes_are_drawn_as_often_as_in_training_and_always_the_same(sampler):
    draw = tf.function(sampler.labels, autograph=False)
    drawn = draw(tf.constant(1, tf.int64), tf.constant(1000)).numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), THREE.shares, atol=0.05)
    np.testing.assert_array_equal(drawn.sum(axis=1), 1)
    np.testing.assert_array_equal(sampler.labels(1, 5, start=7), drawn[7:12])
    assert not np.array_equal(sampler.labels(2, 50), drawn[:50])


@pytest.mark.slow
def test_a_sound_does_not_depend_on_how_many_are_asked_for(sampler):
    many, one = sampler.generate(3, 18), sampler.generate(3, 1, start=17)
    for name in ("label", "noise"):
        np.testing.assert_array_equal(many[name][17], one[name][0])
    np.testing.assert_allclose(many["audio"][17], one["audio"][0], atol=1e-5)


def test_a_wanted_class_takes_the_place_of_the_drawn_ones_and_leaves_the_noise(sampler):
    made, free = sampler.generate(3, 4, label=THREE.label("kick")), sampler.generate(3, 4)
    np.testing.assert_array_equal(made["label"], np.tile([0, 1, 0], (4, 1)))
    np.testing.assert_array_equal(made["noise"], free["noise"])


def test_class_shares_between_natural_and_equal():
    counts = np.array([90, 10, 0])
    np.testing.assert_allclose(class_probabilities(counts, 0.0), [0.9, 0.1, 0])
    np.testing.assert_allclose(class_probabilities(counts, 1.0), [0.5, 0.5, 0])


def test_batches_are_a_function_of_seed_and_step_and_balanced():
    mels = np.arange(100, dtype="float32").reshape(100, 1, 1)
    labels = np.repeat([0, 1], [90, 10])
    whole = list(labeled_batches(mels, labels, 64, seed=5, balance=1.0).take(30).as_numpy_iterator())
    later = next(iter(labeled_batches(mels, labels, 64, seed=5, start_step=20, balance=1.0).as_numpy_iterator()))
    for ours, theirs in zip(whole[20], later, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    drawn = np.concatenate([batch[1] for batch in whole])
    assert abs(drawn.mean() - 0.5) < 0.05
    for sounds, classes in whole:
        np.testing.assert_array_equal(classes, labels[sounds[:, 0, 0].astype(int)])
    assert len(np.unique(np.concatenate([batch[0] for batch in whole]))) == 100


def test_generated_files_say_their_class(sampler, tmp_path):
    model = SoundModel(sampler, TINY, 3, "0" * 12)
    record = write_sounds(model, Request(tmp_path / "out", "run"), 3, 1, "kick=1,snare=1")
    assert [sound["label"] for sound in record["sounds"]] == ["kick=0.5,snare=0.5"] * 3
    assert all((tmp_path / "out" / sound["file"]).exists() for sound in record["sounds"])
    assert record["sounds"][0]["file"] == "kick50-snare50-drums-seed1-0000.wav"


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Fewer sounds to judge by, and no previews, which render sounds: neither is what is tested here."""
    with (mock.patch.object(sound_task, "SCORED_SOUNDS", 16), mock.patch.object(callbacks.Preview, "on_train_begin"),
          mock.patch.object(FrameTask, "extra_metrics", return_value={"faults/hum_db": 3.0})):
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drums")
    write_drums(folder / "sounds")
    with eagerly():
        ended = invoke("train", folder / "sounds", "--valid", folder / "sounds" / "kick", "--preset", "drums",
                       "--run-dir", folder / "run", "--steps", 3, "--set", "model.channels=8",
                       "--set", "training.batch_size=8")
    assert ended.code == 0, ended.stderr
    assert "24 sounds are few" in ended.stderr
    return folder / "run"


def test_a_run_remembers_its_classes_and_what_it_is_judged_by(run):
    record = json.loads((run / "config.json").read_text())
    assert record["data"]["classes"] == {"hat": 8, "kick": 8, "snare": 8}
    assert record["data"]["valid"] == str((run.parent / "sounds" / "kick").resolve())


def test_what_is_measured_at_a_checkpoint_is_in_tensorboard(run):
    events = EventFileLoader(str(next((run / "tensorboard").glob("events*")))).Load()
    tags = {value.tag for event in events for value in event.summary.value}
    assert {"faults/hum_db", "evaluation/frechet_spectra", "generator/spread", "discriminator/real"} <= tags


@pytest.mark.slow
def test_generate_takes_a_label(run, tmp_path):
    ended = invoke("generate", run, "--label", "snare", "--count", 2, "--out", tmp_path / "out")
    assert ended.code == 0, ended.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("*.wav")) == [
        "snare-run-seed0-0000.wav", "snare-run-seed0-0001.wav"]
    facts = json.loads(invoke("info", tmp_path / "out" / "snare-run-seed0-0001.wav", "--json").stdout)
    assert facts["label"] == "snare"


def test_an_unknown_class_is_one_line(run, tmp_path):
    ended = invoke("generate", run, "--label", "snar", "--out", tmp_path / "out")
    ended.one_line("--label 'snar'", "did you mean 'snare'?", code=2)
    assert not (tmp_path / "out").exists()


def test_a_model_without_classes_refuses_a_label(tmp_path, tmp_path_factory):
    seed_run = trained_once(tmp_path_factory)
    ended = invoke("generate", seed_run.path, "--label", "kick", "--out", tmp_path / "out")
    ended.one_line("--label kick", "preset 'seed' has no classes", code=2)


def test_a_wrong_valid_folder_is_refused_before_anything_is_made(run, tmp_path):
    ended = invoke("train", run.parent / "sounds", "--valid", tmp_path / "none", "--run-dir", tmp_path / "run")
    ended.one_line("--valid", "does not exist", code=2)
    assert not (tmp_path / "run").exists()


def test_other_classes_than_a_run_began_with_are_refused(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    ended = invoke("train", run.parent / "sounds" / "kick", "--run-dir", tmp_path / "run", "--steps", 9, "--quiet")
    assert ended.code == 2
    assert "was started with the classes hat, kick, snare" in ended.stderr
    assert contents(tmp_path / "run" / "checkpoints") == contents(run / "checkpoints")


@pytest.mark.slow
def test_stop_and_resume_is_never_stopped(run, tmp_path, eager):
    """The fixture's run stopped after three steps; the score that it takes at checkpoints changes nothing."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    shutil.copytree(run, stopped)
    for path in (stopped, whole):
        ended = invoke("train", run.parent / "sounds", "--run-dir", path, "--steps", 5, "--preset", "drums", "--set",
                       "model.channels=8", "--set", "training.batch_size=8")
        assert ended.code == 0, ended.stderr
    ours, theirs = (load(path / "checkpoints" / "step-00000005.npz")[0] for path in (stopped, whole))
    assert sorted(ours) == sorted(theirs)
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)
