"""Sounds that are as somebody wishes: features asked for against features heard; swing; sets that play together."""

from __future__ import annotations

import json
import math
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.stats
import soundfile
import tensorflow as tf
from eagerly import eagerly
from tiny_families import tiny

import melgan_tf as mt
from melgan_tf.audio.loops.tags import read_tags
from melgan_tf.audio.wav import save_wav
from melgan_tf.config import presets
from melgan_tf.data.labels import Classes
from melgan_tf.data.loop_dataset import grid_mel
from melgan_tf.dsp import spectral
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.origin import Output, read_origin, read_origins
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.inference.variations import vary
from melgan_tf.inference.vocoder import vocoder_for
from melgan_tf.inference.wishes import HitMeasures
from melgan_tf.models.loop_gan.features import Heard
from melgan_tf.models.loop_gan.networks import Generator
from melgan_tf.models.loop_gan.resample import MARGIN, to_tempo
from melgan_tf.models.loop_gan.sampler import LoopSampler

RATE = 22_050
CONFIG = tiny("loop-gan")
SHARES = (0.1, 0.5, 0.9)


def pulses(*sixteenths: int) -> np.ndarray:
    """Two bars at 120 BPM with short bursts of noise at sixteenths of each bar."""
    loop = np.zeros(4 * RATE, np.float32)
    burst = np.random.default_rng(0).normal(size=600) * np.exp(-np.arange(600) / 90)
    for bar in range(2):
        for sixteenth in sixteenths:
            loop[(round((16 * bar + sixteenth) * RATE / 8) + np.arange(600)) % len(loop)] += burst
    return loop / np.abs(loop).max()


def heard(*loops: np.ndarray) -> np.ndarray:
    mels = np.stack([grid_mel(loop, 384, CONFIG.audio) for loop in loops])
    return Heard(CONFIG)(tf.constant(mels)).numpy()


@pytest.fixture(scope="module")
def model() -> SoundModel:
    with eagerly():
        sampler = LoopSampler(Generator(CONFIG, 2), CONFIG, vocoder_for(CONFIG.audio), Classes({"drums": 3, "keys": 1}))
        return SoundModel(sampler, CONFIG, 0, "0" * 12, source="tiny")


# -- features


@pytest.mark.parametrize(("sixteenths", "density", "weakness"), [
    ((0, 4, 8, 12), 4 / 16, (0 + 2 + 1 + 2) / 16),  # on the beats
    (tuple(range(16)), 1, (8 * 4 + 4 * 3 + 2 * 2 + 1) / 64),
    ((0, 6, 12), 3 / 16, (0 + 3 + 2) / 12),
    ((0, 3, 10), 3 / 16, (0 + 4 + 3) / 12),
])
def test_density_and_complexity_are_those_worked_out_by_hand(sixteenths, density, weakness):
    found = heard(pulses(*sixteenths))[0]
    assert np.exp(found[0]) - 0.01 == pytest.approx(density, abs=0.04)
    assert found[3] == pytest.approx(weakness, abs=0.04)


def test_loudness_is_the_mean_level_at_one_peak_at_any_level():
    sparse, dense = pulses(0), pulses(*range(16))
    found = heard(sparse, dense, dense / 4)[:, 2]
    level = [math.log(np.sqrt(np.mean(loop ** 2)) / np.abs(loop).max()) for loop in (sparse, dense)]
    assert found[1] - found[0] == pytest.approx(level[1] - level[0], abs=0.3)
    assert found[2] == pytest.approx(found[1], abs=0.02)


def test_measures_of_hits_follow_the_sound():
    audio, time = presets.get("drums").audio, np.arange(8_000) / 16_000
    measure = HitMeasures(audio)

    def of(hertz: float, seconds: float) -> np.ndarray:
        tone = (np.sin(2 * np.pi * hertz * time) * np.exp(-time / seconds)).astype(np.float32)
        return measure(spectral.mel_spectrogram(tf.constant(tone[None]), audio)).numpy()[0]

    low, high, long = of(200, 0.05), of(400, 0.05), of(200, 0.2)
    assert high[2] - low[2] == pytest.approx(math.log(2), abs=0.1)  # an octave
    assert high[0] > low[0]
    assert long[1] - low[1] > 0.5
    assert long[2] == pytest.approx(low[2], abs=0.1)


