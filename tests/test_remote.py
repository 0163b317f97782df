"""Sounds, shards and runs in S3: a real server (moto) in a process of its own, and a proxy that loses connections.

Commands run in processes of their own: one that has used tensorflow-io's file systems cannot end like any other.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import preloaded
import pytest
from command_line import SHORT, contents, invoke, program, trained_once, write_damaged, write_sounds
from s3_server import BUCKET, Fault, Proxy, S3Server

from melgan_tf.data.prepare import prepare

pytestmark = pytest.mark.skipif(importlib.util.find_spec("tensorflow_io") is None,
                                reason="tensorflow-io does not support this TensorFlow")
S3 = f"s3://{BUCKET}"
without_s3fs = pytest.mark.skipif(importlib.util.find_spec("s3fs") is None, reason="s3fs is not installed")
on_both = pytest.mark.parametrize("backend", ["GFileBackend", pytest.param("FsspecBackend", marks=without_s3fs)])
#: Where the backend has little to say.
on_other_nightly = pytest.mark.parametrize("backend", [
    "GFileBackend", pytest.param("FsspecBackend", marks=[without_s3fs, pytest.mark.nightly])])
ONCE = {"AWS_MAX_ATTEMPTS": "1"}
SHARD = rf"GET /{BUCKET}/shards/shard-00001"
PUT_SHARD = rf"PUT /{BUCKET}/made/shard-00001"
EXACT = ("--no-onset", "--fade", 0, "--format", "float32", "--shard-size", 6, "--workers", 1, "-q")


@pytest.fixture(scope="module")
def s3(tmp_path_factory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3") / "log")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def proxy(s3) -> Iterator[Proxy]:
    server = Proxy(s3)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def faults(proxy) -> Iterator[list[Fault]]:
    """What is to go wrong between command and server."""
    proxy.log.clear()
    yield proxy.faults
    proxy.faults.clear()


@pytest.fixture
def backend() -> str:
    """The class that serves s3://, unless `on_both` parametrizes it."""
    return "GFileBackend"


@pytest.fixture
def command(s3, proxy, tmp_path, backend):
    """Runs a command that reaches the server through the proxy, with no retries but the package's own."""
    def run(*arguments, wait=True, **environment):
        place = tmp_path / f"command-{len(list(tmp_path.glob('command-*')))}"
        running = preloaded.start(place, {**s3.environment(proxy.server_port), **ONCE, **environment}, *arguments,
                                  backend=backend)
        return running.ended() if wait else running

    return run


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    """16 good sounds, as those of the run that all tests share."""
    return write_sounds(tmp_path_factory.mktemp("sounds") / "sounds")


@pytest.fixture(scope="module")
def shards(s3, sounds, tmp_path_factory) -> dict[str, bytes]:
    """The sounds prepared by a program of its own, for S3: at s3://BUCKET/shards; not to be changed."""
    ended = program("prepare", sounds, f"{S3}/shards", *EXACT, env=s3.environment())
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")  # a normal exit would abort (134)
    return visible(s3.contents("shards"))


def visible(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.startswith(".prepare/")}


def again(s3: S3Server) -> None:
    """Removes what tests made."""
    for prefix in ("made", "run"):
        for key in s3.keys(f"{prefix}/"):
            s3.request("DELETE", key)


# -- what comes out --------------------------------------------------------------------------------------------------

def test_shards_in_s3_are_those_of_the_local_path_byte_for_byte(s3, sounds, shards, tmp_path):
    assert invoke("prepare", sounds, tmp_path / "out", *EXACT).code == 0
    assert shards == visible(contents(tmp_path / "out"))
    assert len([name for name in shards if name.startswith("shard-")]) == 3
    assert "shards/.prepare/lock" not in s3.keys("shards/")


@pytest.mark.slow
@on_other_nightly
def test_a_folder_of_sounds_in_s3_gives_what_it_gives_locally(s3, sounds, command, tmp_path):
    write_damaged(tmp_path / "messy" / "damaged")
    (tmp_path / "messy" / ".hidden").mkdir()
    for name in ("unnamed", "kick.x", "snäre 1.wav", ".hidden/kick.wav"):
        (tmp_path / "messy" / name).write_bytes((sounds / "03.wav").read_bytes())
    (tmp_path / "messy" / "tone.wav").write_bytes((sounds / "04.wav").read_bytes())
    s3.put_folder(tmp_path / "messy", "messy")
    assert command("prepare", f"{S3}/messy", tmp_path / "remote", *EXACT).code == 0
    prepare(tmp_path / "messy", tmp_path / "local", json_settings(tmp_path / "remote"), 1, 6)
    assert visible(contents(tmp_path / "remote")) == visible(contents(tmp_path / "local"))

    s3.put("messy/tone.wav", (sounds / "05.wav").read_bytes())
    assert command("prepare", f"{S3}/messy", tmp_path / "remote", *EXACT).code == 0
    assert visible(contents(tmp_path / "remote")) != visible(contents(tmp_path / "local"))


