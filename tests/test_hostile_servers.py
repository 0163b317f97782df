"""What web servers may answer: every answer ends in one line, in time, with little memory, or is the file itself."""

from __future__ import annotations

import gzip
import itertools
import shutil
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke
from hostile_server import Answer, HostileServer, response

from melgan_tf import storage
from melgan_tf.audio.wav import encode_wav
from melgan_tf.storage import StorageError, backend, http, http_limits
from melgan_tf.storage.paths import RemotePath
from melgan_tf.storage.registry import connections

SOUND = encode_wav(np.sin(np.arange(8_000) / 5) * 0.5, 16_000)
MOVED = "302 Found"


@pytest.fixture(autouse=True)
def _limits(monkeypatch) -> Iterator[None]:
    """Every failure is final, and no limit of time is met by chance, however busy the machine."""
    monkeypatch.setattr(backend, "RETRY_PAUSES", ())
    for name in ("CONNECT", "IDLE", "STRETCH", "TOTAL"):
        monkeypatch.setattr(http_limits, f"{name}_SECONDS", 60.0)
    monkeypatch.setattr(http, "MAX_UNDECLARED_BYTES", 8 << 20)
    yield
    connections.clear()


@pytest.fixture
def server() -> Iterator[HostileServer]:
    server = HostileServer(lambda method, target: [response(SOUND)])
    yield server
    server.close()


def always(*parts: bytes | float) -> Answer:
    return lambda method, target: parts


def redirect(location: str, status: str = MOVED) -> Answer:
    return always(response(b"", f"Location: {location}", status=status))


def forever(*parts: bytes | float, first: bytes = b"") -> Callable[[str, str], Iterable[bytes | float]]:
    return lambda method, target: itertools.chain([first], itertools.cycle(parts))


def not_to_head(*parts: bytes | float, length: int | None = len(SOUND)) -> Answer:
    """An answer to GET only."""
    return lambda method, target: [response(length=length)] if method == "HEAD" else parts


def endless(first: bytes, *parts: bytes | float) -> Answer:
    return lambda method, target: [first] if method == "HEAD" else itertools.chain([first], itertools.cycle(parts))


