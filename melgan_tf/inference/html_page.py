"""A page to hear sounds in a browser: a card a sound, favorites, and a map if the sounds have places.

One file of HTML that needs no network. What it shows comes as JSON, and only its own script runs.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from string import Template
from typing import Any
from urllib.parse import quote

import numpy as np

from melgan_tf.dsp.spectrogram_image import LEVELS, MAGMA
from melgan_tf.errors import html_text, visible

#: The most sounds on a page.
MAX_SOUNDS = 5_000

#: The command that makes a generated sound again.
AGAIN = "melgan-tf regenerate {} --out again"

_LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "S1")
_CONTENT_OF_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


@dataclass(frozen=True)
class Sound:
    """A sound on a page.

    Attributes:
        file: its path from the page, with ``/``.
        picture: its spectrogram, as `melgan_tf.dsp.spectrogram_image.small_image` makes it.
        seconds: length of the picture.
        label: class, or another group; "" if there are none.
        name: shown; by default the file's.
        note: what else is to be said.
        mark: short, on the picture, as in "yours".
        values: ``brightness`` and ``pitch`` in Hz, ``length`` in seconds, ``loudness`` in dB: what can be sorted by.
        place: on the map, from 0 to 1, to the right and up.
        loop: whether it is a loop.
        content: of the file, if the page is to have it: a loop from disk has no gap only then.
        again: command that makes it again, with ``{}`` for the name; by default that of the page.
        beside: another sound to compare it with, on the same card.
    """

    file: str
    picture: np.ndarray
    seconds: float
    label: str = ""
    name: str = ""
    note: str = ""
    mark: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    place: tuple[float, float] | None = None
    loop: bool = False
    content: bytes = b""
    again: str = ""
    beside: Sound | None = None

    def to_json(self) -> dict[str, Any]:
        """What the page's script reads."""
        found = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        del found["content"]
        found |= {"file": quote(self.file, errors="replace"), "picture": _LETTERS[self.picture].tobytes().decode(),
                  "seconds": round(self.seconds, 4), "name": visible(self.name or self.file),
                  "values": {name: round(float(value), 4) for name, value in self.values.items()},
                  "place": self.place and [round(float(value), 4) for value in self.place],
                  "beside": self.beside and self.beside.to_json(),
                  **{name: visible(found[name]) for name in ("label", "note", "mark", "again")}}
        if self.content:
            found["data"] = "data:audio/wav;base64," + base64.b64encode(self.content).decode()
        return {name: value for name, value in found.items() if value not in ("", None, {}, False)}


def sound_page(title: str, facts: str, sounds: Sequence[Sound], hertz: Sequence[tuple[float, str]], *,
               again: str = AGAIN, folder: str = ".", hint: str = "") -> str:
    """The HTML of a page. It refers to the sounds by relative names and needs no network.

    Args:
        title: heading.
        facts: a line below.
        sounds: all pictures of one height.
        hertz: ticks of the frequency axis: place from 0 (bottom) to 1, and text.
        again: command for a sound, with ``{}`` for its name.
        folder: where `melgan-tf explore --favorites` finds the sounds by their names.
        hint: below the map.
    """
    entries = [sound.to_json() for sound in sounds]
    colors = MAGMA[np.linspace(0, 255, LEVELS).round().astype(int)]
    data = {"id": hashlib.sha256(json.dumps([title, *(one["name"] for one in entries)]).encode()).hexdigest()[:12],
            "palette": colors.tobytes().hex(), "rows": sounds[0].picture.shape[0], "hertz": list(hertz),
            "again": again, "copy": f"melgan-tf explore {folder} --favorites favorites.txt --out favorites",
            "hint": visible(hint), "sounds": entries}
    page, style, script = ((resources.files(__package__) / f"page.{kind}").read_text("utf-8")
                           for kind in ("html", "css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template(page).substitute(title=html_text(title), facts=html_text(facts), style=style, script=script,
                                     hash=f"sha256-{digest}", data=json.dumps(data).translate(_CONTENT_OF_SCRIPT))
