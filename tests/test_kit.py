"""Kits: what is in the folder, how loud and how long it is, that it comes again, and that bad input is refused."""

from __future__ import annotations

import copy
import csv
import dataclasses
import functools
import json
import shutil

import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr
from command_line import GRIFFIN_LIM, contents, invoke, trained_once, unchanged, write_damaged
from kits import LAYERS, TURNS, made_once

from melgan_tf.api import sounds
from melgan_tf.audio.wav import save_wav
from melgan_tf.data.labels import Classes
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.kit import players
from melgan_tf.inference.load import load_sound_model
from melgan_tf.inference.origin import read_origin
from melgan_tf.inference.recipe import read_latent

RATE = 16_000


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return made_once(tmp_path_factory)


@pytest.fixture(autouse=True)
def _loaded_once(monkeypatch, kit):
    """Building a model again for every command would take a second each."""
    load_once = functools.cache(lambda source, vocoder: load_sound_model(source, vocoder=vocoder))
    monkeypatch.setattr(sounds, "load_sound_model", lambda source, *, checkpoint="last", vocoder=None, progress=None: (
        kit.model if str(source) == "pretrained:drums" else load_once(str(source), vocoder)))


def short_term_loudness(samples, rate):
    """BS.1770 without gates over 0.4 s, the loudest of blocks every 10 ms, by the filters that it prints."""
    at_48k = soxr.resample(np.pad(samples, (0, max(0, round(0.4 * rate) - len(samples)) + rate)), rate, 48_000)
    shelf = scipy.signal.lfilter([1.53512485958697, -2.69169618940638, 1.19839281085285],
                                 [1.0, -1.69065929318241, 0.73248077421585], at_48k)
    power = scipy.signal.lfilter([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621], shelf) ** 2
    summed = np.concatenate([[0.0], np.cumsum(power)])
    blocks = (summed[19_200:] - summed[:-19_200])[::480] / 19_200
    return -0.691 + 10 * np.log10(blocks.max())


# what is in it


def test_the_folder(kit):
    name = "drums-kit-3"
    files = contents(kit.folder)
    assert {file for file in files if "/" not in file} == {
        f"{name}.sfz", f"{name}.dspreset", f"{name}.dslibrary", f"{name}.h2drumkit", "mapping.csv", "mapping.txt",
        "index.html", "kit.png", "kit.json", "LICENSES.txt"}
    assert sorted(files) == sorted(kit.record["files"])
    samples = [file for file in files if file.startswith("samples/")]
    assert len(samples) == 11 * TURNS * LAYERS
    assert samples[0] == "samples/01_Kick_v1_rr1.wav"
    assert [file.split("/")[1] for file in files if file.startswith("pads/")] == [
        f"{number:02d}_{pad['name'].replace(' ', '_')}.wav" for number, pad in enumerate(kit.record["pads"], 1)]
    assert files["pads/02_Snare.wav"] == files[f"samples/02_Snare_v{LAYERS}_rr1.wav"]
    assert all(file.isascii() and " " not in file for file in files)
    assert "CC0-1.0" in files["LICENSES.txt"].decode()
    page = files["index.html"].decode()
    assert all(f'"file": "{sample}"' in page for sample in samples)


def test_all_hits_of_a_velocity_are_equally_loud_and_none_clips(kit):
    target = kit.record["loudness"]
    assert -32 < target < -14
    for pad in kit.record["pads"]:
        for sample in pad["samples"]:
            samples = kit.wav(sample)
            layer = int(sample["file"].partition("_v")[2][0])
            wanted = target - 6 * (1 - layer / LAYERS)
            assert short_term_loudness(samples, RATE) == pytest.approx(wanted, abs=0.6), sample["file"]
            assert sample["loudness"] == pytest.approx(wanted, abs=0.02)
            assert np.abs(samples).max() <= 10 ** (-1 / 20) + 1e-3
    loudest = max(sample["peak"] for pad in kit.record["pads"] for sample in pad["samples"])
    assert loudest == pytest.approx(10 ** (-1 / 20), abs=1e-3)  # no headroom is given away


