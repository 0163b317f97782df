"""Preparing shards: what is in them, what is said about the rest, and whatever may come in between."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from command_line import _PROGRAM, contents, invoke, program, unchanged
from drums import RATE, drum, write_drums

from melgan_tf.audio.find import Skipped, find
from melgan_tf.audio.read import load
from melgan_tf.data import shards
from melgan_tf.data.clips import ClipSettings
from melgan_tf.data.prepare import prepare
from melgan_tf.data.shards import Prepared
from melgan_tf.data.sources import open_sounds
from melgan_tf.errors import MelGANError, UsageError

DEMO = Path(__file__).parent.parent / "demo" / "drums"
EXACT = ("--no-onset", "--fade", "0", "--format", "float32")
PLAIN = ClipSettings(onset=False, fade_seconds=0)


def visible(folder: Path) -> dict[str, bytes]:
    """The output, without what is kept to go on."""
    return {name: content for name, content in contents(folder).items() if not name.startswith(".prepare/")}


@pytest.fixture(scope="module")
def messy(tmp_path_factory) -> Path:
    """24 good sounds in three folders; silence, duplicates, damage, a pipe, dead links; not to be written to."""
    folder = write_drums(tmp_path_factory.mktemp("messy") / "sounds", each=8)
    soundfile.write(folder / "silence.wav", np.zeros(4_000), RATE)
    kick, _ = soundfile.read(folder / "kick/kick3.wav", dtype="int16")
    soundfile.write(folder / "kick/same as kick3.flac", kick, RATE)
    whole = (folder / "snare/snare0.wav").read_bytes()
    (folder / "snare/truncated.wav").write_bytes(whole[:len(whole) // 2])
    (folder / "snare/empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not a sound")
    (folder / "notes.txt").write_text("not a sound either")
    (folder / "gone.wav").symlink_to("nowhere.wav")
    os.mkfifo(folder / "pipe.wav")
    loud = np.r_[1.5, -1.5, np.ones(500)] * np.exp(-np.arange(502) / 100)
    soundfile.write(folder / "hat/loud.wav", loud, RATE, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def prepared(messy, tmp_path_factory) -> Path:
    """The messy folder, prepared in shards of 10 files by two processes; not to be written to."""
    out = tmp_path_factory.mktemp("prepared") / "out"
    prepare(messy, out, workers=2, shard_files=10)
    return out


# -- what comes out --------------------------------------------------------------------------------------------------

def test_every_file_is_accounted_for(messy, prepared):
    report = json.loads((prepared / "report.json").read_text())
    skipped = {item["name"]: item["reason"] for item in report["skipped_files"]}
    assert skipped == {
        "gone.wav": "cannot be read: No such file or directory",
        "kick/same as kick3.flac": "a duplicate: the same as kick/kick3.wav",
        "pipe.wav": "not a file",
        "silence.wav": "silent",
        "snare/empty.wav": "an empty file",
        "snare/truncated.wav": skipped["snare/truncated.wav"],
        "text.wav": "text, not audio"}
    assert skipped["snare/truncated.wav"].startswith("truncated: ")
    assert (report["files"], report["kept"], report["skipped"], report["clips"]) == (32, 25, 7, 25)
    assert report["reasons"] == {"a duplicate": 1, "an empty file": 1, "cannot be read": 1, "not a file": 1,
                                 "silent": 1, "text": 1, "truncated": 1}
    assert report["labels"] == {"hat": 9, "kick": 8, "snare": 8}
    assert report["ignored"] == {".txt": 1}
    assert (report["held"], report["duplicates"], report["silent"], report["partly_kept"]) == (1, 1, 1, [])


def test_the_index_tells_what_is_there(prepared):
    index = json.loads((prepared / "index.json").read_text())
    facts = [index[key] for key in ("sample_rate", "clip_samples", "format", "clips")]
    assert facts == [16_000, 8_000, "int16", 25]
    assert [shard["file"] for shard in index["shards"]] == [f"shard-{n:05d}.tfrecord" for n in range(4)]
    assert sum(shard["clips"] for shard in index["shards"]) == 25
    for shard in index["shards"]:
        content = (prepared / shard["file"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (shard["bytes"], shard["sha256"])
    assert sorted(visible(prepared)) == sorted(["index.json", "report.json",
                                                *(shard["file"] for shard in index["shards"])])


def test_tensorflow_reads_the_shards(messy, prepared):
    described = {"audio": tf.io.FixedLenFeature((), tf.string), "start": tf.io.FixedLenFeature((), tf.int64),
                 "sample_rate": tf.io.FixedLenFeature((), tf.int64), "label": tf.io.FixedLenFeature((), tf.string),
                 "name": tf.io.FixedLenFeature((), tf.string), "sha256": tf.io.FixedLenFeature((), tf.string)}
    files = sorted(map(str, prepared.glob("*.tfrecord")))
    seen = []
    for record in tf.data.TFRecordDataset(files).map(lambda record: tf.io.parse_single_example(record, described)):
        audio = np.frombuffer(record["audio"].numpy(), "<i2")
        name = record["name"].numpy().decode()
        assert (len(audio), record["start"].numpy(), record["sample_rate"].numpy()) == (8000, 0, 16_000)
        assert hashlib.sha256(record["audio"].numpy()).hexdigest() == record["sha256"].numpy().decode()
        assert record["label"].numpy().decode() == name.rpartition("/")[0]
        whole, _ = soundfile.read(messy / name, dtype="int16")
        onset = np.flatnonzero(np.abs(whole.astype(int)) >= np.abs(whole.astype(int)).max() * 0.01)[0]
        if name != "hat/loud.wav":
            assert (audio[:len(whole) - onset] == whole[onset:]).all()
        seen.append(name)
    assert seen == sorted(seen)
    assert len(seen) == 25


def test_output_is_the_same_for_any_number_of_workers_and_from_anywhere(messy, prepared, tmp_path):
    copy = tmp_path / "elsewhere" / "sounds"
    shutil.copytree(messy, copy, symlinks=True, copy_function=shutil.copy,
                    ignore=lambda place, names: [name for name in names if name == "pipe.wav"])
    os.mkfifo(copy / "pipe.wav")
    out = copy / "prepared"  # among the sounds, even
    prepare(copy, out, workers=1, shard_files=10)
    assert visible(out) == visible(prepared)


def test_long_sounds_become_many_clips(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    rng = np.random.default_rng(0)
    bar = 0.5 * rng.standard_normal(4_000).clip(-1, 1)
    soundfile.write(data / "loop.wav", np.r_[bar, bar, np.zeros(8_000), bar, 0.1 * bar], RATE)
    soundfile.write(data / "other.wav", np.r_[bar, 0.3 * bar], RATE)
    soundfile.write(data / "same.wav", np.r_[bar, bar], RATE)
    settings = ClipSettings(clip_samples=4_000, long="consecutive", onset=False)
    result = prepare(data, tmp_path / "out", settings, workers=1)
    found = [(sound.name, sound.label) for sound, _ in Prepared.open(tmp_path / "out").clips()]
    assert found == [("loop.wav", ""), ("loop.wav", ""), ("other.wav", "")]
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["partly_kept"] == [{"name": "loop.wav", "silent": 2, "duplicates": 2},
                                     {"name": "other.wav", "silent": 0, "duplicates": 1}]
    assert list(result.skipped()) == [Skipped("same.wav", "a duplicate: the same as loop.wav")]
    prepare(data, tmp_path / "random", ClipSettings(clip_samples=4_000, long="random"), workers=1)
    assert 8 <= len(Prepared.open(tmp_path / "random")) <= 10


def test_a_sound_that_is_damaged_late_leaves_nothing(tmp_path):
    """Its first clips were written before the damage was found; a later sound with the same clips is no duplicate."""
    data = tmp_path / "data"
    data.mkdir()
    sound = np.random.default_rng(0).integers(-9000, 9000, 1_300_000).astype("int16")
    soundfile.write(data / "b.wav", sound[:8_000], RATE)
    soundfile.write(data / "a.flac", sound, RATE)
    content = bytearray((data / "a.flac").read_bytes())
    content[-200_000] ^= 1
    (data / "a.flac").write_bytes(content)
    settings = ClipSettings(clip_samples=4_000, long="consecutive", onset=False)
    result = prepare(data, tmp_path / "out", settings, workers=1)
    assert [(skip.name, skip.reason[:7]) for skip in result.skipped()] == [("a.flac", "damaged")]
    assert [sound.name for sound, _ in Prepared.open(tmp_path / "out").clips()] == ["b.wav", "b.wav"]
    (data / "a.flac").unlink()
    prepare(data, tmp_path / "clean", settings, workers=1)
    shard = "shard-00000.tfrecord"
    assert (tmp_path / "clean" / shard).read_bytes() == (tmp_path / "out" / shard).read_bytes()


# -- interruptions ---------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def many(tmp_path_factory) -> tuple[Path, dict[str, bytes]]:
    """300 sounds, one of them twice, and what comes out if nothing comes in between; not to be written to."""
    folder, rng = tmp_path_factory.mktemp("many"), np.random.default_rng(3)
    (folder / "data/hat").mkdir(parents=True)
    for index in range(300):
        soundfile.write(folder / f"data/hat/{index:04d}.wav", drum("hat", rng)[:1600], RATE)
    shutil.copy(folder / "data/hat/0000.wav", folder / "data/hat/same.wav")  # remembered over an interruption
    result = prepare(folder / "data", folder / "straight", workers=1, shard_files=10)
    assert (result.counts.clips, result.counts.duplicates) == (300, 1)
    return folder / "data", visible(folder / "straight")


def begun(out: Path, *arguments: object, shards: int = 2) -> subprocess.Popen:
    """A real preparation, running, with some shards finished."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONWARNINGS"}
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, *map(str, arguments)], stderr=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    while len(list(out.glob(".prepare/0*.json"))) < shards:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_preparation_goes_on_and_ends_alike(many, tmp_path, number):
    (data, straight), out = many, tmp_path / "out"
    arguments = ("prepare", data, out, "--shard-size", 10, "--workers", 2)
    process = begun(out, *arguments)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)  # a terminal's Ctrl-C reaches the group
    _, told = process.communicate(timeout=60)
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert told.splitlines()[-1] == ("stopped; what is finished is kept; to go on: melgan-tf "
                                         + " ".join(map(str, arguments)))
        assert not list(out.rglob("*.part"))
    assert not (out / "index.json").exists()
    with pytest.raises(MelGANError, match="not prepared to the end: give the `melgan-tf prepare` command again"):
        open_sounds(out, 16_000, 8_000)
    ended = invoke(*arguments)
    assert ended.code == 0
    finished = int(re.search(r"going on after (\d+) finished shards", ended.stdout)[1])
    assert 2 <= finished < 30
    assert visible(out) == straight


