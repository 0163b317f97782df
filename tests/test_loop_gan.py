"""The loop GAN: loops on a musical grid, at any tempo."""

from __future__ import annotations

import dataclasses
import math
import struct

import numpy as np
import pytest
import tensorflow as tf
from tiny_families import task_of, tiny

from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.tags import read_tags
from melgan_tf.audio.wav import save_wav
from melgan_tf.config import presets
from melgan_tf.data.labels import Classes
from melgan_tf.data.loop_dataset import grid_mel, load_loops
from melgan_tf.errors import ConfigError, UsageError
from melgan_tf.inference.origin import read_origin
from melgan_tf.inference.recipe import Seeded
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.inference.vocoder import vocoder_for
from melgan_tf.models.layers.frame_conv import FrameConv, smooth_ring, swap
from melgan_tf.models.loop_gan.features import Features
from melgan_tf.models.loop_gan.networks import Generator, condition, key_numbers
from melgan_tf.models.loop_gan.sampler import LoopSampler

RATE = 22_050
CONFIG = tiny("loop-gan")
pytestmark = pytest.mark.usefixtures("eager_module")


def clicks(bpm: float, sixteenths: tuple[int, ...], bars: int = 2, seed: int = 0) -> np.ndarray:
    """A loop with a short burst of noise at some sixteenths of every bar."""
    samples = round(bars * 240 / bpm * RATE)
    loop, rng = np.zeros(samples, np.float32), np.random.default_rng(seed)
    for bar in range(bars):
        for sixteenth in sixteenths:
            burst = rng.normal(size=600) * np.exp(-np.arange(600) / 120)
            loop[(round((bar * 16 + sixteenth) * samples / bars / 16) + np.arange(600)) % samples] += burst
    return loop / np.abs(loop).max()


def model_of(sampler: LoopSampler) -> SoundModel:
    return SoundModel(sampler, CONFIG, 0, "0" * 12)


@pytest.fixture(scope="module")
def sampler() -> LoopSampler:
    return LoopSampler(Generator(CONFIG, 2), CONFIG, vocoder_for(CONFIG.audio), Classes({"drums": 3, "keys": 1}))


def test_a_convolution_wraps():
    conv, x = FrameConv(3, 2, seed=1, ends="ring"), np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    conv.bias.assign([0.5, -0.5])
    kernel = conv.kernel.numpy()
    expected = sum(np.roll(x, 1 - tap, axis=1) @ kernel[tap] for tap in range(3)) + [0.5, -0.5]
    np.testing.assert_allclose(swap(conv(swap(tf.constant(x)))), expected, atol=1e-5)


def test_smoothing_wraps():
    x = np.random.default_rng(0).normal(size=(6, 2, 3)).astype("float32")
    expected = 0.5 * x + 0.25 * (np.roll(x, 1, axis=0) + np.roll(x, -1, axis=0))
    np.testing.assert_allclose(smooth_ring(tf.constant(x)), expected, atol=1e-6)


def test_levels_do_not_ripple_between_sixteenths():
    """Whatever the weights: with random ones they would."""
    generator = Generator(CONFIG, 2)
    generator.last.kernel.assign(20.0 * generator.last.kernel)
    noise = tf.random.stateless_normal((8, CONFIG.model.noise_dim), (1, 2))
    mel = generator.mel(noise, tf.one_hot([0, 1] * 4, 2)).numpy()
    bend = np.abs(mel - (np.roll(mel, 1, axis=1) + np.roll(mel, -1, axis=1)) / 2).mean(axis=(0, 2))
    at, between = np.split(bend.reshape(32, 12)[:, [11, 0, 3, 4, 5, 6, 7, 8]].mean(axis=0), [2])
    assert between.max() < 0.5 * at.min()


@pytest.mark.parametrize("bpm", [70.0, 120.0, 178.0])
def test_the_grid_of_a_loop_has_its_hits_at_the_same_frames_at_every_tempo(bpm):
    mel = grid_mel(clicks(bpm, (0, 3, 10)), 2 * 4 * 48, CONFIG.audio)
    level = mel.mean(axis=1)
    loud = [frame for frame in range(0, 384, 12) if level[frame] > level.mean() + 1.0]
    assert loud == [12 * (16 * bar + sixteenth) for bar in (0, 1) for sixteenth in (0, 3, 10)]


