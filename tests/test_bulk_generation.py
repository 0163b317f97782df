"""Bulk synthesis: shards that together make what one call makes, and memory that does not grow with the count."""

from __future__ import annotations

import json
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from command_line import GRIFFIN_LIM, contents, invoke, trained_once, unchanged

from melgan_tf.config import presets
from melgan_tf.evaluation.sounds import load_sound_set
from melgan_tf.inference import sound_folder
from melgan_tf.inference.generate import Request, write_sounds
from melgan_tf.inference.output_folder import FileNames, Part, file_name
from melgan_tf.inference.renderer import GriffinLim
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.models.spectrogram_gan.networks import Generator

SEED = presets.get("seed")
COUNT = 70


@pytest.fixture(scope="module")
def trained() -> SoundModel:
    """An untrained model, loud enough to be heard, with hasty phases."""
    return SoundModel(Sampler(Generator(weight_std=0.1, seed=3), SEED, GriffinLim(1)), SEED, step=42, weights="0" * 12)


@pytest.fixture(scope="module")
def whole(trained, tmp_path_factory) -> Path:
    """Seventy sounds of seed 5, of one call."""
    out = tmp_path_factory.mktemp("whole") / "sounds"
    write_sounds(trained, Request(out, "run"), COUNT, 5)
    return out


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return trained_once(tmp_path_factory)


def wavs(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if name.endswith(".wav")}


