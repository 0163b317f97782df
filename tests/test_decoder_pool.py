"""Processes that work on files: order, crashes, hangs, memory, and what is left of them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from misbehaving import ACT

from melgan_tf.audio import decoder_pool
from melgan_tf.audio.decoder_pool import DecoderPool, Failure, Limits, Retry, Success
from melgan_tf.errors import MelGANError

QUICK = Limits(seconds=1.5, seconds_per_megabyte=0, megabytes=600)


def items(*jobs):
    return [(number, job and {"kind": job[0], "value": job[1]}, 0) for number, job in enumerate(jobs)]


def run(jobs, workers=2, limits=QUICK):
    with DecoderPool(ACT, workers, limits) as pool:
        return list(pool.results(items(*jobs)))


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
                expected += [(number, ["give", part]) for part in range(job[1])]
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
    found = [type(result) if isinstance(result, Success) else result for number, result in results if number == 1]
    retry = found.index(Retry())
    assert found == [*range(retry), Retry(), *range(20), Success]
    assert 10 < retry < 20


def test_a_hang_costs_one_file_and_no_more_time_than_allowed():
    started = time.monotonic()
    results = run([("give", 1), ("hang", None), *[("give", 1)] * 20])
    assert ends(results)[1] == Failure("took longer than 2 s to decode")
    assert sum(isinstance(end, Success) for end in ends(results).values()) == 21
    assert time.monotonic() - started < 20


@pytest.mark.slow
def test_a_blocked_process_does_not_time_out():
    with DecoderPool(ACT, 1, QUICK) as pool:
        results = pool.results(items(("big", 200), ("give", 1)))
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


@pytest.mark.slow
def test_waiting_results_are_bounded(monkeypatch):
    """While the first file takes its time, the others' results do not pile up."""
    monkeypatch.setattr(decoder_pool, "MAX_BUFFERED_BYTES", 8 << 20)
    with DecoderPool(ACT, 2, Limits()) as pool:
        most = 0
        results = pool.results(items(("sleep", 2.0), *[("big", 40)] * 7))
        for _ in results:
            most = max(most, pool.buffered)
        assert 8 << 20 < most < 48 << 20  # two messages of 16 MB more, at most


def test_no_process_is_left():
    with DecoderPool(ACT, 2, QUICK) as pool:
        results = pool.results(items(("give", 1), ("hang", None)))
        next(results)
        processes = [worker.process for worker in pool.workers]
    assert all(process.poll() is not None for process in processes)


def test_no_process_outlives_a_parent_that_is_killed():
    """Not even one that never looks up from its work."""
    code = ("from melgan_tf.audio.decoder_pool import DecoderPool\n"
            "from misbehaving import ACT\n"
            "with DecoderPool(ACT, 1) as pool:\n"
            "    jobs = [(0, {'kind': 'give', 'value': 20}, 0), (1, {'kind': 'hang'}, 0)]\n"
            "    for _, result in pool.results(jobs):\n"
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


SLEEPING = """
from melgan_tf.audio.decoder_pool import DecoderPool, Limits
from misbehaving import ACT
with DecoderPool(ACT, 1, Limits(seconds=1.5)) as pool:
    list(pool.results([(0, {"kind": "give", "value": 1}, 0)]))
    print("ready", flush=True)
    print([type(result).__name__ for _, result in pool.results([(0, {"kind": "sleep", "value": 0.6}, 0)])])
"""


@contextlib.contextmanager
def sleeping():
    """A program whose decoder takes 0.6 of the 1.5 seconds that it has."""
    with subprocess.Popen([sys.executable, "-c", SLEEPING], stdout=subprocess.PIPE, text=True, start_new_session=True,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)}) as program:
        assert program.stdout.readline() == "ready\n"
        time.sleep(0.2)
        yield program


@pytest.mark.slow
def test_time_in_which_everything_is_stopped_does_not_count():
    """As by Ctrl-Z, and by closing a notebook computer."""
    with sleeping() as program:
        os.killpg(program.pid, signal.SIGSTOP)
        time.sleep(1.8)
        os.killpg(program.pid, signal.SIGCONT)
        assert program.communicate()[0] == "['Success']\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_to_the_group_are_for_the_program(number):
    with DecoderPool(ACT, 1, QUICK) as pool:
        results = pool.results(items(("give", 1), ("sleep", 0.1)))
        next(results)
        pool.workers[0].process.send_signal(number)
        assert [type(result) for _, result in results] == [Success, Success]


