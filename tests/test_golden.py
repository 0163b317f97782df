"""What users and files rely on, as it was recorded in ``tests/golden``: configurations, commands, names and sounds.

Everything is asked of the command line, so that modules may move. To record it again, on purpose::

    python tests/test_golden.py --write [NAME ...]
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import sys
import tempfile
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
import pytest
import shared_fixtures  # noqa: F401  sets TensorFlow up, also where this runs as a program
import soundfile
import tensorflow as tf
from click.testing import CliRunner

from melgan_tf import config, runtime, weights
from melgan_tf.cli.main import main
from melgan_tf.config import presets

GOLDEN = Path(__file__).parent / "golden"
#: One step of training at most; everything else is the preset's, so names and shapes are those of full size.
FAMILIES = {"spectrogram-gan": "seed", "frame-gan": "drums", "sequence-gan": "music", "loop-gan": "loops",
            "melgan": "melgan", "fast-vocoder": "vocoder-22k"}
ONE_STEP = ("--steps", 1, "--seed", 1, "--no-xla", "--quiet", "--set", "training.batch_size=8")
LOOP = "melgan_tf.training.loop.train"
GENERATED = {
    "drums": ("pretrained:drums",),
    "drums by griffin-lim": ("pretrained:drums", "--vocoder", "griffin-lim"),
    "drums-44k": ("pretrained:drums-44k",),
    "drums-44k by griffin-lim": ("pretrained:drums-44k", "--vocoder", "griffin-lim"),
    "music": ("pretrained:music", "--seconds", 1),
    "loops": ("pretrained:loops", "--bpm", 100, "--bars", 1, "--key", "Am"),
}
#: Sample rates of the vocoders whose copies of a sound are recorded.
VOCODED = {"vocoder-16k": 16_000, "vocoder-22k": 22_050, "vocoder-44k": 44_100}
#: Where rounding is another one: parts of a sound, and how far their root mean squares may be off, of the peak.
PARTS, TOLERANCE = 64, 1e-3
#: Griffin-Lim's phases amplify rounding: oneDNN held to AVX2 moves a part of the drums by 1.3e-3.
GRIFFIN_LIM_TOLERANCE = 5e-3


def invoke(*arguments: object) -> None:
    """Runs a command in this process."""
    with mock.patch.object(runtime, "start_tensorflow"):
        ended = CliRunner().invoke(main, list(map(str, arguments)), prog_name="melgan-tf", catch_exceptions=False)
    assert ended.exit_code == 0, ended.output


def tone(rate: int, seconds: float, hertz: float) -> np.ndarray:
    """A decaying note under a little noise, 16 bits."""
    time = np.arange(int(rate * seconds)) / rate
    noise = np.random.default_rng(round(hertz)).integers(-1_000, 1_000, len(time))
    return ((15_000 * np.sin(2 * np.pi * hertz * time) + noise) * np.exp(-3 * time)).round().astype(np.int16)


def write_sounds(folder: Path) -> Path:
    """Four notes of two seconds in each of two classes."""
    for label, hertz in (("high", 1_000), ("low", 100)):
        (folder / label).mkdir(parents=True)
        for index in range(4):
            soundfile.write(folder / label / f"{index}.wav", tone(22_050, 2.0, hertz + 20 * index), 22_050)
    return folder


def files(folder: Path) -> list[str]:
    """What lies in a folder at any depth; event files are called after time and machine."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(re.sub(r"tfevents\..*", "tfevents.*", name) for name in found)


def key_paths(values: Any, path: str = "") -> Iterator[str]:
    """The keys of nested JSON values, as ``sounds[].file``; kinds of operations are the converter's affair."""
    if isinstance(values, dict) and values and path != "ops":
        for key, value in values.items():
            yield from key_paths(value, f"{path}.{key}" if path else key)
    elif isinstance(values, list) and any(isinstance(value, (dict, list)) for value in values):
        for value in values:
            yield from key_paths(value, f"{path}[]")
    else:
        yield path


def keys(values: Any) -> list[str]:
    return sorted(set(key_paths(values)))


def keys_of(file: Path) -> list[str]:
    return keys(json.loads(file.read_text(encoding="utf-8")))


# -- what is recorded, each by a function that is given an empty folder ----------------------------------------------

def record_presets(_: Path) -> dict[str, Any]:
    known = {name: presets.get(name) for name in presets.names()}
    return {name: {"audio_fingerprint": preset.audio.fingerprint(), "config": config.to_dict(preset)}
            for name, preset in known.items()}


def record_commands(_: Path) -> dict[str, Any]:
    """Names, types, choices, bounds and defaults; no prose."""
    info = main.to_info_dict(click.Context(main, info_name="melgan-tf"))
    return {"melgan-tf": _parameters(info), **{name: _parameters(each) for name, each in info["commands"].items()}}