def test_no_dc_and_no_clicks_at_the_ends(kit):
    for pad in kit.record["pads"]:
        for sample in pad["samples"]:
            samples = kit.wav(sample)
            assert abs(samples.mean()) < 1e-3 * np.abs(samples).max()
            assert abs(samples[-1]) < 1e-4
            assert abs(samples[0]) < 0.02 * np.abs(samples).max()
            assert np.argmax(np.abs(samples) > 0.01 * np.abs(samples).max()) < 0.003 * RATE


def test_quieter_is_darker_and_turns_are_alike_but_not_equal(kit):
    def brightness(samples):
        hz, power = scipy.signal.periodogram(samples, RATE)
        return hz @ power / power.sum()

    for pad in kit.record["pads"]:
        for turn in range(TURNS):
            layers = [kit.wav(sample) for sample in pad["samples"] if sample["round_robin"] == turn + 1]
            heard = list(map(brightness, layers))
            assert heard == sorted(heard), pad["name"]
            assert heard[0] < 0.99 * heard[-1]
        first, second = (kit.wav(sample) for sample in pad["samples"][-TURNS:])
        length = min(map(len, (first, second)))
        assert 0.5 < np.corrcoef(first[:length], second[:length])[0, 1] < 0.9999, pad["name"]


def test_closed_hats_are_shorter_and_toms_rise(kit):
    def decay(samples):  # until 90 % of the energy is out
        energy = np.cumsum(samples ** 2)
        return np.searchsorted(energy, 0.9 * energy[-1]) / RATE

    def pitch(samples):
        falling = scipy.signal.windows.hann(2 * len(samples), sym=False)[len(samples):]  # what sounds first counts most
        hz, power = scipy.signal.periodogram(samples * falling, RATE, nfft=1 << 16, detrend=False)
        return hz[np.argmax(power * ((hz > 50) & (hz < 800)))]

    hardest = {name: kit.wav(pad["samples"][-TURNS]) for name, pad in kit.pads.items()}
    assert 2 * decay(hardest["Closed Hat"]) < decay(hardest["Open Hat"])
    low, mid, high = (pitch(hardest[f"Tom {name}"]) for name in ("Low", "Mid", "High"))
    assert low < mid < high
    assert high > 1.2 * low
    assert kit.pads["Closed Hat"]["choke_group"] == kit.pads["Open Hat"]["choke_group"] == 1
    assert [name for name, pad in kit.pads.items() if pad["choke_group"]] == ["Closed Hat", "Open Hat"]


def test_recipes_make_the_sounds_again(kit):
    for name in ("Kick", "Open Hat", "Tom High"):
        for sample in kit.pads[name]["samples"][-TURNS:]:
            origin = read_origin(kit.folder / sample["file"])
            assert origin.latent == read_latent(sample.get("recipe", sample))
            assert origin.label == sample["label"]
            made = kit.model.make([origin.recipe(kit.model.sampler.classes)])["audio"][0]
            found = scipy.signal.correlate(made, kit.wav(sample))
            assert found.max() / np.sqrt((made @ made) * (kit.wav(sample) @ kit.wav(sample))) > 0.95


def test_a_hit_of_a_kit_can_be_varied(kit, tmp_path):
    ended = invoke("vary", kit.folder / "pads/01_Kick.wav", "--count", 2, "--out", tmp_path / "more")
    assert ended.code == 0, ended.stderr
    assert len(list((tmp_path / "more").glob("01_Kick-vary*.wav"))) == 2


def test_hits_of_a_kit_are_made_again_to_the_byte(kit, tmp_path):
    hits = sorted((kit.folder / "samples").glob("*_v1_*.wav"))[:3] + [kit.folder / "samples/01_Kick_v2_rr2.wav"]
    ended = invoke("regenerate", *hits, "--out", tmp_path / "again")
    assert "4 of them equal to the originals" in ended.stdout
    assert [(tmp_path / "again" / hit.name).read_bytes() for hit in hits] == [hit.read_bytes() for hit in hits]


def test_the_mapping_lists_every_hit(kit):
    rows = list(csv.DictReader((kit.folder / "mapping.csv").read_text().splitlines()))
    samples = {sample["file"]: (pad, sample) for pad in kit.record["pads"] for sample in pad["samples"]}
    assert sorted(row["file"] for row in rows) == sorted(samples)
    for row in rows:
        pad, sample = samples[row["file"]]
        assert (row["pad"], row["name"], int(row["midi_note"])) == (pad["pad"], pad["name"], pad["note"])
        assert [int(row["low_velocity"]), int(row["high_velocity"])] == sample["velocities"]
        assert row["choke_group"] == ("1" if "Hat" in pad["name"] else "")
    text = (kit.folder / "mapping.txt").read_text()
    assert "A05  Closed Hat   42 F#2  pads/05_Closed_Hat.wav  choke group 1\n" in text
    assert max(map(len, text.splitlines())) <= 120


