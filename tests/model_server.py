"""A server that speaks TF Serving's published interfaces, REST and gRPC, and leaves the answers to somebody else.

TF Serving itself takes its place where the variable MELGAN_TF_MODEL_SERVER has the path of ``tensorflow_model_server``,
or the addresses of a running one, ``http://HOST:8501,grpc://HOST:8500``, that serves `melgan-tf export
pretrained:drums` as "drums".

Reference: tensorflow_serving/g3doc/api_rest.md; tensorflow_serving/util/json_tensor.cc (numbers, b64);
tensorflow_serving/apis/prediction_service.proto, by the classes of tensorflow-serving-api.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from saved_model_runner import Answer, ConcurrentRunner, build
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

VARIABLE = "MELGAN_TF_MODEL_SERVER"
#: The HTTP status and the gRPC status of TensorFlow's codes.
_STATUS = {3: (400, grpc.StatusCode.INVALID_ARGUMENT), 5: (404, grpc.StatusCode.NOT_FOUND),
           14: (503, grpc.StatusCode.UNAVAILABLE)}
_START_SECONDS = 60

#: What answers: the name of a signature and its inputs -> its outputs.
Backend = Callable[..., Answer]
#: The types of the inputs of every signature, by name.
Types = Mapping[str, Mapping[str, np.dtype]]


def input_types(model: Path) -> Types:
    """Those of a SavedModel, which a server reads from it."""
    saved = saved_model_pb2.SavedModel.FromString((model / "saved_model.pb").read_bytes())
    return {name: {key: np.dtype(tf.as_dtype(tensor.dtype).as_numpy_dtype) for key, tensor in signature.inputs.items()}
            for name, signature in saved.meta_graphs[0].signature_def.items()}


class Loopback:
    """Serves a model as "drums", version 1, on ports of this machine.

    Args:
        backend: answers.
        types: of the inputs.
        name: of the model.
        ports: of REST and gRPC; 0: any.

    Attributes:
        rest, grpc: the addresses.
        requests: how many were answered.
    """

    def __init__(self, backend: Backend, types: Types, name: str = "drums", ports: Sequence[int] = (0, 0)) -> None:
        self._backend, self.types, self.name, self.requests, self.version = backend, types, name, 0, 1
        self._http = _Http(("127.0.0.1", ports[0]), type("Handler", (_Handler,), {"loopback": self}))
        self._grpc = grpc.server(futures.ThreadPoolExecutor(64), options=[("grpc.so_reuseport", 0)])
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Service(self), self._grpc)
        self.rest = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.grpc = f"grpc://127.0.0.1:{self._grpc.add_insecure_port(f'127.0.0.1:{ports[1]}')}"

    def __enter__(self) -> Loopback:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        self._grpc.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._grpc.stop(None)
        self._http.shutdown()
        self._http.server_close()

    def call(self, name: str, version: int | None, signature: str, inputs: Mapping[str, Any]) -> Answer:
        """What a server does of any interface."""
        self.requests += 1
        if name != self.name or version not in (None, self.version):
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            return Answer({}, f"Servable not found for request: {asked}", 0, 0, 5)
        signature = signature or "serving_default"
        if signature not in self.types:
            return Answer({}, f'Serving signature key "{signature}" not found.', 0, 0, 3)
        try:
            arrays = {key: _typed(value, self.types[signature][key]) for key, value in inputs.items()}
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            return Answer({}, f"Failed to process element: {error!r}", 0, 0, 3)
        return self._backend(signature, **arrays)


def _typed(value: Any, dtype: np.dtype) -> np.ndarray:
    if dtype.kind != "O":
        return np.asarray(value, dtype)
    return np.vectorize(lambda one: one.encode() if isinstance(one, str) else bytes(one), otypes=[object])(value)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # of many clients at a time none has to come again


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    loopback: Loopback

    def log_message(self, *values: object) -> None:
        """Says nothing."""

    def _send(self, status: int, content: str) -> None:
        body = content.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        loopback = self.loopback
        if self.path != f"/v1/models/{loopback.name}":
            self._send(404, json.dumps({"error": f"Could not find any versions of model {self.path.split('/')[-1]}"}))
            return
        status = {"version": str(loopback.version), "state": "AVAILABLE",
                  "status": {"error_code": "OK", "error_message": ""}}
        self._send(200, json.dumps({"model_version_status": [status]}))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])), object_hook=_decoded)
        found = re.fullmatch(r"/v1/models/([^/]+?)(?:/versions/(\d+))?:predict", self.path)
        if not found or ("inputs" in request) == ("instances" in request):
            self._send(400, json.dumps({"error": f"Malformed request: POST {self.path}"}))
            return
        rows = request.get("instances")
        inputs = request["inputs"] if rows is None else {key: [row[key] for row in rows] for key in rows[0]}
        answer = self.loopback.call(found[1], found[2] and int(found[2]), request.get("signature_name", ""), inputs)
        if answer.error:
            self._send(_STATUS[answer.code][0], json.dumps({"error": answer.error}))
            return
        if rows is None:
            written = {key: _json(key, value) for key, value in answer.outputs.items()}
            self._send(200, f'{{"outputs": {_object(written)}}}')
            return
        by_row = [_object({key: _json(key, value[row]) for key, value in answer.outputs.items()})
                  for row in range(len(next(iter(answer.outputs.values()))))]
        self._send(200, f'{{"predictions": [{",".join(by_row)}]}}')


def _decoded(value: dict[str, Any]) -> Any:
    return base64.b64decode(value["b64"]) if set(value) == {"b64"} else value


def _object(values: Mapping[str, str]) -> str:
    """A single value has no name."""
    return next(iter(values.values())) if len(values) == 1 else \
        "{" + ",".join(f'"{key}": {value}' for key, value in values.items()) + "}"


def _json(name: str, value: Any) -> str:
    """JSON text, with numbers of nine digits, and base64 of what is called ``..._bytes``."""
    if isinstance(value, np.ndarray) and value.ndim:
        if value.dtype.kind == "f" and value.ndim == 1:
            return "[" + ",".join(map("{:.9g}".format, value.tolist())) + "]"
        return "[" + ",".join(_json(name, one) for one in value) + "]"
    if isinstance(value, bytes):
        return json.dumps({"b64": base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode())
    return f"{float(value):.9g}"


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, loopback: Loopback) -> None:
        self._loopback = loopback

    def Predict(self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext  # noqa: N802
                ) -> predict_pb2.PredictResponse:
        """See prediction_service.proto."""
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        answer = self._loopback.call(spec.name, version, spec.signature_name, inputs)
        if answer.error:
            context.abort(_STATUS[answer.code][1], answer.error)
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.signature_name = spec.name, spec.signature_name
        response.model_spec.version.value = self._loopback.version
        for key, value in answer.outputs.items():
            tensor = response.outputs[key]  # as numbers, not as bytes: so TF Serving does by default
            for size in value.shape:
                tensor.tensor_shape.dim.add(size=size)
            if value.dtype == object:
                tensor.dtype = tf.string.as_datatype_enum
                tensor.string_val.extend(value.ravel())
            else:
                tensor.dtype = tf.as_dtype(value.dtype).as_datatype_enum
                {"f": tensor.float_val, "i": tensor.int_val}[value.dtype.kind].extend(value.ravel().tolist())
        return response


class Real:
    """TF Serving itself.

    Attributes:
        rest, grpc: the addresses.
    """

    def __init__(self, rest: str, grpc: str) -> None:
        self.rest, self.grpc = rest, grpc


@contextlib.contextmanager
def serving(backend: Callable[[], contextlib.AbstractContextManager[Backend]], model: Path
            ) -> Iterator[Loopback | Real]:
    """TF Serving if it is at hand, else the loopback server.

    Args:
        backend: answers in the loopback server.
        model: the folder of a version.
    """
    at_hand = os.environ.get(VARIABLE, "")
    if not at_hand:
        with backend() as answering, Loopback(answering, input_types(model)) as loopback:
            yield loopback
    elif "://" in at_hand:
        yield Real(*sorted(at_hand.split(","), reverse=True))
    else:
        rest, other = free_port(), free_port()
        command = [at_hand, f"--port={other}", f"--rest_api_port={rest}", "--model_name=drums",
                   f"--model_base_path={model.parent.absolute()}"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                _wait_for(f"http://127.0.0.1:{rest}/v1/models/drums")
                yield Real(f"http://127.0.0.1:{rest}", f"grpc://127.0.0.1:{other}")
            finally:
                process.terminate()


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _wait_for(url: str) -> None:
    for _ in range(_START_SECONDS * 2):
        with contextlib.suppress(OSError), urllib.request.urlopen(url) as answer:
            if b"AVAILABLE" in answer.read():
                return
        time.sleep(0.5)
    raise TimeoutError(url)


def main() -> None:
    """``python tests/model_server.py MODEL``: serves the folder of a version, until stdin ends.

    Writes the addresses for REST and gRPC and the number of the C++ process to stdout.
    """
    model = Path(sys.argv[1])
    with (tempfile.TemporaryDirectory() as folder,
          ConcurrentRunner(build(Path(folder)), model) as runner, Loopback(runner, input_types(model)) as server):
        print(server.rest, server.grpc, runner.pid, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
