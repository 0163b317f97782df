"""Several workers, real processes on loopback, train what one does; one that is lost ends the others, not the run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import numpy as np
import pytest
from command_line import PROGRAM, invoke
from drums import write_drums
from one_worker import recording_optimizer

from melgan_tf.config import Config, presets, to_dict
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.models.frame_gan.task import FrameTask
from melgan_tf.models.spectrogram_gan.task import SpectrogramTask
from melgan_tf.progress import Progress
from melgan_tf.storage.checkpoints import CheckpointStore, load
from melgan_tf.storage.run_directory import with_training
from melgan_tf.training import kill_after
from melgan_tf.training import run as run_module
from melgan_tf.training.cluster import WorkerSpec, wait_for_peers, worker_from_environment
from melgan_tf.training.plan import plan
from melgan_tf.training.run import run
from melgan_tf.training.workers import Workers

HERE = Path(__file__).parent
#: A gradient of the seed recipe adds up at most 24 x 64 x 16 terms, in another order on two workers; each addition of
#: float32 rounds by 2**-24 of what has been added up so far.
CLOSE = 24 * 64 * 16 * 2.0**-24
LONGEST = 900  # seconds for anything; on a busy machine three processes take minutes to trace their graphs


def specs(count: int) -> list[dict]:
    """``TF_CONFIG`` of each worker, on ports that are free."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("localhost", 0))) for _ in range(count)]
        workers = [f"localhost:{server.getsockname()[1]}" for server in servers]
    return [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}} for index in range(count)]


@contextlib.contextmanager
def started(count: int, *arguments: object) -> Iterator[list[subprocess.Popen]]:
    """Workers that run the same Python command."""
    processes = []
    try:
        for spec in specs(count):
            environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
            processes.append(subprocess.Popen(
                [sys.executable, *map(str, arguments)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=environment | {"TF_CONFIG": json.dumps(spec), "PYTHONPATH": str(HERE)}))
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=LONGEST)
    return process.returncode, out, err


SEED = with_training(presets.get("seed"), batch_size=24, epochs=2, checkpoint_every=1, preview_every=100, xla="off")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    """30 sounds: epochs of two batches of 24, the second of which has real sounds for the first worker only."""
    return write_drums(tmp_path_factory.mktemp("workers") / "drums", each=10)


def train_together(count: int, folder: Path, sounds: Path, config: Config) -> list[dict[str, np.ndarray]]:
    """What each worker holds in the end."""
    job = folder / "job.json"
    job.write_text(json.dumps({"sounds": str(sounds), "out": str(folder), "config": to_dict(config)}))
    with started(count, HERE / "one_worker.py", job) as processes:
        for process in processes:
            code, _, err = ended(process)
            assert code == 0, err[-3000:]
    assert [path.name for path in sorted(folder.glob("run-of-*"))] == ["run-of-0"]  # the others wrote nothing
    return [dict(np.load(folder / f"state-{index}.npz")) for index in range(count)]


def assert_as_one(states: list[dict[str, np.ndarray]], alone: dict[str, np.ndarray]) -> None:
    """The same numbers on every worker, and those of one worker but for rounding.

    Weights move by gradients, not by Adam, which would turn the rounding of a gradient of next to nothing into a step
    of full size; the optimizers' momenta are the sums of the gradients.
    """
    for state in states:
        assert set(state) == set(alone)
        for name, value in alone.items():
            np.testing.assert_array_equal(state[name], states[0][name], err_msg=name)
            atol = CLOSE * np.max(np.abs(value), initial=0.0)
            np.testing.assert_allclose(state[name], value, rtol=0, atol=atol, err_msg=name)


@pytest.mark.slow
def test_two_workers_have_the_gradients_of_one(sounds, tmp_path, monkeypatch):
    """They go on from a checkpoint that only the chief has."""
    monkeypatch.setattr(run_module, "adam", lambda config, network: recording_optimizer(network))
    run(SEED, sounds, tmp_path / "alone")
    store = CheckpointStore(tmp_path / "alone" / "checkpoints")
    shutil.copytree(tmp_path / "alone", tmp_path / "run-of-0")
    CheckpointStore(tmp_path / "run-of-0" / "checkpoints").file(4).unlink()
    states = train_together(2, tmp_path, sounds, SEED)
    assert [int(state.pop("replicas")) for state in states] == [2, 2]
    moved, start = load(store.file(4))[0], load(store.file(2))[0]
    assert all(np.any(moved[name] != start[name]) for name in moved if name.endswith(("kernel", "momentum")))
    assert_as_one(states, moved)


