"""Sounds of any length: pieces and whole, beginnings, loops, memory; and what the command line makes of them."""

import dataclasses
import json
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from command_line import invoke
from eagerly import eagerly
from music import RATE, tiny_sampler, tiny_vocoder, write_notes
from tiny_vocoders import ship

from melgan_tf.audio import delivery
from melgan_tf.audio.loops.tags import read_tags
from melgan_tf.audio.wav import save_wav_pieces
from melgan_tf.dsp.loop_tempo import stretch_loop
from melgan_tf.errors import UsageError
from melgan_tf.inference import long_sounds
from melgan_tf.inference.long_sounds import Length, StreamRenderer
from melgan_tf.inference.recipe import Seeded
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig

HOP, FADE = 256, 441


@pytest.fixture(autouse=True, scope="module")
def _small_pieces():
    """So that short sounds have many, and none has more than it needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_sounds, "_PIECE_STEPS", 5)
        yield


@pytest.fixture(scope="module")
def sampler():
    return tiny_sampler(tiny_vocoder())


def made(sampler, seconds, loop=False, seed=1, index=0):
    length = Length.from_seconds(seconds, sampler, loop)
    return np.concatenate(list(StreamRenderer(sampler, length).pieces(Seeded(seed, index))))


def mel_of(sampler, first, steps, seed=1, period=0):
    """The mel of steps of a sound, all at once."""
    return sampler.mel(**{name: value[None] for name, value in sampler.stretch(
        seed, 0, tf.constant(first, tf.int64), tf.constant(steps, tf.int64), period).items()}).numpy()


@pytest.fixture(scope="module")
def ten(sampler):
    return made(sampler, 10.0)


def test_pieces_are_what_the_whole_would_be(sampler, ten):
    assert len(ten) == 10 * RATE
    assert ten.std() > 1e-3
    mel = mel_of(sampler, 0, 62)  # with what the vocoder looks ahead
    whole = sampler.vocoder.vocode(mel)[0, :10 * RATE]
    np.testing.assert_allclose(ten[FADE:-FADE], whole[FADE:-FADE], atol=1e-4 * np.abs(whole).max())


def test_a_longer_sound_begins_as_a_shorter_one(sampler, ten):
    longer = made(sampler, 17.3)
    np.testing.assert_allclose(longer[:len(ten) - FADE], ten[:-FADE], atol=1e-5)


def test_both_ends_are_faded_and_what_is_between_is_not(sampler, ten):
    assert abs(ten[0]) < 1e-4
    assert abs(ten[-1]) < 1e-4
    assert np.abs(ten[:FADE // 4]).max() < 0.3 * np.abs(ten[FADE:3 * FADE]).max()


def test_it_does_not_repeat(ten):
    envelope = ten[:9 * RATE // HOP * HOP].reshape(-1, HOP).std(axis=1)
    envelope = envelope - envelope.mean()
    own = np.correlate(envelope, envelope, "full")[len(envelope) - 1:]
    assert own[16:len(own) // 2].max() < 0.7 * own[0]


def test_no_click_where_pieces_meet(ten):
    rough = np.abs(np.diff(ten, 2))
    step = 5 * 16 * HOP
    joints = np.concatenate([np.arange(step - ahead * HOP, len(ten) - 100, step)
                             for ahead in (0, tiny_vocoder().model.context_frames % 80)])
    near = np.concatenate([rough[joint - 4:joint + 4] for joint in joints])
    assert near.max() <= np.quantile(rough, 0.999) * 1.5


# loops


@pytest.fixture(scope="module")
def loop(sampler):
    return made(sampler, 3.9, loop=True)


def test_a_loop_is_whole_turns_of_everything_that_has_a_clock(sampler, loop):
    length = Length.from_seconds(3.9, sampler, loop=True)
    assert length.frames % sampler.vocoder.model.clock_period_frames == 0
    assert length.frames == 16 * length.loop_steps
    assert abs(length.samples / RATE - 3.9) <= 32 * HOP / RATE / 2
    assert len(loop) == length.samples


def test_a_loop_repeated_is_the_periodic_sound(sampler, loop):
    period = len(loop) // HOP // 16
    before = 32  # steps: a whole number of turns of the vocoder's clock
    long = sampler.vocoder.vocode(mel_of(sampler, -before, 3 * period + before + 10, period=period))[0]
    long = long[before * 16 * HOP:][:3 * len(loop)]
    np.testing.assert_allclose(np.tile(loop, 3), long, atol=1e-4 * np.abs(long).max())


def test_the_seam_of_a_loop_is_as_smooth_as_the_rest(loop):
    rough = np.abs(np.diff(np.concatenate([loop, loop]), 2))
    seam = rough[len(loop) - 3:len(loop) + 2]
    assert seam.max() <= np.quantile(rough, 0.99)
    level = np.sqrt(np.mean(np.concatenate([loop[-HOP:], loop[:HOP]]) ** 2))
    assert level > 0.1 * loop.std()  # and not by being silent


def test_the_shortest_loop(sampler):
    assert len(made(sampler, 0.01, loop=True)) == 32 * HOP


# on disk


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(sampler, tmp_path, monkeypatch):
    monkeypatch.setattr(delivery, "BLOCK_SAMPLES", 2**14)

    def most(seconds):
        maker = StreamRenderer(sampler, Length.from_seconds(seconds, sampler))
        maker.make(Seeded(0, 0), tmp_path)  # programs are built
        tracemalloc.start()
        samples, _, _ = maker.make(Seeded(0, 0), tmp_path)
        delivery.deliver(tmp_path / "a.wav", samples, RATE, delivery.Delivery())
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    short, long = most(4), most(24)
    assert long < short + 0.2 * 20 * RATE * 4, (short, long)  # of what it would be to keep it


def test_a_loop_says_so_to_samplers(tmp_path):
    save_wav_pieces(tmp_path / "a.wav", [np.zeros(10), np.full(5, 0.5)], 15, RATE, comment="who", loop=True)
    samples, rate = soundfile.read(tmp_path / "a.wav")
    assert (len(samples), rate) == (15, RATE)
    content = (tmp_path / "a.wav").read_bytes()
    place = content.index(b"smpl")
    assert struct.unpack_from("<I", content, place + 4) == (60,)
    assert struct.unpack_from("<I", content, place + 8 + 28) == (1,)
    assert struct.unpack_from("<2I", content, place + 8 + 44) == (0, 14)
    assert struct.unpack_from("<I", content, 4) == (len(content) - 8,)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e6])
def test_lengths_that_cannot_be(seconds):
    with pytest.raises(UsageError, match="give more than 0 and at most"):
        Length.from_seconds(seconds, tiny_sampler())


def test_griffin_lim_cannot_do_it():
    with pytest.raises(UsageError, match="Griffin-Lim cannot"):
        StreamRenderer(tiny_sampler(), Length.from_seconds(1.0, tiny_sampler()))


# the command line


@pytest.mark.parametrize(("option", "parts"), [
    (("--seconds", "3"), ("makes sounds of at most 0.5 seconds", "give --seconds 0.5 or less")),
    (("--loop",), ("makes sounds of 0.5 seconds only", "remove --loop"))])
def test_models_of_one_length_say_so(option, parts, tmp_path):
    invoke("generate", "pretrained:drums", "--out", tmp_path / "out", *option).one_line(*parts, code=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("music")


@pytest.fixture(scope="module")
def package(place):
    with pytest.MonkeyPatch.context() as patch:
        model = FastVocoderConfig(channels=16, sub_channels=16, dilations=(1,), carriers=2)
        ship(patch, place / "weights", vocoder_22k=dataclasses.replace(tiny_vocoder().config, model=model))
        yield


@pytest.fixture(scope="module")
def run(place, package):
    with eagerly():
        ended = invoke("train", write_notes(place / "sounds"), "--preset", "music", "--run-dir", place / "run",
                       "--steps", 2, "--set", "model.channels=8", "--set", "training.batch_size=8",
                       "--set", "training.preview_every=1", "--set", "data.clip_samples=8192")
    assert ended.code == 0, ended.stderr
    return place / "run"


def test_training_leaves_previews_and_figures(run):
    info = json.loads(invoke("info", run, "--json").stdout)
    assert (info["preset"], info["sounds"]["sounds"]) == ("music", 6)
    tags = {value.tag for path in (run / "tensorboard").glob("*tfevents*")
            for event in tf.compat.v1.train.summary_iterator(str(path)) for value in event.summary.value}
    assert {"mel/fake", "mel/real", "audio/fake", "evaluation/frechet_spectra", "generator/spread"} <= tags


@pytest.mark.slow
def test_generate_writes_long_sounds_and_says_what_they_are(run, tmp_path):
    ended = invoke("generate", run, "--out", tmp_path / "out", "--seconds", 2.5, "--count", 2, "--seed", 3)
    assert ended.code == 0, ended.stderr
    assert "2 sounds of 2.5 seconds" in ended.stdout
    record = json.loads((tmp_path / "out" / "sounds.json").read_text())
    assert (record["seconds"], record["loop"], len(record["sounds"])) == (2.5, False, 2)
    one, other = (soundfile.read(tmp_path / "out" / sound["file"])[0] for sound in record["sounds"])
    assert len(one) == round(2.5 * RATE)
    np.testing.assert_allclose([np.abs(one).max(), np.abs(other).max()], 10 ** (-1 / 20), atol=1e-3)
    assert np.corrcoef(one, other)[0, 1] < 0.9  # of an untrained model, all are alike somewhat
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "LICENSES.txt", "index.html", "run-seed3-0000.wav", "run-seed3-0001.wav", "sounds.json", "sounds.png"]
    assert json.loads(invoke("info", tmp_path / "out" / "run-seed3-0001.wav", "--json").stdout)["seconds"] == 2.5


def test_generate_makes_loops(run, tmp_path):
    ended = invoke("generate", run, "--out", tmp_path / "out", "--seconds", 2, "--loop", "--count", 1)
    assert "1 loop of 1.8576 seconds" in ended.stdout
    assert b"smpl" in (tmp_path / "out" / "run-seed0-0000.wav").read_bytes()[:1_000]


@pytest.mark.parametrize(("options", "parts"), [
    (("--label", "piano"), ("no classes", "remove --label")),
    (("--seconds", "0"), ("sounds of 0 seconds", "give more than 0")),
    (("--vocoder", "griffin-lim"), ("Griffin-Lim cannot render piece by piece", "--vocoder RUN"))])
def test_what_a_music_model_does_not_do(run, tmp_path, options, parts):
    invoke("generate", run, "--out", tmp_path / "out", *options).one_line(*parts, code=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_evaluate_compares_windows(run, place, tmp_path):
    valid = write_notes(tmp_path / "valid", count=3, seconds=2.9)
    ended = invoke("evaluate", run, "--reference", valid, "--json", tmp_path / "a.json")
    assert ended.code == 0, ended.stderr
    found = json.loads((tmp_path / "a.json").read_text())
    assert (found["drums"], found["of_class"]) == (None, [])
    assert 3 * 3 < found["sounds"] == found["reference_sounds"] <= 3 * 8  # windows; the softest are left out
    assert found["train_sounds"] > found["reference_sounds"]
    assert found["seconds"] == pytest.approx(8192 / RATE, abs=1e-3)
    assert found["statistics"]["generated"]["frechet"] > 3 * found["statistics"]["floor"]["frechet"]
    assert "no class embedding" in ended.stdout
    assert "Class by class" not in ended.stdout
    invoke("evaluate", run, "--reference", valid, "--png", tmp_path / "a.png").one_line("remove --png", code=2)


@pytest.mark.slow
def test_export_as_saved_model_of_any_length(run, tmp_path):
    ended = invoke("export", run, "--out", tmp_path / "served", "--format", "saved-model")
    assert ended.code == 0, ended.stderr
    served = tf.saved_model.load(str(tmp_path / "served" / "1")).signatures
    made = served["sample"](seed=tf.constant([3, 3], tf.int64), index=tf.constant([0, 1], tf.int64),
                            steps=tf.constant([5, 5]))
    assert (made["audio"].shape, made["mel"].shape) == ((2, 5 * 16 * HOP), (2, 80, 80))
    rng = np.random.default_rng(0)
    noise, style = (tf.constant(rng.normal(size=(1, 13, size)), tf.float32) for size in (16, 32))
    assert served["generate"](noise=noise, style=style)["audio"].shape == (1, 3 * 16 * HOP)


@pytest.mark.slow
@pytest.mark.parametrize(("bpm", "bars"), [(124, 1), (90, 2), (171.3, 3)])
def test_loops_of_whole_bars_have_their_exact_length(sampler, bpm, bars):
    asked = sampler.asked(bpm=bpm, bars=bars)
    length = asked.length()
    samples = np.concatenate(list(StreamRenderer(asked, length).pieces(Seeded(1, 0))))
    assert len(samples) == round(bars * 4 * 60 / bpm * RATE)
    assert length.loop_steps % (4 * bars) == 0  # whole steps in every beat
    assert length.frames * HOP / len(samples) == pytest.approx(1, abs=0.42)
    jumps = np.abs(np.diff(np.append(samples, samples[0])))
    assert jumps[-1] <= np.quantile(jumps, 0.99)
    assert samples.std() > 1e-3


def test_stretched_loops_are_the_loop_in_another_time():
    mel = np.sin(2 * np.pi * np.arange(64) / 64)[:, None] + np.arange(3)
    places = (np.arange(37) + 0.5) / 37
    np.testing.assert_allclose(stretch_loop(mel, places)[:, 0], np.sin(2 * np.pi * (places - 0.5 / 64)), atol=1e-4)
    np.testing.assert_allclose(stretch_loop(mel, (np.arange(64) + 0.5) / 64 + 2), mel, atol=1e-12)


@pytest.mark.slow
def test_tempo_and_bars_by_the_command(run, tmp_path):
    ended = invoke("generate", run, "--out", tmp_path / "made", "--count", 1, "--bpm", 150, "--bars", 1)
    assert ended.code == 0
    file, = (tmp_path / "made").glob("*.wav")
    assert soundfile.info(file).frames == round(240 / 150 * RATE)
    assert file.name == "150bpm-run-seed0-0000.wav"
    tags = read_tags(file)
    assert (tags.tempo, tags.beats, tags.meter, tags.sources["tempo"]) == (150, 4, 4, "acid")
    invoke("generate", run, "--out", tmp_path / "odd", "--bpm", 150, "--key", "Am").one_line("--key", code=2)
    invoke("generate", run, "--out", tmp_path / "odd", "--bpm", 150, "--seconds", 3).one_line("--seconds", code=2)
