"""Generates what the documentation must not say twice: the configuration, preset tables, benchmark figures.

In a page, a line ``{{ name argument ... }}`` is replaced by what the function of that name returns.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
import typing
from pathlib import Path

from melgan_tf.cli.main import main
from melgan_tf.config import Config, presets, registry, to_dict

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
WEIGHTS = ROOT / "melgan_tf" / "weights"
sys.path += [str(ROOT / "benchmarks"), str(ROOT / "docs")]

import results  # noqa: E402  folders of scripts, not packages
from listen import Gallery  # noqa: E402

GALLERY = Gallery()


def on_startup(**_: object) -> None:
    """mkdocs-click does not show the examples of a command: they become a part of its description."""
    for name in main.list_commands(None):
        command = main.get_command(None, name)
        lines = inspect.cleandoc(command.epilog.partition("Examples:")[2])
        command.help += f"\n\n```sh\n{lines}\n```"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replaces the macros of a page."""
    return re.sub(r"^\{\{ (\w+)(.*?) \}\}$", lambda match: MACROS[match[1]](*match[2].split()), markdown,
                  flags=re.MULTILINE)


def on_page_content(html: str, **_: object) -> str:
    """mkdocs-click writes an option's missing default by the name that click has for it."""
    return html.replace("<code>Sentinel.UNSET</code>", "")


def on_post_build(config: dict, **_: object) -> None:
    """The sounds of the page "Listen" go beside it."""
    GALLERY.write(Path(config["site_dir"]))


def configuration() -> str:
    """Every key of a configuration with its type, default and meaning."""
    sections = [_section(f"`{name}`", cls, name) for name, cls in _parts(Config) if name != "model"]
    sections += [_section(f"`model` of kind `{kind}`", family.config, "model", f" of kind `{kind}`")
                 for kind, family in registry.families().items()]
    return "\n\n".join(sections)


def _parts(cls: type) -> list[tuple[str, type]]:
    return [(name, hint) for name, hint in typing.get_type_hints(cls).items() if dataclasses.is_dataclass(hint)]


def _section(title: str, cls: type, prefix: str, of: str = "") -> str:
    described = _attributes(cls.__doc__ or "")
    rows = [f"| `{prefix}.{field.name}` | {_default(field)} | {described.get(field.name, '')} |"
            for field in dataclasses.fields(cls) if not dataclasses.is_dataclass(_value(field))]
    nested = [_section(f"`{prefix}.{field.name}`{of}", type(_value(field)), f"{prefix}.{field.name}")
              for field in dataclasses.fields(cls) if dataclasses.is_dataclass(_value(field))]
    summary = (cls.__doc__ or "").split("\n\n")[0].strip()
    table = "| key | default | meaning |\n|---|---|---|\n" + "\n".join(rows)
    return "\n\n".join([f"## {title}", summary, table, *nested])


def _value(field: dataclasses.Field) -> object:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def _default(field: dataclasses.Field) -> str:
    return f"`{json.dumps(_value(field), default=list)}`"


def _attributes(docstring: str) -> dict[str, str]:
    """The Attributes section of a Google-style docstring; several names may share a line."""
    found: dict[str, str] = {}
    section = docstring.partition("Attributes:\n")[2].partition("\n\n")[0]
    for entry in re.split(r"\n(?=        \w)", section):
        names, _, text = " ".join(entry.split()).partition(": ")
        found |= {name.strip(): text for name in names.split(",")}
    return found


def preset(name: str) -> str:
    """What a preset is for, and its configuration."""
    values = json.dumps(to_dict(presets.get(name)), indent=2)
    return (f"{presets.description(name)}\n\n??? note \"Configuration of `{name}`\"\n\n    ```json\n"
            + "\n".join(f"    {line}" for line in values.splitlines()) + "\n    ```")


def preset_table() -> str:
    """All presets with what they are for."""
    rows = [f"| `{name}` | {presets.description(name)} |" for name in presets.names()]
    return "| preset | what it is |\n|---|---|\n" + "\n".join(rows)


def figures(name: str, table: str = "") -> str:
    """Tables of ``benchmarks/results/<name>.json`` with machine, date and command; see ``benchmarks/results.py``."""
    file = RESULTS / f"{name}.json"
    if not file.exists():
        return "*Not measured yet.*"
    record = json.loads(file.read_text(encoding="utf-8"))
    tables = [record["tables"][table]] if table else list(record["tables"].values())
    machine = record["machine"]
    return "\n\n".join([*(results.markdown(content) for content in tables),
                        f"*`{record['command']}`, {machine['processor']}, {machine['cores']} cores, {record['date']}. "
                        f"{record.get('note', '')}*"])


def vocoder_quality() -> str:
    """Copies of held-out sounds by the shipped vocoders and by Griffin-Lim, from the vocoders' cards."""
    shown = {"log_mel_l1": "log mel, dB", "stft": "multi-resolution STFT", "onset_error": "onset, first 20 ms, dB",
             "edge_click": "clicks at the ends, of peak", "frame_rate_buzz": "frame-rate buzz, dB"}
    cards = {name: json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))["figures"]
             for name in ("vocoder-16k", "vocoder-22k", "vocoder-44k")}
    head = ["sounds", *(title for name in cards for title in (name, "Griffin-Lim"))]
    rows = [[f"{folder.partition('/')[0]}: {title}", *(f"{cards[name][folder][which][key]:.3g}" for name in cards
                                                      for which in ("vocoder", "griffin-lim 32"))]
            for folder in ("drums/valid", "music/valid") for key, title in shown.items()]
    return results.markdown({"columns": head, "rows": rows})


def sound_quality() -> str:
    """The shipped sound models against held-out sounds, beside real against real, from their cards."""
    shown = ("frechet", "frechet_infinity", "kad", "precision", "recall", "density", "coverage")
    rows = []
    for name in ("drums", "drums-44k", "music"):
        figures = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))["figures"]["valid"]
        for embedding in ("drum-classes-2", "log-spectra-1", "log-mel-statistics-2"):
            for which, title in (("generated", f"`pretrained:{name}`"), ("floor", "real against real")):
                if embedding in figures:
                    rows.append([title, embedding, *(f"{figures[embedding][which][key]:.3g}" for key in shown)])
    return results.markdown({"columns": ["sounds", "embedding", *shown], "rows": rows})


def reconstruction_quality() -> str:
    """What the encoder of `music` reconstructs, which was trained beside a finished generator, from its card."""
    training = json.loads((WEIGHTS / "music.json").read_text(encoding="utf-8"))["training"]
    train, valid = training["figures"]["train"], training["figures"]["valid"]
    row = [training["steps"], training["discriminator_steps"], train["reconstruction"], train["noise"],
           valid["reconstruction"], valid["noise"], round(valid["kl"], 1)]
    return results.markdown({"columns": ["steps", "of the discriminator", "training sounds", "noise", "held-out sounds",
                                         "noise", "KL, held-out"], "rows": [row]})


MACROS = {"listen": GALLERY.page, "vocoder_quality": vocoder_quality, "sound_quality": sound_quality,
          "reconstruction_quality": reconstruction_quality,
          "configuration": configuration, "preset": preset, "preset_table": preset_table, "figures": figures}
