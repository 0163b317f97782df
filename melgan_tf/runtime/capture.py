"""Captures the graphs that TensorFlow has optimized, for `melgan_tf.runtime.graph`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.python.eager import context  # the only way to a function's optimized graph

from melgan_tf.runtime.graph import TYPES, Definition


def capture(function: tf.types.experimental.PolymorphicFunction, inputs: Mapping[str, np.ndarray]
            ) -> tuple[Definition, dict[str, np.ndarray]]:
    """Calls a function for the first time, which optimizes it.

    Args:
        function: tensors by position -> tensors by name. It was not called before.
        inputs: of the call, by name.

    Returns:
        Its graph, and the results of the call. Weights are their values in this moment.
    """
    tensors = [tf.constant(values) for values in inputs.values()]
    context.enable_run_metadata()
    try:
        results = function(*tensors)
        optimized = context.export_run_metadata().function_graphs[-1].post_optimization_graph
    finally:
        context.disable_run_metadata()
    concrete = function.get_concrete_function(*tensors)
    variables = {id(variable.handle): variable for variable in concrete.variables}
    values = [*inputs.values(), *(variables[id(handle)].numpy() for handle in concrete.captured_inputs)]
    graph, arguments, returned = graph_pb2.GraphDef(versions=optimized.versions), {}, {}
    for node in optimized.node:
        if node.op == "_Arg":
            arguments[node.attr["index"].i] = node.name
            _add_placeholder(graph, node.name, values[node.attr["index"].i])
            continue
        copy = graph.node.add(name=node.name, op=node.op, input=node.input)
        if node.op in ("_Retval", "ReadVariableOp"):
            copy.op = "Identity"
            copy.attr["T"].type = node.attr["T" if node.op == "_Retval" else "dtype"].type
            if node.op == "_Retval":
                returned[node.attr["index"].i] = node.name
        else:
            for name, attribute in node.attr.items():
                if not name.startswith("_"):  # the device, and what optimization has noted
                    copy.attr[name].CopyFrom(attribute)
    count = len(inputs)
    return Definition(
        graph.SerializeToString(), {name: values[number] for number, name in arguments.items() if number >= count},
        {name: arguments[number] for number, name in enumerate(inputs)},
        {name: returned[number] for number, name in enumerate(sorted(results))},
    ), {name: result.numpy() for name, result in results.items()}


def _add_placeholder(graph: graph_pb2.GraphDef, name: str, values: np.ndarray) -> None:
    attributes = graph.node.add(name=name, op="Placeholder").attr
    attributes["dtype"].type = TYPES[values.dtype]
    attributes["shape"].shape.SetInParent()  # of a number
    for length in values.shape:
        attributes["shape"].shape.dim.add(size=length)
