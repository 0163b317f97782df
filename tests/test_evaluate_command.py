"""`melgan-tf evaluate` of a folder of sounds, and what it writes: metrics, card, figure."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import contents, invoke, trained_once, unchanged
from drums import RATE, drum, write_drums
from matplotlib.colors import to_rgb
from PIL import Image

from melgan_tf.evaluation import CLASSES
from melgan_tf.evaluation.figure import COLORS

GRIFFIN_LIM = ("--vocoder", "griffin-lim")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Generated, reference and training sounds, in sub-folders by class; two of the generated are training sounds."""
    top = tmp_path_factory.mktemp("folders")
    for seed, name in enumerate(("generated", "reference", "train")):
        write_drums(top / name, each=8, seed=seed)
    for index in range(2):
        copied = contents(top / "train")[f"kick/kick{index}.wav"]
        (top / "generated/kick" / f"kick{index + 3}.wav").write_bytes(copied)
    return top


@pytest.fixture(scope="module")
def evaluated(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    ended = invoke("evaluate", folders / "generated", "--reference", folders / "reference", "--train",
                   folders / "train", "--verbose", "--json", out / "a.json", "--markdown", out / "a.md", "--png",
                   out / "a.png")
    assert (ended.code, ended.stderr) == (0, "")
    return ended, out


def test_a_folder_of_sounds_is_measured(evaluated, folders):
    ended, out = evaluated
    values = json.loads((out / "a.json").read_text())
    assert values["folder"] == str(folders / "generated")
    assert values["train"] == str(folders / "train")
    assert (values["sounds"], values["sample_rate"], values["floor"]) == (
        24, RATE, "training sounds against the reference")
    assert ended.stdout.splitlines()[-1] == values["conclusion"]
    kick = next(row for row in values["of_class"] if row["name"] == "kick")
    assert (kick["generated"], kick["real"]) == (8, 8)
    assert kick["generated_accuracy"] is not None


def test_copies_are_named_by_their_files(evaluated):
    ended, out = evaluated
    named = json.loads((out / "a.json").read_text())["copies"]["named"]
    assert {("kick/kick3.wav", "kick/kick0.wav"), ("kick/kick4.wav", "kick/kick1.wav")} <= {
        (pair["generated"], pair["training"]) for pair in named}
    line = next(line for line in ended.stdout.splitlines() if line.startswith("kick/kick3.wav"))
    assert line.split()[1] == "kick/kick0.wav"


def test_the_card_says_all_that_the_terminal_says(evaluated):
    ended, out = evaluated
    card = (out / "a.md").read_text()
    assert card.startswith("# Evaluation\n")
    assert "| Fréchet distance |" in card
    for line in ended.stdout.splitlines():
        for cell in line.split("  "):
            assert cell.strip("- .")[1:] in card
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)


