"""Runs an ONNX file as another program would: with onnxruntime alone, on one thread.

``python run_onnx.py MODEL IN.npz OUT.npz BATCHES``: inputs of calls (``signature/name``) in, their outputs (likewise)
out. BATCHES is JSON: the batch sizes to time, by signature, which is the graph's name; the outputs of a sound must not
depend on its batch. Prints one line of JSON: operations, signatures, milliseconds
of the first call and per sound, threads.
"""

import json
import sys
import time

import numpy as np
import onnxruntime

model_path, inputs_path, outputs_path, batches = sys.argv[1:]
REPEATS = 7


def main() -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_path, options, providers=["CPUExecutionProvider"])
    takes, gives = ([value.name for value in values] for values in (session.get_inputs(), session.get_outputs()))
    (name, sizes), = json.loads(batches).items()
    if name != session.get_modelmeta().graph_name:
        raise SystemExit(f"the graph is not named {name}")
    loaded = np.load(inputs_path)
    inputs = {key: loaded[f"{name}/{key}"] for key in takes}

    def run(batch: int | None = None) -> dict[str, np.ndarray]:
        return dict(zip(gives, session.run(gives, {key: value[:batch] for key, value in inputs.items()}), strict=True))

    started = time.perf_counter()
    alone = run(1)
    first = 1000 * (time.perf_counter() - started)
    results = run()
    require_same(alone, results)
    report = {"ops": operations(), "threads": 1, "signatures": {name: {"inputs": takes, "outputs": gives}},
              "first_call_milliseconds": {name: first},
              "milliseconds_per_sound": {name: [milliseconds(run, size) for size in sizes]}}
    np.savez(outputs_path, **{f"{name}/{key}": value for key, value in results.items()})
    print(json.dumps(report))


def milliseconds(run, batch: int) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run(batch)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times)) / batch


def require_same(alone: dict[str, np.ndarray], results: dict[str, np.ndarray]) -> None:
    for name, value in alone.items():
        difference = np.max(np.abs(value - results[name][:1])) / max(1e-6, np.max(np.abs(results[name][:1])))
        if difference > 1e-3:
            raise SystemExit(f"{name} of a sound depends on its batch ({difference:.3g} of the peak)")


def operations() -> dict[str, int]:
    """Counts of the operations of the graph and of those within it, read from the file."""
    if {"onnx", "tensorflow", "melgan_tf"} & set(sys.modules):
        raise SystemExit("running it needed more than onnxruntime")
    import onnx

    counts: dict[str, int] = {}
    graphs = [onnx.load(model_path).graph]
    while graphs:
        for node in graphs.pop().node:
            if node.domain:
                raise SystemExit(f"an operation that is not ONNX's own: {node.domain}.{node.op_type}")
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
            graphs += [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
    return dict(sorted(counts.items()))


main()
