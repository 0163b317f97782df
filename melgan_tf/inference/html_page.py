"""A page to listen to a folder of sounds in a browser: their picture, and a player for each."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from melgan_tf.errors import html_text

_STYLE = """
body { background: #15151a; color: #d8d8e0; font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem;
       padding: 0 1rem }
img { max-width: 100% }
section { display: grid; gap: .5rem 1rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)) }
figure { margin: 0 }
figcaption { font-size: .85rem; overflow-wrap: anywhere }
audio { height: 2rem; width: 100% }
"""


def listening_page(record: dict[str, Any], picture: str, of: int | None = None) -> str:
    """The HTML of the page. It refers to the files beside it by relative names and needs no network.

    Args:
        record: the content of sounds.json.
        picture: file name of the spectrograms.
        of: the number of all sounds, if the record has only the first ones.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for sound in record["sounds"]:
        groups.setdefault(sound.get("label", ""), []).append(sound)
    count = len(record["sounds"])
    shown = f"{count} sounds" if of in (None, count) else f"the first {count} of {of} sounds"
    about = f"{shown}, preset {record['preset']}, {record['sample_rate']} Hz"
    parts = [f"<h2>{html_text(label)}</h2>" * bool(label) + "<section>" + "".join(map(_player, sounds)) + "</section>"
             for label, sounds in sorted(groups.items())]
    return ("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width\">"
            f"<title>{html_text(about)}</title><style>{_STYLE}</style></head>\n<body><h1>{html_text(about)}</h1>\n"
            f"<img src=\"{quote(picture)}\" alt=\"mel spectrograms of the sounds, time to the right\">\n"
            + "\n".join(parts) + "\n</body></html>\n")


def _player(sound: dict[str, Any]) -> str:
    file = quote(sound["file"], errors="replace")
    return (f"<figure><figcaption>{html_text(sound['file'])}</figcaption>"
            f"<audio controls preload=\"none\" src=\"{file}\"></audio></figure>")
