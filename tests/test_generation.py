"""What `generate` leaves on disk: WAVs, sounds.json and sounds.png; all or nothing; nobody else's files touched."""

from __future__ import annotations

import errno
import json
import os
import shutil
import wave
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from command_line import GRIFFIN_LIM, contents, invoke, trained_once, unchanged
from PIL import Image
from told import Told

from melgan_tf.audio.delivery import Delivery
from melgan_tf.audio.isolated import read_comment
from melgan_tf.config import presets
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference import generate as generation
from melgan_tf.inference import sound_folder
from melgan_tf.inference.generate import Request, write_sounds
from melgan_tf.inference.load import load_sound_model
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.models.spectrogram_gan.networks import Generator
from melgan_tf.weights.sources import warn_of_little_training

SEED = presets.get("seed")
AS_MADE = Delivery(tail=0.0)  # the sounds of untrained models do not fade


@pytest.fixture(scope="module")
def trained() -> SoundModel:
    """An untrained model, loud enough to be heard."""
    return SoundModel(Sampler(Generator(weight_std=0.1, seed=3), SEED), SEED, step=42, weights="0123456789ab")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return trained_once(tmp_path_factory)


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory) -> Path:
    """Twenty sounds of seed 5."""
    out = tmp_path_factory.mktemp("generated") / "sounds"
    write_sounds(trained, Request(out, "runs/drums", AS_MADE), 20, 5)
    return out


def record(folder: Path) -> dict:
    return json.loads((folder / "sounds.json").read_text(encoding="utf-8"))


# -- what is there ---------------------------------------------------------------------------------------------------

def test_the_folder_holds_the_sounds_the_record_and_the_picture(folder):
    names = [f"seed-seed5-{index:04d}.wav" for index in range(20)]
    assert sorted(contents(folder)) == ["LICENSES.txt", "index.html", *names, "sounds.json", "sounds.png"]
    assert folder.stat().st_mode & 0o777 == 0o755
    assert [path for path in folder.parent.iterdir() if path != folder] == []


def test_every_wav_is_16_bit_mono_of_the_presets_rate_and_length(folder):
    for path in folder.glob("*.wav"):
        with wave.open(str(path)) as file:
            assert file.getparams()[:4] == (1, 2, 16_000, 8_000)
            samples = np.frombuffer(file.readframes(8_000), "<i2")
        assert np.abs(samples).max() > 300
        assert samples[-1] == 0


def samples_of(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(8_000), "<i2") / 32_768


def test_the_wavs_are_what_the_sampler_makes_at_one_level(folder, trained):
    audio = trained.sampler.generate(5, 20)["audio"]
    for index, samples in enumerate(audio):
        written = samples_of(folder / f"seed-seed5-{index:04d}.wav")
        assert np.abs(written).max() == pytest.approx(0.8913, abs=1e-4)
        np.testing.assert_allclose(written, samples * (0.89125 / np.abs(samples).max()), atol=0.6 / 32_768)


def test_levels_can_be_left_as_the_model_makes_them(trained, tmp_path):
    values = write_sounds(trained, Request(tmp_path / "raw", "runs/drums", Delivery(normalize="none", tail=0.0)), 3, 5)
    assert values["normalized"] is False
    for index, samples in enumerate(trained.sampler.generate(5, 3)["audio"]):
        written = samples_of(tmp_path / f"raw/seed-seed5-{index:04d}.wav")
        np.testing.assert_allclose(written, samples, atol=0.51 / 32_768)


def test_a_wav_says_what_regenerates_it(folder):
    assert json.loads(read_comment(folder / "seed-seed5-0013.wav")) == {
        "made_by": "melgan-tf", "weights": "0123456789ab", "step": 42, "seed": 5, "index": 13, "source": "drums",
        "normalized": True, "delivery": {"tail": 0.0}, "vocoder": "griffin-lim"}


def test_a_wav_alone_suffices_to_make_it_again(folder, trained, tmp_path):
    origin = json.loads(read_comment(folder / "seed-seed5-0013.wav"))
    write_sounds(trained, Request(tmp_path / "again", "elsewhere/drums", AS_MADE), origin["index"] + 1, origin["seed"])
    assert (tmp_path / "again/seed-seed5-0013.wav").read_bytes() == (folder / "seed-seed5-0013.wav").read_bytes()


