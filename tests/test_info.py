"""`melgan-tf info` on everything: what it says first, what it keeps for later, and what differs between two."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
import soundfile
from command_line import GRIFFIN_LIM, invoke, trained_once, write_sounds

import melgan_tf as mt
from melgan_tf.audio.wav import save_wav
from melgan_tf.config import presets
from melgan_tf.storage.run_directory import RunDirectory, with_training


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return trained_once(tmp_path_factory)


def rows(ended):
    """The rows of a table: (name, text); those that go on are joined."""
    found = []
    for line in ended.stdout.split("\n\n")[0].splitlines()[2:]:
        name, text = re.fullmatch(r"(.*?)  +(.+)", line).groups()
        found = [*found, (name, text)] if name else [*found[:-1], (found[-1][0], f"{found[-1][1]} {text}")]
    return found


def test_info_tells_of_a_run(run):
    values = json.loads(invoke("info", run.path, "--json").stdout)
    recorded = json.loads((run.path / "config.json").read_text())
    assert (values["kind"], values["preset"], values["trained"]) == ("run", "seed", "6 steps (3 epochs) of 3 epochs")
    assert values["checkpoints"] == [2, 4, 6]
    assert re.fullmatch("step [246]", values["best"])
    assert values["sounds"] == recorded["data"]
    assert (values["sounds"]["sounds"], values["sounds"]["folder"]) == (16, str(run.sounds))
    assert values["config"] == recorded["config"]
    assert values["audio_fingerprint"] == presets.get("seed").audio.fingerprint() == recorded["audio_fingerprint"]
    assert (values["seconds"], values["sample_rate"]) == (0.5, 16_000)
    assert values["try"] == f"melgan-tf generate {run.path} --out sounds"
    assert values["figures"].items() >= {f"last.{key}": float(value) for key, value in list(csv.DictReader(
        (run.path / "history.csv").read_text().splitlines()))[-1].items() if "/" in key}.items()


def test_what_people_ask_comes_first_and_metrics_on_request(run):
    short, long = invoke("info", run.path), invoke("info", run.path, "--verbose")
    assert (short.code, short.stderr) == (long.code, long.stderr) == (0, "")
    assert short.stdout.splitlines()[0].split() == ["run", str(run.path)]
    assert rows(short)[:5] == [("trained", "6 steps (3 epochs) of 3 epochs"), ("best", rows(short)[1][1]),
                               ("sounds", f"16 in {run.sounds}"), ("length", "0.5 s"), ("sample rate", "16 kHz")]
    assert rows(short)[-1][0] == "try"
    assert "config" not in short.stdout.replace("--verbose", "")
    assert [row for row in rows(long) if row in rows(short)] == rows(short)
    assert re.search(r"^config.training +.*batch_size=8,", long.stdout, re.MULTILINE)


def test_info_tells_of_a_run_that_has_not_begun(tmp_path):
    RunDirectory(tmp_path / "run").write(with_training(presets.get("seed"), steps=70), {}, {})
    values = json.loads(invoke("info", tmp_path / "run", "--json").stdout)
    assert (values["trained"], values["checkpoints"], values["best"]) == ("0 steps of 70 steps", [], "none")


def test_info_tells_of_a_checkpoint(run):
    values = json.loads(invoke("info", run.path / "checkpoints/step-00000004.npz", "--json").stdout)
    assert (values["kind"], values["step"], values["epoch"]) == ("checkpoint", 4, 1)
    assert values["audio_fingerprint"] == presets.get("seed").audio.fingerprint()
    assert values["numbers"] > 1_000_000  # two players, two moments each


def test_info_tells_what_regenerates_a_wav(run, tmp_path):
    invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--count", 2, "--seed", 3)
    values = json.loads(invoke("info", tmp_path / "out/run-seed3-0001.wav", "--json").stdout)
    weights = json.loads((tmp_path / "out/sounds.json").read_text())["weights"]
    assert (values["seconds"], values["sample_rate"], values["channels"], values["bits"]) == (0.5, 16_000, 1, 16)
    assert values["peak_db"] == pytest.approx(-1.0, abs=0.01)
    assert values["try"] == f"melgan-tf vary {tmp_path / 'out/run-seed3-0001.wav'} --out variations"
    assert values.items() >= {"kind": "generated WAV", "made_by": "melgan-tf", "weights": weights, "step": 6, "seed": 3,
                              "index": 1, "source": "run", "normalized": True, "vocoder": "griffin-lim"}.items()


@pytest.mark.parametrize(("name", "kind"), [("drums-44k", "sound model"), ("pretrained:drums-44k", "sound model"),
                                            ("vocoder-44k", "vocoder")])
def test_bundled_models_are_known_by_their_bare_names(name, kind):
    values = json.loads(invoke("info", name, "--json").stdout)
    assert (values["kind"], values["sample_rate"], values["licence"]) == (kind, 44_100, "CC0-1.0")
    assert dict(rows(invoke("info", name)))["sample rate"] == "44.1 kHz"
    assert dict(rows(invoke("info", name)))["try"].startswith(
        "melgan-tf vocode SOUND.wav" if kind == "vocoder" else "melgan-tf generate pretrained:drums-44k")


def test_a_folder_of_sounds_says_what_training_would_make_of_it(tmp_path):
    for label, count in (("kick", 3), ("my snare", 2)):
        write_sounds(tmp_path / "my sounds" / label, count)
    soundfile.write(tmp_path / "my sounds/kick/long.wav", np.random.default_rng(0).normal(0, 0.1, 44_100), 44_100)
    found = dict(rows(invoke("info", tmp_path / "my sounds")))
    assert found == {"sounds": "6", "length": "typically 0.5 s", "sample rate": "16 kHz",
                     "sample rates": "16000 (5), 44100 (1)", "classes": "kick (4), my snare (2)", "preset": "drums",
                     "training": "0.7 h", "try": f"melgan-tf train '{tmp_path}/my sounds' --init-from pretrained:drums "
                                               "--run-dir RUN"}


def test_a_sound_has_its_format_and_level(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 997 * np.arange(2 * 48_000) / 48_000)
    soundfile.write(tmp_path / "tone.flac", np.stack([tone, tone], 1), 48_000, "PCM_24")
    values = mt.info(tmp_path / "tone.flac")
    assert (values["kind"], values["format"], values["seconds"]) == ("sound", "FLAC", 2.0)
    assert (values["sample_rate"], values["channels"], values["bits"]) == (48_000, 2, 24)
    assert values["peak_db"] == pytest.approx(-6.02, abs=0.01)
    assert values["loudness_lufs"] == pytest.approx(-6.0, abs=0.2)  # 997 Hz on two channels at a peak of -6 dB
    assert dict(rows(invoke("info", tmp_path / "tone.flac")))["loudness"].endswith(" LUFS")


def test_silence_has_no_level(tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    values = mt.info(tmp_path / "silence.wav")
    assert (values["peak_db"], values["loudness_lufs"]) == (None, None)
    assert "peak" not in dict(rows(invoke("info", tmp_path / "silence.wav")))


def test_generated_sounds_are_described_by_their_record(run, tmp_path):
    invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--count", 2)
    by_folder, by_file = (mt.info(tmp_path / path) for path in ("out", "out/sounds.json"))
    assert by_folder == by_file
    assert (by_folder["kind"], by_folder["sounds"], by_folder["seconds"]) == ("generated sounds", 2, 0.5)
    assert by_folder["sample_rate"] == 16_000


def test_what_differs_between_two_runs(run, tmp_path):
    RunDirectory(tmp_path / "run").write(with_training(presets.get("seed"), epochs=7, batch_size=9), {}, {})
    values = json.loads(invoke("info", run.path, tmp_path / "run", "--json").stdout)
    assert values["sources"] == [str(run.path), str(tmp_path / "run")]
    assert values["config"]["training.batch_size"] == [8, 9]
    assert values["config"]["training.epochs"] == [3, 7]
    assert "audio.sample_rate" not in values["config"]
    assert values["figures"]["step"] == [6, 0]
    ended = invoke("info", run.path, tmp_path / "run")
    assert (ended.code, ended.stderr) == (0, "")
    assert re.search(r"^training.batch_size +8 +9$", ended.stdout, re.MULTILINE)
    same = invoke("info", run.path, run.path)
    assert same.stdout.split("\n\n")[0] == "no setting differs"


def test_what_cannot_be_compared(run, tmp_path):
    invoke("info", run.path, run.sounds).one_line("(folder of sounds)", "no configuration to compare", code=2)
    invoke("info", "drums", "music", "vocoder-22k").one_line("3 paths: give one", code=2)
    invoke("info", "drum").one_line("drum does not exist: did you mean 'pretrained:drums'", code=2)


@pytest.mark.parametrize("comment", ["", "3", '{"made_by": "somebody else"}'])
def test_a_comment_of_somebody_else_is_none(tmp_path, comment):
    save_wav(tmp_path / "a.wav", np.zeros(100), 16_000, comment=comment)
    assert invoke("info", tmp_path / "a.wav").stdout.startswith("sound  ")


@pytest.mark.parametrize("values", [{"seconds": "x"}, {"classes": {"kick": []}}, {"hours": [], "size_bytes": "many"}])
def test_a_comment_with_values_of_other_types_is_shown(tmp_path, values):
    save_wav(tmp_path / "a.wav", np.zeros(100), 16_000, comment=json.dumps({"made_by": "melgan-tf", **values}))
    assert invoke("info", tmp_path / "a.wav").stdout.startswith("generated WAV  ")
