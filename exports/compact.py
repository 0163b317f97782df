"""Smaller TFLite files: without the names of inner tensors and, if asked, with large constants as float16.

The converter's own float16 halves every constant, and those that guard a division against zero (1e-9 to 1e-30) become
zero themselves: the sound is NaN. Here only large ones are halved, each with one conversion before its first use; the
arithmetic is float32. What loops use remains: their iterations would magnify its rounding. So do factors of elements:
windows and rotations of Fourier transforms, whose rounding phase retrieval magnifies likewise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Bytes of the smallest constant that is halved if float16 holds it exactly, as the weights of the package's models.
_LEAST_EXACT = 2048
#: The same for others: phase retrieval magnifies the rounding of a small matrix as much as that of a large one.
_LEAST_ROUNDED = 90_000
#: float16 has eleven bits: no value may lose more, in parts of the constant's largest.
_PRECISION = 2.0 ** -11


def compact(content: bytes, half: bool) -> bytes:
    """Makes a TFLite file smaller.

    Args:
        content: of the file.
        half: store large constants as float16.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    if half:
        _halve(model, schema)
    for graph in model.subgraphs:
        named = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in named:
                tensor.name = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _halve(model: Any, schema: Any) -> None:
    halves = _halves(model, schema)
    for number, half in halves.items():
        model.buffers[number].data = half.view(np.uint8)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3
    model.operatorCodes.append(code)
    for graph in model.subgraphs:
        conversions = []
        for index, tensor in enumerate(list(graph.tensors)):
            if tensor.buffer in halves:
                stored = schema.TensorT()
                stored.shape, stored.hasRank = tensor.shape, tensor.hasRank
                stored.type, stored.buffer, tensor.buffer = schema.TensorType.FLOAT16, tensor.buffer, 0
                conversion = schema.OperatorT()
                conversion.opcodeIndex = len(model.operatorCodes) - 1
                conversion.inputs, conversion.outputs = [len(graph.tensors)], [index]
                graph.tensors.append(stored)
                conversions.append(conversion)
        graph.operators = [*conversions, *graph.operators]


def _halves(model: Any, schema: Any) -> dict[int, np.ndarray]:
    """The numbers of the buffers that are halved, and their values.

    Where float16 holds most of the network exactly, the few others are the converter's own, and stay.
    """
    types = {tensor.buffer: tensor.type for graph in model.subgraphs for tensor in graph.tensors}
    network = {tensor.buffer for tensor in min(_signed(model), key=lambda graph: len(graph.operators)).tensors}
    kept, exact, rounded, balance = _kept(model, schema), {}, {}, 0
    for number, buffer in enumerate(model.buffers):
        size = 0 if buffer.data is None else len(buffer.data)
        if size < _LEAST_EXACT or types.get(number) != schema.TensorType.FLOAT32 or number in kept:
            continue
        values = np.frombuffer(bytes(buffer.data), "<f4")
        with np.errstate(over="ignore"):
            half = values.astype("<f2")
        lost = np.abs(half - values).max()
        if number in network:
            balance += size if lost == 0 else -size
        if lost == 0:
            exact[number] = half
        elif size >= _LEAST_ROUNDED and lost <= _PRECISION * np.abs(values).max():
            rounded[number] = half
    return exact if balance > 0 else exact | rounded


def _signed(model: Any) -> list[Any]:
    """The graphs that have a signature; others are of loops."""
    return [model.subgraphs[signature.subgraphIndex] for signature in model.signatureDefs]


def _kept(model: Any, schema: Any) -> set[int]:
    """The numbers of the buffers that loops or products of elements use."""
    signed = _signed(model)
    products = {index for index, code in enumerate(model.operatorCodes)
                if max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.MUL}
    return {graph.tensors[tensor].buffer for graph in model.subgraphs for operator in graph.operators
            if graph not in signed or operator.opcodeIndex in products
            for tensor in operator.inputs if tensor >= 0}
