"""The pitch of sounds that have one, and none of those that do not."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest

from melgan_tf.audio.read import load
from melgan_tf.dsp.pitch import midi_note, note_name, pitch_hz

DEMO = Path(__file__).parent.parent / "demo/drums"


def note(hertz: float, rate: int, seconds: float = 0.5, decay: float = 6.0) -> np.ndarray:
    """Five harmonics, decaying, under a little noise."""
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * k * hertz * time + k) / k for k in range(1, 6) if k * hertz < rate / 2)
    return np.exp(-decay * time) * tone + np.random.default_rng(0).normal(size=len(time)) * 0.003


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
@pytest.mark.parametrize("hertz", [45.0, 82.4, 220.0, 443.0, 1_000.0])
def test_notes(hertz, rate):
    assert pitch_hz(note(hertz, rate), rate) == pytest.approx(hertz, rel=0.006)  # a tenth of a semitone


def test_the_level_does_not_matter():
    assert pitch_hz(1e-3 * note(220.0, 16_000), 16_000) == pytest.approx(220, rel=0.006)


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_pitch(seed):
    hit = np.random.default_rng(seed).normal(size=8_000) * np.exp(-np.arange(8_000) / 1_500)
    assert pitch_hz(hit, 16_000) is None


def test_a_falling_pitch_is_not_stated():
    time = np.arange(8_000) / 16_000
    assert pitch_hz(np.sin(2 * np.pi * (400 * time - 350 * time ** 2)), 16_000) is None


@pytest.mark.parametrize("samples", [np.zeros(8_000), np.zeros(10), np.zeros(0), np.ones(8_000)])
def test_nothing_to_hear(samples):
    assert pitch_hz(samples, 16_000) is None


@pytest.mark.slow
def test_drums_as_an_independent_implementation_hears_them():
    """What is stated is what librosa's pYIN finds in most frames, up to an octave."""
    stated = 0
    for path in sorted(DEMO.rglob("*.flac")):
        samples = load(path, 16_000)
        if (found := pitch_hz(samples, 16_000)) is None:
            continue
        stated += 1
        track, voiced, _ = librosa.pyin(samples, fmin=40, fmax=2_000, sr=16_000)
        semitones = 12 * np.log2(np.median(track[voiced]) / found)
        assert abs(semitones - 12 * round(semitones / 12)) < 1, path.name
        assert path.parent.name not in ("hat", "clap", "cymbal"), path.name
    assert stated >= 3


def test_names_of_notes():
    assert [note_name(value) for value in (0, 21, 60, 61, 127)] == ["C-1", "A0", "C4", "C#4", "G9"]
    assert [midi_note(hertz) for hertz in (440.0, 261.63, 8.18, 30_000.0)] == [69, 60, 0, 127]
    assert note_name(midi_note(librosa.note_to_hz("F#2"))) == "F#2"
