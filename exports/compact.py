"""Smaller TFLite files: without the names of inner tensors and, if asked, with large constants as float16.

The converter's own float16 halves every constant, and those that guard a division against zero (1e-9 to 1e-30) become
zero themselves: the sound is NaN. Here only large ones are halved, each with one conversion before its first use; the
arithmetic is float32. What loops use remains: their iterations would magnify its rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    looped = _looped(model)
    halves = {number: half for number, half in _halves(model, schema) if number not in looped}
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


def _halves(model: Any, schema: Any) -> Iterator[tuple[int, np.ndarray]]:
    """The numbers of the buffers that can be halved, and their values."""
    types = {tensor.buffer: tensor.type for graph in model.subgraphs for tensor in graph.tensors}
    for number, buffer in enumerate(model.buffers):
        size = 0 if buffer.data is None else len(buffer.data)
        if size < _LEAST_EXACT or types.get(number) != schema.TensorType.FLOAT32:
            continue
        values = np.frombuffer(bytes(buffer.data), "<f4")
        with np.errstate(over="ignore"):
            half = values.astype("<f2")
        lost = np.abs(half - values).max()
        if lost == 0 or (size >= _LEAST_ROUNDED and lost <= _PRECISION * np.abs(values).max()):
            yield number, half


def _looped(model: Any) -> set[int]:
    """The numbers of the buffers that loops use: graphs without a signature."""
    signed = {signature.subgraphIndex for signature in model.signatureDefs}
    return {graph.tensors[tensor].buffer for number, graph in enumerate(model.subgraphs) if number not in signed
            for operator in graph.operators for tensor in operator.inputs if tensor >= 0}
