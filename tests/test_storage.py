"""Places that are not local: what needs no tensorflow-io. For S3 see test_remote.py."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from command_line import contents, invoke, write_sounds

from melgan_tf import storage
from melgan_tf.audio.find import scan
from melgan_tf.data.prepare import prepare
from melgan_tf.data.sources import open_sounds
from melgan_tf.data.survey import survey
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.evaluation.evaluate import overlap, training_folder
from melgan_tf.storage import StorageError, backend
from melgan_tf.storage.paths import RemotePath
from melgan_tf.storage.registry import connections
from melgan_tf.storage.run_directory import RunDirectory


class _Web(SimpleHTTPRequestHandler):
    """Serves files; ``torn`` is the number of responses, by path, that are cut in half."""

    torn: dict[str, int] = {}
    broken: set[str] = set()

    def do_GET(self) -> None:
        if self.path in self.broken:
            self.send_error(503)
            return
        if self.path in ("/shards", "/sounds"):  # a server that shows no folders
            self.send_error(404)
            return
        if self.torn.get(self.path, 0):
            self.torn[self.path] -= 1
            content = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:len(content) // 2])
            return
        super().do_GET()

    def do_HEAD(self) -> None:
        if self.path in ("/shards", "/sounds"):
            self.send_error(404)
        elif self.path.endswith(".wav?signed"):  # for GET only
            self.send_error(403)
        else:
            super().do_HEAD()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    """No server counts as unreachable because of the previous test."""
    yield
    connections.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """16 sounds, and shards of them."""
    folder = tmp_path_factory.mktemp("web")
    write_sounds(folder / "sounds")
    prepare(folder / "sounds", folder / "shards", workers=1, shard_files=6)
    return folder


@pytest.fixture
def web(folder, monkeypatch) -> Iterator[str]:
    monkeypatch.setattr(backend, "RETRY_PAUSES", (0.01, 0.01))
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Web, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
    _Web.torn.clear()
    _Web.broken.clear()


def clips(source: object) -> list[np.ndarray]:
    return [clip for _, clip in open_sounds(source, 16_000, 8_000).clips()]


def test_prepared_shards_are_read_from_a_web_server(web, folder):
    ours, theirs = clips(f"{web}/shards"), clips(folder / "shards")
    assert len(ours) == 16
    np.testing.assert_array_equal(ours, theirs)


def test_a_single_sound_is_read_from_a_web_server(web, folder, tmp_path):
    assert invoke("prepare", f"{web}/sounds/03.wav", tmp_path / "remote", "-q").code == 0
    assert invoke("prepare", folder / "sounds/03.wav", tmp_path / "local", "-q").code == 0
    ours, theirs = (contents(tmp_path / name)["shard-00000.tfrecord"] for name in ("remote", "local"))
    assert ours == theirs
    assert not storage.needs_hard_exit()


def test_a_survey_measures_remote_sounds(web):
    assert str(survey(f"{web}/sounds/03.wav")) == "1 sound, typically 0.5 s at 16000 Hz"


def test_urls_signed_for_get_only_work(web, folder):
    place = storage.path(f"{web}/sounds/03.wav?signed")
    assert place.is_file()
    assert place.read_bytes() == (folder / "sounds/03.wav").read_bytes()


def test_a_truncated_response_is_retried_and_then_reported(web, folder):
    _Web.torn["/shards/shard-00001.tfrecord"] = 2
    assert len(clips(f"{web}/shards")) == 16
    _Web.torn["/shards/shard-00001.tfrecord"] = 3
    size = (folder / "shards/shard-00001.tfrecord").stat().st_size
    with pytest.raises(StorageError, match=rf"cannot read {web}/shards/shard-00001.tfrecord: the connection ended "
                                           rf"after {size // 2} of {size} bytes; gave up"):
        clips(f"{web}/shards")


def test_other_responses_are_reported(web):
    with pytest.raises(UsageError, match="does not exist"):
        scan(f"{web}/nothing.wav")
    _Web.broken.add("/shards/index.json")
    with pytest.raises(StorageError, match="the server answered 503"):
        open_sounds(f"{web}/shards", 16_000, 8_000)
    with pytest.raises(StorageError, match=r"the connection failed \(.*refused"):
        scan("http://127.0.0.1:9/sounds")


def test_unsupported_http_operations_are_reported_in_one_line(web, folder, tmp_path):
    invoke("prepare", f"{web}/sounds", tmp_path / "out").one_line(f"folder {web}/sounds does not exist", code=2)
    invoke("prepare", f"{web}/shards", tmp_path / "out").one_line("contains prepared sounds", code=2)
    invoke("prepare", f"{web}/shards/report.json", tmp_path / "out").one_line(
        "HTTP has no folders, give the URL of one sound file or of prepared shards", code=2)
    invoke("prepare", folder / "sounds", f"{web}/out").one_line(
        f"cannot write {web}/out/.prepare/lock: HTTP URLs are read-only", code=1)


def test_without_its_libraries_a_scheme_says_what_to_install(monkeypatch, tmp_path):
    for library in ("tensorflow_io", "s3fs", "adlfs"):
        monkeypatch.setitem(sys.modules, library, None)
    for scheme in ("s3", "az", "hdfs"):
        invoke("prepare", f"{scheme}://bucket/sounds", tmp_path / "out").one_line(
            f"{scheme}:// needs tensorflow-io", "pip install tensorflow==2.17.* tensorflow-io==0.37.1", code=1)
    assert not storage.needs_hard_exit()


def test_outputs_that_must_be_local_and_unknown_schemes_are_refused(tmp_path):
    invoke("generate", "pretrained:drums", "--out", "s3://bucket/sounds").one_line(
        "s3://bucket/sounds cannot be used as --out: give a local path", code=2)
    invoke("prepare", "ftp://host/sounds", tmp_path / "out").one_line("unknown scheme ftp://", "s3://", code=2)


def test_remote_paths_are_like_paths():
    place = storage.path("s3://bucket/runs/a/")
    assert (str(place), place.name, place.suffix) == ("s3://bucket/runs/a", "a", "")
    assert str(place / "checkpoints" / "best.npz") == "s3://bucket/runs/a/checkpoints/best.npz"
    assert (place / "best.npz").suffix == ".npz"
    assert list(map(str, place.parents)) == ["s3://bucket/runs", "s3://bucket"]
    assert storage.path("S3://bucket").uri == "s3://bucket/"
    assert RemotePath("https://host/kick.wav?key=a.b").name == "kick.wav"
    assert storage.path(place) is place
    assert storage.path("sounds") == Path("sounds")
    assert not storage.is_remote("pretrained:drums")
    with pytest.raises(TypeError):  # not mistaken for a local path
        Path(place)


def test_remote_folders_overlap_by_name():
    assert overlap("s3://bucket/a", "s3://bucket/a/b/c")
    assert not overlap("s3://bucket/a", "s3://bucket/ab")
    assert not overlap("s3://bucket/a", "local/a")


def test_unreachable_training_sounds_are_ignored(monkeypatch):
    monkeypatch.setattr(backend, "RETRY_PAUSES", ())
    monkeypatch.setattr(RunDirectory, "exists", lambda self: True)
    monkeypatch.setattr(RunDirectory, "record", lambda self: {"data": {"folder": "http://127.0.0.1:9/shards"}})
    assert training_folder("run", "reference") is None


def test_a_permanent_failure_is_waited_for_only_once(monkeypatch):
    slept = []
    monkeypatch.setattr(backend.time, "sleep", slept.append)
    for count in (3, 3):
        with contextlib.suppress(MelGANError):
            storage.path("http://127.0.0.1:9/x").exists()
        assert len(slept) == count