@pytest.mark.parametrize("bpm", [80.0, 160.0])
def test_a_pattern_on_the_grid_is_heard_at_its_tempo(sampler, bpm):
    """An impulse response of the whole way back: mel on the grid, vocoder, waveform."""
    played = sampler.asked(bpm=bpm)
    loop = clicks(120.0, (0, 6, 11))
    waveform = played.render(tf.constant(grid_mel(loop, 384, CONFIG.audio)[None])).numpy()[0]
    assert len(waveform) == round(480 / bpm * RATE)
    power = waveform ** 2
    for sixteenth in range(32):
        place = round(sixteenth * len(waveform) / 32)
        around = power[(place + np.arange(-200, 600)) % len(power)].max()
        assert (around > 0.02) == (sixteenth % 16 in (0, 6, 11)), sixteenth
    steps = np.abs(np.diff(waveform, append=waveform[0]))
    assert steps[-1] < 0.6 * steps.max()  # a hit stands there: its rise may be steep


@pytest.mark.slow
@pytest.mark.parametrize(("bpm", "bars", "samples"), [(100, 2, 105_840), (124, 4, 170_710), (97.5, 1, 54_277),
                                                      (120, 3, 132_300)])
def test_loops_have_the_exact_length(sampler, bpm, bars, samples):
    made = model_of(sampler).asked(bpm=bpm, bars=bars).generate(2, seed=1)
    assert made["audio"].shape == (2, samples)
    assert made["mel"].shape == (2, bars * 4 * 48, 80)


@pytest.mark.slow
def test_the_same_seeds_are_the_same_patterns_at_every_tempo(sampler):
    slow, fast = (sampler.asked(bpm=bpm).generate(3, 4) for bpm in (80, 160))
    for name in ("noise", "label", "mel"):
        np.testing.assert_array_equal(slow[name], fast[name])


@pytest.mark.slow
def test_sections_are_variations_of_the_first(sampler):
    first = sampler.generate(3, 1)["mel"][0]
    long = sampler.asked(bars=8).generate(3, 1)["mel"][0]
    a, little, again, other = long.reshape(4, 384, 80)
    inside = slice(144, 240)  # the ends know their neighbors, and so does the rest of their sixteenths
    np.testing.assert_allclose(a[inside], first[inside], atol=1e-4)
    np.testing.assert_allclose(again[inside], first[inside], atol=1e-4)
    assert 0 < np.abs(little - a).mean() < np.abs(other - a).mean()


def test_texture_wraps_and_belongs_to_the_section(sampler):
    models = (dataclasses.replace(CONFIG.model, texture=level, tuning=0.0) for level in (2.0, 0.0))
    textured, plain = (LoopSampler(sampler.generator, dataclasses.replace(CONFIG, model=model), sampler.vocoder,
                                   sampler.classes) for model in models)
    inputs = {name: tf.constant(value) for name, value in sampler.draw(3, 0).items()}

    def added(bars: int) -> np.ndarray:
        with_it, without = (loops.asked(bars=bars).mel(**inputs) for loops in (textured, plain))
        return 20 * (with_it - without).numpy()

    two, long = added(2), added(8)
    heard = plain.mel(**inputs).numpy() > math.log10(CONFIG.audio.floor) + 0.5
    assert two[heard].std() == pytest.approx(2.0, rel=0.2)
    steps = np.abs(np.diff(two, axis=1, append=two[:, :1])).mean(axis=(0, 2))
    assert steps[-1] < 2 * np.median(steps)
    assert added(1).shape[1] == 192
    inside = slice(140, 240)  # the ends know their neighbors
    a, little, again, other = (part[:, inside] for part in np.split(long, 4, axis=1))
    np.testing.assert_allclose(a, two[:, inside], atol=0.02)
    np.testing.assert_allclose(again, a, atol=0.02)
    assert 0 < np.abs(little - a).mean() < np.abs(other - a).mean()
    np.testing.assert_array_equal(textured.pattern(**inputs), plain.mel(**inputs))


