"""What `train` takes a folder for, and so which preset it chooses."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from command_line import invoke
from loop_sounds import RATE, labelled

from melgan_tf.config import presets
from melgan_tf.data.survey import survey
from melgan_tf.errors import MelGANError


def write(folder, seconds, rate, labels=("kick", "snare"), each=3):
    for label in labels:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for index in range(each):
            noise = np.random.default_rng(index).normal(0, 0.1, int(seconds * rate))
            soundfile.write(folder / label / f"{index}.wav", noise, rate)
    return folder


@pytest.mark.parametrize(("seconds", "rate", "preset"), [
    (0.3, 16_000, "drums"), (0.3, 44_100, "drums-44k"), (0.3, 48_000, "drums-44k"), (0.3, 8_000, "drums"),
    (2.5, 44_100, "music"), (12.0, 16_000, "music")])
def test_the_preset_follows_length_and_rate(tmp_path, seconds, rate, preset):
    found = survey(write(tmp_path / "sounds", seconds, rate))
    assert (found.sounds, found.classes, found.sample_rate) == (6, 2, rate)
    assert found.seconds == pytest.approx(min(seconds, 10.0), abs=0.01)
    assert presets.suggest(found.seconds, found.sample_rate) == preset


def test_most_sounds_decide_and_damaged_ones_do_not(tmp_path):
    folder = write(tmp_path / "sounds", 0.2, 44_100)
    write(folder, 0.2, 16_000, ("odd",), each=1)
    (folder / "kick" / "broken.wav").write_bytes(b"RIFF" + bytes(40))
    assert survey(folder).sample_rate == 44_100
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "broken.wav").write_bytes(b"RIFF" + bytes(40))
    with pytest.raises(MelGANError, match="no sound in"):
        survey(tmp_path / "bad")


@pytest.mark.slow
def test_train_says_which_preset_and_why(tmp_path, eager):
    folder = write(tmp_path / "sounds", 0.3, 16_000, each=8)
    ended = invoke("train", folder, "--run-dir", tmp_path / "run", "--steps", 1, "--no-xla",
                   "--set", "model.channels=8", "--set", "training.batch_size=8")
    assert ended.code == 0, ended.stderr
    assert ended.stdout.startswith("preset drums suits these sounds: 16 sounds in 2 class folders, typically 0.3 "
                                   "s at 16000 Hz")


def test_loops_are_told_by_their_tempos(tmp_path):
    """Whole bars that names tell are loops; half a folder of something else, or bars that nothing tells, are not."""
    for number, (sound, bpm, _) in enumerate(labelled(6)):
        (tmp_path / "loops" / "drums").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "loops" / "drums" / f"{number}_{bpm}bpm.wav", sound, RATE)
    found = survey(tmp_path / "loops")
    tempos = [bpm for _, bpm, _ in labelled(6)]
    assert found.tempos == (min(tempos), max(tempos), "name")
    assert found.preset == "loops"
    assert f"whole bars at {min(tempos)} to {max(tempos)} BPM (told by name)" in str(found)
    assert f"{min(tempos)} to {max(tempos)} BPM (told by name)\n" in invoke("info", tmp_path / "loops").stdout
    for number in range(6):  # as many that are none
        soundfile.write(tmp_path / "loops" / f"{number}_100bpm.wav", labelled(1)[0][0][:RATE], RATE)
    assert survey(tmp_path / "loops").tempos is None
    assert survey(write(tmp_path / "notes", 2.4, 22_050)).tempos is None  # whole bars at 100 BPM, but nothing says so
