"""Notes of generated loops are in tune and in the key that was asked for; everything else stays as it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tiny_families import tiny

from melgan_tf.audio.loops.keys import Key
from melgan_tf.config import presets
from melgan_tf.data.labels import Classes
from melgan_tf.data.loop_dataset import grid_mel
from melgan_tf.dsp import spectral
from melgan_tf.inference.load import load_sound_model
from melgan_tf.inference.renderer import GriffinLim
from melgan_tf.models.loop_gan.config import GIVEN
from melgan_tf.models.loop_gan.features import Heard
from melgan_tf.models.loop_gan.networks import Generator, key_numbers, one_hot_keys
from melgan_tf.models.loop_gan.sampler import LoopSampler
from melgan_tf.models.loop_gan.tuning import LOWEST, Tuner

AUDIO = presets.get("loops").audio
RATE, SAMPLES = AUDIO.sample_rate, 88_200
TUNER = Tuner(AUDIO, 1.0)


def tone(*hertz: float, length: float = 1.0) -> np.ndarray:
    """Eight quarters of notes with harmonics that fall by 6 dB an octave and die away."""
    beat = np.arange(SAMPLES // 8) / RATE
    rng = np.random.default_rng(0)
    wave = sum(np.sin(2 * np.pi * (pitch * harmonic * beat + rng.random())) / harmonic
               for pitch in hertz for harmonic in range(1, int(RATE / 2 / pitch) + 1))
    return np.tile(wave * np.exp(-2 * beat) * (beat < length), 8).astype("float32") * 0.1


def noise() -> np.ndarray:
    """Bursts of noise, as of a hat."""
    return np.random.default_rng(1).normal(size=SAMPLES).astype("float32") * np.tile(
        np.exp(-np.arange(SAMPLES // 15) / 400), 15).astype("float32")


def mel_of(wave: np.ndarray) -> np.ndarray:
    """On the grid: ``(1, frames, mel_bins)``."""
    return grid_mel(wave, 384, AUDIO)[None]


def in_key(name: str | None) -> np.ndarray:
    """The key as the tuner takes it; None: any."""
    given = np.zeros((1, GIVEN), np.float32)
    if name:
        given[0, -3:] = key_numbers(Key.parse(name))
    return one_hot_keys(given).numpy()


def tuned(mel: np.ndarray, key: str | None = None) -> np.ndarray:
    return TUNER(tf.constant(mel), in_key(key)).numpy()


def notes_in(mel: np.ndarray, key: str | None = None) -> set[int]:
    """MIDI numbers of the notes that are found in most sixteenths."""
    levels = mel.reshape(1, 32, 12, -1).mean(axis=2)
    found, _ = TUNER.notes(tf.constant(levels), in_key(key))
    return set(np.nonzero((found.numpy()[0] > 0.2).mean(axis=0) > 0.5)[0] + LOWEST)


def hertz(note: float) -> float:
    return 440.0 * 2 ** ((note - 69) / 12)


def peaks(mel: np.ndarray) -> np.ndarray:
    """Where the strongest peaks of a rendered mel are between 100 and 1,000 Hz, MIDI numbers, by the spectrum of half a
    second.
    """
    wave = GriffinLim().render(tf.constant(np.repeat(mel[:, 48:96], 2, axis=1)), AUDIO).numpy()[0]
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 1 << 17))
    places = np.arange(len(spectrum)) * RATE / (1 << 17)
    inside = (places > 100) & (places < 1000)
    middle, near = spectrum[1:-1], np.maximum(spectrum[:-2], spectrum[2:])
    strong = np.nonzero((middle > near) & inside[1:-1] & (middle > 0.3 * spectrum[inside].max()))[0] + 1
    return 69 + 12 * np.log2(places[strong] / 440)


@pytest.mark.parametrize("cents", [-40, -20, 25, 45])
@pytest.mark.parametrize("note", [57, 64, 72])
def test_a_note_beside_a_semitone_comes_onto_it(note, cents):
    """The key, C major, has the note and not those a semitone away, or not both."""
    assert notes_in(mel_of(tone(hertz(note + cents / 100))), "C") == {note}


def test_what_is_rendered_has_the_pitch():
    """Of notes that are nearly a quarter tone sharp; bands of 41 Hz keep no more of them."""
    off = {key: [np.abs(peaks(mel if key == "none" else tuned(mel, key)) - note).min()
                 for note in (62, 64, 65, 67, 69, 71, 72, 74) for mel in [mel_of(tone(hertz(note + 0.45)))]]
           for key in ("none", "C")}
    assert np.mean(off["C"]) < 0.15 < 0.3 < np.mean(off["none"])


@pytest.mark.parametrize(("key", "notes"), [("C", (60, 64, 67)), ("G", (62, 66, 69)), ("Fm", (65, 68, 72))])
def test_the_notes_of_a_chord_are_found(key, notes):
    assert notes_in(mel_of(tone(*map(hertz, notes))), key) == set(notes)


def test_notes_outside_the_key_are_not_chosen_unless_the_key_is_unknown():
    mel = mel_of(tone(hertz(66)))  # F sharp
    assert notes_in(mel, "G") == {66} == notes_in(mel, None)
    assert {note % 12 for note in notes_in(mel, "C")} <= {5, 7}


def test_notes_that_sound_together_are_a_minor_third_apart():
    levels = np.random.default_rng(0).normal(size=(1, 800, AUDIO.mel_bins)).astype("float32")
    found = TUNER.notes(tf.constant(levels), in_key("C"))[0].numpy()[0] > 0.55
    gaps = np.concatenate([np.diff(np.nonzero(row)[0]) for row in found])
    assert len(gaps) > 100
    assert gaps.min() == 3


def test_noise_and_silence_stay_as_they_are():
    for wave in (noise(), np.zeros(SAMPLES, np.float32)):
        mel = mel_of(wave)
        np.testing.assert_allclose(tuned(mel, "C"), mel, atol=1e-5)


def test_pauses_stay_silent():
    """Also where they begin within a sixteenth."""
    mel = mel_of(tone(hertz(60), length=0.17))
    silent = mel.max(axis=2) <= np.log10(AUDIO.floor) + 1e-6
    assert 0 < silent[0, 12:24].sum() < 12
    assert spectral.decompress(tuned(mel, "C"), AUDIO).numpy()[silent].max() == 0.0


def test_the_envelope_stays():
    """In bands of half an octave and more, of a dull note and of a bright one."""
    for tilt in (0.5, 2.0):
        mel = mel_of(tone(hertz(60.4)) * tilt) - tilt * np.linspace(0, 1, AUDIO.mel_bins, dtype="float32")
        before, after = (np.log10((10 ** each[0]).reshape(384, 8, 10).mean(axis=(0, 2))) for each in
                         (mel, tuned(mel, "C")))
        np.testing.assert_allclose(after, before, atol=0.15)  # 3 dB


def test_half_of_it_is_halfway():
    mel = mel_of(tone(hertz(60.3)))
    half = Tuner(AUDIO, 0.5)(tf.constant(mel), in_key("C")).numpy()
    np.testing.assert_allclose(half, (mel + tuned(mel, "C")) / 2, atol=1e-5)
    assert Tuner(AUDIO, 0.0)(mel, in_key("C")) is mel


def test_loops_are_tuned_in_their_keys_and_patterns_are_not(eager_module):
    config = tiny("loop-gan")
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, tuning=1.0))
    plain = dataclasses.replace(config, model=dataclasses.replace(config.model, tuning=0.0))
    generator, classes = Generator(config, 2), Classes({"bass": 1, "keys": 1})
    loops, untuned = (LoopSampler(generator, each, GriffinLim(), classes) for each in (config, plain))
    inputs = loops.inputs(3, 2)
    mel = untuned.mel(**inputs)
    expected = Tuner(config.audio, 1.0)(mel, one_hot_keys(inputs["noise"][:, :GIVEN]))
    np.testing.assert_array_equal(loops.mel(**inputs), expected)
    np.testing.assert_array_equal(loops.pattern(**inputs), untuned.pattern(**inputs))


@pytest.mark.slow
def test_features_are_met_in_the_finished_mel():
    """With texture and in tune: in the pattern alone they are met nearly as well, and then they move."""
    model = load_sound_model("pretrained:loops")
    loops = model.sampler.asked(density=0.8, brightness=0.8, loudness=0.8)
    inputs, label = loops.inputs(4, 16), np.tile(loops.classes.label("keys"), (16, 1)).astype("float32")
    found, free = (Heard(model.config)(loops.mel(noise, label)).numpy().std(axis=0) for noise in
                   (loops.granted(inputs["noise"], label), inputs["noise"]))
    assert np.all(found[1:3] < 0.08 * free[1:3])  # density counts onsets in part


@pytest.mark.slow
@pytest.mark.parametrize("label", ["keys", "lead"])
def test_the_bundled_model_plays_in_the_key_that_was_asked_for(label):
    """By peaks of long spectra, each by the root of its height: how many are within 25 cents of a note of the key."""
    model = load_sound_model("pretrained:loops")

    def share(key: str, tonic: int, tuning: float) -> float:
        config = dataclasses.replace(model.config, model=dataclasses.replace(model.config.model, tuning=tuning))
        sampler = model.sampler
        loops = LoopSampler(sampler.generator, config, sampler.vocoder, sampler.classes).asked(bpm=120, key=key)
        waves = loops(loops.inputs(1, 12)["noise"], np.tile(loops.classes.label(label), (12, 1)).astype("float32"))
        heard = total = 0.0
        for wave in waves["audio"].numpy():
            frames = np.lib.stride_tricks.sliding_window_view(wave, 8192)[::4096] * np.hanning(8192)
            spectra = np.abs(np.fft.rfft(frames, 1 << 15))
            places = np.arange(spectra.shape[1]) * RATE / (1 << 15)
            here = spectra[:, 1:-1]
            top = ((here > spectra[:, :-2]) & (here >= spectra[:, 2:]) & (places[1:-1] > 150) & (places[1:-1] < 1000)
                   & (here > 0.1 * here.max(axis=1, keepdims=True)))
            note = 69 + 12 * np.log2(places[1:-1][np.nonzero(top)[1]] / 440)
            weight = np.sqrt(here[top])
            near = (np.abs(note - np.rint(note)) < 0.25) & np.isin((np.rint(note) - tonic) % 12, (0, 2, 4, 5, 7, 9, 11))
            heard, total = heard + weight[near].sum(), total + weight.sum()
        return heard / total

    chance = 7 / 12 / 2
    for key, tonic in (("C", 0), ("F#", 6)):
        in_tune = share(key, tonic, 1.0)
        assert in_tune > chance + 0.12
        assert in_tune > share(key, tonic, 0.0) + 0.1
