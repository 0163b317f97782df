"""Runs a SavedModel as a server would: with TensorFlow, without Keras and without melgan-tf.

``python run_saved_model.py MODEL IN.npz OUT.npz BATCHES``: inputs of calls (``signature/name``) in, their outputs
(likewise) out. BATCHES is JSON: the batch sizes to time, by signature; of such a signature the outputs of a sound must
not depend on its batch. Prints one line of JSON: operations, signatures, milliseconds of the first call and per sound,
threads.
"""

import importlib.abc
import importlib.machinery
import json
import os
import sys
import time


class _Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes a machine that has neither package out of one that has them."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name.split(".")[0] in ("keras", "melgan_tf"):
            return importlib.machinery.ModuleSpec(name, self, origin="absent")
        return None

    def create_module(self, spec: object) -> None:
        raise ModuleNotFoundError(f"the export needs {spec.name}")


sys.meta_path.insert(0, _Absent())
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
model_path, inputs_path, outputs_path, batches = sys.argv[1:]

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

REPEATS = 7


def operations() -> dict[str, int]:
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    with open(os.path.join(model_path, "saved_model.pb"), "rb") as file:
        model.ParseFromString(file.read())
    counts: dict[str, int] = {}
    for meta in model.meta_graphs:
        for nodes in [meta.graph_def.node, *[function.node_def for function in meta.graph_def.library.function]]:
            for node in nodes:
                counts[node.op] = counts.get(node.op, 0) + 1
    foreign = [op for op in counts if not hasattr(tf.raw_ops, op) and op not in _UNLISTED]
    if foreign:
        raise SystemExit(f"operations that are not TensorFlow's own: {', '.join(sorted(foreign))}")
    return dict(sorted(counts.items()))


#: TensorFlow's own, but with no wrapper in `tf.raw_ops`.
_UNLISTED = {"Placeholder", "PartitionedCall", "StatefulPartitionedCall", "NoOp", "Const"}


def run(function, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in function(**{k: tf.constant(v) for k, v in inputs.items()}).items()}


def milliseconds(function, inputs: dict[str, np.ndarray], batch: int) -> float:
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        run(function, {name: value[:batch] for name, value in inputs.items()})
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times[1:])) / batch


def require_same(alone: dict[str, np.ndarray], results: dict[str, np.ndarray]) -> None:
    for name, value in alone.items():
        difference = np.max(np.abs(value - results[name][:1])) / max(1e-6, np.max(np.abs(results[name][:1])))
        if difference > 1e-3:
            raise SystemExit(f"{name} of a sound depends on its batch ({difference:.3g} of the peak)")


def main() -> None:
    model = tf.saved_model.load(model_path)
    inputs = dict(np.load(inputs_path))
    outputs, times, first = {}, {}, {}
    for name, sizes in json.loads(batches).items():
        function = model.signatures[name]
        given = {key: inputs[f"{name}/{key}"] for key in function.structured_input_signature[1]}
        started = time.perf_counter()
        alone = run(function, {key: value[:1] for key, value in given.items()})
        first[name] = 1000 * (time.perf_counter() - started)
        results = run(function, given)
        if sizes:
            require_same(alone, results)
        times[name] = [milliseconds(function, given, batch) for batch in sizes]
        outputs |= {f"{name}/{key}": value for key, value in results.items()}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    report = {"ops": operations(), "threads": cores,
              "signatures": {name: {"inputs": sorted(signature.structured_input_signature[1]),
                                    "outputs": sorted(signature.structured_outputs)}
                             for name, signature in sorted(model.signatures.items())},
              "first_call_milliseconds": first, "milliseconds_per_sound": times}
    np.savez(outputs_path, **outputs)
    print(json.dumps(report))


main()