# again


def test_the_same_seed_makes_the_same_bytes(kit, tmp_path):
    ended = invoke("kit", "pretrained:drums", "--seed", 3, "--round-robins", TURNS, "--velocities", LAYERS, "--out",
                   tmp_path / "elsewhere")
    assert ended.code == 0, ended.stderr
    assert contents(tmp_path / "elsewhere") == contents(kit.folder)
    assert ended.stdout.splitlines()[4] == "A05  note  42  Closed Hat"
    assert f"{11 * TURNS * LAYERS} samples at" in ended.stdout


def test_another_seed_makes_another_kit_in_its_place(kit, tmp_path):
    out = tmp_path / "kit"
    shutil.copytree(kit.folder, out)
    (out / "samples/mine.wav").write_bytes(b"mine")
    invoke("kit", "pretrained:drums", "--out", out).one_line("exists", "--force", code=2)
    ended = invoke("kit", "pretrained:drums", "--label", "kick", "--label", "kick", "--label", "rim=1,clap=1",
                   "--round-robins", 1, "--velocities", 1, "--seed", 4, "--out", out, "--force", "--quiet")
    assert (ended.code, ended.stdout) == (0, "")
    record = json.loads((out / "kit.json").read_text())
    assert [(pad["name"], pad["note"]) for pad in record["pads"]] == [("Kick", 36), ("Kick", 35), ("rim 1 clap 1", 39)]
    first, second = (soundfile.read(out / pad["samples"][0]["file"])[0] for pad in record["pads"][:2])
    assert len(first) != len(second) or np.abs(first - second).max() > 0.01
    assert record["pads"][2]["samples"][0]["mixture"] == {"clap": 0.5, "rim": 0.5}
    assert sorted(contents(out)) == sorted([*record["files"], "samples/mine.wav"])


def test_a_kit_record_from_outside_deletes_nothing_elsewhere(kit, tmp_path):
    (tmp_path / "precious").write_text("x")
    out = tmp_path / "kit"
    out.mkdir()
    (out / "link").symlink_to(tmp_path)
    (out / "kit.json").write_text(json.dumps({"made_by": "melgan-tf", "files": [
        "../precious", str(tmp_path / "precious"), "link/precious", "samples", 5]}))
    kit.model.kit(out, labels=["kick"], round_robins=1, velocities=1)
    assert (tmp_path / "precious").read_text() == "x"


# one's own sounds


@pytest.mark.slow
def test_pads_start_from_ones_own_sounds(kit, tmp_path):
    own = write_damaged(tmp_path / "own")
    hits = kit.model.generate(40, seed=99, label="kick")["audio"]
    save_wav(own / "boom-bd.wav", hits[7], RATE)
    (own / "Hats").mkdir()
    save_wav(own / "Hats/a.wav", kit.model.generate(1, seed=98, label="hat")["audio"][0], RATE)
    save_wav(own / "what.wav", kit.model.generate(6, seed=97, label="snare")["audio"][5], RATE)
    ended = invoke("kit", "pretrained:drums", "--style-from", own, "--label", "kick", "--label", "hat", "--label",
                   "snare", "--round-robins", 1, "--velocities", 1, "--out", tmp_path / "kit")
    assert ended.code == 0, ended.stderr
    assert "5 of 8 sounds in" in ended.stderr
    assert "boom-bd.wav (" in ended.stdout
    pads = {pad["name"]: pad for pad in json.loads((tmp_path / "kit/kit.json").read_text())["pads"]}
    started = {pad.get("recording"): name for name, pad in pads.items()}
    assert (started["boom-bd.wav"], started["what.wav"]) == ("Kick", "Snare")
    assert started["Hats/a.wav"] in ("Closed Hat", "Open Hat")
    assert pads["Kick"]["distance_db"] < 6
    assert pads["Closed Hat"]["decay_seconds"] <= pads["Open Hat"]["decay_seconds"]
    sample = soundfile.read(tmp_path / "kit" / pads["Kick"]["samples"][0]["file"])[0]
    spectrum = functools.partial(scipy.signal.periodogram, fs=RATE, nfft=16_384)
    apart = [np.abs(np.sqrt(power / power.sum()) - np.sqrt(mine / mine.sum())).sum()
             for mine in [spectrum(sample)[1]] for _, power in map(spectrum, hits)]
    assert np.argsort(apart).tolist().index(7) < 4  # of 40 kicks it is among the likest