# -- asked for against heard


@pytest.mark.nightly
def test_loops_have_what_was_asked_for_in_the_sound():
    """Measured in the waveform by librosa, which shares no code with what is asked."""
    with eagerly():
        loops, shares, rows = mt.load("pretrained:loops"), [], []
        for seed, share in enumerate(SHARES):
            made = loops.asked(brightness=share, density=share).generate(12, seed=seed, label="drums")
            for audio, mel in zip(made["audio"], made["mel"], strict=True):
                shares.append(share)
                rows.append([librosa.feature.spectral_centroid(y=audio, sr=RATE).mean(),
                             *Heard(loops.config)(tf.constant(mel[None])).numpy()[0, :2]])
    rank = [scipy.stats.spearmanr(shares, column)[0] for column in np.transpose(rows)]
    assert rank[0] >= 0.8
    assert min(rank[1:]) >= 0.9  # three shares: ties


@pytest.mark.slow
def test_onsets_off_the_beat_are_heard():
    """Strengths of librosa's onsets, weighted by hand: how far they are from where bars begin."""
    weakness = np.array([0, 4, 3, 4, 2, 4, 3, 4, 1, 4, 3, 4, 2, 4, 3, 4])
    with eagerly():
        loops, shares, heard_in_sound = mt.load("pretrained:loops"), [], []
        for seed, share in enumerate(SHARES):
            for audio in loops.asked(complexity=share).generate(12, seed=seed, label="keys")["audio"]:
                strength = librosa.onset.onset_strength(y=np.tile(audio, 2), sr=RATE, hop_length=128)
                onsets = librosa.onset.onset_detect(onset_envelope=strength, sr=RATE, hop_length=128)
                places = np.rint(onsets * 128 / len(audio) * 32).astype(int) % 16
                shares.append(share)
                heard_in_sound.append(strength[onsets] @ weakness[places] / strength[onsets].sum())
    assert scipy.stats.spearmanr(shares, heard_in_sound)[0] >= 0.6


@pytest.mark.slow
def test_hits_have_what_was_asked_for_in_the_sound():
    with eagerly():
        drums = mt.load("pretrained:drums")
        hertz = [np.mean([librosa.feature.spectral_centroid(y=audio, sr=16_000).mean() for audio in
                          drums.asked(brightness=share).generate(4, label="snare")["audio"]]) for share in SHARES]
    assert hertz == sorted(hertz)


@pytest.mark.slow
def test_what_was_asked_for_can_be_recalled(model, tmp_path):
    with eagerly():
        asked = model.asked(density=0.9, complexity=0.2, key="Am", swing=0.5, bpm=100)
        assert asked.sampler.wishes == {"bpm": 100, "bars": 2, "key": "Am", "swing": 0.5, "density": 0.9,
                                        "complexity": 0.2}
        record = asked.write(tmp_path / "made", 2, 5, "keys")
        file = tmp_path / "made" / record["files"][0]
        origin = read_origin(file)
        recalled = model.asked(**origin.asked)
        recalled.write_recipes(tmp_path / "again", [(file.name, origin.recipe(model.sampler.classes))], source="tiny")
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()
        plain = model.generate(2, 5, "keys")["noise"]
        assert np.abs(record["sounds"][0]["noise"] - plain[0]).max() > 0.1
        assert recalled.asked(bpm=90).sampler.wishes["density"] == 0.9  # of earlier wishes


@pytest.mark.slow
def test_without_wishes_noise_is_what_was_drawn(model):
    with eagerly():
        made = model.asked(bpm=90, swing=1.0).generate(3, 2)
        np.testing.assert_array_equal(made["noise"], model.sampler.noise(2, 3))
        np.testing.assert_array_equal(made["mel"], model.generate(3, 2)["mel"])


