"""Files that want something: deep, huge, lying or scheming JSON, arrays, archives, pickles, records."""

from __future__ import annotations

import copy
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

#: Texts in place of a JSON file.
TEXTS = (
    b"[" * 100_000, b'{"config":' * 50_000, b"9" * 6_000, b'{"config": ' + b"1" * 5_000 + b"}", b'{"config": 1e999}',
    b"NaN", b'"\\ud800"', b'{"\\ud800": 1}', b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"\0" * 1000, b"", b"null",
    b"0", b'"' + b"x" * 1_000_000, b'{"config": {"training": {"steps": 1, "steps": 2}}}', b"\xff" * 100,
    b'{"\x1b[2J": 1}', b"{}{}", b"[1,", b'{"config": [[[[[[]]]]]]}', b"-" * 50, b"tru", b"'single'")
#: Values in place of one of a JSON file.
VALUES = (
    None, True, False, -1, 0, 1, 3, 10**8, 10**30, 2**31, 2**63, 0.5, 1e308, -1e308, float("inf"), float("nan"), "",
    "\x1b]0;owned\x07\x1b[2J", "../../../tmp/x", "/etc/passwd", "\ud800", "a\nb\r\nmelgan-tf: all is well", "9" * 5_000,
    [], {}, [[]], [1, 2], {"a": {"b": {}}}, "<script>alert(1)</script>", "__import__('os').system('true')", "\0",
    [0] * 1000, "drums", "s3://nowhere/x", 10**400)


def mutated(record: Any, rng: np.random.Generator) -> tuple[Any, str]:
    """A copy of a JSON value in which one to three values are replaced, lost or given twice; and where."""
    changed, where = copy.deepcopy(record), []
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        places = [(parent, key, path) for parent, key, path in _places(changed, "")]
        parent, key, path = places[rng.integers(len(places))]
        value = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
        what = rng.random()
        if what < 0.8:
            parent[key] = value
        elif isinstance(parent, dict):
            parent.pop(key)
        else:
            parent.append(copy.deepcopy(parent[key]))
        where.append(f"{path}={value!r:.40}" if what < 0.8 else f"{path} lost or twice")
    return changed, "; ".join(where)


def _places(value: Any, path: str) -> list[tuple[Any, Any, str]]:
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        found += [(value, key, f"{path}.{key}"), *_places(inner, f"{path}.{key}")]
    return found


def text_of(record: Any) -> bytes:
    """JSON as Python writes it, with NaN and Infinity, and lone surrogates escaped."""
    return json.dumps(record, default=str).encode()


def arrays(canary: Path) -> dict[str, bytes]:
    """Hostile ``.npy`` files."""
    def header(text: str, version: int = 1, length: int | None = None, body: bytes = bytes(64)) -> bytes:
        written = text.encode("latin-1", "replace")
        size = struct.pack("<H" if version == 1 else "<I", (len(written) if length is None else length) & 0xFFFFFFFF
                           if version > 1 else (len(written) if length is None else length) & 0xFFFF)
        return b"\x93NUMPY" + bytes((version, 0)) + size + written + body

    def described(descr: str, shape: object, order: object = False) -> str:
        return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"

    scheming = io.BytesIO()
    np.save(scheming, np.array([Scheme(canary)], dtype=object), allow_pickle=True)
    found = {f"shape {shape}": header(described("'<f4'", shape)) for shape in (
        "(1000000000000,)", "(-1, 80)", "(20, -80)", "(4294967296, 4294967296)", "(0, 80)", "(20, 0)", "()", "(80,)",
        "(1, 1, 1, 80)", "(20.5, 80)", "'(20, 80)'", "(True, 80)", "(9223372036854775807, 2)", "((20, 80),)",
        "(100000000, 80)", f"({'9' * 5000}, 80)")}
    found |= {f"type {descr}": header(described(descr, "(2, 2)")) for descr in (
        "'O'", "'|V8'", "'<M8[s]'", "'<U4'", "'|S8'", "[('a', '<f4')]", "'<c8'", "'|b1'", "'nonsense'", "3", "None",
        "'<f2'", "'>f4'", "[('a', 'O')]", "'<f4,' * 1000", "('<f4', (1000000, 1000000))")}
    found |= {
        "header of code": header("__import__('os').system('true')\n"), "header without end": header("{'descr': "),
        "deep header": header("(" * 5000 + ")" * 5000 + "\n", 2), "long header": header("{}", 2, 0xFFFFFFF0),
        "version 9": b"\x93NUMPY\x09\0" + bytes(100), "only magic": b"\x93NUMPY", "keys missing": header("{}\n"),
        "more keys": header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), 'x': 1}\n"),
        "big header": header(described("'<f4'", "(2, 2)") + " " * 2_000_000, 2),
        "a pickle": pickle.dumps(Scheme(canary)), "a scheming object": scheming.getvalue(), "empty": b"",
        "text": b"hello\n" * 100, "no numbers": header(described("'<f4'", "(20, 80)"), body=b""),
    }
    for name, value in (("NaN", np.nan), ("infinite", np.inf), ("huge", 1e30), ("very low", -1e30)):
        file = io.BytesIO()
        np.save(file, np.full((20, 80), value, np.float32))
        found[name] = file.getvalue()
    return found


