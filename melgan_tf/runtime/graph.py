"""Runs graphs in TensorFlow's C library, without the Python package: it is loaded in a tenth of the time.

The operations are the same code, so the numbers are the same bits. See ``tensorflow/c/c_api.h``.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melgan_tf.runtime import mute_native_logs, muted
from melgan_tf.runtime.protobuf import message_field, varint

#: ``TF_DataType`` of the arrays that go in and out.
TYPES = {np.dtype(np.float32): 1, np.dtype(np.int32): 3, np.dtype(np.int64): 9}
_DTYPES = {number: dtype for dtype, number in TYPES.items()}

_Pointer = ctypes.c_void_p


class _Output(ctypes.Structure):
    _fields_ = (("operation", _Pointer), ("index", ctypes.c_int))


_Outputs, _Tensors = ctypes.POINTER(_Output), ctypes.POINTER(_Pointer)
#: What a function of the library returns and takes.
_FUNCTIONS: dict[str, tuple[object, ...]] = {
    "TF_NewStatus": (_Pointer,), "TF_GetCode": (ctypes.c_int, _Pointer), "TF_Message": (ctypes.c_char_p, _Pointer),
    "TF_NewGraph": (_Pointer,), "TF_NewImportGraphDefOptions": (_Pointer,),
    "TF_NewBufferFromString": (_Pointer, ctypes.c_char_p, ctypes.c_size_t),
    "TF_GraphImportGraphDef": (None, _Pointer, _Pointer, _Pointer, _Pointer),
    "TF_GraphOperationByName": (_Pointer, _Pointer, ctypes.c_char_p),
    "TF_NewSessionOptions": (_Pointer,),
    "TF_SetConfig": (None, _Pointer, ctypes.c_char_p, ctypes.c_size_t, _Pointer),
    "TF_NewSession": (_Pointer, _Pointer, _Pointer, _Pointer),
    "TF_SessionRun": (None, _Pointer, _Pointer, _Outputs, _Tensors, ctypes.c_int, _Outputs, _Tensors, ctypes.c_int,
                      _Pointer, ctypes.c_int, _Pointer, _Pointer),
    "TF_AllocateTensor": (_Pointer, ctypes.c_int, ctypes.POINTER(ctypes.c_int64), ctypes.c_int, ctypes.c_size_t),
    "TF_DeleteTensor": (None, _Pointer), "TF_TensorData": (_Pointer, _Pointer),
    "TF_TensorType": (ctypes.c_int, _Pointer), "TF_NumDims": (ctypes.c_int, _Pointer),
    "TF_Dim": (ctypes.c_int64, _Pointer, ctypes.c_int)}


def library_file() -> Path | None:
    """TensorFlow's C library in the installed package; None if there is none, as on Windows."""
    found = importlib.util.find_spec("tensorflow")  # imports nothing
    folders = found.submodule_search_locations if found else None
    return next((file for folder in folders or () for name in ("libtensorflow_cc.so.2", "libtensorflow_cc.2.dylib")
                 if (file := Path(folder, name)).is_file()), None)


@functools.cache
def _library(file: Path) -> ctypes.CDLL:
    mute_native_logs()
    library = ctypes.CDLL(str(file))
    for name, (returned, *taken) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = returned, taken
    return library


@dataclass(frozen=True)
class Definition:
    """A graph that TensorFlow has optimized: see `melgan_tf.runtime.capture`.

    Attributes:
        content: a serialized ``GraphDef``.
        weights: what some of its placeholders always are, by name.
        inputs: the names of the other placeholders, by those of the inputs.
        outputs: the names of operations, by those of the outputs.
    """

    content: bytes
    weights: Mapping[str, np.ndarray]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


class Graph:
    """A function of arrays; it stays in memory to the end of the process.

    Args:
        definition: what to run, as it is.
        threads: within one operation.

    Raises:
        OSError, RuntimeError: the library is missing, or does not accept the graph.
    """

    def __init__(self, definition: Definition, threads: int) -> None:
        if not (file := library_file()):
            raise OSError("TensorFlow has no C library here")
        with muted():
            self._tf = _library(file)
        self._definition, self._graph = definition, self._tf.TF_NewGraph()
        buffer = self._tf.TF_NewBufferFromString(definition.content, len(definition.content))
        self._checked(self._tf.TF_GraphImportGraphDef, self._graph, buffer, self._tf.TF_NewImportGraphDefOptions())
        options, config = self._tf.TF_NewSessionOptions(), _session_config(threads)
        self._checked(self._tf.TF_SetConfig, options, config, len(config))
        with muted():
            self._session = self._checked(self._tf.TF_NewSession, self._graph, options)
        self._weights = {name: self._tensor(values) for name, values in definition.weights.items()}

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs by name.

        Args:
            inputs: float32, int32 or int64, all of them, with the shapes that the graph was made for.

        Raises:
            RuntimeError: TensorFlow refuses.
        """
        fed = {self._definition.inputs[name]: self._tensor(np.asarray(values)) for name, values in inputs.items()}
        tensors, names = {**self._weights, **fed}, self._definition.outputs
        values, results = (_Pointer * len(tensors))(*tensors.values()), (_Pointer * len(names))()
        try:
            self._checked(self._tf.TF_SessionRun, self._session, None, self._operations(tensors), values, len(tensors),
                          self._operations(names.values()), results, len(names), None, 0, None)
            return {name: self._array(tensor) for name, tensor in zip(names, results, strict=True)}
        finally:
            for tensor in (*fed.values(), *filter(None, results)):
                self._tf.TF_DeleteTensor(tensor)

    def _checked(self, function: Callable[..., int | None], *arguments: object) -> int | None:
        """Calls a function whose last argument is a status."""
        status = self._tf.TF_NewStatus()
        returned = function(*arguments, status)
        if self._tf.TF_GetCode(status):
            raise RuntimeError(self._tf.TF_Message(status).decode(errors="replace"))
        return returned

    def _operations(self, names: Iterable[str]) -> ctypes.Array[_Output]:
        found = [self._tf.TF_GraphOperationByName(self._graph, name.encode()) for name in names]
        if None in found:
            raise RuntimeError("the graph lacks an operation")
        return (_Output * len(found))(*((operation, 0) for operation in found))

    def _tensor(self, values: np.ndarray) -> int:
        values = np.ascontiguousarray(values).reshape(np.shape(values))  # which would make a number a vector
        tensor = self._tf.TF_AllocateTensor(TYPES[values.dtype], (ctypes.c_int64 * values.ndim)(*values.shape),
                                            values.ndim, values.nbytes)
        ctypes.memmove(self._tf.TF_TensorData(tensor), values.ctypes.data, values.nbytes)
        return tensor

    def _array(self, tensor: int) -> np.ndarray:
        shape = [self._tf.TF_Dim(tensor, axis) for axis in range(self._tf.TF_NumDims(tensor))]
        values = np.empty(shape, _DTYPES[self._tf.TF_TensorType(tensor)])
        ctypes.memmove(values.ctypes.data, self._tf.TF_TensorData(tensor), values.nbytes)
        return values


def _session_config(threads: int) -> bytes:
    """A serialized ``ConfigProto``: no GPU, that number of threads, and no optimization, which was done before."""
    no_gpu = message_field(1, b"\x0a\x03GPU\x10\x00")  # device_count
    # graph_options.rewrite_options.disable_meta_optimizer
    rewriting = message_field(10, message_field(10, b"\x98\x01\x01"))
    return no_gpu + b"\x10" + varint(threads) + rewriting
