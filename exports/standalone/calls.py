"""What the scripts beside this file have in common. They import nothing of the package.

``python run_X.py MODEL IN.npz OUT.npz BATCHES``: inputs of calls (``signature/name``) in, one row a sound, their
outputs (likewise) out. BATCHES is JSON: the batch sizes to time, by signature; of such a signature the outputs of a
sound must not depend on its batch. Prints one line of JSON: operations, signatures, threads, milliseconds of the first
call and per sound.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np

Arrays = dict[str, np.ndarray]
REPEATS = 7


def main(load: Callable[[str], tuple[Callable, Callable]]) -> None:
    """Runs the calls.

    Args:
        load: takes the path of a model. Returns a function from the name of a signature to the names of its inputs and
            a function of arrays; and one that returns ``ops``, ``signatures`` and ``threads``, called at the end.
    """
    model, inputs_path, outputs_path, batches = sys.argv[1:]
    signature, facts = load(model)
    inputs, outputs, times, first = dict(np.load(inputs_path)), {}, {}, {}
    for name, sizes in json.loads(batches).items():
        names, function = signature(name)
        given = {key: inputs[f"{name}/{key}"] for key in names}
        alone, first[name] = timed(function, given, 1)
        results = function(given)
        if sizes:
            require_same(alone, results)
        times[name] = [float(np.median([timed(function, given, size)[1] for _ in range(REPEATS + 1)][1:])) / size
                       for size in sizes]
        outputs |= {f"{name}/{key}": value for key, value in results.items()}
    report = {**facts(), "first_call_milliseconds": first, "milliseconds_per_sound": times}
    np.savez(outputs_path, **outputs)
    print(json.dumps(report))


def timed(function: Callable[[Arrays], Arrays], inputs: Arrays, batch: int) -> tuple[Arrays, float]:
    started = time.perf_counter()
    results = function({name: value[:batch] for name, value in inputs.items()})
    return results, 1000 * (time.perf_counter() - started)


def require_same(alone: Arrays, results: Arrays) -> None:
    for name, value in alone.items():
        difference = np.max(np.abs(value - results[name][:1])) / max(1e-6, np.max(np.abs(results[name][:1])))
        if difference > 1e-3:
            raise SystemExit(f"{name} of a sound depends on its batch ({difference:.3g} of the peak)")