def _parameters(command: dict[str, Any]) -> dict[str, Any]:
    kept = ("param_type_name", "opts", "secondary_opts", "required", "nargs", "multiple", "is_flag", "count", "envvar",
            "hidden")
    of_type = ("name", "choices", "min", "max", "min_open", "max_open", "clamp", "exists", "file_okay", "dir_okay")
    return {parameter["name"]: {
        **{key: _plain(parameter[key]) for key in kept if key in parameter},
        # of a flag that is off, versions of click say False or nothing
        "default": None if parameter["default"] is False else _plain(parameter["default"]),
        "type": {key: _plain(parameter["type"][key]) for key in of_type if key in parameter["type"]},
    } for parameter in command["params"] if "--help" not in parameter["opts"]}  # click's own: depends on earlier calls


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) else None


def record_cards(_: Path) -> dict[str, Any]:
    folder = Path(weights.__file__).parent
    return {"files": [name for name in files(folder) if not name.endswith((".py", ".pyc"))],
            **{path.relative_to(folder).as_posix(): keys_of(path) for path in sorted(folder.rglob("*.json"))}}


def record_training(folder: Path, family: str) -> dict[str, Any]:
    run = folder / "run"
    # a step of the larger ones takes a minute; their checkpoints, of which the names are wanted, need none
    skipping = contextlib.nullcontext() if family == "spectrogram-gan" else mock.patch(LOOP)
    with skipping:
        invoke("train", write_sounds(folder / "sounds"), "--run-dir", run, "--preset", FAMILIES[family], *ONE_STEP)
    checkpoint, = (run / "checkpoints").glob("step-*.npz")
    with np.load(checkpoint) as archive:
        meta = json.loads(str(archive["meta"]))
        listing = {name: [*archive[name].shape, str(archive[name].dtype)] for name in sorted(archive.files)
                   if name != "meta"}
    assert config.to_dict(presets.get(FAMILIES[family]))["model"]["kind"] == family
    return {"preset": FAMILIES[family], "options": " ".join(map(str, ONE_STEP)), "files": files(run),
            "config.json": keys_of(run / "config.json"), "meta": keys(meta),
            "history.csv": (run / "history.csv").read_text(encoding="utf-8").splitlines()[0],
            "variables_sha256": hashlib.sha256(json.dumps(listing).encode()).hexdigest(), "variables": listing}


def record_prepared(folder: Path) -> dict[str, Any]:
    sounds, out = write_sounds(folder / "sounds"), folder / "prepared"
    (sounds / "high/copy.wav").write_bytes((sounds / "high/0.wav").read_bytes())
    (sounds / "low/text.wav").write_text("no sound")
    invoke("prepare", sounds, out, "--workers", 1, "--shard-size", 4, "--quiet")
    return {"files": files(out), **{name: keys_of(out / name) for name in ("index.json", "report.json")}}


def record_exports(folder: Path) -> dict[str, Any]:
    run, made = folder / "run", {}
    with mock.patch(LOOP):
        invoke("train", write_sounds(folder / "sounds"), "--run-dir", run, "--preset", "seed", *ONE_STEP)
    for kind in ("saved-model", "tflite"):
        out = folder / kind
        invoke("export", run, "--out", out, "--format", kind, "--vocoder", "griffin-lim", "--quiet")
        reports = {path.relative_to(out).as_posix(): keys_of(path) for path in sorted(out.rglob("*.json"))}
        assert reports
        made[kind] = {"files": files(out), **reports}
    return made


def record_sound(folder: Path, name: str) -> dict[str, Any]:
    """Of generated sounds, or a vocoder's copy: what lies in the folder, digests of the samples and their levels."""
    out, made = folder / "out", {}
    if name in GENERATED:
        invoke("generate", *GENERATED[name], "--out", out, "--count", 2, "--seed", 1, "--quiet")
        made["sounds.json"] = keys_of(out / "sounds.json")
    else:
        soundfile.write(folder / "note.wav", tone(VOCODED[name], 0.4, 330.0), VOCODED[name])
        invoke("vocode", folder / "note.wav", "--vocoder", name, "--out", out, "--quiet")
    made |= {"files": files(out), "rate": [], "samples": [], "rms": [], "sha256": {processor(): []}}
    for path in sorted(out.glob("*.wav")):
        with wave.open(str(path)) as file:
            assert (file.getsampwidth(), file.getnchannels()) == (2, 1)
            data = file.readframes(file.getnframes())  # the data chunk: comments name versions
            made["rate"].append(file.getframerate())
        samples = np.frombuffer(data, "<i2") / 32_768
        made["samples"].append(len(samples))
        made["rms"].append([round(float(np.sqrt(np.mean(part ** 2)) / np.abs(samples).max()), 6)
                            for part in np.array_split(samples, PARTS)])
        made["sha256"][processor()].append(hashlib.sha256(data).hexdigest())
    return made


