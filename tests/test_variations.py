"""Sounds again, varied and in between: what the commands make of generated WAVs and of recordings."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import contents, invoke, trained_once, write_sounds

import melgan_tf as mt
from melgan_tf import api
from melgan_tf.audio.isolated import read_comment
from melgan_tf.audio.read import load
from melgan_tf.audio.wav import save_wav
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.evaluation.embeddings.drums import DrumEmbedding
from melgan_tf.inference.load import load_sound_model
from melgan_tf.inference.origin import read_origin
from melgan_tf.inference.recipe import Between, Encoded, Moved, Recipe, Seeded, read_latent

DEMO = Path(__file__).parent.parent / "demo/drums"
RATE = 16_000


@pytest.fixture(scope="module", autouse=True)
def _loaded_once():
    """Building a model again for every command would take a second each."""
    with pytest.MonkeyPatch.context() as patch:
        load_once = functools.cache(lambda source, vocoder: load_sound_model(source, vocoder=vocoder))
        patch.setattr(api, "load_sound_model", lambda source, *, checkpoint="last", vocoder=None, progress=None:
                      load_once(str(source), vocoder))
        yield


@pytest.fixture(scope="module")
def drums():
    return api.load_sound_model("pretrained:drums")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Sounds of each class, of a mixture whose weights are no round numbers, and at their own level."""
    out = tmp_path_factory.mktemp("made")
    of = {"any": (), "mixture": ("--label", "kick=1,snare=2,rim=4"), "level": ("--no-normalize",)}
    for name, options in of.items():
        ended = invoke("generate", "pretrained:drums", "--out", out / name, "--count", 6, "--seed", 3, *options)
        assert ended.code == 0
    return out


def wavs(folder):
    return sorted(folder.glob("*.wav"))


def draw(seed, index):
    return {"noise": np.random.default_rng((seed, index)).standard_normal(500).astype(np.float32)}


# recipes


@pytest.mark.parametrize("latent", [
    Seeded(5, 7), Encoded(tuple(map(float, draw(0, 0)["noise"][:20])), "a kick.wav"), Moved(Seeded(1, 2), 0.3, 4),
    Between(Moved(Seeded(1, 2), 1 / 3, 4), Seeded(0, 0), 2 / 7)], ids=lambda latent: type(latent).__name__)
def test_a_recipe_survives_as_json_to_the_last_bit(latent):
    again = read_latent(json.loads(json.dumps(latent.to_json())))
    for name, values in latent.arrays(draw).items():
        np.testing.assert_array_equal(again.arrays(draw)[name], values)


def test_points_stay_normally_distributed():
    far = [Moved(Seeded(1, 2), intensity, 0).arrays(draw)["noise"] for intensity in (0.0, 0.3, 0.7, 1.0)]
    far += [Between(Seeded(1, 2), Seeded(3, 4), part).arrays(draw)["noise"] for part in (0.25, 0.5, 0.75)]
    assert [point.std() for point in far] == pytest.approx([1.0] * 7, abs=0.1)
    np.testing.assert_array_equal(far[0], draw(1, 2)["noise"])


def test_ends_of_an_interpolation_are_the_sounds_themselves():
    for part, seed in ((0.0, 1), (1.0, 2)):
        np.testing.assert_allclose(Between(Seeded(1, 0), Seeded(2, 0), part).arrays(draw)["noise"],
                                   draw(seed, 0)["noise"], atol=1e-6)


def test_directions_differ_and_belong_to_their_sound():
    moved = [Moved(Seeded(1, index), 1.0, direction).arrays(draw)["noise"] for index in (0, 1) for direction in (0, 1)]
    assert np.abs(np.corrcoef(moved) - np.eye(4)).max() < 0.2


@pytest.mark.parametrize("values", [
    {}, {"seed": 1}, {"seed": -1, "index": 0}, {"seed": 1.5, "index": 0}, {"seed": 10**400, "index": 0}, [], None, "s",
    {"noise": ["x"], "recording": "a"}, {"noise": [1e999], "recording": "a"}, {"noise": [[1.0]], "recording": "a"},
    {"varied": {"seed": 1, "index": 1}, "intensity": 2, "direction": 0}, {"varied": 3, "intensity": 0, "direction": 0},
    {"between": [{"seed": 1, "index": 1}], "fraction": 0.5}, {"between": 7, "fraction": 0.5}])
def test_recipes_that_are_none(values):
    with pytest.raises(MelGANError, match="cannot be read"):
        read_latent(values)


def test_recipes_without_an_end():
    values = {"seed": 1, "index": 1}
    for _ in range(500):
        values = {"varied": values, "intensity": 0.1, "direction": 0}
    with pytest.raises(MelGANError, match="steps deep"):
        read_latent(values)


# again