CHUNKED = response(b"", "Transfer-Encoding: chunked", length=None)
ZEROS = bytes(1 << 16)
#: The answer, and what the line says.
HOSTILE: dict[str, tuple[Answer, str]] = {
    "nothing at all": (always(), "the connection failed"),
    "no HTTP": (always(b"SSH-2.0-OpenSSH_9.6\r\n"), "the connection failed"),
    "a binary status line": (always(bytes(range(256)) * 4), "the connection failed"),
    "a status line without end": (forever(b"A" * 4096), "more than was asked for"),
    "a status of letters": (always(b"HTTP/1.1 two hundred\r\n\r\n"), "the connection failed"),
    "a silent server": (forever(0.1), "timed out"),
    "headers a byte at a time": (forever(0.01, b"X", first=b"HTTP/1.1 200 OK\r\n"), "too slow"),
    "a header without end": (forever(b"X" * 4096, first=b"HTTP/1.1 200 OK\r\nX: "), "more than was asked for"),
    "headers without end": (forever(b"X-Y: z\r\n" * 512, first=b"HTTP/1.1 200 OK\r\n"), "the connection failed"),
    "headers of 6 MB": (always(b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"y" * 65_000 + b"\r\n"] * 99, b"\r\n"),
                        "more than was asked for"),
    "100 Continue for ever": (forever(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), "more than was asked for"),
    "a control sequence as reason": (always(response(status="500 \x1b]0;pwned\x07\x9b2J")), r"500 \x1b]0;pwned\x07"),
    "a page as reason": (always(response(status="503 " + "busy " * 9_000)), "503 busy"),
    "a length that is no number": (not_to_head(response(SOUND, length="0x10")), "Content-Length"),
    "a negative length": (not_to_head(response(SOUND, length=-5)), "Content-Length"),
    "two lengths": (not_to_head(response(SOUND, "Content-Length: 7")), "Content-Length"),
    "a length of 25 digits": (not_to_head(response(SOUND, length="9" * 25)), "Content-Length"),
    "a sound of 5 GB": (not_to_head(response(SOUND, length=5 << 30)), "5368709120 bytes"),
    "a sound larger than what HEAD said": (not_to_head(response(SOUND), length=99), "the file changes"),
    "half a body": (not_to_head(response(SOUND[:8_000], length=len(SOUND))), f"after 8000 of {len(SOUND)} bytes"),
    "no body": (not_to_head(response(length=len(SOUND))), f"after 0 of {len(SOUND)} bytes"),
    "a body a byte at a time": (endless(response(length=1 << 20), b"x", 0.01), "too slow"),
    "a body that stops": (not_to_head(response(SOUND[:8_000], length=len(SOUND)), 9.0), "timed out"),
    "a body without end or length": (endless(response(length=None), ZEROS), "8 MiB without saying"),
    "chunks without end": (endless(CHUNKED, b"10000\r\n" + ZEROS + b"\r\n"), "8 MiB without saying"),
    "chunks a byte at a time": (endless(CHUNKED, b"1\r\n", 0.01, b"x\r\n"), "too slow"),
    "a chunk of 2^60 bytes": (endless(CHUNKED + b"fffffffffffffff\r\n", ZEROS), "8 MiB without saying"),
    "a chunk of negative length": (not_to_head(CHUNKED + b"-5\r\nhello\r\n", length=None), "does not speak HTTP"),
    "a chunk header without end": (endless(CHUNKED, b"0" * 4096), "the connection failed"),
    "trailers without end": (endless(CHUNKED + b"3\r\nabc\r\n0\r\n", b"X: " + ZEROS[:60_000] + b"\r\n"),
                             "more than was asked for"),
    "chunks that end early": (not_to_head(CHUNKED + b"ffff\r\nhello", length=None), "the connection failed"),
    "a gzip bomb": (always(response(gzip.compress(bytes(1 << 20)), "Content-Encoding: gzip")), "(gzip)"),
    "an encoding with control sequences": (always(response(SOUND, "Content-Encoding: \x1b[31mbr")), r"(\x1b[31mbr)"),
    "a compressed transfer": (always(response(SOUND, "Transfer-Encoding: gzip, chunked")), "(gzip, chunked)"),
    "a part": (always(response(SOUND[:100], f"Content-Range: bytes 0-99/{len(SOUND)}", status="206 Partial Content")),
               "206 Partial Content instead of the whole file"),
    "another part": (always(response(SOUND[:9], "Content-Range: bytes 7-3/x", status="206 P")), "206 P"),
    "no content": (always(response(status="204 No Content", length=None)), "204 No Content"),
    "a page to sign in": (always(response(b"\n<!DOCTYPE html><title>Sign in</title>", "Content-Type: audio/wav")),
                          "sends a web page instead of a file"),
    "a redirect to itself": (redirect("/kick.wav"), "more than 5 times"),
    "a redirect to a file": (redirect("file:///etc/passwd"), "redirects from http:// to file:"),
    "a redirect to FTP": (redirect("ftp://127.0.0.1/kick.wav", "301 Moved"), "redirects from http:// to ftp:"),
    "a redirect to data": (redirect("data:audio/wav;base64,UklGRg==", "307 T"), "redirects from http:// to data:"),
    "a redirect to nowhere": (redirect("http://[::1"), "the address is not valid"),
    "a redirect without a place": (always(response(status=MOVED)), "the server answered 302"),
    "a redirect with a control sequence": (redirect("\x1b]52;c;AAAA\x07://x"), "more than 5 times"),
    "a redirect to a closed port": (redirect("http://127.0.0.1:1/kick.wav"), "refused"),
    "a redirect to a port of letters": (redirect("http://127.0.0.1:secret/"), "the address is not valid"),
}


