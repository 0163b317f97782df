"""What a page is told of its model, where it is written, and how it is served; the page itself: `test_drum_machine`."""

from __future__ import annotations

import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest
from command_line import invoke

import melgan_tf as mt
from melgan_tf.exports import web
from melgan_tf.exports.page_server import serve_folder

ORIGIN = {"preset": "drums", "step": 7, "weights": "0123", "sample_rate": 16_000, "samples": 8_000, "noise_dim": 20,
          "vocoder": {"name": "griffin-lim"}, "makes": "one-shots", "source": "/runs/mine", "asked": {}}


def facts(*classes):
    return web.facts(SimpleNamespace(origin=ORIGIN | ({"classes": list(classes)} if classes else {})))


def test_every_class_has_a_pad_in_the_order_of_drum_kits():
    names = ("clap", "cymbal", "hat", "kick", "perc", "rim", "snare", "tom")
    found = facts(*names)
    assert [names[pad] for pad in found["pads"]] == ["kick", "snare", "clap", "rim", "hat", "tom", "cymbal", "perc"]
    assert [one["note"] for one in found["classes"]] == [39, 49, 42, 36, 75, 37, 38, 45]
    assert [one["choke"] for one in found["classes"]] == [0, 0, 1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("classes", "pads"), [
    ((), [None] * 8), (("bell",), [0] * 8), (("bell", "kick", "gong"), [1, 0, 2, 1, 0, 2, 1, 0]),
    (tuple(f"class {number}" for number in range(20)), list(range(8)))])
def test_models_of_any_number_of_classes_have_eight_pads(classes, pads):
    assert facts(*classes)["pads"] == pads


def test_names_of_classes_become_names_of_files():
    found = facts("<b>Große/Glocke</b>", "../../kick")["classes"]
    assert [one["stem"] for one in found] == ["b_Groe_Glocke_b", "kick"]
    assert found[0]["name"] == "<b>Große/Glocke</b>"


def test_a_page_does_not_tell_where_its_run_lies():
    found = facts("kick")
    assert (found["title"], found["source"]) == ("mine", "mine")
    assert "/runs" not in str(found)


def test_folders_that_are_no_pages_are_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    ended = invoke("export", "pretrained:drums", "--out", tmp_path / "mine", "--format", "web", "--force")
    ended.one_line("mine exists and is no page of a model", "--out", code=2)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_vocoders_have_no_page(tmp_path):
    invoke("play", "vocoder-16k", "--no-open").one_line("vocoder-16k is a vocoder", code=2)
    with pytest.raises(mt.MelGANError, match="a vocoder makes no sounds of its own"):
        mt.export("vocoder-16k", tmp_path / "page", format="web")
    assert not (tmp_path / "page").exists()


@pytest.mark.slow
def test_a_folder_is_served_to_this_machine_and_nothing_above_it(tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "secret").write_text("no")
    for name, kind in (("index.html", "text/html; charset=utf-8"), ("a.js", "text/javascript"),
                       ("a.wasm", "application/wasm"), ("model.tflite", "application/octet-stream")):
        (tmp_path / "page" / name).write_text(name)
        with serve_folder(tmp_path / "page") as address, urllib.request.urlopen(address + name) as answer:
            assert (answer.read().decode(), answer.headers["Content-Type"]) == (name, kind)
            assert answer.headers["Cache-Control"] == "no-cache"
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(address + "../secret")


def test_what_is_neither_a_page_nor_a_model_is_said(tmp_path):
    invoke("play", tmp_path, "--no-open").one_line("is not a run directory", code=2)
    invoke("play", "pretrained:drum", "--no-open").one_line("did you mean 'pretrained:drums'", code=2)
    invoke("play", "file:///none", "--no-open").one_line("unknown scheme file://", code=2)


def test_browsers_that_go_away_are_no_errors(tmp_path, capfd):
    (tmp_path / "model.tflite").write_bytes(bytes(50_000_000))
    with serve_folder(tmp_path) as address:
        for _ in range(3):
            with urllib.request.urlopen(address + "model.tflite") as answer:
                answer.read(10)
        with urllib.request.urlopen(address + "model.tflite") as answer:
            assert len(answer.read()) == 50_000_000
    assert capfd.readouterr() == ("", "")


def test_a_port_that_is_taken_is_said(tmp_path):
    with serve_folder(tmp_path) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        taken = serve_folder(tmp_path, port)
        with pytest.raises(mt.MelGANError, match=f"port {port} cannot be served: .*--port"), taken:
            pass