def processor() -> str:
    """What rounding depends on: the processor's kind, and the libraries whose kernels it chooses."""
    try:
        known = dict(re.findall(r"^(vendor_id|flags)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    except OSError:
        known = {}
    flags = sorted(flag for flag in known.get("flags", "").split()
                   if re.fullmatch(r"avx2|avx512f|avx512_vnni|avx512_bf16|amx\w*", flag))
    chosen = [f"{name}={os.environ[name]}" for name in ("ONEDNN_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS",
                                                        "NPY_DISABLE_CPU_FEATURES") if name in os.environ]
    return " ".join([known.get("vendor_id", platform.machine()), *flags, f"tensorflow-{tf.__version__}",
                     f"numpy-{np.__version__}", *chosen])


def difference(made: dict[str, Any], wanted: dict[str, Any], tolerance: float = TOLERANCE) -> str:
    """How sounds differ from those recorded; empty if they do not.

    Sample for sample on a processor whose digests are known, by the levels of parts elsewhere.
    """
    if rest := [key for key in sorted({*made, *wanted} - {"rms", "sha256"}) if made.get(key) != wanted.get(key)]:
        return f"{rest[0]}: {made.get(rest[0])}, not {wanted.get(rest[0])}"
    off = float(np.abs(np.subtract(made["rms"], wanted["rms"])).max())
    if not off <= tolerance:
        return f"levels differ by {off:.2g} of the peak"
    key, = made["sha256"]
    same = made["sha256"][key] == wanted["sha256"].get(key, made["sha256"][key])
    return "" if same else f"samples differ on {key}"


RECORDS = {"presets": record_presets, "commands": record_commands, "cards": record_cards, "prepared": record_prepared,
           "exports": record_exports,
           **{f"training-{family}": lambda folder, family=family: record_training(folder, family)
              for family in FAMILIES},
           **{f"sound-{name.replace(' ', '-')}": lambda folder, name=name: record_sound(folder, name)
              for name in (*GENERATED, *VOCODED)}}
SOUNDS = [name for name in RECORDS if name.startswith("sound-")]
#: Names of generators are held against the shipped weights as well, and vocoder-44k renders the sounds of drums-44k.
NIGHTLY = ("training-sequence-gan", "training-loop-gan", "training-melgan", "sound-drums-44k-by-griffin-lim",
           "sound-vocoder-44k")
#: Those that take more than two seconds.
SLOW = ("exports", "training-spectrogram-gan", "training-frame-gan", "training-sequence-gan", "training-loop-gan",
        "training-melgan", "training-fast-vocoder", "sound-drums-44k", "sound-drums-44k-by-griffin-lim", "sound-music",
        "sound-loops", "sound-vocoder-22k", "sound-vocoder-44k", "sound-drums-by-griffin-lim")


def marks(name: str) -> list[pytest.MarkDecorator]:
    return [*[pytest.mark.slow] * (name in SLOW), *[pytest.mark.nightly] * (name in NIGHTLY)]


def tolerance(name: str) -> float:
    return GRIFFIN_LIM_TOLERANCE if name.endswith("griffin-lim") else TOLERANCE


def golden(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def write(*names: str) -> None:
    """Records anew what is named, or everything; digests of other processors stay while levels are the same."""
    GOLDEN.mkdir(exist_ok=True)
    for name in names or RECORDS:
        with tempfile.TemporaryDirectory() as folder:
            made = json.loads(json.dumps(RECORDS[name](Path(folder))))
        if name in SOUNDS and (GOLDEN / f"{name}.json").exists():
            before = golden(name)
            if not difference({**made, "sha256": {"": []}}, before, tolerance(name)):
                made = {**before, "sha256": {**before["sha256"], **made["sha256"]}}
        text = json.dumps(made, indent=1, ensure_ascii=False)
        text = re.sub(r"\[\n[^][{}]*\]", lambda match: re.sub(r"\n\s*", " ", match[0]), text)  # flat lists on one line
        (GOLDEN / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(name, flush=True)


# -- tests -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in RECORDS if name not in SOUNDS])
def test_it_is_as_recorded(name, tmp_path):
    assert json.loads(json.dumps(RECORDS[name](tmp_path))) == golden(name)


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in SOUNDS])
def test_sounds_are_those_recorded(name, tmp_path):
    assert difference(RECORDS[name](tmp_path), golden(name), tolerance(name)) == ""


def test_nothing_else_is_recorded():
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(RECORDS)


def test_a_difference_of_sounds_shows_on_every_processor():
    wanted = golden("sound-drums")
    known = next(iter(wanted["sha256"]))
    same = {**wanted, "sha256": {known: wanted["sha256"][known]}}
    elsewhere = {**wanted, "sha256": {"elsewhere": ["0", "1"]}}
    assert difference(same, wanted) == difference(elsewhere, wanted) == ""
    assert "samples differ" in difference({**same, "sha256": {known: ["0", "1"]}}, wanted)
    louder = np.add(wanted["rms"], [[0.0] * (PARTS - 1) + [2 * TOLERANCE]] * 2).tolist()
    assert "levels differ by 0.002" in difference({**elsewhere, "rms": louder}, wanted)
    assert "rate" in difference({**elsewhere, "rate": [8_000, 8_000]}, wanted)


if __name__ == "__main__":
    if sys.argv[1:2] != ["--write"]:
        sys.exit(__doc__)
    write(*sys.argv[2:])
