"""Checkpoints: whole or not there, strict, and never lost to a damaged neighbour."""

from __future__ import annotations

import contextlib
import os
import resource

import keras
import numpy as np
import pytest

from melgan_tf.errors import MelGANError
from melgan_tf.storage.checkpoints import CheckpointStore, collect, load, restore


def state(value=0.0, size=3):
    return {"generator/kernel": np.full((2, size), value, "float32"), "generator/bias": np.arange(3, dtype="int64")}


def saved(tmp_path, steps, keep=3):
    store = CheckpointStore(tmp_path / "checkpoints", keep)
    for step in steps:
        store.save(state(step), step, {"epoch": step // 3})
    return store


def names(store):
    return sorted(os.listdir(store.folder))


def truncate(path, part=0.6):
    os.truncate(path, int(path.stat().st_size * part))


# -- saving and loading ----------------------------------------------------------------------------------------------

def test_what_is_saved_is_loaded(tmp_path):
    store = CheckpointStore(tmp_path)
    path = store.save(state(1.5), 12, {"epoch": 3, "audio_fingerprint": "abc"})
    assert path == tmp_path / "step-00000012.npz"
    values, meta = load(path)
    assert meta == {"epoch": 3, "audio_fingerprint": "abc", "step": 12}
    assert set(values) == set(state())
    for name, value in state(1.5).items():
        np.testing.assert_array_equal(values[name], value)
        assert values[name].dtype == value.dtype


def test_newest_is_the_one_of_the_highest_step(tmp_path):
    store = saved(tmp_path, [9, 10, 100_000_000])
    values, meta, damaged = store.newest()
    assert (meta["step"], damaged) == (100_000_000, [])
    assert values["generator/kernel"][0, 0] == 100_000_000


def test_no_folder_and_an_empty_one_have_no_checkpoint(tmp_path):
    assert CheckpointStore(tmp_path / "missing").newest() is None
    assert CheckpointStore(tmp_path).newest() is None
    assert CheckpointStore(tmp_path).steps() == []
    assert CheckpointStore(tmp_path).best_meta() is None


def test_other_files_are_not_taken_for_checkpoints(tmp_path):
    store = saved(tmp_path, [3])
    for name in ("step-x.npz", "step-00000009.npz.part", ".step-00000009.npz.77.part", "step-9.npy", "notes"):
        (store.folder / name).write_text("")
    assert store.steps() == [3]
    assert store.newest()[1]["step"] == 3


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_the_newest_stay(tmp_path, keep):
    store = saved(tmp_path, [2, 4, 6, 8], keep)
    assert store.steps() == [2, 4, 6, 8][-keep:]


def test_the_best_outlives_the_newest(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    for step in range(1, 6):
        store.save(state(step), step, {"epoch": step, "score": step / 10})
        if step == 2:
            store.mark_best(step)
    assert names(store) == ["best.npz", "step-00000004.npz", "step-00000005.npz"]
    assert store.best_meta() == {"epoch": 2, "score": 0.2, "step": 2}
    assert load(store.best_file)[0]["generator/kernel"][0, 0] == 2
    store.mark_best(5)
    assert store.best_meta()["step"] == 5
    assert names(store) == ["best.npz", "step-00000004.npz", "step-00000005.npz"]


# -- failures --------------------------------------------------------------------------------------------------------

def test_an_error_while_writing_leaves_older_checkpoints_and_nothing_else(tmp_path, monkeypatch):
    store = saved(tmp_path, [1, 2, 3])

    def full(file, **arrays):
        file.write(b"PK half a checkpoint")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(MelGANError) as error:
        store.save(state(4), 4, {})
    assert str(error.value) == f"cannot write {store.file(4)}: No space left on device"
    assert names(store) == [store.file(step).name for step in (1, 2, 3)]
    assert store.newest()[1]["step"] == 3


@contextlib.contextmanager
def no_file_beyond(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more_leaves_older_checkpoints_and_nothing_else(tmp_path):
    store = saved(tmp_path, [1, 2, 3])
    with no_file_beyond(100_000), pytest.raises(MelGANError, match=r"cannot write .*00000004\.npz: File too large"):
        store.save(state(4, size=50_000), 4, {})
    assert names(store) == [store.file(step).name for step in (1, 2, 3)]
    assert store.newest()[1]["step"] == 3


def test_an_interrupt_while_writing_leaves_nothing_half_written(tmp_path, monkeypatch):
    store = saved(tmp_path, [1])

    def interrupted(file, **arrays):
        file.write(b"PK")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.save(state(2), 2, {})
    assert names(store) == [store.file(1).name]


@pytest.mark.parametrize("part", [0.0, 0.1, 0.6, 0.999])
def test_a_truncated_newest_falls_back_to_the_one_before(tmp_path, part):
    store = saved(tmp_path, [1, 2, 3])
    truncate(store.file(3), part)
    values, meta, damaged = store.newest()
    assert meta["step"] == 2
    assert values["generator/kernel"][0, 0] == 2
    assert len(damaged) == 1
    assert damaged[0].startswith("checkpoint step-00000003.npz is damaged (")


def test_if_all_are_damaged_the_error_shows_the_newest(tmp_path):
    store = saved(tmp_path, [1, 2, 3])
    for step in (1, 2, 3):
        truncate(store.file(step))
    with pytest.raises(MelGANError, match=r"no checkpoint in .*checkpoints can be read; the newest: .*step-00000003"):
        store.newest()


def test_a_damaged_best_is_as_if_there_were_none(tmp_path):
    store = saved(tmp_path, [1, 2])
    store.mark_best(2)
    truncate(store.file(2))  # two names of one file
    assert store.best_meta() is None
    assert store.newest()[1]["step"] == 1
    store.mark_best(1)
    assert store.best_meta()["step"] == 1


def test_a_damaged_checkpoint_makes_room_for_its_successor(tmp_path):
    store = saved(tmp_path, [1, 2, 3])
    truncate(store.file(3))
    store.save(state(3), 3, {"epoch": 1})
    assert store.newest()[1:] == ({"epoch": 1, "step": 3}, [])


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_going_back_before_damaged_checkpoints_they_do_not_count_as_the_newest(tmp_path, keep):
    store = CheckpointStore(tmp_path, keep)
    store.save(state(3), 3, {})
    for step in (6, 9):
        store.file(step).write_bytes(b"damaged")
    store.save(state(4), 4, {})
    assert store.steps() == [3, 4][-keep:]
    assert store.newest()[1]["step"] == 4


def test_a_missing_checkpoint_is_reported(tmp_path):
    with pytest.raises(MelGANError, match=r"checkpoint .*best\.npz does not exist"):
        load(tmp_path / "best.npz")


def test_no_damage_brings_anything_but_the_one_error_or_wrong_numbers(tmp_path):
    """Random damage is found by the archive's checksums, whatever it hits."""
    path = CheckpointStore(tmp_path).save(state(1.0), 1, {"epoch": 0})
    whole, expected = path.read_bytes(), state(1.0)
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(400):
        damaged = bytearray(whole)
        start = rng.integers(len(whole))
        damaged[start:start + rng.integers(1, 9)] = rng.bytes(rng.integers(0, 9))
        path.write_bytes(damaged)
        try:
            values, _ = load(path)
        except MelGANError as error:
            assert "\n" not in str(error)  # noqa: PT017  either outcome may come
            found += 1
        else:
            for name in set(values) & set(expected):
                np.testing.assert_array_equal(values[name], expected[name])
    assert found > 300


# -- restoring -------------------------------------------------------------------------------------------------------

def dense(seed=0):
    layer = keras.layers.Dense(3, name="dense", kernel_initializer=keras.initializers.RandomNormal(seed=seed))
    layer.build((None, 2))
    return layer


def test_restored_variables_are_the_collected_ones():
    ours, theirs = dense(1), dense(2)
    values = collect(generator=ours.variables)
    assert set(values) == {"generator/dense/kernel", "generator/dense/bias"}
    restore(values, generator=theirs.variables)
    np.testing.assert_array_equal(theirs.kernel, ours.kernel)


def test_collected_values_do_not_change_with_their_variables():
    layer = dense(1)
    values = collect(generator=layer.variables)
    before = values["generator/dense/kernel"].copy()
    layer.kernel.assign(layer.kernel + 1)
    np.testing.assert_array_equal(values["generator/dense/kernel"], before)


def test_parts_that_are_not_asked_for_are_left_alone():
    values = collect(generator=dense(1).variables, discriminator=dense(2).variables)
    layer = dense(3)
    restore(values, discriminator=layer.variables)
    np.testing.assert_array_equal(layer.kernel, dense(2).kernel)


@pytest.mark.parametrize(("change", "message"), [
    (lambda values: values.pop("generator/dense/bias"), "generator/dense/bias is missing"),
    (lambda values: values.update({"generator/extra": np.zeros(1)}), "generator/extra is unexpected"),
    (lambda values: values.update({"generator/dense/kernel": np.zeros((3, 2))}),
     r"generator/dense/kernel has shape \(3, 2\), not \(2, 3\)"),
    (lambda values: values.update({"generator/dense/bias": np.zeros(())}),
     r"generator/dense/bias has shape \(\), not \(3,\)")], ids=["missing", "unexpected", "transposed", "scalar"])
def test_what_does_not_fit_is_refused_and_nothing_is_assigned(change, message):
    layer = dense(1)
    values = collect(generator=dense(2).variables)
    change(values)
    with pytest.raises(MelGANError, match=f"^checkpoint does not fit the model: {message}$"):
        restore(values, generator=layer.variables)
    np.testing.assert_array_equal(layer.kernel, dense(1).kernel)


def test_variables_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two variables share one path"):
        collect(generator=[*dense(1).variables, *dense(2).variables])


def test_moments_and_step_count_of_an_optimizer_come_back(tmp_path):
    def stepped(layer, adam, times):
        adam.build(layer.trainable_variables)
        for index in range(times):
            adam.apply([keras.ops.full(v.shape, 0.1 * (index + 1)) for v in layer.trainable_variables])

    ours, adam = dense(1), keras.optimizers.Adam(0.1, name="adam")
    stepped(ours, adam, 3)
    store = CheckpointStore(tmp_path)
    store.save(collect(generator=ours.variables, adam=adam.variables), 3, {})
    theirs, other = dense(2), keras.optimizers.Adam(0.1, name="adam")
    stepped(theirs, other, 0)
    restore(store.newest()[0], generator=theirs.variables, adam=other.variables)
    assert int(other.iterations) == 3
    assert len(other.variables) == 6  # iteration, learning rate, two moments of two variables
    for a, b in zip(adam.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.any(np.asarray(b) != 0)
    stepped(ours, adam, 1)
    stepped(theirs, other, 1)
    np.testing.assert_array_equal(ours.kernel, theirs.kernel)