@pytest.mark.slow
def test_the_key_that_was_asked_for_stands_in_the_noise(sampler):
    plain = sampler.generate(3, 4)["noise"]
    asked = sampler.asked(key="Am")
    noise = asked.generate(3, 4)["noise"]
    np.testing.assert_array_equal(noise[:, :3], plain[:, :3])
    np.testing.assert_array_equal(noise[:, 6:], plain[:, 6:])
    given = condition(tf.constant(noise[:, :6]), tf.constant([[1.0, 0.0]] * 4)).numpy()
    assert given[:, 3:27].argmax(axis=1).tolist() == [12 + 9] * 4  # the minor keys come second
    assert given[:, 3:27].sum(axis=1).tolist() == [1.0] * 4
    assert asked.wishes == {"bpm": 120.0, "bars": 2, "key": "Am"}
    made = model_of(asked).render([model_of(asked).recipe(3, 1)])
    np.testing.assert_array_equal(made["noise"][0], noise[1])
    assert Seeded(3, 1) == model_of(asked).recipe(3, 1).latent


@pytest.mark.parametrize(("wishes", "message"), [
    ({"bpm": 20}, "--bpm 20: give 40 to 300"), ({"bars": 65}, "--bars 65"), ({"key": "H"}, "key 'H'"),
    ({"density": 1.5}, "--density 1.5: give 0 to 1"), ({"swing": 1.5}, "--swing 1.5: give 0 to 1"),
    ({"decay": 0.5}, "--decay")])
def test_wishes_that_cannot_be_granted(sampler, wishes, message):
    with pytest.raises(UsageError, match=message):
        sampler.asked(**wishes)


def test_loops_have_no_length_in_seconds(sampler):
    with pytest.raises(UsageError, match="--bpm and --bars"):
        sampler.length(seconds=3.0)
    assert sampler.length(loop=True) is None


def test_features_rise_with_what_they_are_called_after():
    measure = Features(CONFIG)

    def of(*loops: np.ndarray) -> np.ndarray:
        mels = np.stack([grid_mel(loop, 384, CONFIG.audio) for loop in loops])
        return measure(measure.scale.from_mel(tf.constant(mels))).numpy()

    sparse, dense = clicks(120, (0,)), clicks(120, tuple(range(0, 16, 2)))
    dull = np.convolve(dense, np.hanning(40) / 20, "same").astype("float32")
    found = of(sparse, dense, dull, dense / 4)
    assert found[0, 0] < found[1, 0]
    assert found[2, 1] < found[1, 1]
    assert found[3, 2] < found[1, 2]
    np.testing.assert_allclose(found[3, 1], found[1, 1], atol=0.01)


