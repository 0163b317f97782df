"""`melgan-tf evaluate` of a vocoder: its copy synthesis beside Griffin-Lim's."""

from __future__ import annotations

import json
import re

import copy_synthesis
import numpy as np
import pytest
from command_line import invoke, unchanged
from tiny_vocoders import STEP, ship, tiny, tone
from told import Told

from melgan_tf.audio.read import load
from melgan_tf.audio.wav import save_wav
from melgan_tf.dsp.griffin_lim import mel_to_waveform
from melgan_tf.dsp.spectral import mel_spectrogram
from melgan_tf.errors import MelGANError
from melgan_tf.evaluation.evaluate import evaluate
from melgan_tf.evaluation.tables import to_json
from melgan_tf.evaluation.vocoder_metrics import measure_vocoder

RATE = 16_000
FIGURES = (*copy_synthesis.FIGURES, "idle_peak", "idle_dc_offset", "speed")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Three sounds, of which one is shorter than a window and one in a folder of its own."""
    folder = tmp_path_factory.mktemp("sounds") / "drums"
    (folder / "more").mkdir(parents=True)
    save_wav(folder / "a.wav", tone(6_000, RATE), RATE)
    save_wav(folder / "b.wav", tone(700, RATE, 150.0), RATE)
    save_wav(folder / "more/c.wav", tone(9_001, 44_100, 990.0), 44_100)
    return folder


@pytest.fixture(scope="module")
def found(loaded, sounds):
    return evaluate(loaded["fast"], sounds)


def test_both_are_measured_on_the_same_sounds(found, sounds):
    for figures in (found.generated, found.baseline):
        assert (figures.sounds, figures.silent) == (3, 0)
        assert figures.speed > 0
        assert all(np.isfinite(to_json(figures)[name]) for name in FIGURES)
    assert found.generated != found.baseline
    assert found.generated.idle_peak == found.generated.idle_dc_offset == 0.0  # silence stays silent
    assert found.metadata["reference"] == "drums"


def test_the_metrics_are_those_of_copy_synthesis(found, loaded, sounds):
    """Measured again by hand: with the vocoder, and with 32 iterations of Griffin-Lim."""
    vocoder = loaded["fast"]
    audio = vocoder.audio
    reals = [load(sounds / name, RATE) for name in ("a.wav", "b.wav", "more/c.wav")]
    for figures, vocode in ((found.generated, vocoder.vocode),
                            (found.baseline, lambda mel: mel_to_waveform(mel, audio, 32))):
        again = measure_vocoder(vocode, reals, audio, lambda waveform: mel_spectrogram(waveform, audio))
        for name in ("log_mel_l1", "stft", "onset_error_db"):
            assert getattr(figures, name) == pytest.approx(getattr(again, name), rel=0.02), name


def test_a_worse_vocoder_has_worse_figures(found, loaded, sounds):
    """One that was never taught, and has no magnitudes of its own to begin with."""
    worse = evaluate(loaded["melgan"], sounds)
    assert worse.generated.log_mel_l1 > 3 * found.generated.log_mel_l1
    assert worse.generated.stft > 2 * found.generated.stft
    assert worse.baseline.log_mel_l1 == pytest.approx(found.baseline.log_mel_l1, rel=0.02)


def test_only_the_beginning_of_a_long_sound_counts(loaded, tmp_path, monkeypatch):
    rng, vocoder = np.random.default_rng(0), loaded["fast"]
    monkeypatch.setattr("melgan_tf.evaluation.evaluate_vocoder.MAX_SOUND_SECONDS", 0.5)
    both = np.concatenate([tone(8_000, RATE), rng.uniform(-1, 1, 8_000)])
    figures = []
    for name, sound in (("short", both[:8_000]), ("long", both)):
        (tmp_path / name).mkdir()
        save_wav(tmp_path / name / "a.wav", sound, RATE)
        figures.append(evaluate(vocoder, tmp_path / name).generated)
    assert figures[0].log_mel_l1 == figures[1].log_mel_l1


def test_unusable_files_are_reported_once(loaded, tmp_path):
    save_wav(tmp_path / "a.wav", tone(3_000, RATE), RATE)
    save_wav(tmp_path / "silent.wav", np.zeros(3_000), RATE)
    (tmp_path / "bad.wav").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("kick")
    told = Told()
    assert evaluate(loaded["fast"], tmp_path, progress=told).generated.sounds == 1
    assert told.warnings == ["skipped bad.wav: an empty file", "skipped silent.wav: silent"]


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: (folder / "notes.txt").write_text("kick"),
                                  lambda folder: (folder / "bad.wav").write_bytes(b""),
                                  lambda folder: save_wav(folder / "silent.wav", np.zeros(3_000), RATE)])
def test_a_folder_without_a_usable_sound_is_refused(loaded, vocoder_runs, tmp_path, make):
    folder = tmp_path / "sounds"
    folder.mkdir()
    make(folder)
    with pytest.raises(MelGANError) as error:
        evaluate(loaded["fast"], folder)
    assert "\n" not in str(error.value)
    check = unchanged(tmp_path)
    ended = invoke("evaluate", vocoder_runs["fast"], "--reference", folder, "--json", tmp_path / "a.json")
    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1].startswith("melgan-tf: ")
    check()


def test_the_command_prints_the_table_and_writes_the_figures(vocoder_runs, sounds, tmp_path):
    ended = invoke("evaluate", vocoder_runs["fast"], "--reference", sounds, "--json", tmp_path / "figures.json")
    assert (ended.code, ended.stderr) == (0, "")
    lines = [re.split(r"  +", line.strip()) for line in ended.stdout.splitlines()]
    assert lines[0] == ["copy synthesis of 3 sounds of drums"]
    assert lines[3] == ["metric", "vocoder", "Griffin-Lim 32", "better"]
    assert lines[-1][0].startswith("log mel ")
    rows = {line[0]: line[1:] for line in lines[5:-2]}
    assert {"log mel, dB", "multi-resolution STFT", "onset, dB", "frame-rate buzz, dB", "times real time"} <= set(rows)
    assert all(len(row) == 3 and row[2] in ("lower", "higher", "near 0") for row in rows.values())
    values = json.loads((tmp_path / "figures.json").read_text())
    assert (values["name"], values["preset"], values["step"]) == (str(vocoder_runs["fast"]), "vocoder-16k", STEP)
    assert values["reference"] == "drums"
    for column, name in enumerate(("vocoder", "griffin-lim 32")):
        assert set(FIGURES) <= set(values[name])
        assert values[name]["sounds"] == 3
        assert float(rows["log mel, dB"][column]) == pytest.approx(values[name]["log_mel_l1"], rel=1e-3)


def test_quiet_keeps_the_figures(vocoder_runs, sounds):
    ended = invoke("evaluate", vocoder_runs["fast"], "--reference", sounds, "--quiet")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith("copy synthesis of 3 sounds")


@pytest.mark.slow
def test_the_packages_own_is_measured_by_name(monkeypatch, sounds, tmp_path):
    monkeypatch.chdir(tmp_path)
    ship(monkeypatch, tmp_path / "weights", vocoder_16k=tiny())
    ended = invoke("evaluate", "vocoder-16k", "--reference", sounds, "--json", "figures.json")
    assert (ended.code, ended.stderr) == (0, "")
    assert json.loads((tmp_path / "figures.json").read_text())["name"] == "vocoder-16k"


def test_figures_of_a_card_have_four_digits(found):
    values = found.summary()["vocoder"]
    assert values["sounds"] == 3
    assert values["log_mel_l1"] == float(f"{found.generated.log_mel_l1:.4g}")
    assert "| log mel, dB |" in found.markdown()