def json_settings(out: Path):
    from melgan_tf.data.clips import ClipSettings

    index = json.loads((out / "index.json").read_text())
    return ClipSettings(**{name: index[name] for name in ClipSettings.__dataclass_fields__})


@pytest.mark.slow
def test_a_run_in_s3_killed_within_a_checkpoint_ends_like_a_local_one_that_never_stopped(
        s3, shards, command, faults, tmp_path, tmp_path_factory):
    again(s3)
    local = trained_once(tmp_path_factory)
    arguments = ("train", f"{S3}/shards", "--run-dir", f"{S3}/run", "--epochs", 3, "--log-every", 1, *SHORT)
    killed = []
    faults.append(Fault(rf"PUT /{BUCKET}/run/checkpoints/step-00000004", 100_000,
                        happens=lambda: killed.append(running.process.kill())))
    running = command(*arguments, wait=False)
    assert running.ended().code == -9
    assert len(killed) == 1
    assert "run/checkpoints/step-00000002.npz" in s3.keys("run/")

    faults.clear()
    (tmp_path / "tmp").mkdir()
    ended = command(*arguments, TMPDIR=str(tmp_path / "tmp"))
    assert ended.code == 0, ended.stderr
    assert os.listdir(tmp_path / "tmp") == []
    assert "resuming at step 2 (epoch 1)" in ended.stdout
    ours = np.load(io.BytesIO(s3.get("run/checkpoints/step-00000006.npz")))
    theirs = np.load(local.path / "checkpoints" / "step-00000006.npz")
    assert set(ours.files) == set(theirs.files)
    for name in set(ours.files) - {"meta"}:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    keys = s3.keys("run/")
    assert "run/.lock" not in keys
    events = [s3.get(key) for key in keys if ".tfevents." in key]
    assert [b"evaluation/frechet" in event for event in events] == [True, True]
    assert {"run/config.json", "run/history.csv", "run/skipped.txt", "run/checkpoints/best.npz"} <= set(keys)
    assert s3.get("run/history.csv").count(b"\n") == 4

    facts = json.loads(command("info", f"{S3}/run", "--json").stdout)
    assert facts["checkpoints"] == [2, 4, 6]
    assert facts["sounds"]["folder"] == f"{S3}/shards"
    made = ("--count", 2, "--vocoder", "griffin-lim", "--out", tmp_path / "made")
    faults.append(Fault(rf"GET /{BUCKET}/run/checkpoints/step-00000006", 100_000))  # no older one is taken instead
    command("generate", f"{S3}/run", *made).one_line(
        f"cannot read {S3}/run/checkpoints/step-00000006.npz", code=1)
    faults.clear()
    assert command("generate", f"{S3}/run", *made).code == 0
    assert json.loads((tmp_path / "made" / "sounds.json").read_text())["step"] == 6


# -- lost connections ------------------------------------------------------------------------------------------------

@pytest.mark.slow
@on_both
def test_a_truncated_read_is_retried_and_never_accepted(shards, sounds, command, faults, proxy,
                                                                           tmp_path):
    """The verifying pass reads every shard and looks at its SHA-256."""
    (tmp_path / "tmp").mkdir()
    faults.append(Fault(SHARD, 50_000, times=3))
    ended = command("prepare", sounds, f"{S3}/shards", *EXACT, TMPDIR=str(tmp_path / "tmp"))
    assert (ended.code, ended.stderr) == (0, "")
    assert os.listdir(tmp_path / "tmp") == []
    assert faults[0].seen == 3
    assert not [line for line in proxy.log if line.startswith("PUT") and ".tfrecord" in line]


@pytest.mark.slow
@on_both
def test_permanent_read_failures_are_reported_in_one_line(shards, sounds, command, faults, s3, tmp_path):
    faults.append(Fault(SHARD, 50_000))
    for arguments in (("prepare", sounds, f"{S3}/shards", *EXACT),
                      ("train", f"{S3}/shards", "--run-dir", tmp_path / "run", "-q", *SHORT)):
        command(*arguments).one_line(f"cannot read {S3}/shards/shard-00001.tfrecord: the connection failed",
                                     "gave up after", code=1)
    assert visible(s3.contents("shards")) == shards
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@on_both
@pytest.mark.parametrize("silently", [False, True], ids=["connection lost", "half is stored as if it were all"])
def test_a_truncated_write_is_retried(silently, s3, sounds, shards, command, faults):
    again(s3)
    faults.append(Fault(PUT_SHARD, 50_000, times=1, silently=silently))
    assert command("prepare", sounds, f"{S3}/made", *EXACT).code == 0
    assert faults[0].seen == 1
    assert visible(s3.contents("made")) == shards


@pytest.mark.slow
@on_both
@pytest.mark.parametrize("silently", [False, pytest.param(True, marks=pytest.mark.nightly)],
                         ids=["connection lost", "half is stored as if it were all"])
