"""Choosing sounds: which are different, which are near; maps of folders and of models; favorites copied."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import GRIFFIN_LIM, contents, invoke, python, trained_once, unchanged

from melgan_tf import api
from melgan_tf.audio.wav import save_wav
from melgan_tf.evaluation.choose import describe, farthest, isolated, near, standardized, unique
from melgan_tf.evaluation.explore import explore_folder, project, sound_values
from melgan_tf.evaluation.metrics import diversity

RATE = 16_000


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return trained_once(tmp_path_factory)


def tone(hertz: float, seconds: float = 0.3) -> np.ndarray:
    time = np.arange(int(RATE * seconds)) / RATE
    return (0.5 * np.sin(2 * np.pi * hertz * time) * np.exp(-8 * time)).astype(np.float32)


def data_of(page: Path) -> dict:
    return json.loads(re.search(r'id="page">(.*?)</script>', page.read_text(), re.DOTALL)[1])


# -- points ----------------------------------------------------------------------------------------------------------

def test_farthest_points_are_those_of_a_search_by_hand():
    points = np.random.default_rng(3).normal(size=(40, 5))
    for centers in (np.empty((0, 5)), np.random.default_rng(4).normal(size=(3, 5))):
        chosen = farthest(points, 6, centers).tolist()
        taken = list(centers) + [points[index] for index in (chosen[:1] if not len(centers) else [])]
        for index in chosen[0 if len(centers) else 1:]:
            gaps = [min(np.linalg.norm(point - other) for other in taken) for point in points]
            assert index == int(np.argmax(gaps))
            taken.append(points[index])
        assert len(set(chosen)) == 6


def test_near_is_nearer_than_they_are_to_each_other_and_than_the_points_are():
    eye = np.eye(50)  # points on axes: at x and y from the origin, they are apart by the root of x^2 + y^2
    assert near(5 * eye[:9], 10 * eye).all()  # 5 is less than 14.1 and 7.1
    assert not near(2 * eye[:9], 10 * eye).any()  # 8 is more than 2.8
    assert not near(5 * eye[:9], np.concatenate([10 * eye, 10.5 * eye])).any()  # these are 0.5 apart
    assert near(np.array([[0.0], [1000.0]]), np.zeros((1, 1))).tolist() == [True, False]  # one sound has no neighbors


def test_unique_points_are_the_first_of_every_crowd():
    points = np.array([[0.0, 0], [5, 5], [0.001, 0], [9, 0], [5, 5]])
    assert unique(points).tolist() == [0, 1, 3]
    assert unique(np.zeros((3, 2))).tolist() == [0]


def test_isolated_points_are_few_and_far():
    points = np.random.default_rng(0).normal(size=(100, 3))
    points[7] += 100
    found = isolated(points)
    assert found[7]
    assert found.sum() <= 5


@pytest.mark.parametrize("count", [1, 2, 50])
def test_places_are_on_the_map(count):
    places = project(np.random.default_rng(0).normal(size=(count, 9)))
    assert places.shape == (count, 2)
    assert ((places >= 0) & (places <= 1)).all()


def test_values_to_sort_by():
    low, high = sound_values(tone(200), RATE), sound_values(0.1 * tone(3000), RATE)
    assert abs(low["brightness"] - 200) < 10
    assert abs(high["brightness"] - 3000) < 30
    assert low["loudness"] > high["loudness"] + 10
    assert 0.25 < low["length"] <= 0.3


# -- a folder --------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    """Six tones in two folders, one of them twice, a silent file and one that is no sound."""
    folder = tmp_path_factory.mktemp("own") / "my sounds"
    for index, hertz in enumerate((100, 200, 400, 800, 1600, 3200)):
        (folder / ("high" if index > 2 else "low")).mkdir(parents=True, exist_ok=True)
        save_wav(folder / ("high" if index > 2 else "low") / f"{hertz}.wav", tone(hertz), RATE)
    save_wav(folder / "low" / "again 100.wav", tone(100), RATE)
    save_wav(folder / "silent.wav", np.zeros(2000, np.float32), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF")
    return folder


@pytest.fixture(scope="module")
def explored(sounds, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "page"
    return explore_folder(sounds, out)


def test_a_folder_becomes_a_page_without_near_duplicates(explored, sounds):
    assert (explored.sounds, explored.duplicates) == (6, 1)
    assert {item.name for item in explored.skipped} == {"silent.wav", "broken.wav"}
    data = data_of(explored.page)
    assert sorted(sound["name"] for sound in data["sounds"]) == [
        "high/1600.wav", "high/3200.wav", "high/800.wav", "low/100.wav", "low/200.wav", "low/400.wav"]
    assert len(contents(explored.page.parent)) == 7  # no copy of what is left out
    for sound in data["sounds"]:
        assert (explored.page.parent / sound["file"]).is_file()
        assert {"brightness", "length", "loudness"} <= sound["values"].keys()
    assert data["again"] == f"melgan-tf vary '{sounds}'/{{}} --model pretrained:drums --out more"
    assert data["copy"] == f"melgan-tf explore '{sounds}' --favorites favorites.txt --out favorites"


def test_near_sounds_are_near_on_the_map(explored):
    places = {sound["name"]: np.array(sound["place"]) for sound in data_of(explored.page)["sounds"]}
    far = np.linalg.norm(places["low/100.wav"] - places["high/3200.wav"])
    assert np.linalg.norm(places["low/100.wav"] - places["low/200.wav"]) < far


def test_favorites_become_a_folder(sounds, tmp_path):
    (tmp_path / "favorites.txt").write_text("low/again 100.wav\nhigh/800.wav\n")
    ended = invoke("explore", sounds, "--favorites", tmp_path / "favorites.txt", "--out", tmp_path / "chosen")
    assert (ended.code, ended.stdout) == (0, f"2 sounds copied to {tmp_path}/chosen\n")
    assert contents(tmp_path / "chosen") == {name: (sounds / name).read_bytes()
                                             for name in ("high/800.wav", "low/again 100.wav")}


def test_copying_favorites_loads_no_tensorflow():
    ended = python("-c", "import sys, melgan_tf.evaluation.favorites; print('tensorflow' in sys.modules)")
    assert (ended.stdout, ended.stderr) == ("False\n", "")


@pytest.mark.parametrize(("text", "parts"), [
    ("low/none.wav", ("favorites.txt names 'low/none.wav'", "not a sound in")), ("", ("names no sounds",)),
    ("../page.html", ("'../page.html'", "not a sound in")), ("/etc/passwd", ("not a sound in",)),
    ("low", ("'low'", "not a sound in"))])
def test_what_a_list_of_favorites_may_not_name(text, parts, sounds, tmp_path):
    (tmp_path / "favorites.txt").write_text(text)
    check = unchanged(tmp_path)
    invoke("explore", sounds, "--favorites", tmp_path / "favorites.txt", "--out", tmp_path / "chosen").one_line(
        *parts, code=2)
    check()


def test_what_cannot_be_explored(sounds, tmp_path):
    (tmp_path / "list.txt").write_text("a.wav")
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.txt").write_bytes(b"\xff\xfe")
    for arguments, parts, code in (
            ((sounds, "--out", sounds / "page"), ("contain each other",), 2),
            ((tmp_path / "empty", "--out", tmp_path / "out"), ("has no usable sound",), 1),
            (("pretrained:drums", "--favorites", tmp_path / "list.txt", "--out", tmp_path / "out"),
             ("not a folder of sounds",), 2),
            ((sounds, "--favorites", tmp_path / "noise.txt", "--out", tmp_path / "out"), ("cannot read",), 2)):
        invoke("explore", *arguments, "--quiet").one_line(*parts, code=code)
        assert not (tmp_path / "out").exists()


# -- a model ---------------------------------------------------------------------------------------------------------

def test_a_model_becomes_a_page_of_its_sounds(run, tmp_path):
    out = tmp_path / "page"
    ended = invoke("explore", run.path, "--count", 12, "--out", out, *GRIFFIN_LIM)
    assert ended.code == 0, ended.stderr
    data = data_of(out / "index.html")
    assert f"{len(data['sounds'])} sounds" in ended.stdout
    assert all((out / sound["file"]).is_file() and "place" in sound for sound in data["sounds"])
    assert data["again"].startswith("melgan-tf regenerate")
    assert len(json.loads((out / "sounds.json").read_text())["sounds"]) == 12


def indices_in(folder: Path) -> list[int]:
    return sorted(sound["index"] for sound in json.loads((folder / "sounds.json").read_text())["sounds"])


def test_diverse_sounds_are_sounds_of_the_seed_farther_apart_than_the_first(run, tmp_path):
    make = ("generate", run.path, *GRIFFIN_LIM, "--count", 4, "--seed", 3)
    ended = invoke(*make, "--diverse", "--candidates", 24, "--out", tmp_path / "diverse")
    assert ended.code == 0, ended.stderr
    assert "chosen: 4 of the first 24 sounds of seed 3" in ended.stdout
    chosen = indices_in(tmp_path / "diverse")
    assert len(chosen) == 4
    invoke("generate", run.path, *GRIFFIN_LIM, "--count", 24, "--seed", 3, "--out", tmp_path / "all")
    everything = contents(tmp_path / "all")
    made = {name: data for name, data in contents(tmp_path / "diverse").items() if name.endswith(".wav")}
    assert made.items() <= everything.items()  # the bytes, too
    model = api.load_sound_model(run.path, vocoder="griffin-lim")
    points, = standardized(describe(model.generate(24, 3)["audio"], RATE))
    assert diversity(points[chosen]) > diversity(points[:4])
    assert api.choose(model, 4, seed=3, candidates=24).indices == tuple(chosen)


def test_avoided_sounds_are_not_among_the_chosen(run, tmp_path):
    make = ("generate", run.path, *GRIFFIN_LIM, "--seed", 3, "--out")
    assert invoke(*make, tmp_path / "have", "--index", "0,2,5").code == 0
    ended = invoke(*make, tmp_path / "new", "--count", 3, "--avoid", tmp_path / "have", "--candidates", 24)
    assert ended.code == 0, ended.stderr
    assert f"too near to {tmp_path}/have" in ended.stdout
    assert not {0, 2, 5} & set(indices_in(tmp_path / "new"))
    invoke(*make, tmp_path / "no", "--count", 24, "--avoid", tmp_path / "have", "--candidates", 24, "-q").one_line(
        "of 24 sounds are left to choose 24 from", code=1)


@pytest.mark.parametrize(("options", "parts"), [
    (("--candidates", 9), ("--candidates", "--diverse and --avoid")),
    (("--diverse", "--index", "3"), ("--diverse", "--index")), (("--diverse", "--shard", "1/2"), ("--shard",)),
    (("--diverse", "--start", "3"), ("--start",)), (("--diverse", "--candidates", "3"), ("give 16 to 5000",)),
    (("--avoid", "nowhere"), ("nowhere",))])
def test_choices_that_make_no_sense(run, options, parts, tmp_path):
    invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "-q", *options).one_line(*parts, code=2)
    assert not (tmp_path / "out").exists()