def test_a_task_that_does_not_load_is_reported():
    with pytest.raises(MelGANError, match="processes for decoding do not start: .*no_such_module"), \
            DecoderPool(dataclasses.replace(ACT, function="no_such_module:x"), 1, QUICK) as pool:
        list(pool.results(items(("give", 1))))


# -- what the processes answer ---------------------------------------------------------------------------------------

def message(kind: bytes, text: bytes, content: bytes = b"", json_size: int | None = None, size: int | None = None):
    sizes = (len(text) if json_size is None else json_size, len(content) if size is None else size)
    return ("answer", (struct.pack("!cII", kind, *sizes) + text + content).hex())


@pytest.mark.parametrize("answer", [
    ("answer", b"Segmentation fault (core dumped)".hex()),
    ("answer", (b"cos\nsystem\n(S'touch pwned'\ntR." * 3).hex()),
    ("answer", bytes(1000).hex()),
    message(b"R", b"1", size=(2 << 20) + 1),
    message(b"R", b"1", size=0xFFFFFFFF),
    message(b"S", b"1", json_size=0xFFFFFFFF),
    message(b"S", b"1", b"x"),
    message(b"Y", b"null"),
    message(b"R", b""),
    message(b"R", b"{"),
    message(b"R", b"\xff\xfe"),
    message(b"R", b"[" * 60_000),
    message(b"R", b"9" * 60_000),
    message(b"R", b'{"__class__": "Success"}'),
    message(b"R", b'"other"'),
    message(b"S", b'"half"'),
    message(b"S", b"NaN"),
    message(b"F", b"null"),
    message(b"F", b'["too", "loud"]'),
    ("emit", {"sample": 1}), ("emit", None), ("emit", "other"), ("end", "half"), ("end", None), ("end", [1, 2]),
    ("ramble", message(b"R", b"1")[1]),  # without end
    ("ramble", message(b"R", b"1", bytes(1 << 14))[1]),
], ids=lambda answer: str(answer)[:40])
def test_nonsense_costs_one_file(answer, tmp_path, monkeypatch):
    """Not a byte of it is more than data; the next file gets another process."""
    monkeypatch.chdir(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = ends(run([("give", 1), (answer[0], answer[1]), ("give", 1)], workers=1))
    assert found[1] == Failure("the decoder answered nonsense")
    assert [type(found[number]) for number in (0, 2)] == [Success, Success]
    assert found[0].value != found[2].value  # another process
    assert list(tmp_path.iterdir()) == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # kB: what is not consumed waits


def test_an_answer_that_does_not_go_on_is_a_hang():
    started = time.monotonic()
    halves = [message(b"R", b"1", b"half", size=8), message(b"R", b"", json_size=4), ("answer", b"R\0\0".hex())]
    found = ends(run([*halves, ("give", 1)], workers=3))
    assert [found[number] for number in range(3)] == [Failure("took longer than 2 s to decode")] * 3
    assert isinstance(found[3], Success)
    assert time.monotonic() - started < 15


def test_a_reason_is_one_printable_line():
    found = ends(run([message(b"F", b'"over\\na stone \\ud800"')], workers=1))
    assert found[0] == Failure("over a stone ?")


def test_a_process_that_answers_what_nobody_asked():
    """It had no file, so it costs none."""
    with DecoderPool(ACT, 1, QUICK) as pool:
        twice = message(b"S", b"1")[1] * 2
        found = dict(pool.results(items(("answer", twice), ("give", 1))))
    assert found[0] == Success(1)
    assert isinstance(found[1], Success | Failure)


def test_complaints_fill_no_disk():
    assert isinstance(ends(run([("complain", 200 << 20)]))[0], Success)


def test_processes_end_when_nothing_comes(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    code = ("import os, socket\nfrom melgan_tf.audio import decoder_process\n"
            "decoder_process.MAX_IDLE_SECONDS = 0.1\nours, theirs = socket.socketpair()\n"
            "first = b'{\"parent\": %d, \"function\": \"misbehaving:act\", \"megabytes\": 600}'\n"
            "ours.sendall(first % os.getppid() + b'\\n')\n"
            "decoder_process.serve(theirs.detach())\nprint('ended')")
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=30)
    assert ended.stdout == "ended\n"


def test_a_process_that_ended_meanwhile_is_replaced():
    with DecoderPool(ACT, 1, QUICK) as pool:
        for _ in range(2):
            assert [type(result) for _, result in pool.results(items(("give", 0)))] == [Success]
            pool.workers[0].process.kill()
            pool.workers[0].process.wait()