#: Of time, by what they make the line say: tenths of a second where they are the subject.
LIMITS = {"timed out": ("IDLE_SECONDS", 0.4), "too slow": ("STRETCH_SECONDS", 0.8)}


def looked_up_and_read(place: RemotePath, file: Path) -> None:
    if info := place.info():
        storage.fetch(RemotePath(place.full, info), file)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_answers_end_in_one_line_in_time_with_little_memory(kind, server, tmp_path, capfd, monkeypatch):
    server.answer, part = HOSTILE[kind]
    if part in LIMITS:
        monkeypatch.setattr(http_limits, *LIMITS[part])
    place = storage.path(f"{server.url}/kick.wav")
    tracemalloc.start()
    started = time.monotonic()
    with pytest.raises(StorageError) as raised:
        looked_up_and_read(place, tmp_path / "kick.wav")
    spent, (_, peak) = time.monotonic() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    line = str(raised.value)
    assert part in line
    assert line.startswith(f"cannot read {place}: ")
    assert line.isprintable()
    assert len(line) < 500
    assert spent < 30
    assert peak < 8 << 20
    assert server.sent < 64 << 20
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("kind", "reason"), [
    ("an empty file", "an empty file"), ("JSON", "text, not audio"), ("zeros", "")])
def test_files_that_are_no_sounds_are_skipped_like_local_ones(kind, reason, server, tmp_path):
    body = {"an empty file": b"", "JSON": b'{"error": "sign in"}' * 9, "zeros": bytes(9_000)}[kind]
    server.answer = always(response(body))
    invoke("prepare", f"{server.url}/kick.wav", tmp_path / "out", "-q", "--workers", 1).one_line(
        "none of the 1 sound files", reason, code=1)


def test_commands_end_in_one_line(server, tmp_path):
    server.answer = HOSTILE["chunks without end"][0]
    for arguments in (("prepare", f"{server.url}/kick.wav", tmp_path / "out"),
                      ("train", f"{server.url}/kick.wav", "--run-dir", tmp_path / "run", "--preset", "seed"),
                      ("info", f"{server.url}/kick.wav")):
        invoke(*arguments, *["-q"] * (arguments[0] != "info")).one_line("8 MiB without saying", code=1)
    assert not (tmp_path / "run").exists()


# -- what is allowed -------------------------------------------------------------------------------------------------

def read(url: str) -> bytes:
    return storage.path(url).read_bytes()


@pytest.mark.parametrize("parts", [
    (CHUNKED, b"10\r\n", SOUND[:16], b"\r\n", b"%x;a=b\r\n" % (len(SOUND) - 16), SOUND[16:], b"\r\n0\r\nX: y\r\n\r\n"),
    (response(length=None), SOUND), (b"HTTP/1.1 100 Continue\r\n\r\n", response(SOUND)),
    (response(SOUND, "Content-Encoding: identity"),), (response(SOUND, "Last-Modified: never"),),
    (response(SOUND) + b"and more",), (0.1, response(SOUND[:99], length=len(SOUND)), 0.1, SOUND[99:])],
    ids=["chunks", "until the end", "continue", "identity", "no date", "more than the length", "with pauses"])
def test_unusual_answers_are_read(parts, server):
    server.answer = not_to_head(*parts, length=None)
    assert read(f"{server.url}/kick.wav") == SOUND


def test_redirects_are_followed_within_limits(server):
    def answer(method: str, target: str) -> list[bytes]:
        left = int(target[1:].partition(".")[0])
        return [response(b"", f"Location: {left - 1}.wav?a=b#c", status="308 P") if left else response(SOUND)]

    server.answer = answer
    assert read(f"{server.url}/5.wav") == SOUND
    with pytest.raises(StorageError, match="more than 5 times"):
        read(f"{server.url}/6.wav")