def test_the_record_tells_of_the_model_and_of_every_sound(folder, trained):
    values = record(folder)
    sounds = values.pop("sounds")
    unknown = dict.fromkeys(("learned_from", "license", "near_copies"), "unknown")
    assert values.pop("licenses") == [{"model": "unknown", **unknown}]
    assert values.pop("versions").keys() >= {"tensorflow", "keras", "numpy", "python"}
    assert values == {"source": "runs/drums", "preset": "seed", "step": 42, "weights": "0123456789ab",
                      "audio_fingerprint": SEED.audio.fingerprint(), "sample_rate": 16_000, "normalized": True,
                      "delivery": {"tail": 0.0}, "vocoder": {"name": "griffin-lim", "iterations": 32}}
    made = trained.sampler.generate(5, 20)
    for index, sound in enumerate(sounds):
        np.testing.assert_allclose(sound.pop("noise"), made["noise"][index], atol=1e-6)
        assert sound == {"file": f"seed-seed5-{index:04d}.wav", "seed": 5, "index": index, "silent": False,
                         "peak": pytest.approx(np.abs(made["audio"][index]).max(), abs=1e-4)}
    assert [sound["index"] for sound in sounds] == list(range(20))


def test_the_noise_in_the_record_regenerates_the_sound(folder, trained):
    """Rounded to seven digits it is another noise, by less than anyone hears."""
    wanted = trained.sampler.generate(5, 1)["mel"][0]
    mel = trained.sampler.mel(tf.constant([record(folder)["sounds"][0]["noise"]]))[0].numpy()
    assert np.abs(mel - wanted).max() < 1e-4 * wanted.max()


def test_the_picture_has_room_for_every_sound(folder):
    with Image.open(folder / "sounds.png") as picture:
        assert picture.format == "PNG"
        assert picture.width * picture.height > 20 * 128 * 128
        assert picture.width < 4_000
        assert len(picture.convert("RGB").resize((64, 64)).getcolors(4_096)) > 50
    assert 5_000 < (folder / "sounds.png").stat().st_size < 2_000_000


def test_silent_sounds_are_written_and_marked(tmp_path):
    silent = SoundModel(Sampler(SimpleNamespace(mel=lambda noise: tf.zeros((16, 16, 64))), SEED), SEED, 1, "0" * 12)
    made = write_sounds(silent, Request(tmp_path / "out", "run"), 2, 0)
    assert [(sound["silent"], sound["peak"]) for sound in made["sounds"]] == [(True, 0.0)] * 2
    assert len(list((tmp_path / "out").glob("*.wav"))) == 2


def test_progress_counts_sounds(trained, tmp_path):
    told = Told()
    write_sounds(trained, Request(tmp_path / "out", "run"), 3, 0, progress=told)
    assert told.tasks == [("generating", 3, "sounds")]


# -- the same again --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("count", [1, 3])
def test_sound_i_does_not_depend_on_the_count(folder, trained, tmp_path, count):
    write_sounds(trained, Request(tmp_path / "few", "runs/drums", AS_MADE), count, 5)
    few = contents(tmp_path / "few")
    assert len(few) == count + 4
    for name, data in few.items():
        if name.endswith(".wav"):
            assert data == (folder / name).read_bytes()


def test_the_same_seed_gives_the_same_bytes(folder, trained, tmp_path):
    write_sounds(trained, Request(tmp_path / "again", "runs/drums", AS_MADE), 20, 5)
    assert contents(tmp_path / "again") == contents(folder)


def test_another_seed_gives_other_sounds(folder, trained, tmp_path):
    write_sounds(trained, Request(tmp_path / "other", "runs/drums"), 20, 6)
    ours = {path.read_bytes()[-16_000:] for path in folder.glob("*.wav")}
    others = {path.read_bytes()[-16_000:] for path in (tmp_path / "other").glob("*.wav")}
    assert len(ours) == len(others) == 20
    assert not ours & others


# -- a folder that is there ------------------------------------------------------------------------------------------

