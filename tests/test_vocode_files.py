"""`melgan-tf vocode`: which file becomes which WAV, what is never replaced, and which vocoder renders."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import PROGRAM, invoke, program, unchanged
from tiny_vocoders import ship, tiny, tone, write_run
from told import Told

from melgan_tf.audio.isolated import read_comment
from melgan_tf.audio.wav import save_wav
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference import vocoder as vocoders
from melgan_tf.inference.vocode_files import vocode_files
from melgan_tf.inference.vocode_plan import plan
from melgan_tf.inference.vocoder import load_vocoder

RATE = 16_000


def a_mel() -> np.ndarray:
    return np.random.default_rng(0).uniform(-4, 0, (12, 64)).astype(np.float32)


def length_of(path: Path | str) -> int:
    return soundfile.info(str(path)).frames


# -- which file becomes which ----------------------------------------------------------------------------------------

def test_two_that_would_become_one_are_refused(vocode, tmp_path):
    for name in ("one/a.wav", "two/a.flac"):
        Path(name).parent.mkdir()
        soundfile.write(name, tone(900, RATE), RATE)
    np.save("a.npy", a_mel())
    check = unchanged(tmp_path)
    vocode("one/a.wav", "two/a.flac").one_line("one/a.wav and two/a.flac would both become out/a.wav", code=2)
    vocode("one", "a.npy").one_line("one/a.wav and a.npy would both become out/a.wav", code=2)
    check()


def test_one_that_is_given_twice_is_rendered_once(vocode):
    save_wav("a.wav", tone(900, RATE), RATE)
    ended = vocode("a.wav", "./a.wav", ".")
    assert ended.code == 0
    assert ended.stdout.startswith("1 sound in out")


@pytest.mark.parametrize("inputs", [("in",), ("in/a.wav",), ("link",)])
def test_no_input_is_replaced(vocode, inputs, tmp_path):
    Path("in").mkdir()
    save_wav("in/a.wav", tone(900, RATE), RATE)
    os.symlink("in", "link")
    check = unchanged(tmp_path)
    for out in ("in", "link", "in/../in"):
        vocode(*inputs, "--force", out=out).one_line("a.wav is an input itself and would be replaced", code=2)
    check()


def test_what_is_there_is_replaced_only_with_force(vocode, tmp_path):
    save_wav("a.wav", tone(900, RATE), RATE)
    Path("out").mkdir()
    Path("out/a.wav").write_text("precious")
    Path("out/letter.txt").write_text("dear diary")
    check = unchanged(tmp_path)
    vocode("a.wav").one_line("out exists: give another --out, or --force", code=2)
    check()
    assert vocode("a.wav", "--force").code == 0
    assert length_of("out/a.wav") == 900
    assert Path("out/letter.txt").read_text() == "dear diary"


def test_an_empty_folder_is_no_hindrance(vocode):
    save_wav("a.wav", tone(900, RATE), RATE)
    Path("out").mkdir()
    assert vocode("a.wav").code == 0


def _text(place: Path) -> None:
    place.mkdir()
    (place / "notes.txt").write_text("kick")


def _mels(place: Path) -> None:
    place.mkdir()
    np.save(place / "a.npy", a_mel())


@pytest.mark.parametrize(("make", "parts", "code"), [
    (None, ("in does not exist", "mels (.npy)"), 2), (Path.mkdir, ("in contains no sound file",), 1),
    (_text, ("in contains no sound file",), 1), (_mels, ("in contains no sound file", "its .npy files"), 1),
    (Path.touch, ("in: an empty file",), 1), (lambda place: place.write_text("kick\n" * 99), ("in: text",), 1)])
def test_inputs_that_give_nothing(vocode, make, parts, code, tmp_path):
    if make:
        make(Path("in"))
    check = unchanged(tmp_path)
    vocode("in").one_line(*parts, code=code)
    check()


def test_a_damaged_sound_costs_itself(vocode):
    Path("in/deep").mkdir(parents=True)
    for name in ("a", "c"):
        save_wav(f"in/{name}.wav", tone(900, RATE), RATE)
    Path("in/b.wav").write_bytes(b"RIFF")
    Path("in/link.wav").symlink_to("nowhere")
    soundfile.write("in/deep/d.flac", tone(90_000, RATE), RATE)
    Path("in/deep/d.flac").write_bytes(Path("in/deep/d.flac").read_bytes()[:-40])
    ended = vocode("in")
    assert ended.code == 0
    assert re.match("2 sounds in out: .*; 3 skipped$", ended.stdout)
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == ["warning"] * 3
    assert "skipped in/link.wav: cannot be read" in ended.stderr
    assert "skipped in/b.wav: " in ended.stderr
    assert "skipped in/deep/d.flac: damaged or truncated" in ended.stderr
    assert sorted(str(path.relative_to("out")) for path in Path("out").rglob("*")) == ["a.wav", "c.wav"]
    assert length_of("out/c.wav") == 900


def test_nothing_but_damaged_sounds(vocode):
    Path("a.wav").write_bytes(b"RIFF")
    Path("b.wav").touch()
    ended = vocode("a.wav", "b.wav")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1] == "melgan-tf: none of the 2 sounds can be decoded"
    assert not Path("out").exists()


def test_a_place_below_a_file(vocode, tmp_path):
    save_wav("a.wav", tone(900, RATE), RATE)
    Path("file").write_text("dear diary")
    check = unchanged(tmp_path)
    vocode("a.wav", out="file/out").one_line("file/out cannot be made", "is not a directory", code=2)
    vocode("a.wav", out="file").one_line("'--out'", "is a file", code=2)
    check()


def test_the_library_says_the_same(loaded, tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        plan([tmp_path / "none"], tmp_path / "out")
    with pytest.raises(MelGANError, match="contains no sound file"):
        plan([tmp_path], tmp_path / "out")
    done = vocode_files(loaded["fast"], [])
    assert (done.files, done.seconds, done.clipped) == ([], 0.0, [])


# -- which vocoder ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("vocoder", "parts", "code"), [
    ("vocoder-22", ("did you mean 'vocoder-22k'?",), 2), ("none", ("neither the run directory", "known are"), 2),
    ("seed", ("makes mels from noise: give the run of a vocoder",), 2), ("", ("neither the run directory",), 2),
    ("griffin-lim", ("griffin-lim has no mels of its own",), 2)])
def test_a_vocoder_that_is_none(vocode, monkeypatch, tmp_path, vocoder, parts, code):
    ship(monkeypatch, tmp_path / "weights", vocoder_22k=tiny("vocoder-22k"))
    save_wav("a.wav", tone(900, RATE), RATE)
    check = unchanged(tmp_path)
    vocode("a.wav", vocoder=vocoder).one_line(*parts, code=code)
    check()


def test_a_run_without_a_checkpoint(vocode, vocoder_runs, tmp_path):
    run = shutil.copytree(vocoder_runs["fast"], tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    save_wav("a.wav", tone(900, RATE), RATE)
    vocode("a.wav", vocoder="run").one_line("run has no checkpoint yet", "train it first", code=1)
    vocode("a.wav", "--checkpoint", "best", vocoder="run").one_line("run has no checkpoint yet", code=1)
    assert not Path("out").exists()


def test_without_a_choice_it_is_the_packages_own(vocode, monkeypatch, tmp_path):
    """Even where a run of that name lies about."""
    ship(monkeypatch, tmp_path / "weights", vocoder_22k=tiny("vocoder-22k", seed=1))
    write_run(Path("vocoder-22k"), tiny("vocoder-22k", seed=2))
    save_wav("a.wav", tone(900, RATE), RATE)
    for out, choice in (("default", ()), ("named", ("--vocoder", "vocoder-22k"))):
        assert invoke("vocode", "a.wav", "--out", out, *choice).code == 0
    made = {out: json.loads(read_comment(f"{out}/a.wav"))["vocoder_weights"] for out in ("default", "named")}
    assert made["default"] == vocoders.load_pretrained_vocoder("vocoder-22k").weights
    assert made["named"] == load_vocoder("./vocoder-22k").weights
    assert made["named"] != made["default"]
    assert length_of("default/a.wav") == round(900 * 22_050 / RATE)


@pytest.mark.nightly
def test_the_command_by_itself(tmp_path):
    """A real process with the vocoder that the package really brings along."""
    save_wav(tmp_path / "a.wav", tone(22_050, 22_050), 22_050)
    ended = program("vocode", "a.wav", "--out", "out", cwd=tmp_path)
    assert (ended.code, ended.stderr) == (0, "")
    assert re.fullmatch(r"1 sound in out: 1\.0 s of sound in \d+\.\d\d s, \d+ times real time\n", ended.stdout)
    assert length_of(tmp_path / "out/a.wav") == 22_050
    assert json.loads(read_comment(tmp_path / "out/a.wav"))["vocoder_name"] == "vocoder-22k"


@pytest.mark.nightly
def test_an_hour_takes_no_more_than_a_gigabyte(tmp_path):
    """With TensorFlow, which takes 0.6 of it; in FLAC of 48 kHz stereo, half of it silent, which packs to a tenth."""
    minute = (3_000 * np.random.default_rng(0).standard_normal((48_000 * 60, 2))).astype("int16")
    with soundfile.SoundFile(tmp_path / "hour.flac", "w", 48_000, 2, "PCM_16") as file:
        for number in range(60):
            file.write(minute * (number % 2))
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, "vocode", tmp_path / "hour.flac", "--out",
                                tmp_path / "out", "--vocoder", "vocoder-16k", "--quiet"])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_maxrss < 1_000_000  # kB
    assert length_of(tmp_path / "out/hour.wav") == 3_600 * 16_000


def test_a_folder_that_is_removed_under_way_is_not_begun_anew(tmp_path):
    """The rest of the WAVs alone would look like all of them."""
    class Removes(Told):
        def _advance(self, count):
            shutil.rmtree(tmp_path / "out")

    for name in "abc":
        save_wav(tmp_path / f"{name}.wav", tone(900, RATE), RATE)
    pairs = plan([tmp_path / f"{name}.wav" for name in "abc"], tmp_path / "out")
    write_run(tmp_path / "run", tiny())
    with pytest.raises(MelGANError, match="cannot write .*b.wav: .*out was removed or moved away"):
        vocode_files(load_vocoder(tmp_path / "run"), pairs, progress=Removes())
    assert not (tmp_path / "out").exists()
