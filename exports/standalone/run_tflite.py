"""Runs a TFLite file as a phone would: with LiteRT alone, on one thread.

``python run_tflite.py MODEL IN.npz OUT.npz BATCHES``: MODEL is a file, or a folder with a
model.tflite. Inputs of calls (``signature/name``) in, one row a call, their outputs (likewise) out. BATCHES is JSON: by
signature, the batch sizes to time, which is 1. Prints one line of JSON: operations, signatures, milliseconds of the
first call and per sound, threads.
"""

import json
import os
import sys
import time

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

model_path, inputs_path, outputs_path, batches = sys.argv[1:]
if os.path.isdir(model_path):  # of a page
    model_path = os.path.join(model_path, "model.tflite")
REPEATS = 20


def main() -> None:
    interpreter = Interpreter(model_path=model_path, num_threads=1)
    ops = operations()
    inputs = dict(np.load(inputs_path))
    outputs, times, first = {}, {}, {}
    for name, sizes in json.loads(batches).items():
        runner = interpreter.get_signature_runner(name)
        given = {key: inputs[f"{name}/{key}"] for key in runner.get_input_details()}
        count = len(next(iter(given.values())))
        calls = [{key: value[i:i + 1] for key, value in given.items()} for i in range(count)]
        first[name] = milliseconds(runner, calls[:1])
        results = [runner(**call) for call in calls]
        outputs |= {f"{name}/{key}": np.concatenate([result[key] for result in results]) for key in results[0]}
        times[name] = [milliseconds(runner, calls[:REPEATS]) for _ in sizes]
    if "tensorflow" in sys.modules:
        raise SystemExit("running it needed TensorFlow")
    np.savez(outputs_path, **outputs)
    print(json.dumps({"ops": ops, "signatures": interpreter.get_signature_list(), "threads": 1,
                      "first_call_milliseconds": first, "milliseconds_per_sound": times}))


def milliseconds(runner, calls: list[dict[str, np.ndarray]]) -> float:
    times = []
    for call in calls:
        started = time.perf_counter()
        runner(**call)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times))


def operations() -> dict[str, int]:
    """Counts of the operations of every subgraph, read from the file: a delegate would hide those it takes over."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    with open(model_path, "rb") as file:
        model = schema.Model.GetRootAs(file.read(), 0)
    counts: dict[str, int] = {}
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            code = model.OperatorCodes(operator.OpcodeIndex())
            custom = code.CustomCode()
            name = custom.decode() if custom else names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            counts[name] = counts.get(name, 0) + 1
    foreign = [name for name in counts if name not in names.values()]
    if foreign:
        raise SystemExit(f"operations that are not builtin: {', '.join(foreign)}")
    return dict(sorted(counts.items()))


main()