@pytest.fixture
def small(tmp_path) -> tuple[Path, Path]:
    """30 sounds prepared in three shards, in a place of the test's own."""
    data, out = write_drums(tmp_path / "data", each=10), tmp_path / "out"
    prepare(data, out, workers=1, shard_files=10)
    return data, out


def again(data: Path, out: Path, **settings) -> int:
    """Prepares once more; the number of shards that were kept."""
    return prepare(data, out, workers=1, shard_files=10, **settings).found


@pytest.mark.parametrize(("damage", "kept"), [
    (lambda out: (out / "shard-00001.tfrecord").unlink(), 1),
    (lambda out: os.truncate(out / "shard-00002.tfrecord", 1000), 2),
    (lambda out: (out / ".prepare/00001.json").unlink(), 1),
    (lambda out: (out / ".prepare/00000.json").write_text("{"), 0),
    (lambda out: (out / "index.json").unlink(), 3),
    (lambda out: (out / ".shard-00002.tfrecord.99.part").write_bytes(b"half"), 3),
    (lambda out: flip(out / "shard-00002.tfrecord"), 2)])
def test_whatever_was_damaged_is_made_anew(small, damage, kept):
    data, out = small
    before = visible(out)
    assert again(data, out) == 3
    damage(out)
    assert again(data, out) == kept
    assert visible(out) == before


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_sounds_that_come_go_and_change_are_noticed(small, tmp_path):
    data, out = small
    (data / "kick/kick55.wav").write_bytes((data / "hat/hat0.wav").read_bytes())
    assert again(data, out) == 1
    assert len(Prepared.open(out)) == 30
    for path in (data / "snare").iterdir():
        path.unlink()
    (data / "kick/kick55.wav").unlink()
    assert again(data, out) == 1
    assert sorted(path.name for path in out.glob("*.tfrecord")) == ["shard-00000.tfrecord", "shard-00001.tfrecord"]
    prepare(data, tmp_path / "straight", workers=1, shard_files=10)
    assert visible(out) == visible(tmp_path / "straight")
    os.utime(data / "hat/hat0.wav", (1, 1))
    assert again(data, out) == 0


