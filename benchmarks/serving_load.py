"""A served model under load: 1 to 64 clients at a time that ask for one sound after the other.

    python benchmarks/serving_load.py [--clients 1 4 16 64] [--sounds 256] [--addresses http://HOST:8501 grpc://HOST:8500]

Each client is a thread with `melgan_tf.connect`; a sound is two requests, for its noise and for its samples. Every
sound is compared with the one that a single client got. Without ``--addresses`` it exports the drums and starts the
server of the tests: REST and gRPC in Python, answers from C++. "program alone" calls the C++ program without a server.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import results

import melgan_tf as mt

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.append(str(TESTS))

#: Makes the sound of an index.
Make = Callable[[int], np.ndarray]
COLUMNS = ("way", "clients", "sounds a second", "of one client of the program", "ms, median", "ms, 99 of 100",
           "memory of the program, MB", "errors", "sounds that differ")


@contextlib.contextmanager
def server(model: Path) -> Iterator[tuple[str, str, int]]:
    """The addresses of a server, and the number of the process that answers."""
    with subprocess.Popen([sys.executable, TESTS / "model_server.py", model], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        rest, grpc, pid = process.stdout.readline().split()
        yield rest, grpc, int(pid)
        process.stdin.close()


def client(address: str) -> Make:
    """Makes sounds over an address."""
    drums = mt.connect(address, "drums")
    return lambda index: drums.generate(1, seed=7, start=index)["audio"][0]


def program(runner: Callable[..., Any]) -> Make:
    """Makes the same sounds without a server: both requests, as `client` sends them."""
    def make(index: int) -> np.ndarray:
        request = {"seed": np.full(1, 7), "index": np.full(1, index), "label": np.array([b""], object)}
        return runner("generate", **runner("draw", **request).outputs).outputs["audio"][0]

    return make


def memory(pid: int | None) -> int | None:
    """The most memory that a process has had, MB."""
    if pid is None:
        return None
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def load(makes: list[Make], sounds: int) -> tuple[float, list[float], dict[int, np.ndarray], int]:
    """Seconds, those of each sound, the sounds by index, and the number of errors."""
    times, made, errors = [], {}, []

    def run(first: int) -> None:
        for index in range(first, sounds, len(makes)):
            began = time.perf_counter()
            try:
                made[index] = makes[first](index)
            except Exception as error:
                errors.append(error)
                print(error, file=sys.stderr)
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    with ThreadPoolExecutor(len(makes)) as pool:
        list(pool.map(run, range(len(makes))))
    return time.perf_counter() - began, times, made, len(errors)


def measure(ways: dict[str, tuple[Callable[[], Make], int | None]], clients: list[int], sounds: int) -> list[list]:
    """A row for each way, which has the process that answers, and number of clients."""
    rows, base, wanted = [], None, {}
    for way, (make, pid) in ways.items():
        load([make()], 8)  # compiled, and warm
        for count in clients:
            seconds, times, made, errors = load([make() for _ in range(count)], sounds)
            rate, wanted = len(made) / seconds, wanted or made
            base = base or rate
            differ = sum(not np.array_equal(made[index], wanted[index]) for index in made)
            rows.append([way, count, rate, rate / base, 1e3 * float(np.percentile(times, 50)),
                         1e3 * float(np.percentile(times, 99)), memory(pid), errors, differ])
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measures and writes ``results/serving_load.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--sounds", type=int, default=256, help="in each measurement")
    parser.add_argument("--addresses", nargs="+", help="of a running server of pretrained:drums, as \"drums\"")
    results.add_option(parser)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        ways, pid = {}, None
        if not arguments.addresses:
            from saved_model_runner import ConcurrentRunner, build

            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            mt.export("pretrained:drums", folder / "drums")
            runner = stack.enter_context(ConcurrentRunner(build(folder), folder / "drums/1"))
            ways["program alone"] = (lambda: program(runner)), runner.pid
            *addresses, pid = stack.enter_context(server(folder / "drums/1"))
        else:
            addresses = arguments.addresses
        ways |= {address.partition(":")[0]: ((lambda address=address: client(address)), pid) for address in addresses}
        rows = measure(ways, arguments.clients, arguments.sounds)
    content = results.table(COLUMNS, rows)
    print(results.markdown(content))
    what = "a running server" if arguments.addresses else "the server of the tests"
    results.save("serving_load", {"load": content}, arguments.results,
                 f"{what}; {arguments.sounds} sounds of half a second in each row; load average at the end "
                 f"{os.getloadavg()[0]:.0f}, of this and other programs")


if __name__ == "__main__":
    main()