def test_an_earlier_calls_files_go_and_foreign_ones_stay(trained, tmp_path):
    out = tmp_path / "out"
    write_sounds(trained, Request(out, "run"), 3, 1)
    (out / "seed-seed1-0007.wav").write_bytes(b"not of that call")
    (out / "letter.txt").write_text("dear diary")
    (out / "folder").mkdir()
    write_sounds(trained, Request(out, "run"), 2, 2)
    assert sorted(path.name for path in out.iterdir()) == [
        "LICENSES.txt", "folder", "index.html", "letter.txt", "seed-seed1-0007.wav", "seed-seed2-0000.wav",
        "seed-seed2-0001.wav", "sounds.json", "sounds.png"]
    assert (out / "letter.txt").read_text() == "dear diary"
    assert len(record(out)["sounds"]) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"sounds": 3}', '{"sounds": [{"file": 3}]}',
                                  '{"sounds": [{"name": "letter.txt"}]}', '{"sounds": [{"file": "../outside.wav"}]}',
                                  '{"sounds": [{"file": "folder"}]}'])
def test_a_foreign_record_deletes_nothing(trained, tmp_path, text):
    out = tmp_path / "out"
    (out / "folder").mkdir(parents=True)
    (tmp_path / "outside.wav").write_bytes(b"precious")
    (out / "letter.txt").write_text("dear diary")
    (out / "sounds.json").write_text(text)
    check = unchanged(tmp_path)
    with pytest.raises(UsageError, match=f"^{out}/sounds.json exists and belongs to no record"):
        write_sounds(trained, Request(out, "run"), 1, 0)
    check()


def test_an_existing_folder_may_be_a_disk_of_its_own(trained, tmp_path, monkeypatch):
    """As a mounted folder is: no file can be moved into it from outside."""
    out, move = tmp_path / "out", os.replace
    out.mkdir()

    def within(source, target):
        if out in Path(target).parents and out not in Path(source).parents:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        move(source, target)

    monkeypatch.setattr(os, "replace", within)
    write_sounds(trained, Request(out, "run"), 2, 0)
    assert sorted(contents(out)) == [
        "LICENSES.txt", "index.html", "seed-seed0-0000.wav", "seed-seed0-0001.wav", "sounds.json", "sounds.png"]
    assert len(list(out.iterdir())) == 6


def test_parents_are_made(trained, tmp_path):
    write_sounds(trained, Request(tmp_path / "a/b/c", "run"), 1, 0)
    assert (tmp_path / "a/b/c/seed-seed0-0000.wav").exists()


# -- what goes wrong -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("step", ["deliver", "save_png", "write_text"])
@pytest.mark.parametrize("there", [True, False])
def test_a_failure_half_way_leaves_everything_as_it_was(trained, tmp_path, monkeypatch, step, there):
    out, work = tmp_path / "out", getattr(sound_folder, step)
    if there:
        write_sounds(trained, Request(out, "run"), 2, 0)
    check, calls = unchanged(tmp_path), []

    def full(*arguments, **named):
        calls.append(step)
        if step != "deliver" or len(calls) == 2:  # the second sound
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return work(*arguments, **named)

    monkeypatch.setattr(sound_folder, step, full)
    with pytest.raises(MelGANError, match=f"^cannot write {out}: No space left on device$"):
        write_sounds(trained, Request(out, "run"), 3, 1)
    check()


def test_an_interrupt_half_way_leaves_everything_as_it_was(trained, tmp_path, monkeypatch):
    check = unchanged(tmp_path)
    monkeypatch.setattr(sound_folder, "save_png", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_sounds(trained, Request(tmp_path / "out", "run"), 3, 1)
    check()


def test_a_message_names_the_folder_asked_for(trained, tmp_path):
    """Not the hidden one in which files are made."""
    nan = SoundModel(Sampler(SimpleNamespace(mel=lambda noise: tf.fill((16, 16, 64), np.nan)), SEED), SEED, 1, "0" * 12)
    with pytest.raises(MelGANError, match=f"^cannot write {tmp_path}/out/seed-seed0-0000.wav: give finite samples"):
        write_sounds(nan, Request(tmp_path / "out", "run"), 1, 0)
    assert list(tmp_path.iterdir()) == []


# -- the command -----------------------------------------------------------------------------------------------------

def test_command_writes_and_says_where(run, tmp_path):
    out = tmp_path / "out"
    ended = invoke("generate", run.path, *GRIFFIN_LIM, "--out", out, "--count", 2, "--seed", 9)
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout == (f"2 sounds in {out}, with spectrograms in {out}/sounds.png; to hear: "
                            f"{out}/index.html\nstill sounding where the model's length ends, so faded out: 2 of 2 "
                            "sounds; --tail 0 leaves them as they are\n")
    assert sorted(contents(out)) == [
        "LICENSES.txt", "index.html", "run-seed9-0000.wav", "run-seed9-0001.wav", "sounds.json", "sounds.png"]
    assert record(out)["source"] == str(run.path)
    assert record(out)["step"] == 6


def test_command_makes_sixteen_sounds_of_seed_zero(run, tmp_path):
    invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out")
    assert [sound["seed"] for sound in record(tmp_path / "out")["sounds"]] == [0] * 16


def test_command_takes_the_best_checkpoint_on_request(run, tmp_path, monkeypatch):
    asked = []

    def load(path, checkpoint, progress, vocoder):
        asked.append(checkpoint)
        return load_sound_model(path, checkpoint, progress, vocoder)

    monkeypatch.setattr("melgan_tf.inference.load.load_sound_model", load)
    for choice in ((), ("--checkpoint", "best")):
        assert invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--count", 1, "--force",
                      *choice).code == 0
    assert asked == ["last", "best"]