@pytest.mark.parametrize("name", ["any", "mixture", "level"])
def test_a_sound_again_has_the_same_bytes(made, name, tmp_path):
    ended = invoke("regenerate", *wavs(made / name)[1:4], "--out", tmp_path / "again")
    assert ended.code == 0, ended.stderr
    assert "3 of them equal to the originals" in ended.stdout
    for file in wavs(made / name)[1:4]:
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_variations_of_variations_again(made, tmp_path):
    start = wavs(made / "any")[0]
    assert invoke("vary", start, "--out", tmp_path / "a", "--count", 2, "--direction", 5).code == 0
    assert invoke("vary", wavs(tmp_path / "a")[1], "--out", tmp_path / "b", "--count", 1, "--intensity", 0.5).code == 0
    assert invoke("interpolate", wavs(tmp_path / "b")[0], wavs(made / "mixture")[0], "--out", tmp_path / "c", "--steps",
                  3).code == 0
    files = [*wavs(tmp_path / "b"), *wavs(tmp_path / "c")]
    record = mt.regenerate(files, tmp_path / "again")
    assert (record["made"], record["same"]) == (4, 4)


@pytest.mark.slow
def test_a_run_is_asked_for_where_it_is_not_here(tmp_path, monkeypatch, tmp_path_factory):
    run = trained_once(tmp_path_factory).path
    assert invoke("generate", run, "--out", tmp_path / "a", "--count", 2, "--vocoder", "griffin-lim").code == 0
    monkeypatch.chdir(tmp_path)
    invoke("regenerate", *wavs(tmp_path / "a"), "--out", tmp_path / "b").one_line("made by 'run'", "--model", code=2)
    ended = invoke("regenerate", *wavs(tmp_path / "a"), "--model", run, "--vocoder", "griffin-lim", "--out",
                   tmp_path / "b")
    assert "2 of them equal" in ended.stdout
    monkeypatch.chdir(run.parent)
    assert invoke("vary", wavs(tmp_path / "a")[0], "--vocoder", "griffin-lim", "--out", tmp_path / "c").code == 0


def rewrite(source, target, **changes):
    """A copy of a generated WAV whose record says something else."""
    origin = {**json.loads(read_comment(source)), **changes}
    save_wav(target, load(source, RATE), RATE, json.dumps(origin))
    return target


def test_another_model_is_refused_unless_it_is_asked_for(made, tmp_path):
    other = rewrite(wavs(made / "any")[0], tmp_path / "a.wav", weights="0123456789ab", vocoder="griffin-lim")
    ended = invoke("regenerate", other, "--out", tmp_path / "b")
    ended.one_line("weights are", "not 0123456789ab", "vocoder", "griffin-lim", "--model", code=1)
    ended = invoke("regenerate", other, "--out", tmp_path / "b", "--model", "pretrained:drums")
    assert ended.code == 0
    assert ended.stderr.count("warning") == 2  # another model, and other bytes
    assert "0 of them equal" in ended.stdout


@pytest.mark.parametrize(("changes", "part"), [
    ({"seed": None}, "cannot be read"), ({"weights": None, "recipe": {"varied": 1}}, "cannot be read"),
    ({"mixture": [1]}, "but not how"), ({"step": "x"}, "but not how"), ({"mixture": {"kick": "x"}}, "but not how"),
    ({"label": "dog"}, "unknown class 'dog'"), ({"mixture": {"dog": 1.0}}, "unknown class 'dog'"),
    ({"recipe": {"noise": [1.0], "recording": "a"}}, "1 numbers of noise")])
def test_damaged_records(made, tmp_path, changes, part):
    damaged = rewrite(wavs(made / "any")[0], tmp_path / "a.wav", **changes)
    ended = invoke("regenerate", damaged, "--out", tmp_path / "b")
    assert ended.code in (1, 2)
    assert ended.stderr.count("\n") == 1
    assert part in ended.stderr
    assert not (tmp_path / "b").exists()


