"""Any sound of a seed, folders that grow, names, licenses, and interruptions that keep what is finished."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import contents, invoke, unchanged
from told import Told

import melgan_tf as mt
from melgan_tf.audio.wav import save_wav
from melgan_tf.config import presets
from melgan_tf.errors import UsageError
from melgan_tf.inference.output_folder import NamePattern, name_part
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.models.spectrogram_gan.networks import Generator
from melgan_tf.runtime.signals import Stopped
from melgan_tf.weights.licenses import folder_license, license_text, model_licenses, short_license

SEED = presets.get("seed")


@pytest.fixture(scope="module")
def model() -> SoundModel:
    """An untrained model, loud enough to be heard."""
    return SoundModel(Sampler(Generator(weight_std=0.1, seed=3), SEED), SEED, step=42, weights="0123456789ab",
                      source="runs/drums")


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    model.write(out, 20, seed=5)
    return out


def sounds(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if name.endswith(".wav")}


def record(folder: Path) -> dict:
    return json.loads((folder / "sounds.json").read_text(encoding="utf-8"))


# -- any sound -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("which", [{"start": 17, "count": 3}, {"indices": [19, 2, 7]}])
def test_sounds_by_their_index_are_those_of_the_whole(model, whole, tmp_path, which):
    model.write(tmp_path / "out", seed=5, **which)
    made = sounds(tmp_path / "out")
    assert len(made) == 3
    assert made.items() <= sounds(whole).items()


def test_indices_of_a_command(monkeypatch, tmp_path):
    for text, part in (("3,x", "'x' is not an index"), ("5-3", "'5-3' is not a range"), ("1,1", "an index twice"),
                       ("-1", "'-1' is not an index")):
        invoke("generate", "pretrained:drums", "--out", tmp_path / "out", f"--index={text}").one_line(part, code=2)
    for options in (("--start", 3), ("--shard", "1/2")):
        invoke("generate", "pretrained:drums", "--out", tmp_path / "out", "--index", "3", *options).one_line(
            f"remove {options[0]}", code=2)


# -- a folder that grows ---------------------------------------------------------------------------------------------

def test_a_second_call_adds_its_sounds(model, whole, tmp_path):
    out = tmp_path / "out"
    model.write(out, 2, seed=5)
    made = model.write(out, 2, seed=5, start=2, add=True, delivery=mt.Delivery(format="flac"))
    assert made["made"] == 2
    assert made["files"] == ["drums-seed5-0002.flac", "drums-seed5-0003.flac"]
    of_both = record(out)
    assert [sound["index"] for sound in of_both["sounds"]] == [0, 1, 2, 3]
    assert "delivery" not in of_both["sounds"][0]
    assert of_both["delivery"] == {"format": "flac"}
    assert all((out / sound["file"]).exists() for sound in of_both["sounds"])
    assert (out / "index.html").read_text().count('"picture": ') == 4
    assert sounds(out).items() <= sounds(whole).items()


def test_what_distinguishes_earlier_sounds_stays_with_them(model, tmp_path):
    model.write(tmp_path / "out", 1, seed=1, delivery=mt.Delivery(normalize="none"))
    other = SoundModel(model.sampler, SEED, step=7, weights="ffffffffffff", source="runs/other")
    other.write(tmp_path / "out", 1, seed=2, add=True)
    both = record(tmp_path / "out")
    assert (both["weights"], both["step"], both["normalized"]) == ("ffffffffffff", 7, True)
    first = both["sounds"][0]
    assert (first["weights"], first["step"], first["normalized"]) == ("0123456789ab", 42, False)
    assert "weights" not in both["sounds"][1]


def test_adding_the_same_again_is_refused(model, tmp_path):
    model.write(tmp_path / "out", 2, seed=5)
    check = unchanged(tmp_path)
    with pytest.raises(UsageError, match=r"drums-seed5-0000.wav exists: give another --seed, --start or --name"):
        model.write(tmp_path / "out", 2, seed=5, add=True)
    check()


def test_a_foreign_file_is_not_replaced(model, tmp_path):
    out = tmp_path / "out"
    model.write(out, 1, seed=4)
    (out / "drums-seed5-0001.wav").write_bytes(b"precious")
    check = unchanged(tmp_path)
    with pytest.raises(UsageError, match="drums-seed5-0001.wav exists and is in no record"):
        model.write(out, 2, seed=5)
    check()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/LICENSES.txt").write_text("mine")
    with pytest.raises(UsageError, match="LICENSES.txt exists and belongs to no record"):
        model.write(tmp_path / "mine", 1)


def test_force_says_what_it_replaces(tmp_path):
    make = ("generate", "pretrained:drums", "--out", tmp_path / "out", "--count")
    assert invoke(*make, 3).code == 0
    (tmp_path / "out/letter.txt").write_text("dear diary")
    ended = invoke(*make, 1, "--seed", 1, "--force")
    assert ended.stdout.startswith(f"replacing 3 generated sounds in {tmp_path}/out; other files stay\n")
    assert len(sounds(tmp_path / "out")) == 1
    assert (tmp_path / "out/letter.txt").exists()
    invoke(*make, 1, "--force", "--add").one_line("give one of them", code=2)


# -- an interruption -------------------------------------------------------------------------------------------------

class _StopsAfter(Told):
    def __init__(self, count: int, error: BaseException) -> None:
        super().__init__()
        self.left, self.error = count, error

    def _advance(self, count: int) -> None:
        self.left -= count
        if self.left == 0:
            raise self.error


@pytest.mark.parametrize("error", [Stopped(2), KeyboardInterrupt()])
def test_an_interruption_keeps_what_is_finished(model, whole, tmp_path, error):
    out = tmp_path / "out"
    with pytest.raises(type(error)) as raised:
        model.write(out, 20, seed=5, progress=_StopsAfter(3, error))
    if isinstance(error, Stopped):
        assert raised.value.number == 2
        assert raised.value.message == f"melgan-tf: interrupted: 3 of 20 sounds are kept in {out}"
    assert len(sounds(out)) == 3
    assert sounds(out).items() <= sounds(whole).items()
    assert [sound["file"] for sound in record(out)["sounds"]] == sorted(sounds(out))
    assert (out / "index.html").read_text().count('"picture": ') == 3
    assert list(tmp_path.iterdir()) == [out]


def test_an_interruption_before_the_first_sound_keeps_nothing_and_says_so(model, tmp_path, monkeypatch):
    def stopped(*arguments, **named):
        raise Stopped(15)

    monkeypatch.setattr(type(model.sampler), "generate", stopped)
    check = unchanged(tmp_path)
    with pytest.raises(Stopped) as raised:
        model.write(tmp_path / "out", 20)
    assert raised.value.message == "melgan-tf: stopped by SIGTERM: nothing was kept"
    check()


# -- names -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("text", "part"), [
    ("x", "is the same for 2 sounds"), ("a/{index}", "contains '/'"), ("..{index}", "begin it with"),
    ("{indx}", "has the field {indx}"), ("{index:.2f}", "has the field"), ("{index!r}", "has the field"),
    ("{index.__class__}", "has the field"), ("{index[0]}", "has the field"), ("{index", "cannot be read"),
    ("a:{index}", "contains ':'"), ("{index:9999999999}", "has the field"), ("", "begin it with"),
    ("{}", "has the field")])
def test_names_that_cannot_be(text, part):
    with pytest.raises(UsageError, match=part):
        NamePattern(text, 2)


def test_names_stay_in_their_folder_and_within_length():
    name = NamePattern("{label}_{index:03}_{note}", 2)
    assert name(label="../../etc", index=1) == "etc_001"
    assert name(label="hi hat/open", index=12, note="A#3") == "hi-hat-open_012_A#3"
    assert len(NamePattern("x" * 300 + "{index}")(index=1).encode()) <= 200
    assert NamePattern("{seed}-{index}.wav", 2)(seed=3, index=4) == "3-4"
    assert NamePattern("{model} {index:04d}", 2)(model="pretrained:drums", index=4) == "pretrained-drums 0004"


def test_mixtures_have_names_without_equal_signs():
    assert [name_part(text) for text in ("kick=0.7,snare=0.3", "kick", "a=1e-05,b=0.9999", "x=y")] == [
        "kick70-snare30", "kick", "a0-b100", "x=y"]


def test_two_sounds_of_one_name_are_refused(model, tmp_path):
    with pytest.raises(UsageError, match="two sounds would be called a.wav"):
        model.write_recipes(tmp_path / "out", [("a.wav", model.recipe(1, 0)), ("a.wav", model.recipe(1, 1))])
    assert not list(tmp_path.iterdir())


# -- licenses --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("name", "text", "found"), [
    ("LICENSE", "# CC BY 4.0\n\nAttribution.", "CC BY 4.0"), ("licence.md", "CC0 1.0 Universal", "CC0 1.0 Universal"),
    ("README.txt", "Drums.\n\nLicense: CC0, do as you please.\n\nThanks.", "License: CC0, do as you please."),
    ("README.md", "Only drums here.", None), ("notes.txt", "CC0", None)])
def test_what_a_folder_says_of_its_license(tmp_path, name, text, found):
    (tmp_path / name).write_text(text)
    stated = folder_license(tmp_path)
    assert (stated and stated["name"]) == found
    assert stated is None or stated["file"] == name


def test_shards_keep_the_license_of_their_sounds(tmp_path):
    (tmp_path / "sounds").mkdir()
    save_wav(tmp_path / "sounds/a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 1_600), 16_000)
    (tmp_path / "sounds/License.txt").write_text("# CC BY 4.0\n\nBy me.\n")
    mt.prepare(tmp_path / "sounds", tmp_path / "shards", seconds=0.1, workers=1)
    assert folder_license(tmp_path / "shards")["name"] == "CC BY 4.0"
    assert folder_license(tmp_path / "shards")["text"] == folder_license(tmp_path / "sounds")["text"]


def test_a_run_passes_on_the_license_of_its_sounds_and_that_of_what_it_started_from(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps({
        "config": {}, "resolved": {}, "versions": {},
        "data": {"sounds": 31, "licence": {"file": "LICENSE", "name": "CC BY 4.0", "text": "CC BY 4.0\n\nBy me."},
                 "init_from": {"source": "pretrained:drums"}}}))
    entries = model_licenses(run, "vocoder-16k")
    assert [entry["model"] for entry in entries] == ["run", "pretrained:drums", "vocoder-16k"]
    assert short_license(entries) == "CC BY 4.0; CC0-1.0"
    text = license_text(entries)
    assert "  | By me." in text
    assert "2,145 CC0 drum one-shots" in text
    assert "near copies of these sounds: looked for" in text
    assert "unknown" not in text
    assert "gives no permission" in license_text(model_licenses(tmp_path / "nowhere"))


# -- files of every format through the commands ----------------------------------------------------------------------

@pytest.mark.parametrize("options", [
    ("--format", "flac", "--bit-depth", "24", "--sample-rate", 44_100), ("--format", "ogg", "--trim"),
    ("--format", "aiff", "--bit-depth", "32f", "--no-normalize"), ("--channels", 2, "--lufs", -24, "--tail", 0.1)])
def test_a_file_of_any_kind_is_made_again_and_varied(tmp_path, options):
    ended = invoke("generate", "pretrained:drums", "--out", tmp_path / "out", "--count", 2, "--label", "tom", *options,
                   "--name", "{model}_{index:02}", "--date", "2026-11-29")
    assert ended.code == 0, ended.stderr
    files = sorted(path for path in (tmp_path / "out").iterdir() if path.name.startswith("drums_"))
    assert [path.stem for path in files] == ["drums_00", "drums_01"]
    ended = invoke("regenerate", *files, "--out", tmp_path / "again")
    assert "2 sounds" in ended.stdout
    for path in files:
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    ended = invoke("vary", files[0], "--count", 1, "--out", tmp_path / "varied")
    assert ended.code == 0, ended.stderr
    varied, = (path for path in (tmp_path / "varied").iterdir() if path.suffix == files[0].suffix)
    assert soundfile.info(varied).samplerate == soundfile.info(files[0]).samplerate
    values = json.loads(invoke("info", files[0], "--json").stdout)
    assert (values["label"], values["index"], values["licence"]) == ("tom", 0, "CC0-1.0")


def test_sounds_that_cannot_be_so_loud_are_told(tmp_path):
    make = ("generate", "pretrained:drums", "--count", 4, "--label", "rim", "--out")
    ended = invoke(*make, tmp_path / "a", "--lufs", -10)
    assert "softer than the others, so as not to clip: 4 of 4 sounds; --lufs -" in ended.stderr
    lufs = ended.stderr.split("--lufs ")[1].split(" ")[0]
    assert invoke(*make, tmp_path / "b", "--lufs", lufs).stderr == ""


def test_shorter_sounds_are_cut_with_a_fade():
    drums = mt.load("pretrained:drums")
    short, long = drums.generate(1, seconds=0.2)["audio"], drums.generate(1)["audio"]
    assert short.shape == (1, 3_200)
    np.testing.assert_array_equal(short[0, :2_800], long[0, :2_800])
    assert short[0, -1] == 0


def test_files_of_earlier_versions_are_made_again_without_tags(tmp_path):
    drums = mt.load("pretrained:drums")
    made = drums.generate(1, seed=3, label="kick")["audio"][0]
    comment = json.dumps({"made_by": "melgan-tf", "weights": drums.weights, "step": drums.step, "seed": 3, "index": 0,
                          "label": "kick", "source": "pretrained:drums", "normalized": True})
    save_wav(tmp_path / "kick.wav", made * np.float32(10 ** (-1 / 20) / float(np.abs(made).max())), 16_000, comment)
    mt.regenerate(tmp_path / "kick.wav", tmp_path / "again")
    again, = (path for path in (tmp_path / "again").glob("*.wav"))
    before, after = (path.read_bytes() for path in (tmp_path / "kick.wav", again))
    assert before[-16_000:] == after[-16_000:]
    assert b"bext" not in after