def test_half_renewed_is_not_whole(small):
    """What was whole before is not taken for whole while it is made anew, if that ends early."""
    data, out = small
    os.utime(data / "kick/kick0.wav", (1, 1))
    arguments = ("prepare", data, out, "--shard-size", 10, "--workers", 1, "-q")
    program(*arguments, file_limit=100_000).one_line("cannot write", "shard-00001.tfrecord: File too large", code=1)
    with pytest.raises(MelGANError, match="not prepared to the end"):
        open_sounds(out, 16_000, 8_000)
    assert invoke(*arguments).code == 0
    assert len(open_sounds(out, 16_000, 8_000)) == 30


def test_other_settings_need_another_folder_or_fresh(small):
    data, out = small
    check = unchanged(out)
    with pytest.raises(UsageError, match=r"begun otherwise \(sample_rate: 22050 / 16000\): .* or --fresh"):
        again(data, out, settings=ClipSettings(22_050))
    check()
    assert again(data, out, settings=ClipSettings(22_050), fresh=True) == 0
    assert Prepared.open(out).index["sample_rate"] == 22_050


def test_a_full_disk_is_told_and_can_be_made_good(tmp_path):
    """Files may not grow beyond what two of the three shards need, as on a full disk."""
    data, out = write_drums(tmp_path / "data", each=10), tmp_path / "out"
    soundfile.write(data / "snare/z.wav", np.random.default_rng(0).uniform(-1, 1, 8_000 * 30), RATE)
    arguments = ("prepare", data, out, "--shard-size", 10, "--workers", 1, "--long", "consecutive", "--quiet")
    program(*arguments, file_limit=400_000).one_line(f"cannot write {out}/shard-0000", "File too large", code=1)
    assert not (out / "index.json").exists()
    assert not list(out.rglob("*.part"))
    assert len(list(out.glob("*.tfrecord"))) == 3
    ended = invoke(*arguments)
    assert (ended.code, ended.stderr) == (0, "")
    settings = ClipSettings(long="consecutive")
    prepare(data, tmp_path / "straight", settings, workers=1, shard_files=10)
    assert visible(out) == visible(tmp_path / "straight")


