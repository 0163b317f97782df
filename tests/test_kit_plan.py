"""Which pads a kit has, and by which measures sounds are chosen for them."""

from __future__ import annotations

import numpy as np
import pytest

from melgan_tf.dsp.brightness import brightness_hz
from melgan_tf.inference.kit.finish import decay_seconds, drum_pitch_hz, softened, trimmed
from melgan_tf.inference.kit.pieces import Piece, in_order
from melgan_tf.inference.kit.plan import MAX_PADS, kind_of, plan, velocity_ranges

RATE = 16_000
DRUMS = ("clap", "cymbal", "hat", "kick", "perc", "rim", "snare", "tom")


def hit(hz, decay=8.0, seconds=0.5, rate=RATE):
    time = np.arange(round(seconds * rate)) / rate
    return np.sin(2 * np.pi * hz * time) * np.exp(-decay * time)


def test_the_pads_of_a_drum_model_are_those_of_general_midi():
    assert [(pad.place, pad.stem, pad.note, pad.label, pad.choke) for pad in plan(DRUMS)] == [
        ("A01", "01_Kick", 36, "kick", None), ("A02", "02_Snare", 38, "snare", None),
        ("A03", "03_Clap", 39, "clap", None), ("A04", "04_Rim", 37, "rim", None),
        ("A05", "05_Closed_Hat", 42, "hat", 1), ("A06", "06_Open_Hat", 46, "hat", 1),
        ("A07", "07_Tom_Low", 45, "tom", None), ("A08", "08_Tom_Mid", 47, "tom", None),
        ("A09", "09_Tom_High", 50, "tom", None), ("A10", "10_Cymbal", 49, "cymbal", None),
        ("A11", "11_Perc", 75, "perc", None)]


@pytest.mark.parametrize(("name", "kind"), [
    ("Kicks", "Kick"), ("BD", "Kick"), ("Bass Drum", "Kick"), ("808 kick", "Kick"), ("Kickback/01.wav", "Kick"),
    ("SNARES", "Snare"), ("hand-clap", "Clap"), ("Side Stick", "Rim"), ("rimshots", "Rim"), ("hi hats", "Hat"),
    ("HH", "Hat"), ("hihat_open_03.wav", "Open Hat"), ("OH", "Open Hat"), ("hat closed", "Closed Hat"),
    ("ch 2", "Closed Hat"), ("Crash", "Cymbal"), ("rides", "Ride"), ("Percussion", "Perc"), ("toms", "Tom"),
    ("Tomato", ""), ("chat", ""), ("chorus", ""), ("glass", ""), ("", ""), ("太鼓", "")])
def test_kinds_of_drums_by_their_names(name, kind):
    assert kind_of(name) == kind


def test_classes_of_any_name_get_pads_of_their_own():
    pads = plan(["unlabelled", "Ärger & Co/große Glocke", "太鼓", "Kick 808", "kick", "open hat", "a" * 200])
    assert [pad.name for pad in pads] == ["Kick 808", "Kick", "Open Hat", "unlabelled", "Arger Co groe Glocke", "Sound",
                                          "a" * 40]
    assert [pad.note for pad in pads] == [36, 35, 46, 60, 61, 62, 63]
    assert len({pad.stem for pad in pads}) == len(pads)
    assert all(pad.stem.isascii() and " " not in pad.stem for pad in pads)


def test_toms_rise_with_their_notes_however_many():
    pads = plan(["tom", "tom=0.5,perc=0.5"])
    assert [pad.note for pad in pads] == [41, 43, 45, 47, 48, 50]
    assert [pad.choice for pad in pads] == ["low", "low", "middle", "middle", "high", "high"]


def test_more_classes_than_notes():
    pads = plan([f"class {number}" for number in range(300)])
    assert len(pads) == MAX_PADS == len({pad.note for pad in pads})
    assert (min(pad.note for pad in pads), max(pad.note for pad in pads)) == (0, 127)
    assert (pads[-1].place, pads[-1].stem[:3]) == ("H16", "128")


def test_a_model_without_classes_has_a_bank_of_sounds():
    assert [(pad.place, pad.note) for pad in plan([])] == [(f"A{n:02d}", 35 + n) for n in range(1, 17)]


@pytest.mark.parametrize("layers", range(1, 17))
def test_every_velocity_has_a_layer(layers):
    covered = [velocity for low, high in velocity_ranges(layers) for velocity in range(low, high + 1)]
    assert covered == list(range(1, 128))


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_measures_of_known_sounds(rate):
    slow, fast = hit(180, 5, 1, rate), hit(180, 20, 1, rate)
    for sound, decay in ((slow, 5), (fast, 20)):
        assert decay_seconds(sound, rate) == pytest.approx(np.log(10) / decay, abs=0.015)  # 20 dB are a tenth
        assert drum_pitch_hz(sound, rate) == pytest.approx(180, abs=2)
        assert brightness_hz(sound, rate) == pytest.approx(180, rel=0.05)
    assert decay_seconds(np.zeros(100), rate) >= 0


def test_a_sample_has_no_dc_and_ends_where_the_sound_does():
    sound = np.concatenate([np.zeros(800), 0.5 * hit(200, 30), np.zeros(4_000)]) + 0.05
    done = trimmed(sound, RATE)
    assert abs(done.mean()) < 1e-4
    assert done[-1] == 0
    natural = np.log(10) * 50 / 20 / 30  # seconds until -50 dB
    assert len(done) / RATE == pytest.approx(natural + 0.02, abs=0.03)
    assert np.argmax(np.abs(done) > 0.1) / RATE < 0.003


def test_a_sound_that_the_clip_cuts_is_faded_for_longer():
    done = trimmed(hit(200, 1), RATE)
    assert len(done) == RATE // 2
    levels = [np.abs(done[start:start + 800]).max() for start in range(0, 8_000, 800)]
    assert levels[-1] < 0.3 * levels[-4]
    assert levels[2] > 0.8 * levels[0]


def test_softer_is_darker_and_not_earlier():
    rng = np.random.default_rng(0)
    noise = np.concatenate([np.zeros(400), rng.standard_normal(4_000) * np.exp(-np.arange(4_000) / 500)])
    heard = [brightness_hz(softened(noise, RATE, softness), RATE) for softness in (0, 1 / 3, 2 / 3, 1)]
    assert heard == sorted(heard, reverse=True)
    assert heard[0] > 1.2 * heard[-1]
    assert np.abs(softened(noise, RATE, 1)[:399]).max() < 1e-3 * np.abs(noise).max()


def test_pieces_are_exchanged_until_they_are_in_order():
    pads = plan(["hat", "kick", "tom"])
    sounds = [hit(60), hit(400, 3), hit(400, 30), hit(300), hit(100), hit(200)]
    pieces = [Piece([None], [sound], [np.zeros((1, 1))], RATE) for sound in sounds]
    ordered = [next(index for index, sound in enumerate(sounds) if sound is piece.made[0])
               for piece in in_order(pads, pieces)]
    assert [pad.name for pad in pads] == ["Kick", "Closed Hat", "Open Hat", "Tom Low", "Tom Mid", "Tom High"]
    assert ordered == [0, 2, 1, 4, 5, 3]
