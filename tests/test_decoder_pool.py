"""Processes that work on files: order, crashes, hangs, memory, and what is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from melgan_tf.data import decoder_pool
from melgan_tf.data.decoder_pool import DecoderPool, Failure, Limits, Retry, Success
from melgan_tf.errors import MelGANError

QUICK = Limits(seconds=1.5, seconds_per_megabyte=0, megabytes=600)


def run(jobs, workers=2, limits=QUICK, settings=7):
    with DecoderPool("misbehaving:act", settings, workers, limits) as pool:
        return list(pool.results((number, job, 0) for number, job in enumerate(jobs)))


def ends(results):
    return {number: result for number, result in results if isinstance(result, Success | Failure)}


def test_results_are_in_order():
    jobs = [("give", number % 4) if number % 5 else ("sleep", 0.02) for number in range(60)]
    jobs[30] = None  # nothing to do
    for workers in (1, 3):
        results = run(jobs, workers)
        expected = []
        for number, job in enumerate(jobs):
            if job and job[0] == "give":
                expected += [(number, ("give", part, 7)) for part in range(job[1])]
            expected.append((number, Success))
        assert [(number, type(r) if isinstance(r, Success) else r) for number, r in results] == expected
        processes = {result.value for result in ends(results).values() if result.value}
        assert len(processes) <= workers
        assert os.getpid() not in processes


def test_a_crash_costs_one_file():
    jobs = [("give", 1)] * 30
    jobs[3], jobs[11] = ("crash", signal.SIGSEGV), ("crash", signal.SIGABRT)
    results = run(jobs)
    assert {number: end.reason for number, end in ends(results).items() if isinstance(end, Failure)} == {
        3: "the decoder crashed on it (SIGSEGV)", 11: "the decoder crashed on it (SIGABRT)"}
    assert len(ends(results)) == 30
    found = [result for number, result in results if number == 3]
    assert [result for result in found[:-1] if result != "half"] == [Retry()]


def test_a_file_is_retried_after_one_crash(tmp_path):
    results = run([("give", 1), ("crash once", str(tmp_path / "mark")), ("give", 1)])
    assert [type(r) if isinstance(r, Success) else r for number, r in results if number == 1] == [
        *range(16), Retry(), *range(20), Success]


def test_a_hang_costs_one_file_and_no_more_time_than_allowed():
    started = time.monotonic()
    results = run([("give", 1), ("hang", None), *[("give", 1)] * 20])
    assert ends(results)[1] == Failure("took longer than 2 s to decode")
    assert sum(isinstance(end, Success) for end in ends(results).values()) == 21
    assert time.monotonic() - started < 20


def test_a_blocked_process_does_not_time_out():
    with DecoderPool("misbehaving:act", None, 1, QUICK) as pool:
        results = pool.results(iter([(0, ("big", 200), 0), (1, ("give", 1), 0)]))
        next(results)
        time.sleep(2)
        assert isinstance([result for _, result in results][-1], Success)


def test_memory_is_limited():
    results = run([("swell", 100 << 20), ("swell", 3 << 30), ("give", 1)])
    assert [type(end) for end in ends(results).values()] == [Success, Failure, Success]
    assert ends(results)[1].reason == "decoding it takes more than 600 MB of memory"


def test_errors_become_reasons():
    reasons = [end.reason for end in ends(run([("refuse", "too loud"), ("stumble", "over\na stone")])).values()]
    assert reasons == ["too loud", "an unexpected error: ValueError: over a stone"]


def test_waiting_results_are_bounded(monkeypatch):
    """While the first file takes its time, the others' results do not pile up."""
    monkeypatch.setattr(decoder_pool, "MAX_BUFFERED_BYTES", 8 << 20)
    with DecoderPool("misbehaving:act", None, 2, Limits()) as pool:
        most = 0
        results = pool.results((number, ("sleep", 2.0) if number == 0 else ("big", 40), 0) for number in range(8))
        for _ in results:
            most = max(most, pool.buffered)
        assert 8 << 20 < most < 48 << 20  # two messages of 16 MB more, at most


def test_no_process_is_left():
    with DecoderPool("misbehaving:act", None, 2, QUICK) as pool:
        results = pool.results(iter([(0, ("give", 1), 0), (1, ("hang", None), 0)]))
        next(results)
        processes = [worker.process for worker in pool.workers]
    assert all(process.poll() is not None for process in processes)


def test_no_process_outlives_a_parent_that_is_killed():
    """Not even one that never looks up from its work."""
    code = ("from melgan_tf.data.decoder_pool import DecoderPool\n"
            "with DecoderPool('misbehaving:act', None, 1) as pool:\n"
            "    for _, result in pool.results(iter([(0, ('give', 20), 0), (1, ('hang', None), 0)])):\n"
            "        print(result, flush=True)\n")
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)})
    while "Success" not in parent.stdout.readline():
        pass
    child, = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    time.sleep(0.1)
    parent.kill()
    parent.communicate()
    until = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        if time.monotonic() > until:
            os.kill(int(child), signal.SIGKILL)
            pytest.fail("the process went on")
        time.sleep(0.01)


def test_a_task_that_does_not_load_is_reported():
    with pytest.raises(MelGANError, match="processes for decoding do not start: .*no_such_module"), \
            DecoderPool("no_such_module:x", None, 1, QUICK) as pool:
        list(pool.results(iter([(0, ("give", 1), 0)])))