def test_two_at_once_are_told(small):
    data, out = small
    from melgan_tf.data.journal import Journal

    with Journal(out).lock(), pytest.raises(MelGANError, match=f"another process is preparing {out}"):
        again(data, out)


# -- refusals --------------------------------------------------------------------------------------------------------

def test_wrong_requests(small, tmp_path):
    data, out = small
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/diary.txt").write_text("dear diary")
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/x.wav").write_bytes(b"")
    for arguments, parts, code in (
            ((tmp_path / "gone", tmp_path / "new"), ("folder", "gone does not exist"), 2),
            ((data, tmp_path / "mine"), ("mine holds something else",), 2),
            ((data, tmp_path / "mine/diary.txt"), ("diary.txt",), 2),
            ((out, tmp_path / "new"), ("holds prepared sounds",), 2),
            ((data, tmp_path / "new", "--rate", 1), ("rate 1: give 1000",), 2),
            ((data, tmp_path / "new", "--seconds", 0.001), ("16 samples a clip: give 64",), 2),
            ((data, tmp_path / "new", "--long", "middle"), ("middle",), 2),
            ((data, "/proc/x"), ("/proc/x",), 1)):
        invoke("prepare", *arguments).one_line(*parts, code=code)
        assert not (tmp_path / "new").exists()
    assert contents(tmp_path / "mine") == {"diary.txt": b"dear diary"}
    invoke("prepare", tmp_path / "empty", tmp_path / "new", "-q").one_line("empty holds no sound files", code=1)
    invoke("prepare", tmp_path / "damaged", tmp_path / "newer", "-q", "--workers", 1).one_line(
        "none of the 1 sound files", "x.wav: an empty file", code=1)


