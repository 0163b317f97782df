"""The page of loops and textures, as Chromium shows it: windows joined to what Python makes in one piece."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from browser import needs_browser
from chromium import CONTRAST, Chromium

import melgan_tf as mt
from melgan_tf.exports.page_server import serve_folder
from melgan_tf.inference.long_sounds import StreamRenderer

pytestmark = [needs_browser, pytest.mark.nightly]


def decibels(made, expected):
    """How near two sounds are, at equal peaks: files have equal peaks."""
    made, expected = (values / np.abs(values).max() for values in (np.array(made), expected))
    return 10 * np.log10((expected**2).sum() / ((made - expected) ** 2).sum())


@pytest.fixture
def opened(tmp_path):
    """Opens a page of a model."""
    browser = Chromium(tmp_path / "profile")
    with contextlib.ExitStack() as stack:
        def open_page(model, **options):
            mt.export(model, tmp_path / "page", format="web", **options)
            browser.look(390, 844)
            browser.open(stack.enter_context(serve_folder(tmp_path / "page")))
            return browser

        yield open_page
        assert browser.complaints == []
        browser.close()


def made(browser, **values):
    sound = {"label": None, "seed": 7, "direction": 0, "percent": 0, "seconds": 10, "loop": False} | values
    return browser.run(f"""const {{ samplesOf }} = await import("./player.js");
                           return Array.from(await samplesOf({json.dumps(sound)}))""")


def test_music_of_any_length_and_its_loops_are_those_of_python(opened):
    model = mt.load("pretrained:music")
    browser = opened(model)
    for seconds, loop, percent in ((10, False, 0), (6, True, 0), (12, True, 40), (2, False, 40), (3, True, 0)):
        recipe = model.recipe(7, 0).vary(percent / 100, 2) if percent else model.recipe(7, 0)
        length = model.sampler.length(seconds, loop)
        expected = StreamRenderer(model.sampler, length).generate([recipe.latent])["audio"][0]
        samples = made(browser, seconds=seconds, loop=loop, percent=percent, direction=2)
        assert len(samples) == length.samples
        assert decibels(samples, expected) > 60, (seconds, loop, percent)
    assert browser.run(CONTRAST) == []


def test_loops_have_any_tempo(opened):
    model = mt.load("pretrained:loops")
    browser = opened(model, bpm=124.0)
    for label, bpm, swing in ((0, 124, 0), (len(model.classes) - 1, 90, 50)):
        samples = made(browser, label=label, percent=30, direction=1, bpm=bpm, swing=swing)
        recipe = model.recipe(7, 0, model.classes[label]).vary(0.3, 1)
        assert len(samples) == round(8 * 60 / bpm * 22_050)
        assert decibels(samples, model.asked(bpm=bpm, swing=swing / 100).render([recipe])["audio"][0]) > 60
    assert "at 83 to 300 BPM" in browser.run('return document.getElementById("facts").textContent')
    browser.run("""document.querySelector("#run").click();
                   document.querySelector("#vary").click()""")
    browser.wait("document.querySelector('#view').ariaBusy === 'false'")
    assert "&v=30&" in browser.run("return location.hash")
    browser.run('document.querySelector("#undo").click()')
    assert "&v=0&" in browser.run("return location.hash")