def record(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


# -- shards ----------------------------------------------------------------------------------------------------------

def test_three_shards_in_one_folder_are_the_whole(trained, whole, tmp_path):
    out = tmp_path / "shards"
    for number in (2, 3, 1):
        write_sounds(trained, Request(out, "run"), COUNT, 5, part=Part(number, 3))
    assert wavs(out) == wavs(whole)
    assert len(wavs(out)) == COUNT
    of_one = record(whole / "sounds.json")
    of_all = [record(out / f"sounds-{number}-of-3.json") for number in (1, 2, 3)]
    assert [sound for part in of_all for sound in part["sounds"]] == of_one["sounds"]
    assert [part["shard"] for part in of_all] == ["1/3", "2/3", "3/3"]
    assert {name for name in contents(out) if not name.endswith(".wav")} == {
        f"{front}-{number}-of-3.{end}" for number in (1, 2, 3)
        for front, end in (("sounds", "json"), ("sounds", "png"), ("index", "html"))} | {"LICENSES.txt"}


def test_shards_in_folders_of_their_own_are_the_whole(trained, whole, tmp_path):
    parts = {}
    for number in (1, 2):
        write_sounds(trained, Request(tmp_path / str(number), "run"), COUNT, 5, part=Part(number, 2))
        assert not parts.keys() & wavs(tmp_path / str(number)).keys()
        parts |= wavs(tmp_path / str(number))
    assert parts == wavs(whole)


def test_shards_side_by_side(trained, whole, tmp_path):
    """All find no folder, and one of them makes it."""
    with ThreadPoolExecutor(3) as pool:
        request = Request(tmp_path / "out", "run")
        list(pool.map(lambda number: write_sounds(trained, request, COUNT, 5, part=Part(number, 3)), (1, 2, 3)))
    assert wavs(tmp_path / "out") == wavs(whole)
    assert len(list((tmp_path / "out").glob("sounds-*-of-3.json"))) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(("count", "of"), [(1, 1), (16, 3), (17, 2), (70, 3), (1_000, 7), (1_000_000, 64), (99, 999)])
def test_every_sound_belongs_to_one_shard_and_batches_stay_whole(count, of):
    parts = [Part(number, of).indices(count, 16) for number in range(1, of + 1)]
    assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert (parts[0].start, parts[-1].stop) == (0, count)
    assert all(part.start % 16 == 0 or part.start == count for part in parts)
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 32


def test_a_shard_without_sounds_leaves_a_record_that_says_so(trained, tmp_path):
    made = write_sounds(trained, Request(tmp_path / "out", "run"), 20, 5, part=Part(2, 5))
    assert made["made"] == 0
    assert list(contents(tmp_path / "out")) == ["sounds-2-of-5.json"]
    assert record(tmp_path / "out/sounds-2-of-5.json")["sounds"] == []


@pytest.mark.parametrize(("number", "of"), [(0, 4), (5, 4), (1, 0), (-1, 4)])
def test_there_are_no_other_shards(number, of):
    with pytest.raises(ValueError, match=f"no shard {number}/{of}"):
        Part(number, of)


def test_names_sort_as_sounds_do():
    names = [file_name("m", 1, index, 1_000_000) for index in (0, 9_999, 10_000, 999_999)]
    assert names == sorted(names)
    assert file_name("m", 1, 9_999, 10_000) == "m-seed1-9999.wav"
    assert FileNames.of(Part(3, 12)).record == "sounds-03-of-12.json"


def test_the_labels_of_shards_are_found(tmp_path, trained, whole):
    for name, data in list(wavs(whole).items())[:2]:
        (tmp_path / name).write_bytes(data)
    for number, label in ((1, "kick"), (2, "snare")):
        sounds = [{"file": f"seed-seed5-{number - 1:04d}.wav", "label": label}]
        (tmp_path / f"sounds-{number}-of-2.json").write_text(json.dumps({"sounds": sounds}))
    assert load_sound_set(tmp_path).with_recorded_labels(tmp_path).labels == ("kick", "snare")


# -- again into the same folder --------------------------------------------------------------------------------------

def test_a_shard_replaces_its_own_files_only(trained, tmp_path):
    out = tmp_path / "out"
    for number in (1, 2):
        write_sounds(trained, Request(out, "run"), 32, 5, part=Part(number, 2))
    kept = {name: data for name, data in contents(out).items() if "1-of-2" in name}
    write_sounds(trained, Request(out, "run"), 32, 6, part=Part(2, 2))
    assert sorted(wavs(out)) == [f"seed-seed{5 + i // 16}-{i:04d}.wav" for i in range(32)]
    assert {name: contents(out)[name] for name in kept} == kept


def test_a_whole_call_replaces_shards(trained, tmp_path):
    out = tmp_path / "out"
    for number in (1, 2):
        write_sounds(trained, Request(out, "run"), 32, 5, part=Part(number, 2))
    (out / "letter.txt").write_text("dear diary")
    write_sounds(trained, Request(out, "run"), 1, 6)
    assert sorted(contents(out)) == [
        "LICENSES.txt", "index.html", "letter.txt", "seed-seed6-0000.wav", "sounds.json", "sounds.png"]


def test_a_record_of_many_lines_to_a_sound_is_understood(trained, tmp_path):
    """As they were written before sounds stood one to a line."""
    out = tmp_path / "out"
    write_sounds(trained, Request(out, "run"), 2, 5)
    (out / "sounds.json").write_text(json.dumps(record(out / "sounds.json"), indent=1) + "\n")
    write_sounds(trained, Request(out, "run"), 1, 6)
    assert list(wavs(out)) == ["seed-seed6-0000.wav"]


def test_a_shard_that_fails_leaves_the_others(trained, tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_sounds(trained, Request(out, "run"), 32, 5, part=Part(1, 2))
    check = unchanged(tmp_path)
    monkeypatch.setattr(sound_folder, "save_png", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_sounds(trained, Request(out, "run"), 32, 5, part=Part(2, 2))
    check()


# -- many ------------------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_memory_does_not_grow_with_the_count(tmp_path, monkeypatch):
    """Ten times the sounds, one peak: what NumPy and Python hold, to half of what one batch takes."""
    monkeypatch.setattr(sound_folder, "SHOWN", 16)
    monkeypatch.setattr(sound_folder, "MAX_SOUNDS", 16)
    made = np.random.default_rng(0).normal(0, 0.1, (16, SEED.data.clip_samples)).astype(np.float32)
    sampler = Sampler(SimpleNamespace(mel=lambda noise: tf.ones((tf.shape(noise)[0], 16, 64))), SEED)
    sampler.render = lambda mel: tf.constant(made)[:tf.shape(mel)[0]]  # the sounds are not the point here
    trained, peaks = SoundModel(sampler, SEED, 1, "0" * 12), []
    for count in (64, 64, 640):
        tracemalloc.start()
        write_sounds(trained, Request(tmp_path / "out", "run"), count, 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(wavs(tmp_path / "out")) == 640
    assert peaks[2] - peaks[1] < made.nbytes / 2


def test_picture_and_page_show_the_first_and_say_so(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(sound_folder, "SHOWN", 2)
    monkeypatch.setattr(sound_folder, "MAX_SOUNDS", 3)
    made = write_sounds(trained, Request(tmp_path / "out", "run"), 20, 5)
    page = (tmp_path / "out/index.html").read_text()
    assert page.count('"picture": ') == 3
    assert "The first 3 of 20 sounds" in page
    assert len(made["sounds"]) == 2
    assert made["made"] == len(record(tmp_path / "out/sounds.json")["sounds"]) == 20


# -- the command -----------------------------------------------------------------------------------------------------

def test_command_fills_a_folder_shard_by_shard(run, tmp_path):
    out = tmp_path / "out"
    make = ("generate", run.path, *GRIFFIN_LIM, "--count", 20, "--out")
    assert invoke(*make, tmp_path / "whole").code == 0
    ended = invoke(*make, out, "--shard", "2/2")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"4 sounds (shard 2/2 of 20) in {out}, with spectrograms in "
                                   f"{out}/sounds-2-of-2.png; to hear: {out}/index-2-of-2.html\n")
    assert invoke(*make, out, "--shard", "1/2").code == 0  # beside the other's files
    assert wavs(out) == wavs(tmp_path / "whole")
    check = unchanged(tmp_path)
    invoke(*make, out, "--shard", "1/2").one_line(f"{out} exists", "--force", code=2)
    invoke(*make, out, "--shard", "1/3").one_line(f"{out} exists", "--force", code=2)
    invoke(*make, out).one_line(f"{out} exists", "--force", code=2)
    check()
    assert invoke(*make, out, "--shard", "1/2", "--force").code == 0
    assert wavs(out) == wavs(tmp_path / "whole")


def test_command_says_that_a_shard_has_no_sounds(run, tmp_path):
    ended = invoke("generate", run.path, *GRIFFIN_LIM, "--count", 3, "--out", tmp_path / "out", "--shard", "1/2")
    assert (ended.code, ended.stderr) == (0, "")
    assert "no sounds are left for shard 1/2 of 3 sounds" in ended.stdout


@pytest.mark.parametrize("foreign", ["letter.txt", "kick.wav", "sounds.json", "sounds-1-of-4.json"])
def test_a_shard_refuses_a_folder_with_anything_else_in_it(run, tmp_path, foreign):
    (tmp_path / foreign).write_text("dear diary")
    check = unchanged(tmp_path)
    invoke("generate", run.path, "--out", tmp_path, "--shard", "1/2").one_line(f"{tmp_path} exists", code=2)
    check()


@pytest.mark.parametrize(("value", "part"), [
    ("0/4", "there is no shard 0/4: give 1/4 to 4/4"), ("5/4", "there is no shard 5/4"), ("1/0", "no shard 1/0"),
    ("3", "'3' is not I/N"), ("a/b", "'a/b'"), ("1/2/3", "'1/2/3'"), ("-1/4", "'-1/4'"), ("", "'' is not I/N"),
    ("1/99999999999", "is not I/N")])
def test_command_refuses_other_shards(run, tmp_path, value, part):
    invoke("generate", run.path, "--out", tmp_path / "out", "--shard", value).one_line("'--shard'", part, code=2)
    assert not (tmp_path / "out").exists()