@pytest.mark.nightly
def test_a_worker_that_is_lost_costs_no_more_than_its_last_checkpoint(sounds, tmp_path):
    """Three start and the last is killed after the first checkpoint: the others end soon, in one line; two go on."""
    path, settings = tmp_path / "run-of-0", tmp_path / "config.json"
    settings.write_text(json.dumps(to_dict(with_training(SEED, epochs=1000))))
    store, until = CheckpointStore(path / "checkpoints"), time.monotonic() + LONGEST
    with started(3, "-c", PROGRAM, "train", sounds, "--run-dir", path, "--config", settings) as (*left, lost):
        while not store.steps():
            assert time.monotonic() < until
            assert left[0].poll() is None, ended(left[0])
            time.sleep(0.02)
        lost.kill()
        killed = time.monotonic()
        for process in left:
            code, _, err = ended(process)
            said = [line for line in err.splitlines() if not line.startswith(("training: ", "reading sounds: "))]
            assert len(said) == 1, err
            assert said[0].startswith("melgan-tf: ")
            assert "is gone: this worker stops as well; start all of them again" in said[0]
            assert code == 1
        assert time.monotonic() - killed < 60
    last = store.steps()[-1]
    with started(2, "-c", PROGRAM, "train", sounds, "--run-dir", path, "--config", settings, "--steps",
                 last + 4) as processes:
        for process in processes:
            code, out, err = ended(process)
            assert code == 0, err
            assert f"resuming at step {last}" in out
    assert store.steps()[-1] == last + 4


# -- before anything is computed -------------------------------------------------------------------------------------

