"""What a server makes of requests for loops: tempo, swing, key and features for every row."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from loop_sounds import drums
from music import tiny_vocoder
from tiny_families import tiny

from melgan_tf.audio.loops.keys import Key
from melgan_tf.data.labels import Classes
from melgan_tf.data.loop_dataset import grid_mel
from melgan_tf.errors import UsageError
from melgan_tf.exports import web
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.inference.vocoder import vocoder_for
from melgan_tf.models.loop_gan.networks import Generator
from melgan_tf.models.loop_gan.resample import to_tempo
from melgan_tf.models.loop_gan.sampler import LoopSampler
from melgan_tf.models.loop_gan.tempos import KEYS

CONFIG = tiny("loop-gan")
#: Rows of one request, as clients of a server would send them each alone.
TEMPOS = np.array([160.3, 72.0, 120.0])
ROWS = {"seed": np.array([5, 6, 7]), "index": np.array([0, 2, 1]), "label": np.array([b"drums", b"keys", b"drums"]),
        "bpm": TEMPOS, "swing": np.array([0.0, 0.5, 1.0]), "key": np.array([b"", b"F#m", b"Bb"]),
        "density": np.float32([-1, -1, -1]), "brightness": np.float32([-1, -1, 0.2]),
        "loudness": np.float32([-1, 0.8, -1]), "complexity": np.float32([-1, -1, -1])}


@pytest.fixture(scope="module")
def model() -> SoundModel:
    sampler = LoopSampler(Generator(CONFIG, 2), CONFIG, tiny_vocoder(), Classes({"drums": 3, "keys": 1}))
    return SoundModel(sampler, CONFIG, 0, "0" * 12)


@pytest.fixture(scope="module")
def signatures(model):
    return model.exportable(bars=1).signatures


@pytest.fixture(scope="module")
def sample(signatures):
    return compiled(signatures["sample"])


def compiled(signature):
    called = tf.function(signature.function, autograph=False, input_signature=list(signature.inputs))
    return lambda **rows: {name: value.numpy() for name, value in called(*rows.values()).items()}


@pytest.mark.slow
def test_every_row_is_as_asked_and_none_depends_on_the_others(model, sample):
    together = sample(**ROWS)
    assert together["samples"].tolist() == [33_013, 73_500, 44_100]  # 4 * 60 * 22,050 / bpm
    assert together["audio"].shape == (3, 73_500)
    for row, samples in enumerate(together["samples"]):
        shares = {name: float(ROWS[name][row]) for name in model.sampler.features if ROWS[name][row] >= 0}
        made = model.asked(bpm=float(TEMPOS[row]), bars=1, key=ROWS["key"][row].decode() or None,
                           swing=float(ROWS["swing"][row]), **shares).sampler
        label = tf.one_hot(model.sampler.classes.names.index(ROWS["label"][row].decode()), 2)
        inputs = made.inputs(ROWS["seed"][row], 1, ROWS["index"][row]) | {"label": label[None]}
        alone = made(**inputs)
        np.testing.assert_allclose(together["mel"][row], alone["mel"][0], atol=2e-2 if shares else 1e-3)
        alone = alone["audio"].numpy()[0]
        np.testing.assert_allclose(together["audio"][row, :samples], alone,
                                   atol=(2e-2 if shares else 1e-3) * np.abs(alone).max())
        assert not together["audio"][row, samples:].any()
        one = sample(**{name: value[row:row + 1] for name, value in ROWS.items()})
        np.testing.assert_allclose(one["audio"][0], together["audio"][row, :samples], atol=1e-4)


@pytest.mark.slow
def test_wavs_have_the_exact_length(signatures):
    made = compiled(signatures["sample_wav"])(**ROWS)["wav_bytes"]
    assert [soundfile.info(io.BytesIO(wav)).frames for wav in made] == [33_013, 73_500, 44_100]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value", "said"), [
    ("bpm", [120, 39.9, 72], r"bpm must be 40 to 300; it is\] \[39.9\]"),
    ("bpm", [np.nan] * 3, "bpm must be 40 to 300"), ("bpm", [120, 72, 301], "bpm must be 40 to 300"),
    ("swing", [0, 1.5, 0], r"swing must be 0 to 1; it is\] \[1.5\]"), ("swing", [np.nan] * 3, "swing must be 0 to 1"),
    ("density", [-1, 0, 2], r"density must be 0 to 1, or -1 for any; it is\] \[2\]"),
    ("complexity", [-0.5, 0, 1], "complexity must be 0 to 1"), ("loudness", [np.nan] * 3, "loudness must be 0 to 1"),
    ("key", [b"", b"H", b"Am"], r"key must be one of C, Cm, C#,.* it is\] \[H\]"),
    ("label", [b"gong", b"", b""], "label must be one of drums, keys")])
def test_bad_rows_are_refused_by_a_sentence(sample, name, value, said):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        sample(**{**ROWS, name: np.array(value, ROWS[name].dtype)})


@pytest.mark.slow
def test_noise_without_wishes_stays_as_it_was_drawn(model, signatures):
    noise, label = model.sampler.noise(5, 2).numpy(), np.eye(2, dtype=np.float32)
    shares = {name: np.full(2, -1, np.float32) for name in model.sampler.features}
    grant = compiled(signatures["grant"])
    np.testing.assert_array_equal(grant(noise=noise, label=label, **shares)["noise"], noise)
    for place, name in enumerate(shares):
        moved = grant(noise=noise, label=label, **{**shares, name: np.float32([-1, 0.95])})["noise"]
        np.testing.assert_array_equal(moved[0], noise[0])
        before, after = (model.sampler.measures(model.sampler.pattern(tf.constant(values), label))[1, place]
                         for values in (noise, moved))
        assert after > before, name


def test_a_loop_of_any_tempo_is_analyzed_on_the_grid(signatures):
    analyze = compiled(signatures["analyze"])
    for bpm in (80.0, 150.0):
        audio = drums("house", bpm, 1)
        mel = grid_mel(audio, 192, CONFIG.audio)  # what the network learns from
        np.testing.assert_allclose(analyze(audio=audio[None])["mel"][0], mel, atol=5e-3)


@pytest.mark.slow
def test_the_description_says_what_may_be_asked(model, signatures):
    facts = json.loads(compiled(signatures["describe"])(what=np.array([b""]))["json"][0])
    assert (facts["bpm"], facts["bars"], facts["samples"], facts["swing"]) == ([40, 300], 1, None, [0, 1])
    assert facts["features"] == ["density", "brightness", "loudness", "complexity"]
    assert facts["noise"] == {"density": 0, "brightness": 1, "loudness": 2, "key": [3, 4, 5]}
    assert {Key.parse(key).tonic for key in facts["keys"]} == set(range(12))
    assert facts["keys"] == list(KEYS)
    # at 40 BPM a bar takes six seconds and two twelve, and ten minutes are the most that a request may take
    assert facts["max_batch"] == 100
    assert model.exportable().max_batch == 50
    assert model.exportable(max_batch=20).max_batch == 20


@pytest.mark.slow
def test_an_export_is_checked_with_no_more_rows_than_a_request_may_have(model):
    """At 40 BPM 32 bars take more than three minutes: three in a request."""
    exportable = model.exportable(bars=32)
    assert exportable.max_batch == 3
    for example in exportable.examples():
        assert {len(value) for value in example.inputs.values()} == {3}
        assert set(example.timings) <= {1}


def test_files_of_fixed_shapes_have_one_tempo(model):
    made = model.exportable("phone", bpm=97.5, bars=1)
    assert [made.origin[name] for name in ("bpm", "bars", "samples")] == [97.5, 1, 54_277]
    with pytest.raises(UsageError, match="--bpm 20: give 40 to 300"):
        model.exportable("phone", bpm=20)
    with pytest.raises(UsageError, match="no tempo: remove --bpm"):
        vocoder_for(CONFIG.audio).exportable(bpm=120)


#: Runs functions of the page: lines of JSON in, a line of JSON out for each.
NODE = """
import { createInterface } from "node:readline";
import { cut, placesOf } from "./tempo.mjs";
for await (const line of createInterface({ input: process.stdin })) {
  const { audio, bpm, swing, tempo } = JSON.parse(line);
  console.log(JSON.stringify([...(audio ? cut(Float32Array.from(audio), bpm, tempo, 22050)
    : placesOf(bpm, swing, tempo, 22050))]));
}
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_a_page_plays_loops_at_any_tempo(model, tmp_path):
    """What the page computes around the function of the file makes the loops of the sampler."""
    shutil.copyfile(Path(web.__file__).parent / "page/tempo.js", tmp_path / "tempo.mjs")
    (tmp_path / "main.mjs").write_text(NODE)

    def node(**values):
        ended = subprocess.run(["node", tmp_path / "main.mjs"], input=json.dumps(values), capture_output=True,
                               text=True, check=True)
        return np.array(json.loads(ended.stdout), np.float32)

    anywhere = model.asked(bpm=120, bars=1).sampler.any_tempo()
    assert anywhere.tempo["bpm"] == [80, 300]
    for bpm, swing in ((80, 0), (163, 1)):
        sampler = model.asked(bpm=bpm, bars=1, swing=swing).sampler
        inputs = sampler.inputs(7, 1)
        places = node(bpm=bpm, swing=swing, tempo=anywhere.tempo)
        audio = anywhere.signature.function(*inputs.values(), tf.constant(places[None]))["audio"].numpy()[0]
        wanted = sampler(**inputs)["audio"].numpy()[0]
        made = node(audio=audio.tolist(), bpm=bpm, tempo=anywhere.tempo)
        assert made.shape == wanted.shape
        np.testing.assert_allclose(made, wanted, atol=2e-3 * np.abs(wanted).max())


def test_frames_between_those_of_the_grid_are_interpolated_around_the_loop():
    """Any cubic is its own interpolation: up to its third power, a place is found exactly."""
    audio, grid, samples = CONFIG.audio, 384, 88_200
    matrix = to_tempo(grid, samples, audio)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    place = (np.arange(-24, len(matrix) - 24) + 0.5) * audio.hop_samples / samples * grid
    inside = (place > 2) & (place < grid - 3)
    np.testing.assert_allclose((matrix @ np.arange(grid))[inside], place[inside], atol=1e-3)
    wave = np.cos(2 * np.pi * np.arange(grid) / grid)
    np.testing.assert_allclose(matrix @ wave, np.cos(2 * np.pi * place / grid), atol=1e-4)  # also beyond its ends
