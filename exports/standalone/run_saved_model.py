"""Runs a SavedModel as a server would: with TensorFlow, without Keras and without melgan-tf. See calls.py."""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable
from pathlib import Path


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
sys.path.insert(0, str(Path(__file__).parent))

import calls  # noqa: E402
import tensorflow as tf  # noqa: E402

#: TensorFlow's own, but with no wrapper in `tf.raw_ops`.
_UNLISTED = {"Placeholder", "PartitionedCall", "StatefulPartitionedCall", "NoOp", "Const"}


def load(path: str) -> tuple[Callable, Callable]:
    model = tf.saved_model.load(path)  # its signatures do not keep it alive

    def signature(name: str) -> tuple[list[str], Callable]:
        def run(inputs: calls.Arrays) -> calls.Arrays:
            found = model.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
            return {key: value.numpy() for key, value in found.items()}

        return list(model.signatures[name].structured_input_signature[1]), run

    def facts() -> dict[str, object]:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        signatures = {name: {"inputs": sorted(function.structured_input_signature[1]),
                             "outputs": sorted(function.structured_outputs)}
                      for name, function in sorted(model.signatures.items())}
        return {"ops": operations(path), "threads": cores, "signatures": signatures}

    return signature, facts


def operations(path: str) -> dict[str, int]:
    from tensorflow.core.protobuf import saved_model_pb2

    counts: dict[str, int] = {}
    for meta in saved_model_pb2.SavedModel.FromString(Path(path, "saved_model.pb").read_bytes()).meta_graphs:
        for nodes in [meta.graph_def.node, *[function.node_def for function in meta.graph_def.library.function]]:
            for node in nodes:
                counts[node.op] = counts.get(node.op, 0) + 1
    foreign = [op for op in counts if not hasattr(tf.raw_ops, op) and op not in _UNLISTED]
    if foreign:
        raise SystemExit(f"operations that are not TensorFlow's own: {', '.join(sorted(foreign))}")
    return dict(sorted(counts.items()))


calls.main(load)