@pytest.mark.parametrize(("text", "told"), [
    ("{cluster", "TF_CONFIG is not JSON"),
    ("[]", "TF_CONFIG has no cluster or no task"),
    ('{"cluster": {"worker": ["a:1", "b:1"]}}', "TF_CONFIG has no cluster or no task"),
    ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
     "this is worker 2, but its cluster has no such task (it has worker 0, worker 1)"),
    ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "ps", "index": 0}}', "this is ps 0, but"),
    ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}', "a job 'ps'"),
    ('{"cluster": {"worker": ["a", "b:1"]}, "task": {"type": "worker", "index": 0}}', "the address 'a': give"),
    ('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}', "'a:1': give HOST:PORT, each"),
    ('{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}', "give a list of addresses"),
    ('{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}', "2 chiefs: give one"),
])
def test_a_bad_tf_config_is_one_line(sounds, tmp_path, monkeypatch, text, told):
    monkeypatch.setenv("TF_CONFIG", text)
    invoke("train", sounds, "--run-dir", tmp_path / "run").one_line(told, code=2)
    with pytest.raises(UsageError):
        run(SEED, sounds, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'])
def test_a_cluster_of_one_is_not_a_cluster(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    assert worker_from_environment() is None


def test_the_chief_is_the_chief_or_worker_0(monkeypatch):
    cluster = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
    for job, number, index in (("chief", 0, 0), ("worker", 0, 1), ("worker", "1", 2)):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": job, "index": number}}))
        spec = worker_from_environment()
        assert (spec.index, spec.is_chief, spec.tasks[0]) == (index, index == 0, ("chief", 0, "a:1"))


def test_peers_that_are_not_there_are_named(sounds, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(specs(2)[0]))
    ended = invoke("train", sounds, "--run-dir", tmp_path / "run", "--wait", "0.5", "--quiet")
    ended.one_line("worker 1 (localhost:", "is not there after 0.5 s (Connection refused)", "--wait", code=1)
    assert list(tmp_path.iterdir()) == []


def tasks_of(spec: dict) -> tuple[tuple[str, int, str], ...]:
    return tuple(("worker", index, address) for index, address in enumerate(spec["cluster"]["worker"]))


def test_workers_meet_in_any_order():
    tasks = tasks_of(specs(3)[0])
    with futures.ThreadPoolExecutor() as pool:
        met = []
        for index in (2, 0, 1):
            assert not any(future.done() for future in met)  # nobody goes on before all are there
            met.append(pool.submit(wait_for_peers, WorkerSpec(tasks, index), 10.0))
            time.sleep(0.5)
        for future in met:
            future.result()


def test_a_worker_left_from_an_earlier_start_is_not_accepted_and_a_taken_port_is_reported():
    tasks = tasks_of(specs(2)[0])
    port = int(tasks[1][2].rpartition(":")[2])
    with socket.create_server(("", port)):
        with pytest.raises(MelGANError, match="can be reached, but does not call: it may be left from an earlier"):
            wait_for_peers(WorkerSpec(tasks, 0), 1.0)
        with pytest.raises(MelGANError, match=f"port {port}: Address already in use"):
            wait_for_peers(WorkerSpec(tasks, 1), 1.0)


def test_a_process_that_cannot_be_interrupted_is_killed_in_time():
    program = ("import subprocess, sys, time; guard = subprocess.Popen([sys.executable, '-IS', *sys.argv[1:]], "
               "stdin=subprocess.PIPE); time.sleep(1); guard.stdin.close(); guard.wait()")
    for seconds, code, said in (("0.2", -signal.SIGKILL, "too late\n"), ("30", 0, "")):
        done = subprocess.run([sys.executable, "-c", program, kill_after.__file__, seconds, "too late"], check=False,
                              text=True, stderr=subprocess.PIPE, timeout=60)
        assert (done.returncode, done.stderr) == (code, said)


# -- what is divided -------------------------------------------------------------------------------------------------

class Replicas:
    """A strategy that says how many replicas there are."""

    def __init__(self, count: int) -> None:
        self.num_replicas_in_sync = count


@pytest.mark.parametrize(("task", "replicas", "size", "told"), [
    (SpectrogramTask, 3, 32, "batch_size is 32: give a multiple of 3, for 3 replicas"),
    (FrameTask, 2, 24, "batch_size is 24: give a multiple of 16, for 2 replicas .* compares sounds in groups of 8")])
def test_a_batch_that_cannot_be_divided_is_refused(task, replicas, size, told):
    with pytest.raises(UsageError, match=told):
        plan(task, with_training(SEED, batch_size=size), 8, {}, Progress(), strategy=Replicas(replicas))


@pytest.mark.parametrize(("previous", "replicas", "shards"), [
    ({"shards": 4}, 2, 2), ({"shards": 2, "replicas": 2}, 1, 4), ({"shards": 1, "replicas": 2}, 2, 1),
    ({"shards": 3}, 2, 1)])
def test_a_resumed_run_has_as_many_shards_in_all_as_before(monkeypatch, previous, replicas, shards):
    """So the frame GAN compares the same groups, however many workers go on with it."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    config = with_training(SEED, batch_size=64)
    assert plan(FrameTask, config, 8, previous, Progress(), strategy=Replicas(replicas)).shards == shards


def test_other_settings_are_refused_before_sounds_are_read(sounds, tmp_path, monkeypatch):
    """Reading takes minutes."""
    def refusing(workers, facts):
        raise UsageError(f"other {', '.join(facts)}")

    monkeypatch.setattr(Workers, "assert_equal", refusing)
    monkeypatch.setattr(SpectrogramTask, "load", None)
    with pytest.raises(UsageError, match="other settings, versions"):
        run(SEED, sounds, tmp_path / "run")


def test_workers_with_other_settings_are_refused(monkeypatch):
    workers = Workers()
    workers.count, workers.spec = 3, WorkerSpec((("worker", 0, "a:1"), ("worker", 1, "b:1"), ("worker", 2, "c:1")), 0)
    monkeypatch.setattr(workers, "all_gather", lambda *values: np.array([values, values, [values[0], 0]]))
    with pytest.raises(UsageError, match=r"worker 2 \(c:1\) has other sounds than worker 0 \(a:1\)"):
        workers.assert_equal({"settings": "x", "sounds": "y"})
