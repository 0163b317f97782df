"""Kept graphs: the same bits without importing TensorFlow, only where nothing has changed; and imports of commands."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from command_line import contents, invoke, python, trained_once
from loaded_once import load_anew

from melgan_tf.errors import UsageError
from melgan_tf.inference import graph_cache
from melgan_tf.inference.graph_cache import Entry
from melgan_tf.runtime.graph import Definition, Graph
from melgan_tf.weights.sources import sound_model_config

DRUMS = "pretrained:drums"
#: Commands in one process; names of modules that must not be there afterwards.
COMMANDS = """
import shlex, sys
from melgan_tf.cli.main import main
for line in sys.argv[1:]:
    main(shlex.split(line), standalone_mode=False)
heavy = {"tensorflow", "keras", "tensorflow_io", "scipy.stats", "sklearn", "matplotlib", "h5py", "torch"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


@contextlib.contextmanager
def as_in_a_new_process(folder: Path, **settings: str) -> Iterator[None]:
    with mock.patch.dict(sys.modules), mock.patch.dict(os.environ, MELGAN_TF_CACHE=str(folder), **settings):
        del sys.modules["tensorflow"]
        yield


def entry_of(source: object, folder: Path, *options: str | None, **settings: str) -> Entry | None:
    config = sound_model_config(source)
    with as_in_a_new_process(folder, **settings):
        return Entry.of(source, config, *options)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """The entry of a bundled model, stored."""
    entry = entry_of(DRUMS, tmp_path_factory.mktemp("kept") / "cache")
    entry.store(load_anew(DRUMS))
    assert entry.file.exists()
    return entry


def read(entry: Entry, source: object = DRUMS):
    return entry.load(source, sound_model_config(source), functools.cache(lambda: load_anew(source)))


# -- the same sounds -------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_commands_make_the_same_files_without_tensorflow(kept, tmp_path):
    def lines(folder: Path) -> list[str]:
        sound = folder / "made" / "kick-drums-seed7-0000.wav"
        return [f"generate {DRUMS} --seed 7 --count 18 --label kick --out {folder / 'made'} --quiet",
                f"vary {sound} --count 2 --out {folder / 'varied'} --quiet",
                f"interpolate {sound} --label snare --steps 3 --out {folder / 'between'} --quiet",
                f"regenerate {sound} --out {folder / 'again'} --quiet"]

    ended = python("-c", COMMANDS, *lines(tmp_path / "kept"), env={"MELGAN_TF_CACHE": str(kept.file.parent)})
    assert (ended.code, ended.stderr) == (0, "")
    for line in lines(tmp_path / "whole"):
        assert invoke(*line.split()).code == 0
    made, expected = contents(tmp_path / "kept"), contents(tmp_path / "whole")
    assert len(made) > 18
    assert made == expected


@pytest.mark.slow
def test_the_first_command_keeps_the_graphs(kept, tmp_path):
    script = COMMANDS.replace('"tensorflow", "keras", ', "").replace(', "h5py"', "")
    ended = python("-c", script, f"generate {DRUMS} --count 1 --out {tmp_path / 'sounds'}",
                   env={"MELGAN_TF_CACHE": str(tmp_path / "cache")})
    assert ended.code == 0, ended.stderr
    assert os.listdir(tmp_path / "cache") == [kept.file.name]


@pytest.mark.slow
def test_a_model_from_graphs_is_the_model(kept):
    found, whole = read(kept), load_anew(DRUMS)
    assert (found.step, found.weights, found.source, found.classes, found.vocoder_metadata) == (
        whole.step, whole.weights, whole.source, whole.classes, whole.vocoder_metadata)
    made, expected = found.generate(19, seed=3, start=5), whole.generate(19, seed=3, start=5)
    assert made.titles == expected.titles
    for name, values in expected.items():
        np.testing.assert_array_equal(made[name], values, err_msg=name)
    assert found.recipe(3, 5) == whole.recipe(3, 5)
    np.testing.assert_array_equal(found.sampler.decibels(made["mel"]), whole.sampler.decibels(made["mel"]))
    with pytest.raises(UsageError, match="makes sounds of 0.5 seconds only: remove --loop"):
        found.generate(1, loop=True)


@pytest.mark.slow
def test_what_graphs_cannot_do_is_done_by_the_whole_model(kept):
    found, whole = read(kept), load_anew(DRUMS)
    noise, label = found.sampler.draw(0, 0)["noise"], found.sampler.draw(0, 0)["label"]
    made = found.sampler(noise[:2], label[:2])["audio"].numpy()
    np.testing.assert_array_equal(made, whole.sampler(noise[:2], label[:2])["audio"])
    assert found.encode(made[0]).distance_db < 10
    assert set(found.exportable().signatures) == set(whole.exportable().signatures)
    with pytest.raises(AttributeError):
        found.sampler.nonsense  # noqa: B018


def test_a_run_without_a_vocoder_says_so_each_time(tmp_path):
    found = SimpleNamespace(vocoder_metadata={"name": "griffin-lim"})
    with as_in_a_new_process(tmp_path), mock.patch.object(Entry, "load", return_value=found):
        for vocoder, warnings in ((None, 1), ("griffin-lim", 0)):
            progress = mock.Mock()
            assert graph_cache.load(DRUMS, sound_model_config(DRUMS), "last", vocoder, pytest.fail, progress) is found
            assert progress.warning.call_count == warnings


# -- only where nothing has changed ----------------------------------------------------------------------------------

def test_every_change_has_an_entry_of_its_own(tmp_path, tmp_path_factory):
    run = tmp_path / "run"
    shutil.copytree(trained_once(tmp_path_factory).path, run)
    entries = [entry_of(run, tmp_path), entry_of(DRUMS, tmp_path),
               entry_of("pretrained:drums-44k", tmp_path), entry_of(DRUMS, tmp_path, "last", "griffin-lim"),
               entry_of(DRUMS, tmp_path, TF_ENABLE_ONEDNN_OPTS="0")]
    with mock.patch.object(graph_cache, "_processor", return_value=["another"]):
        entries.append(entry_of(DRUMS, tmp_path))
    with mock.patch.object(graph_cache, "versions", return_value={"tensorflow": "another"}):
        entries.append(entry_of(DRUMS, tmp_path))
    for file in (run / "config.json", max((run / "checkpoints").glob("step-*"))):
        file.write_bytes(file.read_bytes().replace(b'"seed": 0', b'"seed":  0') + b" ")
        entries.append(entry_of(run, tmp_path))
    assert len({entry.file for entry in entries}) == len(entries)
    assert entry_of(DRUMS, tmp_path) == entries[1]


def test_models_that_are_not_kept(tmp_path, tmp_path_factory):
    assert entry_of("pretrained:music", tmp_path) is None  # sounds of any length
    assert Entry.of(DRUMS, sound_model_config(DRUMS)) is None  # TensorFlow is here already
    assert entry_of(DRUMS, Path("off")) is None
    run = tmp_path / "run"
    shutil.copytree(trained_once(tmp_path_factory).path, run)
    shutil.rmtree(run / "checkpoints")
    assert entry_of(run, tmp_path) is None


def test_damaged_and_foreign_files_are_not_used(kept, tmp_path):
    tmp_path.chmod(0o700)
    entry = Entry(tmp_path / "copy.npz", None)
    assert read(entry) is None
    content = kept.file.read_bytes()
    for damaged in (b"", content[:-100], content[:200_000] + b"\0\1" + content[200_002:]):
        entry.file.write_bytes(damaged)
        assert read(entry) is None
    entry.file.write_bytes(content)
    assert read(entry) is not None
    for place, mode in ((entry.file, 0o666), (tmp_path, 0o777)):
        before = place.stat().st_mode
        place.chmod(mode)
        assert read(entry) is None
        place.chmod(before)


def test_only_graphs_with_the_same_bits_are_kept(tmp_path):
    model = load_anew("pretrained:drums", vocoder="griffin-lim")
    entry = Entry(tmp_path / "cache" / "a.npz", None)
    with mock.patch.object(Graph, "__call__", return_value={"noise": np.zeros(1), "label": np.zeros(1)}):
        entry.store(model)
    assert not entry.file.parent.exists()
    dataclasses.replace(entry, step=model.step + 1).store(model)  # the newest checkpoint is damaged
    assert not entry.file.parent.exists()


def test_models_used_last_stay(kept, tmp_path):
    for number in range(graph_cache.MAX_MODELS + 1):
        (tmp_path / f"{number}.npz").write_bytes(b"")
        os.utime(tmp_path / f"{number}.npz", (number, number))
    with mock.patch.object(graph_cache, "_capture", return_value={"meta": np.zeros(1)}):
        Entry(tmp_path / "new.npz", None).store(load_anew(DRUMS))
    assert sorted(file.stem for file in tmp_path.iterdir()) == [*map(str, range(2, graph_cache.MAX_MODELS + 1)), "new"]


def test_a_folder_that_cannot_be_written_does_not_matter(tmp_path):
    (tmp_path / "file").write_text("")
    with mock.patch.object(graph_cache, "_capture", return_value={"meta": np.zeros(1)}):
        Entry(tmp_path / "file" / "a.npz", None).store(load_anew(DRUMS))


@pytest.mark.parametrize("content", [b"nonsense", b""])
def test_what_is_no_graph_is_refused(content):
    with pytest.raises(RuntimeError):
        Graph(Definition(content, {}, {}, {"x": "x"}), 1)()