def test_permanent_write_failures_are_reported_and_resumed_after(silently, s3, sounds, shards, command, faults):
    again(s3)
    faults.append(Fault(PUT_SHARD, 50_000, silently=silently))
    command("prepare", sounds, f"{S3}/made", *EXACT).one_line(f"cannot write {S3}/made/shard-00001.tfrecord", code=1)
    keys = s3.keys("made/")
    assert "made/.prepare/00000.json" in keys
    assert not {"made/index.json", "made/.prepare/00001.json"} & set(keys)
    command("train", f"{S3}/made", "--run-dir", f"{S3}/run", "-q", *SHORT).one_line(
        "is not completely prepared", code=1)

    faults.clear()
    ended = command("prepare", sounds, f"{S3}/made", *EXACT[:-1])
    assert "continuing after 1 finished shards" in ended.stdout
    assert visible(s3.contents("made")) == shards


@pytest.mark.slow
@on_both
def test_a_failed_request_is_not_mistaken_for_a_missing_file(s3, command, faults):
    """tensorflow-io reports "not found" then, and an existing run would be overwritten by a new one."""
    s3.put("existing/config.json", b"{}")
    for pattern in (r"HEAD ", rf"GET /{BUCKET}\?", r"(HEAD|GET) "):
        faults[:] = [Fault(pattern)]
        command("info", f"{S3}/existing").one_line(f"cannot read {S3}/existing", "the connection failed", code=1)


@pytest.mark.slow
def test_a_server_that_dies_is_reported(sounds, shards, s3, tmp_path):
    for name, pattern in (("written", PUT_SHARD), ("read", SHARD)):
        server = S3Server(tmp_path / f"log-{name}")
        for key, content in s3.contents("shards").items():
            server.put(f"shards/{key}", content)
        proxy = Proxy(server)
        proxy.faults.append(Fault(pattern, 50_000, happens=server.kill))
        out = "made" if name == "written" else "shards"
        running = preloaded.start(tmp_path / name, {**server.environment(proxy.server_port), **ONCE},
                                  "prepare", sounds, f"{S3}/{out}", *EXACT, backend="GFileBackend")
        running.ended().one_line(f"{S3}/{out}/", "the connection failed", "gave up after", code=1)
        proxy.shutdown()
        proxy.server_close()


# -- what is wrong from the beginning ----------------------------------------------------------------------------------

@pytest.mark.slow
@on_other_nightly
def test_wrong_buckets_keys_and_servers_are_reported_in_one_line_within_a_minute(s3, command, sounds):
    s3.put("existing/config.json", b"{}")
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    nowhere = socket.socket()
    nowhere.bind(("127.0.0.1", 0))  # and does not listen
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nowhere"}
    started = time.monotonic()
    command("info", "s3://no-such-bucket/run").one_line("cannot read s3://no-such-bucket/run",
                                                        "the bucket does not exist", code=1)
    command("prepare", sounds, "s3://no-such-bucket/out", "-q").one_line("the bucket does not exist", code=1)
    command("info", f"{S3}/existing/config.json", **nobody).one_line("access is denied", "AWS_ACCESS_KEY_ID", code=1)
    command("info", f"{S3}/existing", S3_ENDPOINT=f"http://127.0.0.1:{nowhere.getsockname()[1]}").one_line(
        "the connection failed", "connect", code=1)
    command("info", f"{S3}/existing", S3_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}",
            S3_REQUEST_TIMEOUT_MSEC="1000").one_line("the connection failed", "imeout", code=1)
    s3.require_credentials(True)
    try:
        command("info", f"{S3}/existing", AWS_ACCESS_KEY_ID="nobody").one_line("access is denied", code=1)
    finally:
        s3.require_credentials(False)
    silent.close()
    nowhere.close()
    assert time.monotonic() - started < 180  # for six


@on_other_nightly
def test_what_is_not_there_is_a_usage_error(s3, command, shards, tmp_path):
    for arguments, part in (
            (("train", f"{S3}/nothing", "--run-dir", f"{S3}/new"), f"{S3}/nothing does not exist"),
            (("prepare", f"{S3}/nothing", tmp_path / "out"), f"folder {S3}/nothing does not exist"),
            (("generate", f"{S3}/nothing", "--out", tmp_path / "out"), f"run directory {S3}/nothing does not exist"),
            (("generate", f"{S3}/shards", "--out", tmp_path / "out"), f"{S3}/shards is not a run directory")):
        command(*arguments).one_line(part, code=2)
    assert not s3.keys("new/")


# -- two at once -----------------------------------------------------------------------------------------------------

@pytest.mark.slow
@on_other_nightly
def test_the_last_process_has_the_folder_and_the_others_stop(s3, command, sounds, shards, faults):
    again(s3)
    def take_over() -> None:
        s3.put("made/.prepare/lock", json.dumps({"host": "other", "process": 7, "token": "x"}).encode())

    faults.append(Fault(PUT_SHARD, 50_000, times=1, happens=take_over))
    command("prepare", sounds, f"{S3}/made", *EXACT).one_line(
        f"process 7 on other has taken over {S3}/made", code=1)
    assert json.loads(s3.get("made/.prepare/lock"))["token"] == "x"
    assert "made/.prepare/00001.json" not in s3.keys("made/")
    assert command("prepare", sounds, f"{S3}/made", *EXACT).code == 0
    assert visible(s3.contents("made")) == shards