def test_the_figure_shows_the_classes_of_the_sounds(evaluated):
    with Image.open(evaluated[1] / "a.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (880, 1280, 3)
    for index, name in enumerate(CLASSES):
        found = (pixels[:660, :620] == (np.array(to_rgb(COLORS[index])) * 255).round()).all(axis=-1).sum()
        assert (found > 100) == (name in ("kick", "snare", "hat")), name


def test_what_is_there_is_kept_unless_forced(evaluated, folders):
    out = evaluated[1]
    check = unchanged(out)
    for option, file in (("--json", "a.json"), ("--markdown", "a.md"), ("--png", "a.png")):
        invoke("evaluate", folders / "generated", "--reference", folders / "reference", option, out / file).one_line(
            str(out / file), f"give another {option}, or --force", code=2)
    check()
    ended = invoke("evaluate", folders / "generated", "--reference", folders / "reference", "--json", out / "a.json",
                   "--force")
    assert ended.code == 0
    assert json.loads((out / "a.json").read_text())["train"] is None


def test_a_run_knows_what_it_was_trained_on_and_generates_as_many_as_asked(tmp_path_factory, folders, tmp_path):
    run = trained_once(tmp_path_factory)
    ended = invoke("evaluate", run.path, *GRIFFIN_LIM, "--reference", folders / "reference", "--count", 10, "--json",
                   tmp_path / "a.json")
    assert (ended.code, ended.stderr) == (0, "")
    values = json.loads((tmp_path / "a.json").read_text())
    assert values["train"] == str(run.sounds)
    assert (values["fake_sounds"], values["reference_sounds"], values["train_sounds"]) == (10, 24, 16)
    assert values["sounds"] == 10
    assert values["copies"]["embedding"] > 0


def test_the_usual_rate_decides_and_silent_sounds_count(tmp_path, folders):
    rng = np.random.default_rng(0)
    for index in range(8):
        rate = 22_050 if index else 8_000
        soundfile.write(tmp_path / f"{index}.wav", drum("snare", rng) if index != 3 else np.zeros(900), rate)
    (tmp_path / "broken.wav").write_bytes(b"")
    ended = invoke("evaluate", tmp_path, "--reference", folders / "reference", "--verbose")
    assert (ended.code, ended.stderr) == (0, "warning: skipped broken.wav: an empty file\n")
    assert "8 generated" in ended.stdout
    assert "22050 Hz" in ended.stdout
    silent = next(line for line in ended.stdout.splitlines() if line.startswith("silent"))
    assert silent.split()[2] == "0.125"


def test_what_generate_recorded_says_what_sounds_are_meant_to_be(tmp_path, folders):
    write_drums(tmp_path / "kit")
    sounds = []
    for index, path in enumerate(sorted((tmp_path / "kit").rglob("*.wav"))):
        path.rename(tmp_path / f"{index:02d}.wav")
        sounds.append({"file": f"{index:02d}.wav", "label": "snare"})
    (tmp_path / "sounds.json").write_text(json.dumps({"sounds": sounds}))
    ended = invoke("evaluate", tmp_path, "--reference", folders / "reference", "--json", tmp_path / "a.json")
    assert ended.code == 0
    rows = {row["name"]: row for row in json.loads((tmp_path / "a.json").read_text())["of_class"]}
    assert (rows["snare"]["generated"], rows["kick"]["generated"]) == (12, 0)
    assert rows["snare"]["generated_accuracy"] < 0.5  # two thirds of them are none
    (tmp_path / "sounds.json").write_text(json.dumps({"sounds": sounds[1:]}))
    ended = invoke("evaluate", tmp_path, "--reference", folders / "reference", "--verbose")
    assert ended.code == 0
    assert "snare" in ended.stdout


@pytest.mark.parametrize(("arguments", "parts"), [
    (("--vocoder", "griffin-lim"), ("is a folder of sounds", "remove --vocoder")),
    (("--count", "3"), ("is a folder of sounds", "remove --count")),
    (("--train", "reference"), ("contain the same sounds",)),
    (("--train", "none"), ("none does not exist", "--train")),
    (("--json", "same", "--png", "same"), ("--json and --png point to the same file",)),
])
def test_what_does_not_go_together_is_refused(folders, monkeypatch, arguments, parts):
    monkeypatch.chdir(folders)
    check = unchanged(folders)
    invoke("evaluate", "generated", "--reference", "reference", *arguments).one_line(*parts, code=2)
    check()


def test_a_folder_against_itself_is_refused(folders):
    for reference in (folders / "generated", folders / "generated/kick", folders):
        invoke("evaluate", folders / "generated", "--reference", reference).one_line("the same sounds", code=2)


def test_what_does_not_apply_to_a_vocoder_is_refused(tmp_path):
    (tmp_path / "sounds").mkdir()
    for option, value in (("--png", "a.png"), ("--train", "sounds"), ("--count", 3)):
        invoke("evaluate", "vocoder-16k", "--reference", tmp_path / "sounds", option,
               value if isinstance(value, int) else tmp_path / value).one_line(
            "vocoder-16k is a vocoder itself", f"remove {option}", code=2)
    assert [path.name for path in Path(tmp_path).iterdir()] == ["sounds"]


def test_a_dash_is_standard_output_which_then_has_nothing_else(evaluated, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = invoke("evaluate", folders / "generated", "--reference", folders / "reference", "--train",
                   folders / "train", "--json", "-")
    assert (ended.code, ended.stderr) == (0, "")
    assert json.loads(ended.stdout).keys() == json.loads((evaluated[1] / "a.json").read_text()).keys()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [("--png", "-"), ("--json", "-", "--markdown", "-")])
def test_standard_output_takes_one_text(folders, options):
    invoke("evaluate", folders / "generated", "--reference", folders / "reference", *options).one_line("-", code=2)
