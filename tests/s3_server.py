"""A real S3 server (moto, in a process of its own, on loopback), and a proxy before it that loses connections."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

BUCKET = "sounds-and-runs"
_SIGNED = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


class S3Server:
    """The server.

    Args:
        log: file for what it says.
    """

    def __init__(self, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with open(log, "w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        until = time.monotonic() + 60
        while True:
            try:
                self.request("PUT", "")
                return
            except OSError:
                assert self.process.poll() is None, log.read_text()
                assert time.monotonic() < until
                time.sleep(0.1)

    def environment(self, port: int | None = None) -> dict[str, str]:
        """What a command needs to find it, or a proxy at another port."""
        return {"S3_ENDPOINT": f"http://127.0.0.1:{port or self.port}", "S3_USE_HTTPS": "0", "S3_VERIFY_SSL": "0",
                "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere",
                "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}

    def request(self, method: str, key: str, body: bytes | None = None, bucket: str = BUCKET) -> bytes:
        """One request, whose signature is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, f"/{bucket}/{key}" if bucket else f"/{key}", body, {"Authorization": _SIGNED})
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status < 300, (method, key, answer.status, content)
            return content
        finally:
            connection.close()

    def get(self, key: str) -> bytes:
        """An object."""
        return self.request("GET", quote(key))

    def put(self, key: str, content: bytes) -> None:
        """Makes an object."""
        self.request("PUT", quote(key), content)

    def put_folder(self, folder: Path, prefix: str) -> None:
        """Makes an object of every file of a folder."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(f"{prefix}/{file.relative_to(folder).as_posix()}", file.read_bytes())

    def keys(self, prefix: str = "") -> list[str]:
        """The names of all objects below a prefix."""
        tree = ElementTree.fromstring(self.request("GET", f"?list-type=2&prefix={quote(prefix)}"))
        return [item.text for item in tree.iter() if item.tag.endswith("}Key")]

    def contents(self, prefix: str) -> dict[str, bytes]:
        """All objects below a prefix, by what follows it."""
        return {key.removeprefix(f"{prefix}/"): self.get(key) for key in self.keys(f"{prefix}/")}

    def require_credentials(self, wanted: bool) -> None:
        """Whether it looks at access keys from now on; at first it does not."""
        self.request("POST", "moto-api/reset-auth", b"0" if wanted else b"inf", bucket="")

    def kill(self) -> None:
        """SIGKILL: the connections break."""
        self.process.kill()
        self.process.wait()


@dataclass
class Fault:
    """Something that is to go wrong.

    Attributes:
        request: pattern of the request's first words, such as ``GET /bucket/key``.
        after: bytes of the body, sent or received, that still pass.
        silently: the connection is not lost, so that what passed looks like all there was to send.
        times: how often it goes wrong.
        happens: called when it does.
        seen: how often it did.
    """

    request: str
    after: int = 0
    times: int = 1 << 30
    silently: bool = False
    happens: Callable[[], None] = lambda: None
    seen: int = 0


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a server, but for those that are to fail."""

    daemon_threads = True

    def __init__(self, server: S3Server) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.upstream, self.faults, self.log, self.guard = server.port, [], [], threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def fault(self, first_words: str) -> Fault | None:
        """The fault that is to happen to a request, counted."""
        with self.guard:
            self.log.append(first_words)
            for fault in self.faults:
                if re.match(fault.request, first_words) and fault.seen < fault.times:
                    fault.seen += 1
                    return fault
        return None

    def handle_error(self, *_: object) -> None:
        """Broken connections are the point."""


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        fault = self.server.fault(f"{self.command} {self.path}")
        sending = fault is not None and self.command in ("PUT", "POST")
        length = int(self.headers.get("Content-Length") or 0)
        if self.command == "HEAD" and fault:
            self._break()
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=30)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection", "content-length"):
                connection.putheader(name, value)
        silently = sending and fault.silently
        connection.putheader("Content-Length", str(fault.after if silently else length))
        connection.endheaders()
        if silently:
            connection.send(self.rfile.read(length)[:fault.after])
            length = 0
        elif sending:
            connection.send(self.rfile.read(min(length, fault.after)))
            fault.happens()
            connection.close()  # so the server sees what a broken connection leaves
            self._break()
            return
        if length:
            connection.send(self.rfile.read(length))
        answer = connection.getresponse()
        body = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        size = answer.getheader("Content-Length") if self.command == "HEAD" else len(body)
        self.send_header("Content-Length", str(size or 0))
        self.end_headers()
        if fault and not silently:
            self.wfile.write(body[:fault.after])
            self.wfile.flush()
            fault.happens()
            self._break()
            return
        self.wfile.write(body)

    def _break(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Says nothing."""
