"""Runs a TFLite file as a phone would: with LiteRT alone, on one thread.

``python run_tflite.py MODEL IN.npz OUT.npz``: noise, and label if any, of 32 sounds in, or all inputs of a vocoder's
windows; mel, and audio if the file makes it, out. Prints one line of JSON: operations, signatures, milliseconds per
sound, threads.
"""

import json
import sys
import time

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

model_path, given, made = sys.argv[1:]
REPEATS = 20


def main() -> None:
    interpreter = Interpreter(model_path=model_path, num_threads=1)
    ops = operations()
    inputs = dict(np.load(given))
    results, timing = {}, {}
    for name, output in (("mel", "mel"), ("generate", "audio"), ("vocode", "audio")):
        if name not in interpreter.get_signature_list():
            continue
        runner = interpreter.get_signature_runner(name)
        count = len(next(iter(inputs.values())))
        calls = [{key: value[i:i + 1] for key, value in inputs.items()} for i in range(count)]
        results[output] = np.concatenate([runner(**call)[output] for call in calls])
        times = []
        for call in calls[:REPEATS]:
            began = time.perf_counter()
            runner(**call)
            times.append(time.perf_counter() - began)
        timing[output] = 1000 * float(np.median(times))
    if "tensorflow" in sys.modules:
        raise SystemExit("running it needed TensorFlow")
    np.savez(made, **results)
    print(json.dumps({"ops": ops, "signatures": interpreter.get_signature_list(), "threads": 1,
                      "milliseconds_per_sound": timing}))


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