# -- swing


@pytest.mark.parametrize(("swing", "place"), [(0.0, 1 / 2), (0.5, 7 / 12), (1.0, 2 / 3)])
def test_swing_delays_every_second_sixteenth(swing, place):
    samples, frames = 8 * RATE, 384  # beats of a second
    matrix = to_tempo(frames, samples, CONFIG.audio, swing)
    for sixteenth in range(32):
        eighth, off = divmod(sixteenth, 2)
        second = (eighth + off * place) / 2
        frame = matrix[:, 12 * sixteenth].argmax() - MARGIN
        if 0 < frame < len(matrix) - 2 * MARGIN - 1:  # others stand on either side of the loop
            assert (frame + 0.5) * CONFIG.audio.hop_samples / RATE == pytest.approx(second, abs=0.012)


# -- sounds from sounds


@pytest.mark.slow
def test_variations_of_a_loop_of_ones_own_keep_tempo_bars_and_key(tmp_path):
    save_wav(tmp_path / "mine_120bpm_Am.wav", np.tile(pulses(0, 4, 8, 12), 2), RATE)  # four bars
    loops = mt.load("pretrained:loops")
    record = vary(loops, (tmp_path / "mine_120bpm_Am.wav", None), Output(tmp_path / "out"), 0.2, range(1), "drums")
    assert record["asked"] == {"bpm": 120.0, "bars": 4, "key": "Am"}
    found = read_tags(tmp_path / "out" / record["files"][0])
    assert (found.tempo, found.beats) == (120.0, 16.0)
    assert 0 < record["distance_db"] < 15
    save_wav(tmp_path / "short_120bpm.wav", pulses(0)[:RATE], RATE)
    with pytest.raises(MelGANError, match="shorter than a bar"):
        loops.encode(tmp_path / "short_120bpm.wav")


@pytest.mark.slow
def test_stems_play_together(model, tmp_path):
    with eagerly():
        record = model.asked(bpm=100, key="Am").write(tmp_path / "sets", 2, 7, stems=["drums", "keys"])
    assert record["files"] == [f"set-000{index}-{part}-100bpm-Am-tiny-seed7.wav" for index in (0, 1)
                               for part in ("drums", "keys", "mix")]
    drums, keys, mix = record["sounds"][:3]
    assert drums["noise"] == keys["noise"]
    samples = [read_wav(tmp_path / "sets" / name) for name in record["files"][:3]]
    assert {len(part) for part in samples} == {105_840}
    gains = [10 ** (mix["mix"][label] / 20) for label in ("drums", "keys")]
    total = sum(gain * part / np.abs(part).max() for gain, part in zip(gains, samples[:2], strict=True))
    np.testing.assert_allclose(samples[2] / np.abs(samples[2]).max(), total / np.abs(total).max(), atol=2e-3)
    assert max(gains) == 1.0
    with pytest.raises(MelGANError, match="mix of stems"):
        read_origins([tmp_path / "sets" / mix["file"]])
    assert json.loads((tmp_path / "sets" / "sounds.json").read_text())["asked"]["key"] == "Am"


def read_wav(path: Path) -> np.ndarray:
    return soundfile.read(path)[0]


@pytest.mark.parametrize(("options", "message"), [
    ({"stems": ["drums"]}, "two or more"), ({"stems": ["drums", "drums"]}, "two or more"),
    ({"stems": ["drums", "bongo"]}, "bongo"), ({"stems": ["drums", "keys"], "label": "keys"}, "remove the label")])
def test_stems_that_cannot_be(model, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        model.write(tmp_path / "sets", **options)


def test_a_model_without_classes_makes_no_stems(tmp_path):
    with pytest.raises(UsageError, match="no stems"):
        mt.load("pretrained:music").write(tmp_path / "x", stems=["a", "b"])
