"""Runs an ONNX file as another program would: with onnxruntime alone, on one thread. See calls.py.

Its only signature has the name of the graph.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import onnxruntime

sys.path.insert(0, str(Path(__file__).parent))
import calls


def load(model: str) -> tuple[Callable, Callable]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    takes, gives = ([value.name for value in values] for values in (session.get_inputs(), session.get_outputs()))
    graph = session.get_modelmeta().graph_name

    def signature(name: str) -> tuple[list[str], Callable]:
        if name != graph:
            raise SystemExit(f"the graph is not named {name}")
        return takes, lambda inputs: dict(zip(gives, session.run(gives, inputs), strict=True))

    return signature, lambda: {"ops": operations(model), "threads": 1,
                               "signatures": {graph: {"inputs": takes, "outputs": gives}}}


def operations(model: str) -> dict[str, int]:
    """Counts of the operations of the graph and of those within it, read from the file."""
    if {"onnx", "tensorflow", "melgan_tf"} & set(sys.modules):
        raise SystemExit("running it needed more than onnxruntime")
    import onnx

    counts: dict[str, int] = {}
    graphs = [onnx.load(model).graph]
    while graphs:
        for node in graphs.pop().node:
            if node.domain:
                raise SystemExit(f"an operation that is not ONNX's own: {node.domain}.{node.op_type}")
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
            graphs += [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
    return dict(sorted(counts.items()))


calls.main(load)
