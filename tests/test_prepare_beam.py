"""Preparing on Apache Beam: what several processes of its runner make is what this machine alone makes, to the byte."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile
from command_line import contents, invoke, program, unchanged
from drums import RATE, write_drums

from melgan_tf.data.prepare_beam import Pipeline
from melgan_tf.errors import UsageError

TWO = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    """24 good sounds; silence; damage, found early or late; clips that are in another shard, or in the same file, too.

    A file that is damaged late has the clips of a good one and comes before it: the good one's are to be kept.
    """
    folder = write_drums(tmp_path_factory.mktemp("beam") / "sounds", each=8)
    kick, _ = soundfile.read(folder / "kick/kick3.wav", dtype="int16")
    for name in ("snare/z like kick3.wav", "a like kick3.flac"):
        soundfile.write(folder / name, kick, RATE)
    soundfile.write(folder / "silence.wav", np.zeros(4_000), RATE)
    long = np.random.default_rng(0).integers(-9_000, 9_000, 1_300_000).astype("int16")  # decoded in two pieces
    soundfile.write(folder / "b damaged late.flac", long, RATE)
    damaged = bytearray((folder / "b damaged late.flac").read_bytes())
    damaged[-200_000] ^= 1
    (folder / "b damaged late.flac").write_bytes(damaged)
    soundfile.write(folder / "c whole.wav", long[:30_000], RATE)
    soundfile.write(folder / "d repeats itself.wav", np.tile(-long[:8_000], 3), RATE)
    (folder / "text.wav").write_text("not a sound")
    (folder / "notes.txt").write_text("not a sound either")
    (folder / "gone.wav").symlink_to("nowhere.wav")
    return folder


@pytest.mark.nightly
def test_beam_makes_the_same_files(messy, tmp_path):
    options = ("--shard-size", 7, "--long", "consecutive", "--no-onset", "--quiet")
    here = invoke("prepare", messy, tmp_path / "here", "--workers", 1, *options)
    there = program("prepare", messy, tmp_path / "there", *options, "--runner", "DirectRunner", "--", *TWO)
    assert (there.code, there.stdout) == (0, ""), there.stderr
    assert there.stderr == here.stderr
    made, wanted = contents(tmp_path / "there"), contents(tmp_path / "here")
    assert sorted(made) == sorted(wanted)
    assert len([name for name in wanted if name.endswith(".tfrecord")]) == 5
    for name in wanted:
        assert made[name] == wanted[name], name
    assert b"c whole.wav" not in wanted["report.json"]
    report = wanted["report.json"].decode()
    for part in ("a duplicate: the same as a like kick3.flac", "damaged", "silent", "cannot be read"):
        assert part in report
    assert '{"name": "d repeats itself.wav", "silent": 0, "duplicates": 2}' in report


@pytest.mark.nightly
def test_a_shard_that_cannot_be_written_is_one_line_and_can_be_resumed(messy, tmp_path):
    """The local path takes over what a pipeline has left, and makes the rest."""
    ended = program("prepare", messy, tmp_path / "out", "--shard-size", 7, "--quiet", "--runner", "DirectRunner",
                    file_limit=100_000)
    ended.one_line("the pipeline failed on DirectRunner", "cannot write", "File too large", code=1)
    assert not (tmp_path / "out" / "index.json").exists()
    assert invoke("prepare", messy, tmp_path / "out", "--shard-size", 7, "--quiet").code == 0
    assert invoke("prepare", messy, tmp_path / "whole", "--shard-size", 7, "--quiet").code == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize(("arguments", "message"), [
    (("--runner", "DirectRunner", "--", "--direct_num_workers=many"), "rejects --direct_num_workers=many"),
    (("--runner", "DirectRunner", "--workers", "2"), "--workers applies to this machine only"),
    (("--", "--direct_num_workers=2"), "--direct_num_workers=2 is a pipeline option of Apache Beam: give --runner")])
def test_invalid_options_are_refused(messy, tmp_path, arguments, message):
    invoke("prepare", messy, tmp_path / "out", *arguments).one_line(message, code=2)
    assert not (tmp_path / "out").exists()


def test_without_beam_the_error_says_what_to_install(messy, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "apache_beam"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    check = unchanged(tmp_path)
    invoke("prepare", messy, tmp_path / "out", "--runner", "FlinkRunner").one_line(
        "--runner FlinkRunner needs Apache Beam, which is not installed: pip install 'melgan-tf[beam]'", code=2)
    with pytest.raises(UsageError):
        Pipeline("FlinkRunner")
    check()