def test_folders_of_loops(tmp_path):
    """Repeated if short, in pieces if long; with the tempo and key that `read_loop` finds."""
    (tmp_path / "a").mkdir()
    for name, loop in (("a/long_100bpm_F#m.wav", clicks(100, (0, 5), bars=4)),
                       ("short_140bpm.wav", clicks(140, (0, 5), bars=1)), ("beat.wav", clicks(120, (0,))[:RATE // 2])):
        save_wav(tmp_path / name, loop, RATE)
    loops = load_loops(tmp_path, presets.get("loops"), 8, 48)
    assert [sound.name for sound in loops.sounds] == ["a/long_100bpm_F#m.wav"] * 2 + ["beat.wav", "short_140bpm.wav"]
    assert loops.keys[:2] == [Key(6, "minor")] * 2
    assert loops.mels.shape == (4, 384, 80)
    for mel, hits in zip(loops.mels, (*[[0, 5, 16, 21]] * 2, [*range(0, 32, 4)], [0, 5, 16, 21]), strict=True):
        level = mel.mean(axis=1)[::12]
        assert np.flatnonzero(level > level.mean() + 0.7).tolist() == hits


def test_known_keys_are_learned_from_and_unknown_ones_drawn(tmp_path):
    for number, name in enumerate(("one_120bpm_C.wav", "two.wav") * 4):
        loop = clicks(120, (0, number), seed=number)
        save_wav(tmp_path / f"{number}_{name}", loop if "C" in name else loop[:9_000], RATE)
    task = task_of(CONFIG, tmp_path)
    model = task.build()
    mels, labels, features, keys = next(iter(task.dataset(0)))
    given = model.inputs(mels, labels, features, keys)["real_given"].numpy()
    known = keys.numpy().any(axis=1)
    assert 0 < known.sum() < len(known)
    np.testing.assert_allclose(given[known, 3:], [key_numbers(Key(0, "major"))] * known.sum())
    assert len(np.unique(given[~known, 3])) == (~known).sum()
    assert np.abs(features).max() <= 3


def test_configurations_that_cannot_work():
    config = presets.get("loops")
    with pytest.raises(ConfigError, match="noise_dim"):
        dataclasses.replace(config.model, noise_dim=38)
    with pytest.raises(ConfigError, match="clip_samples"):
        dataclasses.replace(config, data=dataclasses.replace(config.data, clip_samples=8_000))


@pytest.mark.slow
def test_files_tell_sequencers_tempo_length_and_key(sampler, tmp_path):
    """Read back by the package's own reader, whose tests have files of other programs."""
    model = dataclasses.replace(model_of(sampler), source="tiny").asked(bpm=97.5, bars=1, key="F#m")
    record = model.write(tmp_path / "made", 1, 5, label="keys")
    assert record["sounds"][0]["file"] == "keys-97.5bpm-Gbm-tiny-seed5-0000.wav"
    assert record["asked"] == {"bpm": 97.5, "bars": 1, "key": "F#m"}
    found = read_tags(tmp_path / "made" / record["sounds"][0]["file"])
    assert (found.tempo, found.beats, found.meter, found.key.tonic) == (97.5, 4.0, 4, 6)
    origin = read_origin(tmp_path / "made" / record["sounds"][0]["file"])
    again = model_of(sampler).asked(**origin.asked).render([origin.recipe(sampler.classes)])
    np.testing.assert_allclose(again["noise"][0], record["sounds"][0]["noise"], atol=1e-6)


@pytest.mark.slow
def test_chunks_of_a_loop_as_sequencers_read_them(sampler, tmp_path):
    """The bytes, as the formats lay them out: ACID with beats, meter and tempo, and one endless loop of all samples."""
    made = dataclasses.replace(model_of(sampler), source="tiny").asked(bpm=97.5, bars=3)
    name = made.write(tmp_path / "made", 1, 5)["sounds"][0]["file"]
    content, chunks, place = (tmp_path / "made" / name).read_bytes(), {}, 12
    while place < len(content):
        size, = struct.unpack_from("<I", content, place + 4)
        chunks[content[place:place + 4]] = content[place + 8:place + 8 + size]
        place += 8 + size + size % 2
    samples = len(chunks[b"data"]) // struct.unpack_from("<H", chunks[b"fmt "], 12)[0]
    assert samples == round(3 * 4 * 60 * RATE / 97.5)
    flags, _, _, _, beats, denominator, numerator, tempo = struct.unpack("<IHHfIHHf", chunks[b"acid"])
    assert flags & 1 == 0  # no one-shot
    assert flags & 4 == 4  # to be stretched
    assert (beats, denominator, numerator, tempo) == (12, 4, 4, 97.5)
    count, = struct.unpack_from("<I", chunks[b"smpl"], 28)
    _, forward, start, last, fraction, times = struct.unpack_from("<6I", chunks[b"smpl"], 36)
    assert (count, forward, start, last, fraction, times) == (1, 0, 0, samples - 1, 0, 0)


@pytest.mark.slow
def test_noise_stands_for_the_key_that_the_generator_is_told(sampler):
    """As the generator's input has it: one of 24, major ones first."""
    noise = sampler.generate(2, 40)["noise"]
    told = condition(tf.constant(noise[:, :6]), tf.ones((40, 2)) / 2).numpy()[:, 3:27].argmax(axis=1)
    found = sampler.keys_of(noise)
    assert [12 * key.is_minor + key.tonic for key in found] == told.tolist()
    assert len({str(key) for key in found}) > 12
    asked = sampler.asked(key="F#m").generate(1, 2)["noise"]
    assert str(sampler.keys_of(asked)[0]) == "Gbm"