def test_files_that_cannot_be_made_again(made, tmp_path):
    plain = write_sounds(tmp_path / "plain", 1) / "00.wav"
    one, other = wavs(made / "any")[0], tmp_path / wavs(made / "any")[0].name
    other.write_bytes(one.read_bytes())
    out = ("--out", tmp_path / "out")
    invoke("regenerate", plain, *out).one_line("00.wav does not say", code=1)
    invoke("regenerate", one, other, *out).one_line("two files are called", code=2)
    invoke("regenerate", one, wavs(made / "level")[1], *out).one_line("differ in length, loop, level or format", code=2)
    invoke("vary", plain, *out).one_line("does not name its model", "--model", code=2)
    invoke("interpolate", one, *out).one_line("--label", code=2)
    invoke("vary", one, *out, "--label", "dog").one_line("unknown class 'dog'", code=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_loops_again_and_varied(tmp_path):
    mt.load("pretrained:music").write(tmp_path / "a", 1, seconds=1.0, loop=True)
    loop = wavs(tmp_path / "a")[0]
    assert mt.regenerate(loop, tmp_path / "b")["same"] == 1
    record = mt.vary(loop, tmp_path / "c", intensity=0.4, count=1)
    assert (record["seconds"], record["loop"]) == (pytest.approx(1.0, abs=0.3), True)
    varied = wavs(tmp_path / "c")[0]
    assert b"smpl" in varied.read_bytes()
    assert varied.stat().st_size == pytest.approx(loop.stat().st_size, abs=200)
    assert mt.regenerate(varied, tmp_path / "d")["same"] == 1
    invoke("vary", DEMO / "clap/body_handclap_vl1_rr2.flac", "--model", "pretrained:music", "--out",
           tmp_path / "e").one_line("cannot encode recordings", code=2)


# different


def embedded(sounds):
    return DrumEmbedding()(sounds["audio"], RATE)


def test_distance_grows_with_intensity_and_classes_hold(drums):
    bases = [drums.recipe(1, index, label) for index, label in enumerate(("kick", "snare", "hat", "tom") * 4)]
    start, _ = embedded(drums.make(bases))
    distances, kept = [], []
    for intensity in (0.1, 0.3, 0.6, 1.0):
        points, classes = embedded(drums.make([base.vary(intensity, 2) for base in bases]))
        distances.append(np.linalg.norm(points - start, axis=1).mean())
        wanted = [drums.classes.index(next(iter(base.label))) for base in bases]
        kept.append((classes.argmax(axis=1) == wanted).mean())
    assert np.diff(distances).min() > 0.2 * distances[0], distances
    assert min(kept) >= 0.75, kept


def test_no_intensity_is_the_sound_itself(drums):
    base = drums.recipe(1, 0, "kick")
    there = drums.generate(1, seed=1, label="kick")["audio"]
    np.testing.assert_array_equal(drums.make([base, base.vary(0.0, 9)])["audio"], np.repeat(there, 2, axis=0))


def test_steps_between_two_sounds_are_even(made, tmp_path):
    ends = wavs(made / "any")[0], wavs(made / "any")[-1]
    assert mt.interpolate(*ends, tmp_path / "a", steps=5)["made"] == 5
    audio = np.stack([load(file, RATE) for file in wavs(tmp_path / "a")])
    for sound, end in ((audio[0], ends[0]), (audio[-1], ends[1])):
        np.testing.assert_allclose(sound, load(end, RATE), atol=2e-3)
    from melgan_tf.evaluation.embeddings.log_mel import embed_waveforms

    points = embed_waveforms(audio, RATE)
    lengths = np.linalg.norm(np.diff(points / points.std(axis=0), axis=0), axis=1)
    assert lengths.max() < 2.5 * lengths.min(), lengths


def test_a_sound_changes_its_class(made, tmp_path):
    mt.interpolate(wavs(made / "mixture")[0], None, tmp_path / "a", steps=3, label="hat")
    labels = [read_origin(file).mixture or read_origin(file).label for file in wavs(tmp_path / "a")]
    assert labels[0].keys() == {"kick", "snare", "rim"}
    assert labels[1].keys() == {"kick", "snare", "rim", "hat"}
    assert labels[2] == "hat"


# recordings


@pytest.mark.slow
def test_a_recording_is_found_again(drums, tmp_path):
    """Nearer than the nearest of a hundred random sounds of its class, and of its class by another network."""
    file = DEMO / "clap/body_handclap_vl1_rr2.flac"
    found = drums.encode(file)
    assert found.within_reach
    points, classes = embedded(drums.make([found.recipe]))
    real = load(file, RATE)[None]
    target, _ = DrumEmbedding()(real, RATE)
    others, _ = embedded(drums.generate(100, seed=0, label="clap"))
    distance = np.linalg.norm(points - target, axis=1)[0]
    assert distance < np.quantile(np.linalg.norm(others - target, axis=1), 0.2)
    record = mt.vary(file, tmp_path / "a", model="pretrained:drums", count=2)
    assert record["distance_db"] == pytest.approx(found.distance_db, abs=0.01)
    assert mt.regenerate(wavs(tmp_path / "a"), tmp_path / "b")["same"] == 2


@pytest.mark.slow
def test_a_sound_out_of_reach_is_said_to_be(tmp_path):
    time = np.arange(RATE // 2) / RATE
    save_wav(tmp_path / "chirp.wav", 0.5 * np.sin(2 * np.pi * (300 + 3_000 * time) * time), RATE)
    ended = invoke("vary", tmp_path / "chirp.wav", "--model", "pretrained:drums", "--out", tmp_path / "a", "--count", 1)
    assert ended.code == 0
    assert "chirp.wav is out of the model's reach" in ended.stderr
    save_wav(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    invoke("vary", tmp_path / "silent.wav", "--model", "pretrained:drums", "--out", tmp_path / "b").one_line(
        "silent.wav: silent", code=1)


def test_numbers_that_cannot_be(made, tmp_path):
    one = wavs(made / "any")[0]
    for options in ({"intensity": 1.5}, {"intensity": float("nan")}, {"count": 0}, {"direction": -1}):
        with pytest.raises(UsageError, match="give"):
            mt.vary(one, tmp_path / "a", **options)
    with pytest.raises(UsageError, match="2 or more"):
        mt.interpolate(one, one, tmp_path / "a", steps=1)
    with pytest.raises(UsageError, match="0 to 1"):
        Recipe(Seeded(0, 0)).towards(Recipe(Seeded(0, 1)), -0.1)
    assert not contents(tmp_path)