def test_what_is_shown(messy, tmp_path):
    ended = invoke("prepare", messy, tmp_path / "out", "--workers", 1)
    assert (ended.code, ended.stderr) == (0, "")
    assert re.search(r"^kept +25  25 clips in 1 shards$", ended.stdout, re.M)
    assert re.search(r"^skipped +1  a duplicate$", ended.stdout, re.M)
    assert "skipped text.wav: text, not audio\n" in ended.stdout
    assert "skipped kick/same as kick3.flac: a duplicate: the same as kick/kick3.wav\n" in ended.stdout
    assert "1 clips with samples held to full scale" in ended.stdout
    assert "1 other files ignored: 1 .txt" in ended.stdout
    quiet = invoke("prepare", messy, tmp_path / "out", "-q", "--workers", 1)
    assert (quiet.code, quiet.stdout, quiet.stderr.count("skipped ")) == (0, "", 7)


# -- reading ---------------------------------------------------------------------------------------------------------

def test_shards_give_what_the_folder_gives(messy, tmp_path):
    exact = ClipSettings(onset=False, fade_seconds=0, format="float32")
    prepare(messy, tmp_path / "out", exact, workers=1)
    folder = {sound.name: (sound.label, clip) for sound, clip in open_sounds(messy, 16_000, 8_000).clips()
              if not isinstance(clip, Skipped) and not sound.name.startswith("kick/same")}
    source = open_sounds(tmp_path / "out", 16_000, 8_000)
    found = [(sound.name, sound.label, clip) for sound, clip in source.clips()]
    assert len(source) == len(found) == 25
    assert [name for name, _, _ in found] == list(folder)
    for name, label, clip in found:
        assert label == folder[name][0]
        assert clip.dtype == np.float32
        assert (clip == folder[name][1]).all()


def test_int16_shards_of_16_bit_sounds_give_the_same(tmp_path):
    data = write_drums(tmp_path / "data", each=2)
    prepare(data, tmp_path / "out", PLAIN, workers=1)
    for sound, clip in Prepared.open(tmp_path / "out").clips():
        assert (clip[:3000] == np.pad(load(data / sound.name, 16_000), (0, 8000))[:3000]).all()


def test_an_index_of_another_program_does_not_make_shards_of_a_folder(small, tmp_path):
    data, out = small
    (data / "index.json").write_text('{"kind": "sample pack"}')
    assert len(open_sounds(data, 16_000, 8_000)) == 30
    shutil.rmtree(out / ".prepare")  # shards that were copied elsewhere
    assert open_sounds(out, 16_000, 8_000).prepared


