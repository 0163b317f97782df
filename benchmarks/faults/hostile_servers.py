"""Kind 4: hostile servers' answers, through the commands that read from addresses."""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import belongings
import commands
import numpy as np
from outcome import Outcome
from sound_formats import encode, tone

MAX_MEGABYTES, MAX_SECONDS = 1_500, 75
_SECRET = "sEcReT0123456789"
_BLOCK = bytes(1 << 16)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_INDEX = (b'{"kind": "melgan-tf prepared sounds", "version": 1, "clips": 1, "sample_rate": 16000, '
          b'"clip_samples": 8000, "format": "int16", "labels": {"": 1}, "shards": '
          b'[{"file": "FILE", "clips": 1, "bytes": 100, "sha256": "00"}]}')
Answer = Callable[[socket.socket, str, str], None]


def run(numbers: range, seed: int, outcome: Outcome, folder: Path, only: str | None = None) -> None:
    """Asks each server for a sound, or for prepared sounds, by a command; some at the same time, as most only wait."""
    found = answers()
    ready = multiprocessing.get_context("fork").Queue()
    server = multiprocessing.get_context("fork").Process(target=_serve, args=(ready, found), daemon=True)
    server.start()
    port = ready.get()
    commands.load()
    ours = belongings.make(folder / "whole")
    names = [name for name in sorted(found) if only in (None, name)]
    order = np.random.default_rng(seed).permutation(names)
    chosen = [(number, str(order[number % len(names)])) for number in (numbers if only is None else range(6))]

    def one(case: tuple[int, str]) -> tuple[str, str, tuple, commands.Ended, Path]:
        number, name = case
        place = folder / str(number)
        place.mkdir()
        end = "shards" if name.startswith("shards") else "sound.wav"
        user = f"user:{_SECRET}@" if number % 5 == 0 else ""
        query = f"?X-Amz-Signature={_SECRET}" if number % 2 and end != "shards" else ""
        url = f"http://{user}127.0.0.1:{port}/{name.replace(' ', '_')}/{end}{query}"
        command = (("train", url, "--run-dir", "run", "--config", ours.config, "--steps", 1, "--quiet"),
                   ("prepare", url, "out", "--quiet", "--workers", 1),
                   ("evaluate", ours.run, "--reference", url, "--vocoder", "griffin-lim", "--json", "figures.json"),
                   )[number % 3 if end != "shards" else 0]
        ended = commands.run(*command, seconds=MAX_SECONDS, cwd=place, env={"TMPDIR": str(place)})
        return name, url, command, ended, place

    with ThreadPoolExecutor(6) as pool:
        for name, url, command, ended, place in pool.map(one, chosen):
            _judge(name, url, command, ended, place, outcome)
    server.kill()


def _judge(name: str, url: str, command: tuple, ended: commands.Ended, place: Path, outcome: Outcome) -> None:
    outcome.megabytes = max(outcome.megabytes, ended.megabytes)
    written = "".join(path.read_bytes().decode("latin-1") for path in place.rglob("*") if path.is_file()
                      and path.stat().st_size < 10_000_000)
    fault = ended.fault or ("memory" if ended.megabytes > MAX_MEGABYTES else "") or (
        "a secret is printed" if _SECRET in ended.stdout + ended.stderr else "") or (
        "a secret is written" if _SECRET in written else "") or (
        "a local file was read" if "root:" in ended.stdout + ended.stderr + written else "")
    if not fault and ended.code == 0 and not name.startswith(("good", "GET is another", "changed", "no such date")):
        fault = "kept"
    if fault:
        outcome.failed(fault, name, command=" ".join(map(str, command)), url=url, code=ended.code,
                       stderr=ended.stderr[-1500:], seconds=ended.seconds, megabytes=round(ended.megabytes))
    else:
        outcome.held("refused" if ended.code else "read")


def _serve(ready: multiprocessing.Queue, found: dict[str, Answer]) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    ready.put(listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection, found), daemon=True).start()