def test_a_folder_without_a_usable_sound(kit, tmp_path):
    own = write_damaged(tmp_path / "own")
    before = unchanged(tmp_path)
    invoke("kit", "pretrained:drums", "--style-from", own, "--out", tmp_path / "kit", "--quiet").one_line(
        "no sound that can be used", "empty.wav", code=1)
    before()


# models of all kinds


def test_classes_of_other_names(kit, tmp_path):
    sampler = copy.copy(kit.model.sampler)
    sampler.classes = Classes({"": 5, "Große Glocke": 3, "CH": 2, "太鼓": 1, "Toms": 1, "x=1, y": 1, "Kick 808": 1,
                               "../up": 1})
    model = dataclasses.replace(kit.model, sampler=sampler)
    record = model.kit(tmp_path / "kit", round_robins=1, velocities=1)
    assert [pad["name"] for pad in record["pads"]] == ["Kick 808", "CH", "Tom Low", "Tom Mid", "Tom High", "unlabelled",
                                                       "Groe Glocke", "Sound", "x 1 y", "up"]
    assert [pad["samples"][0]["label"] for pad in record["pads"]][-3:] == ["太鼓", "x=1, y", "../up"]
    assert all(name.isascii() for name in contents(tmp_path / "kit"))


def test_a_model_without_classes(tmp_path_factory, tmp_path):
    run = trained_once(tmp_path_factory).path
    ended = invoke("kit", run, *GRIFFIN_LIM, "--round-robins", 1, "--velocities", 2, "--out", tmp_path / "kit")
    assert ended.code == 0, ended.stderr
    record = json.loads((tmp_path / "kit/kit.json").read_text())
    assert [pad["pad"] for pad in record["pads"]] == [f"A{number:02d}" for number in range(1, 17)]
    assert len({contents(tmp_path / "kit")[f"pads/{number:02d}_Sound.wav"] for number in range(1, 17)}) == 16
    assert "unknown" in (tmp_path / "kit/LICENSES.txt").read_text()
    invoke("kit", run, *GRIFFIN_LIM, "--label", "kick", "--out", tmp_path / "k").one_line("no classes", code=2)


@pytest.mark.parametrize(("arguments", "parts", "code"), [
    (("vocoder-22k",), ("vocoder",), 2), (("nothing-here",), ("nothing-here",), 2),
    (("pretrained:drums", "--style-from", "no-folder"), ("no-folder does not exist",), 2),
    (("pretrained:drums", "--label", "kik"), ("kik", "did you mean 'kick'"), 2)])
def test_what_makes_no_kit(arguments, parts, code, tmp_path, monkeypatch):
    monkeypatch.undo()
    invoke("kit", *arguments, "--out", tmp_path / "kit", "--quiet").one_line(*parts, code=code)
    assert not (tmp_path / "kit").exists()


def test_a_model_of_any_length_makes_no_kit(kit, tmp_path):
    music = dataclasses.replace(kit.model, config=load_sound_model("pretrained:music").config)
    with pytest.raises(UsageError, match="any length.*one-shots"):
        music.kit(tmp_path / "kit")


@pytest.mark.parametrize("numbers", [{"round_robins": 0}, {"velocities": 17}, {"seed": -1}])
def test_numbers_out_of_range(kit, numbers, tmp_path):
    with pytest.raises(UsageError, match=next(iter(numbers))):
        kit.model.kit(tmp_path / "kit", **numbers)


def test_all_files_or_none(kit, tmp_path, monkeypatch):
    before = unchanged(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(players, "write_h2drumkit", full)
    with pytest.raises(MelGANError, match=r"cannot write .*kit: No space left"):
        kit.model.kit(tmp_path / "kit", labels=["kick"], round_robins=1, velocities=1)
    before()