def test_damaged_shards_are_told(small):
    _, out = small
    flip(out / "shard-00001.tfrecord")
    with pytest.raises(MelGANError, match=r"shard-00001\.tfrecord is damaged: a checksum is wrong; prepare it anew"):
        list(open_sounds(out, 16_000, 8_000).clips())
    os.truncate(out / "shard-00001.tfrecord", 1000)
    with pytest.raises(MelGANError, match=r"shard-00001\.tfrecord is missing or incomplete"):
        open_sounds(out, 16_000, 8_000)
    index = json.loads((out / "index.json").read_text())
    for text in ("{", json.dumps({**index, "version": 9}), json.dumps({"kind": shards.KIND})):
        (out / "index.json").write_text(text)
        with pytest.raises(MelGANError, match=r"index\.json is damaged"):
            open_sounds(out, 16_000, 8_000)


@pytest.mark.slow
def test_training_and_evaluation_take_shards_like_a_folder(tmp_path):
    """Same clips, same weights."""
    out = tmp_path / "shards"
    assert invoke("prepare", DEMO, out, *EXACT, "--workers", 1, "-q").code == 0
    assert len(Prepared.open(out)) == len(find(DEMO)[0]) == 62
    short = ("--steps", 2, "--no-xla", "--set", "training.batch_size=31")
    for source, run in ((DEMO, "folder"), (out, "prepared")):
        assert invoke("train", source, "--run-dir", tmp_path / run, *short, "-q").code == 0
    checkpoints = [np.load(next((tmp_path / run / "checkpoints").glob("step-*.npz"))) for run in ("folder", "prepared")]
    assert set(checkpoints[0]) == set(checkpoints[1])
    for key in checkpoints[0]:
        assert (checkpoints[0][key] == checkpoints[1][key]).all()
    records = [json.loads((tmp_path / run / "config.json").read_text())["data"] for run in ("folder", "prepared")]
    assert records[0]["fingerprint"] == records[1]["fingerprint"]
    figures = invoke("evaluate", tmp_path / "folder", "--reference", out, "--vocoder", "griffin-lim", "-q")
    assert (figures.code, figures.stderr) == (0, "")
    assert "Fréchet distance" in figures.stdout


def test_shards_that_do_not_fit_are_refused_in_one_line(small, tmp_path):
    data, out = small
    other = tmp_path / "other"
    prepare(data, other, ClipSettings(22_050, 4_000), workers=1)
    invoke("train", other, "--run-dir", tmp_path / "run").one_line(
        f"{other} holds clips of 22050 Hz and 4000 samples, not of 16000 Hz and 8000 samples", "--rate 16000",
        "--seconds 0.5", "audio.sample_rate", code=2)
    assert not (tmp_path / "run").exists()
    (out / "index.json").unlink()
    invoke("train", out, "--run-dir", tmp_path / "run").one_line("is not prepared to the end", code=1)


# -- size ------------------------------------------------------------------------------------------------------------

def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
    """Peak memory of the process that collects, for 100 and for 1,000 files."""
    rng = np.random.default_rng(0)
    peaks = []
    for count in (100, 1_000):
        data = tmp_path / str(count)
        for index in range(count):
            (data / f"{index // 100}").mkdir(parents=True, exist_ok=True)
            soundfile.write(data / f"{index // 100}/{index}.wav", rng.uniform(-1, 1, 80), RATE)
        script = ("import resource, sys; from melgan_tf.data.prepare import prepare; "
                  "prepare(sys.argv[1], sys.argv[2], workers=1, shard_files=100); "
                  "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)")
        done = subprocess.run([sys.executable, "-c", script, data, tmp_path / f"out{count}"], check=True, text=True,
                              capture_output=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < peaks[0] + 5  # MB; the clips are 16 MB


def test_nothing_needs_tensorflow():
    code = "import sys, melgan_tf.cli.prepare, melgan_tf.data.reading; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
