"""Generates what the documentation must not say twice: the configuration, preset tables, benchmark figures.

In a page, a line ``{{ name argument ... }}`` is replaced by what the function of that name returns.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import typing
from pathlib import Path

from melgan_tf.config import Config, presets, registry, to_dict

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
sys.path.append(str(ROOT / "benchmarks"))

import results  # noqa: E402  a folder of scripts, not a package


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replaces the macros of a page."""
    return re.sub(r"^\{\{ (\w+)(.*?) \}\}$", lambda match: MACROS[match[1]](*match[2].split()), markdown,
                  flags=re.MULTILINE)


def configuration() -> str:
    """Every key of a configuration with its type, default and meaning."""
    sections = [_section(f"`{name}`", cls, name) for name, cls in _parts(Config) if name != "model"]
    sections += [_section(f"`model` of kind `{kind}`", family.config, "model")
                 for kind, family in registry.families().items()]
    return "\n\n".join(sections)


def _parts(cls: type) -> list[tuple[str, type]]:
    return [(name, hint) for name, hint in typing.get_type_hints(cls).items() if dataclasses.is_dataclass(hint)]


def _section(title: str, cls: type, prefix: str) -> str:
    described = _attributes(cls.__doc__ or "")
    rows = [f"| `{prefix}.{field.name}` | {_default(field)} | {described.get(field.name, '')} |"
            for field in dataclasses.fields(cls) if not dataclasses.is_dataclass(_value(field))]
    nested = [_section(f"`{prefix}.{field.name}`", type(_value(field)), f"{prefix}.{field.name}")
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
                        f"{record['note']}*"])


MACROS = {"configuration": configuration, "preset": preset, "preset_table": preset_table, "figures": figures}