def test_https_is_never_left(server, monkeypatch):
    opened = []

    class Refusing:
        def open(self, request, timeout):
            opened.append(request.full_url)
            raise http.urllib.error.HTTPError(request.full_url, 302, "Found", {"Location": f"{server.url}/x"}, None)

    monkeypatch.setattr(http.urllib.request, "OpenerDirector", lambda: Refusing())
    monkeypatch.setattr(Refusing, "add_handler", lambda self, handler: None, raising=False)
    with pytest.raises(StorageError, match="redirects from https:// to http:, which is refused"):
        read("https://host/kick.wav")
    assert opened == ["https://host/kick.wav"]


def test_a_server_in_the_internet_may_not_send_into_the_private_network(server, monkeypatch):
    inner = HostileServer(always(response(SOUND)))
    server.answer = redirect(f"{inner.url}/kick.wav")
    peer = socket.socket.getpeername
    assert read(f"{server.url}/kick.wav") == SOUND  # from one private address to another
    inner.requests.clear()
    monkeypatch.setattr(socket.socket, "getpeername", lambda self: ("93.184.216.34", 80) if peer(self)[1] == server.port
                        else peer(self), raising=False)
    with pytest.raises(StorageError, match="in the private network, which is refused"):
        read(f"{server.url}/kick.wav")
    assert inner.requests == []
    inner.close()


def test_user_and_password_go_to_their_server_only(server):
    other = HostileServer(always(response(SOUND)))
    address = f"http://me:s%40crypt@127.0.0.1:{server.port}/kick drüm.wav?sig=0123"
    assert read(address) == SOUND
    assert server.requests[-1].startswith("GET /kick%20dr%C3%BCm.wav?sig=0123 HTTP/1.1")
    assert "Authorization: Basic bWU6c0BjcnlwdA==" in server.requests[-1]
    server.answer = redirect(f"{other.url}/kick.wav")
    assert read(address) == SOUND
    assert "Authorization" not in "".join(other.requests)
    other.close()


def test_a_reset_connection_is_retried(server, monkeypatch):
    monkeypatch.setattr(backend, "RETRY_PAUSES", (0.01,))
    answers = iter([[response(SOUND[:99], length=len(SOUND))], [response(SOUND)]])
    server.reset = True
    server.answer = lambda method, target: next(answers)
    assert read(f"{server.url}/kick.wav") == SOUND
    server.answer = always()
    with pytest.raises(StorageError, match="the connection failed .*; gave up after"):
        read(f"{server.url}/kick.wav")


@pytest.mark.parametrize("address", ["http://host:99999999/x", "http://host:-1/x", "http:///x.wav", "http://[::1/x",
                                     "http://me:pa/ss@host/x", "https://" + "a" * 70 + ".b/x", "http://\x1b[31m/x"])
def test_bad_addresses_are_one_line_without_their_secrets(address):
    with pytest.raises(StorageError) as raised:
        read(address)
    assert "pa/ss" not in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.slow
def test_without_tls_and_without_a_certificate_https_fails_in_one_line(server, tmp_path, monkeypatch):
    for name in ("CONNECT", "IDLE"):  # the server waits for the end of a request
        monkeypatch.setattr(http_limits, f"{name}_SECONDS", 3.0)
    server.answer = always(response(SOUND))
    with pytest.raises(StorageError, match="(?i)the connection failed .*ssl"):
        read(f"https://127.0.0.1:{server.port}/kick.wav")


@pytest.mark.parametrize(("name", "size"), [("index.json", 65 << 20), ("kick.wav", 5 << 30), ("kick", 5 << 30),
                                            ("step-1.npz", 5 << 30), ("shard-00000.tfrecord", 17 << 30)])
def test_every_storage_refuses_files_too_large_for_their_kind(name, size, tmp_path, monkeypatch):
    with pytest.raises(backend.BackendError, match=f"it has {size} bytes"):
        backend.require_size(name, size, tmp_path / "file")
    backend.require_size(name, 1 << 10, tmp_path / "file")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1 << 40, 1 << 40, 9))
    with pytest.raises(OSError, match="No space left"):
        backend.require_size(name, 10, Path(tmp_path / "file"))