class Scheme:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return (open, (str(self.canary), "w"))


def archives(whole: bytes, canary: Path) -> dict[str, bytes]:
    """Hostile ``.npz`` files, made of a whole checkpoint."""
    with zipfile.ZipFile(io.BytesIO(whole)) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    some = next(name for name in members if name != "meta.npy")

    def packed(changed: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as archive:
            for name, content in changed.items():
                archive.writestr(name, content)
        return file.getvalue()

    def meta(text: str) -> bytes:
        file = io.BytesIO()
        np.save(file, np.array(text))
        return file.getvalue()

    zeros = b"\x93NUMPY\1\0" + struct.pack("<H", 118) + (b"{'descr': '<f4', 'fortran_order': False, 'shape': "
                                                         b"(500000000,), }").ljust(117) + b"\n"
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if name != some:
                archive.writestr(name, content)
        with archive.open(some, "w", force_zip64=True) as member:
            member.write(zeros)
            for _ in range(2000):
                member.write(bytes(1_000_000))
    lying = bytearray(whole)
    at = lying.index(b"PK\1\2")
    lying[at + 20:at + 28] = b"\xff" * 8
    found = {f"member {name}": packed({**members, some: content}) for name, content in arrays(canary).items()}
    found |= {f"meta {index}": packed({**members, "meta.npy": meta(text.decode("utf-8", "replace").replace("\0", "?"))})
              for index, text in enumerate(TEXTS)}
    found |= {
        "bomb": bomb.getvalue(), "sizes lie": bytes(lying), "no meta": packed({k: v for k, v in members.items()
                                                                              if k != "meta.npy"}),
        "a path": packed({**members, "../../../../tmp/melgan-owned.npy": members[some]}),
        "100,000 members": packed({f"m{number}.npy": b"" for number in range(100_000)}),
        "only meta": packed({"meta.npy": members["meta.npy"]}), "no members": packed({}),
        "a pickle": pickle.dumps(Scheme(canary)), "twice": whole + whole,
        "compressed": packed(members, zipfile.ZIP_LZMA),
        "not arrays": packed({**members, "readme.txt": b"hello"}), "cut": whole[:-40],
        "garbage before": b"x" * 999 + whole,
    }
    return found


def torch_files(canary: Path) -> dict[str, bytes]:
    """Hostile PyTorch checkpoints."""
    import torch

    def saved(value: object, **options: object) -> bytes:
        file = io.BytesIO()
        torch.save(value, file, **options)
        return file.getvalue()

    wide = torch.zeros(1).expand(10**9)
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved({"weight": torch.zeros(4)}))) as opened, \
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in opened.namelist():
            content = opened.read(name)
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
                if "/data/" in name:
                    for _ in range(1500):
                        member.write(bytes(1_000_000))
    names = [f"model.{n}.{part}" for n in range(40) for part in ("weight_g", "weight_v", "bias")]
    return {
        "scheme": saved({"model": Scheme(canary)}), "old scheme": saved({"model": Scheme(canary)},
                                                                        _use_new_zipfile_serialization=False),
        "pickle": pickle.dumps(Scheme(canary)), "a number": saved(3), "a list": saved([torch.zeros(3)]),
        "a tensor": saved(torch.zeros(3)), "expanded": saved({"model.1.weight_v": wide}),
        "bomb": file.getvalue(), "empty": b"", "text": b"hello\n" * 50, "empty dict": saved({}),
        "wrong names": saved({"a": torch.zeros(3)}), "numbers as names": saved({1: torch.zeros(3)}),
        "all the same": saved({name: torch.zeros(2, 2, 2) for name in names}),
        "zeros": saved({name: torch.zeros(0) for name in names}), "strings": saved(dict.fromkeys(names, "x")),
        "control": saved({"\x1b[2J\x07": torch.zeros(3)}), "sparse": saved({"a": torch.zeros(3, 3).to_sparse()}),
        "NaN": saved({"model.1.weight_g": torch.full((512, 1, 1), float("nan"))}), "half": saved(
            {"model.1.weight_v": torch.zeros(512, 80, 7, dtype=torch.float16)}),
        "integers": saved({"model.1.weight_v": torch.zeros(512, 80, 7, dtype=torch.int64)}),
        "complex": saved({"model.1.weight_v": torch.zeros(512, 80, 7, dtype=torch.complex64)}),
        "wide": saved({"model.1.weight_v": torch.zeros(1, 1, 1).expand(100_000, 10_000, 7)}),
    }
