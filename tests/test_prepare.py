"""Preparing shards: their contents, the report, and reading them. For interruptions see test_prepare_resume.py."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from command_line import contents, invoke
from drums import RATE, write_drums
from prepared import flip, small_copy, visible

from melgan_tf.audio.find import Skipped, find
from melgan_tf.audio.read import load
from melgan_tf.data import shards
from melgan_tf.data.clips import ClipSettings
from melgan_tf.data.prepare import prepare
from melgan_tf.data.shards import Prepared
from melgan_tf.data.sources import open_sounds
from melgan_tf.errors import MelGANError

DEMO = Path(__file__).parent.parent / "demo" / "drums"
EXACT = ("--no-onset", "--fade", "0", "--format", "float32")
PLAIN = ClipSettings(onset=False, fade_seconds=0)


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

@pytest.fixture
def small(tmp_path, tmp_path_factory) -> tuple[Path, Path]:
    """30 sounds prepared in three shards, in a place of the test's own."""
    return small_copy(tmp_path_factory, tmp_path)


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


def test_the_index_lists_the_shards(prepared):
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


def test_a_sound_that_is_damaged_late_leaves_no_clips(tmp_path):
    """Its first clips were written before the damage was found; a later sound with these clips is not a duplicate."""
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
            ((data, tmp_path / "mine"), ("mine contains other files",), 2),
            ((data, tmp_path / "mine/diary.txt"), ("diary.txt",), 2),
            ((out, tmp_path / "new"), ("contains prepared sounds",), 2),
            ((data, tmp_path / "new", "--rate", 1), ("rate 1: give 1000",), 2),
            ((data, tmp_path / "new", "--seconds", 0.001), ("16 samples a clip: give 64",), 2),
            ((data, tmp_path / "new", "--long", "middle"), ("middle",), 2),
            ((data, "/proc/x"), ("/proc/x",), 1)):
        invoke("prepare", *arguments).one_line(*parts, code=code)
        assert not (tmp_path / "new").exists()
    assert contents(tmp_path / "mine") == {"diary.txt": b"dear diary"}
    invoke("prepare", tmp_path / "empty", tmp_path / "new", "-q").one_line("empty contains no sound files", code=1)
    invoke("prepare", tmp_path / "damaged", tmp_path / "newer", "-q", "--workers", 1).one_line(
        "none of the 1 sound files", "x.wav: an empty file", code=1)


def test_what_is_shown(messy, tmp_path):
    ended = invoke("prepare", messy, tmp_path / "out", "--workers", 1)
    assert (ended.code, ended.stderr) == (0, "")
    assert re.search(r"^kept +25  25 clips in 1 shard$", ended.stdout, re.M)
    assert re.search(r"^skipped +1  a duplicate$", ended.stdout, re.M)
    assert "skipped text.wav: text, not audio\n" in ended.stdout
    assert "skipped kick/same as kick3.flac: a duplicate: the same as kick/kick3.wav\n" in ended.stdout
    assert "1 clips with samples clipped to full scale" in ended.stdout
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


def test_damaged_shards_are_reported(small):
    _, out = small
    flip(out / "shard-00001.tfrecord")
    with pytest.raises(MelGANError, match=r"shard-00001\.tfrecord is damaged: a checksum is wrong; prepare it again"):
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
def test_training_and_evaluation_take_shards_like_a_folder(tmp_path, eager):
    """Same clips, same weights."""
    out = tmp_path / "shards"
    assert invoke("prepare", DEMO, out, *EXACT, "--workers", 1, "-q").code == 0
    assert len(Prepared.open(out)) == len(find(DEMO)[0]) == 62
    short = ("--preset", "seed", "--steps", 2, "--no-xla", "--set", "training.batch_size=31")
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
    invoke("train", other, "--run-dir", tmp_path / "run", "--preset", "drums").one_line(
        f"{other} contains clips of 22050 Hz and 4000 samples, not of 16000 Hz and 8000 samples", "--rate 16000",
        "--seconds 0.5", "audio.sample_rate", code=2)
    assert not (tmp_path / "run").exists()
    (out / "index.json").unlink()
    invoke("train", out, "--run-dir", tmp_path / "run", "--preset", "drums").one_line(
        "is not completely prepared", code=1)


# -- size ------------------------------------------------------------------------------------------------------------

@pytest.mark.nightly
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
