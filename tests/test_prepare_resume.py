"""Preparing that is interrupted, repeated or damaged: the output is that of one undisturbed call."""

from __future__ import annotations

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
from command_line import PROGRAM, invoke, program, unchanged
from drums import RATE, drum, write_drums
from prepared import again, flip, small_copy, visible

from melgan_tf.data.clips import ClipSettings
from melgan_tf.data.journal import Journal
from melgan_tf.data.prepare import prepare
from melgan_tf.data.shards import Prepared
from melgan_tf.data.sources import open_sounds
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.storage.temporaries import new_name


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


def started(out: Path, *arguments: object, shards: int = 2) -> subprocess.Popen:
    """A real preparation, running, with some shards finished."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONWARNINGS"}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, arguments)], stderr=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    while len(list(out.glob(".prepare/0*.json"))) < shards:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_preparation_resumes_to_the_same_output(many, tmp_path, number):
    (data, straight), out = many, tmp_path / "out"
    arguments = ("prepare", data, out, "--shard-size", 10, "--workers", 2)
    process = started(out, *arguments)
    (os.kill if number == signal.SIGKILL else os.killpg)(process.pid, number)  # a terminal's reach the whole group
    _, stderr = process.communicate(timeout=60)
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert stderr.splitlines()[-1] == ("stopped; finished shards are kept; to continue: melgan-tf "
                                         + " ".join(map(str, arguments)))
        assert not list(out.rglob("*.part"))
    assert not (out / "index.json").exists()
    with pytest.raises(MelGANError, match="not completely prepared: run the `melgan-tf prepare` command again"):
        open_sounds(out, 16_000, 8_000)
    ended = invoke(*arguments)
    assert ended.code == 0
    finished = int(re.search(r"continuing after (\d+) finished shards", ended.stdout)[1])
    assert 2 <= finished < 30
    assert visible(out) == straight


@pytest.fixture
def small(tmp_path, tmp_path_factory) -> tuple[Path, Path]:
    """30 sounds prepared in three shards, in a place of the test's own."""
    return small_copy(tmp_path_factory, tmp_path)


@pytest.mark.parametrize(("damage", "kept"), [
    (lambda out: (out / "shard-00001.tfrecord").unlink(), 1),
    (lambda out: os.truncate(out / "shard-00002.tfrecord", 1000), 2),
    (lambda out: (out / ".prepare/00001.json").unlink(), 1),
    (lambda out: (out / ".prepare/00000.json").write_text("{"), 0),
    (lambda out: (out / "index.json").unlink(), 3),
    (lambda out: (out / new_name()).write_bytes(b"half"), 3),
    (lambda out: flip(out / "shard-00002.tfrecord"), 2)])
def test_damaged_files_are_written_again(small, damage, kept):
    data, out = small
    before = visible(out)
    assert again(data, out) == 3
    damage(out)
    assert again(data, out) == kept
    assert visible(out) == before


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


def test_a_half_rewritten_folder_is_incomplete(small):
    """A complete folder does not count as complete while it is being rewritten, if that is interrupted."""
    data, out = small
    os.utime(data / "kick/kick0.wav", (1, 1))
    arguments = ("prepare", data, out, "--shard-size", 10, "--workers", 1, "-q")
    program(*arguments, file_limit=100_000).one_line("cannot write", "shard-00001.tfrecord: File too large", code=1)
    with pytest.raises(MelGANError, match="not completely prepared"):
        open_sounds(out, 16_000, 8_000)
    assert invoke(*arguments).code == 0
    assert len(open_sounds(out, 16_000, 8_000)) == 30


def test_other_settings_need_another_folder_or_fresh(small):
    data, out = small
    check = unchanged(out)
    with pytest.raises(UsageError, match=r"prepared with other settings \(sample_rate: 22050 / 16000\): .* or --fresh"):
        again(data, out, settings=ClipSettings(22_050))
    check()
    assert again(data, out, settings=ClipSettings(22_050), fresh=True) == 0
    assert Prepared.open(out).index["sample_rate"] == 22_050


def test_a_full_disk_is_reported_and_recovered_from(tmp_path):
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


def test_a_second_process_is_refused(small):
    data, out = small
    with Journal(out).lock(), pytest.raises(MelGANError, match=f"another process is preparing {out}"):
        again(data, out)
