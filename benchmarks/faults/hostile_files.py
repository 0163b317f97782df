"""Kind 5: hostile files outside audio, through the commands that read them."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import belongings
import commands
import numpy as np
from belongings import Belongings
from hostile_values import TEXTS, archives, arrays, mutated, text_of, torch_files
from outcome import Outcome

from melgan_tf.data import tfrecord

MAX_MEGABYTES, MAX_SECONDS = 1_500, 60
_BRIEF = ("--steps", 7, "--no-xla", "--quiet", "--set", "training.batch_size=8")
Case = tuple[str, Callable[[Path], tuple[object, ...]]]


def run(numbers: range, seed: int, outcome: Outcome, folder: Path, only: str | None = None) -> None:
    """Puts each file in the place of a good one and runs a command that reads it."""
    commands.load()
    ours = belongings.make(folder / "whole")
    canary = folder / "canary"
    found = list(cases(ours, canary, np.random.default_rng(seed)))
    order = np.random.default_rng(seed).permutation(len(found))
    for number in numbers if only is None else range(len(found)):
        name, prepare = found[order[number % len(found)]]
        if only not in (None, name):
            continue
        place = folder / "case"
        belongings.copy(ours.folder, place)
        arguments = prepare(place)
        ended = commands.run(*arguments, seconds=MAX_SECONDS, cwd=place)
        outcome.megabytes = max(outcome.megabytes, ended.megabytes)
        fault = ended.fault or ("memory" if ended.megabytes > MAX_MEGABYTES else "") or (
            "executed" if canary.exists() else "")
        canary.unlink(missing_ok=True)
        if fault:
            outcome.failed(fault, name, command=" ".join(map(str, arguments)), code=ended.code,
                           stderr=ended.stderr[-2500:], megabytes=round(ended.megabytes), seconds=ended.seconds)
        else:
            outcome.held("refused" if ended.code else "did no harm")


def cases(ours: Belongings, canary: Path, rng: np.random.Generator) -> Iterator[Case]:
    """All cases: a name, and what puts the file in place and says which command to run."""
    yield from _json_cases(ours, rng)
    for name, content in arrays(canary).items():
        yield f"npy: {name}", _put("mel.npy", content, ("vocode", "mel.npy", "--out", "out", "--quiet"))
    whole = (ours.run / "checkpoints" / "step-00000006.npz").read_bytes()
    for index, (name, content) in enumerate(archives(whole, canary).items()):
        command = (("generate", "run", "--out", "out", "--count", 1, "--vocoder", "griffin-lim", "--quiet"),
                   ("info", "run/checkpoints/step-00000006.npz"),
                   ("export", "run", "--out", "out", "--checkpoint", "best"),
                   ("train", "sounds", "--run-dir", "run", *_BRIEF))[index % 4]
        yield f"npz: {name}", _put(("run/checkpoints/step-00000006.npz", "run/checkpoints/best.npz"), content, command)
    for name, content in torch_files(canary).items():
        yield f"pt: {name}", _put("netG.pt", content, ("import-torch", "netG.pt", "--out", "imported"))
    for name, content in _records(ours).items():
        yield f"TFRecord: {name}", _put_shard(content)
    for name, content in (("empty", b""), ("text", b"hello"), ("zeros", bytes(5000)),
                          ("random", rng.bytes(5000)), ("TFL3", b"\x1c\0\0\0TFL3" + rng.bytes(3000))):
        yield f"tflite: {name}", _put("x.tflite", content, ("info", "x.tflite"))
        yield f"SavedModel: {name}", _put("model/saved_model.pb", content, ("info", "model"))


def _put(targets: str | tuple[str, ...], content: bytes, command: tuple[object, ...]
         ) -> Callable[[Path], tuple[object, ...]]:
    def prepare(place: Path) -> tuple[object, ...]:
        for target in (targets,) if isinstance(targets, str) else targets:
            (place / target).parent.mkdir(parents=True, exist_ok=True)
            (place / target).unlink(missing_ok=True)
            (place / target).write_bytes(content)
        return command
    return prepare


def _json_cases(ours: Belongings, rng: np.random.Generator) -> Iterator[Case]:
    generate = ("generate", "run", "--out", "out", "--count", 1, "--vocoder", "griffin-lim", "--quiet")
    resume, shards = ("train", "sounds", "--run-dir", "run", *_BRIEF), ("train", "shards", "--run-dir", "new", *_BRIEF)
    prepare = ("prepare", "sounds", "shards", "--workers", 1, "--shard-size", 4, "--quiet")
    readers = {"run/config.json": (("info", "run"), generate, resume, ("info", "run", "--json")),
               "config.json": ((*shards, "--config", "config.json"),),
               "shards/index.json": ((*shards, "--config", "config.json"), ("info", "shards")),
               "shards/.prepare/settings.json": (prepare,), "shards/.prepare/00001.json": (prepare,)}
    for file, read in readers.items():
        whole = json.loads((ours.folder / file).read_text())
        for index, text in enumerate(TEXTS):
            yield f"{file}: text {index}", _put(file, text, read[index % len(read)])
        for index in range(60):
            record, where = mutated(whole, rng)
            yield f"{file}: {index} {where}", _put(file, text_of(record), read[index % len(read)])
    for index, text in enumerate(TEXTS):
        yield f"lock: text {index}", _put("run/.lock", text, resume)
        yield f"history.csv: text {index}", _put("run/history.csv", text, resume)


def _records(ours: Belongings) -> dict[str, bytes]:
    """Shards with right checksums and wrong contents, and the other way round."""
    whole = (ours.shards / "shard-00000.tfrecord").read_bytes()
    good = next(iter(tfrecord.read_records(ours.shards / "shard-00000.tfrecord")))

    def messages(*contents: bytes) -> bytes:
        return b"".join(tfrecord.frame(content) for content in contents)

    parsed = tfrecord.parse_example(good)
    return {
        "empty": b"", "text": b"hello", "zeros": bytes(1000), "empty message": messages(b""),
        "endless varint": messages(b"\xff" * 1000), "a length of 2^63": messages(b"\x0a" + b"\xff" * 9 + b"\x01"),
        "a wrong kind": messages(b"\x0a\x05\x0a\x03\x0a\x01a"), "a group": messages(b"\x0b\x0c"),
        "length 2^62": struct.pack("<Q", 2**62) + bytes(100),
        "its checksum is right, its length 2^40": _framed_length(2**40) + bytes(100), "cut": whole[:-100],
        "twice": whole + whole, "one flipped": whole[:100] + bytes((whole[100] ^ 1,)) + whole[101:],
        **{f"without {key}": messages(tfrecord.example({k: v for k, v in parsed.items() if k != key}))
           for key in parsed},
        "numbers as bytes": messages(tfrecord.example({**parsed, "audio": 3})),
        "a name with control characters": messages(*[tfrecord.example({**parsed, "name": b"\x1b[2J\x07"})] * 4),
        "a name that is not UTF-8": messages(*[tfrecord.example({**parsed, "name": b"\xff\xfe"})] * 4),
        "a label with control characters": messages(*[tfrecord.example({**parsed, "label": b"\x1b[2J\x07"})] * 4),
        "a label that is not UTF-8": messages(*[tfrecord.example({**parsed, "label": b"\xff"})] * 4),
        "short audio": messages(*[tfrecord.example({**parsed, "audio": b"abc"})] * 4),
        "much audio": messages(*[tfrecord.example({**parsed, "audio": bytes(50_000_000)})] * 4),
        "no audio": messages(*[tfrecord.example({**parsed, "audio": b""})] * 4),
    }


def _framed_length(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", _masked(packed))


def _masked(content: bytes) -> int:
    import google_crc32c

    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _put_shard(content: bytes) -> Callable[[Path], tuple[object, ...]]:
    """A shard in place of the first one, with an index that agrees with it."""
    def prepare(place: Path) -> tuple[object, ...]:
        file = place / "shards" / "shard-00000.tfrecord"
        file.write_bytes(content)
        index = json.loads((place / "shards" / "index.json").read_text())
        index["shards"][0] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (place / "shards" / "index.json").write_text(json.dumps(index))
        return ("train", "shards", "--run-dir", "new", "--config", "config.json", *_BRIEF)
    return prepare