def _answer(connection: socket.socket, found: dict[str, Answer]) -> None:
    with connection:
        try:
            request = b""
            while b"\r\n\r\n" not in request:
                block = connection.recv(65536)
                if not block:
                    return
                request += block
            method, target = request.split(b" ", 2)[:2]
            path = target.decode().partition("?")[0]
            name = path.split("/")[1].replace("_", " ")
            found.get(name, _not_found)(connection, method.decode(), path)
        except OSError:
            return


def _head(status: str = "200 OK", **headers: object) -> bytes:
    lines = [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close", "", ""]).encode("latin-1", "replace")


def _not_found(connection: socket.socket, method: str, path: str) -> None:
    connection.sendall(_head("404 Not Found", Content_Length=0))


def _status(status: str, **headers: object) -> Answer:
    return lambda connection, method, path: connection.sendall(_head(status, **headers))


def _body(content: bytes, declared: object = None, status: str = "200 OK", **headers: object) -> Answer:
    def answer(connection: socket.socket, method: str, path: str) -> None:
        length = {"Content_Length": len(content) if declared is None else declared} if declared != "" else {}
        connection.sendall(_head(status, **length, **headers) + (content if method == "GET" else b""))
    return answer


def _endless(rate: float, head: bytes = b"", start: bytes = b"", block: bytes = _BLOCK, pause: float = 0.0) -> Answer:
    """Sends for ever, ``rate`` bytes a second."""
    def answer(connection: socket.socket, method: str, path: str) -> None:
        connection.sendall((head or _head()) + start)
        while method == "GET" or head:
            connection.sendall(block)
            time.sleep(pause or len(block) / rate)
    return answer


def _chunks(*pieces: bytes) -> Answer:
    return lambda connection, method, path: connection.sendall(
        _head(Transfer_Encoding="chunked") + (b"".join(pieces) if method == "GET" else b""))


def _redirect(to: str, status: str = "302 Found") -> Answer:
    return _status(status, Location=to, Content_Length=0)


def _wait(connection: socket.socket, method: str, path: str) -> None:
    time.sleep(300)


def _reset(connection: socket.socket, method: str, path: str) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def _drip(connection: socket.socket, method: str, path: str) -> None:
    for byte in _head(Content_Length=44_144):
        connection.sendall(bytes((byte,)))
        time.sleep(3)


def _raw(content: bytes) -> Answer:
    return lambda connection, method, path: connection.sendall(content)


def answers() -> dict[str, Answer]:
    """All answers, by name."""
    sound = encode("WAV 16-bit", tone(0.5, rate=16_000), 16_000)
    reason = "\x1b]0;owned\x07\x1b[2Jno"
    return {
        "good": _body(sound), "good chunked": _chunks(b"%x\r\n" % len(sound), sound, b"\r\n0\r\n\r\n"),
        "good without length": _body(sound, ""), "good where HEAD is refused": _by_method(
            _status("405 Method Not Allowed"), _body(sound)),
        "endless": _endless(100e6, start=sound[:44]), "endless at 1 byte a second": _endless(1, block=b"x"),
        "endless with a huge length": _endless(100e6, _head(Content_Length=10**13)),
        "slow with a length": _endless(100, _head(Content_Length=len(sound)), block=bytes(50)),
        "endless chunks": _endless(50e6, _head(Transfer_Encoding="chunked"), block=b"10000\r\n" + _BLOCK + b"\r\n"),
        "endless tiny chunks": _endless(1e6, _head(Transfer_Encoding="chunked"), block=b"1\r\nx\r\n" * 100),
        "endless headers": _endless(1e6, b"HTTP/1.1 200 OK\r\n", block=b"X-A: b\r\n" * 1000),
        "endless header line": _endless(5e6, b"HTTP/1.1 200 OK\r\nX-A: ", block=b"a" * 65536),
        "endless status": _endless(5e6, b"HTTP/1.1 200 ", block=b"a" * 65536),
        "endless continue": _endless(1e6, _CONTINUE, block=_CONTINUE * 50),
        "silent": _wait, "reset": _reset, "closed": lambda *_: None, "slow headers": _drip,
        "length of minus one": _body(sound, -1), "length of words": _body(sound, "many"),
        "length too small": _body(sound, 100), "length too large": _body(sound, len(sound) + 5000),
        "length of 10^30": _body(sound, 10**30), "two lengths": _body(sound, f"{len(sound)}\r\nContent-Length: 50"),
        "length as fraction": _body(sound, "44.5"), "empty": _body(b""), "a page": _body(b"<html>log in</html>" * 99),
        "cut chunk": _chunks(b"ffff\r\n", sound[:500]), "chunk of minus one": _chunks(b"-1\r\n", sound),
        "chunk of words": _chunks(b"many\r\n", sound), "huge chunk": _chunks(b"f" * 40 + b"\r\n", sound),
        "zipped": _body(sound, Content_Encoding="gzip"), "old": _raw(sound), "garbage": _raw(os.urandom(5000)),
        "HTTP 9.9": _raw(b"HTTP/9.9 200 OK\r\n\r\n" + sound), "status 999": _status("999 What"),
        "status of words": _raw(b"HTTP/1.1 abc def\r\n\r\n"), "status 204": _status("204 No Content"),
        "status 304": _status("304 Not Modified"), "status 206": _body(sound[:500], status="206 Partial Content"),
        "status 401": _status(f"401 {reason}", WWW_Authenticate="Basic"), "status 403": _status(f"403 {reason}"),
        "status 410": _status(f"410 {reason}"), "status 429": _status("429 Slow", Retry_After=100_000),
        "status 500": _status(f"500 {reason}"), "status 503": _status("503 \x9b2J\x85"),
        "long reason": _status("403 " + "x" * 60_000),
        "changed in 99999": _body(sound, Last_Modified="Sat, 1 Jan 99999"),
        "changed never": _body(sound, Last_Modified="\x1b[2Jyesterday"), "no such date": _body(
            sound, Last_Modified="Fri, 31 Feb 2025 25:61:61 GMT"),
        "to itself": lambda c, m, path: c.sendall(_head("302 Found", Location=path, Content_Length=0)),
        "to a longer and longer one": lambda c, m, path: c.sendall(_head("302 Found", Location=path + "x")),
        "to a file": _redirect("file:///etc/passwd"), "to ftp": _redirect("ftp://127.0.0.1/x.wav"),
        "to data": _redirect("data:audio/wav;base64,UklGRg=="), "to s3": _redirect("s3://bucket/x.wav"),
        "to gopher": _redirect("gopher://127.0.0.1/x"), "to nowhere": _redirect(""), "to a closed port": _redirect(
            "http://127.0.0.1:1/x.wav"),
        "to control characters": _redirect("http://127.0.0.1:1/\x1b[2J.wav"),
        "to a bad port": _redirect("http://127.0.0.1:99999999/x.wav"), "to a bad host": _redirect("http://[::bad/x.wav"),
        "to no host": _redirect("http:///x.wav"), "to https without it": _redirect("https://127.0.0.1:1/x.wav"),
        "GET is refused": _by_method(_body(sound), _status("403 Forbidden")),
        "GET is another": _by_method(_body(sound), _body(sound[:2000])),
        "GET never comes": _by_method(_body(sound), _wait), "many headers": _body(
            sound, X="1\r\n" + "".join(f"X-{n}: y\r\n" for n in range(5000)) + "Z: 1"),
        "shards endless": _by_method(_body(b"{}"), _endless(100e6, _head(), _INDEX[:40])),
        "shards of text": _body(b"hello"), "shards deep": _body(b"[" * 200_000), "shards huge": _body(b"{}", 10**12),
        "shards elsewhere": _body(_INDEX.replace(b"FILE", b"/etc/passwd")),
        "shards above": _body(_INDEX.replace(b"FILE", b"../../../etc/passwd")),
    }


def _by_method(head: Answer, get: Answer) -> Answer:
    return lambda connection, method, path: (head if method == "HEAD" else get)(connection, method, path)