def test_command_refuses_a_folder_with_anything_in_it(run, tmp_path):
    (tmp_path / "letter.txt").write_text("dear diary")
    check = unchanged(tmp_path)
    invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path).one_line(f"{tmp_path} exists", "--force", code=2)
    check()


def test_command_takes_an_empty_folder_without_force(run, tmp_path):
    (tmp_path / "out").mkdir()
    assert invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--count", 1).code == 0


def test_command_with_force_keeps_foreign_files(run, tmp_path):
    out = tmp_path / "out"
    assert invoke("generate", run.path, *GRIFFIN_LIM, "--out", out, "--count", 3).code == 0
    (out / "letter.txt").write_text("dear diary")
    assert invoke("generate", run.path, *GRIFFIN_LIM, "--out", out, "--count", 1, "--seed", 4, "--force").code == 0
    assert sorted(contents(out)) == [
        "LICENSES.txt", "index.html", "letter.txt", "run-seed4-0000.wav", "sounds.json", "sounds.png"]


def test_command_quiet_says_nothing(run, tmp_path):
    ended = invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--count", 1, "--quiet")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


def test_command_warns_of_silent_sounds(run, tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "is_silent", lambda samples: True)
    ended = invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--count", 3, "--quiet")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "warning: silent: 3 of 3 sounds\n")


@pytest.mark.parametrize(("arguments", "parts"), [
    (("--count", 0), ("'--count'", "0 is not in the range")),
    (("--count", 1_000_001), ("'--count'", "1000001 is not in the range")),
    (("--count", "many"), ("'--count'", "'many'")),
    (("--seed", -1), ("'--seed'", "-1 is not in the range")),
    (("--seed", 2**31), ("'--seed'", "2147483648 is not in the range")),
    (("--checkpoint", "first"), ("'--checkpoint'", "'first'", "last", "best")),
])
def test_command_refuses_values_out_of_range(run, tmp_path, arguments, parts):
    invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", *arguments).one_line(*parts, code=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("existed", [True, False])
def test_a_folder_that_is_removed_under_way_is_an_error(trained, tmp_path, existed):
    class Removes(Told):
        def _advance(self, count):
            shutil.rmtree(tmp_path / "made", ignore_errors=True)

    (tmp_path / "made/it" if existed else tmp_path).mkdir(parents=True, exist_ok=True)
    with pytest.raises(MelGANError, match="cannot write .*it"):
        write_sounds(trained, Request(tmp_path / "made/it", "runs/drums"), 3, 5, progress=Removes())
    assert not (tmp_path / "made").exists()


def test_what_stopped_at_the_beginning_says_so(run, tmp_path):
    described = json.loads((run.path / "config.json").read_text())
    (tmp_path / "run").mkdir()
    for steps, warnings in ((60, 0), (36_000, 1)):
        described["config"]["training"]["steps"] = steps
        (tmp_path / "run/config.json").write_text(json.dumps(described))
        warn_of_little_training(tmp_path / "run", 6, told := Told())
        assert len(told.warnings) == warnings
    assert f"{tmp_path}/run has trained 6 of 36,000 steps" in told.warnings[0]
