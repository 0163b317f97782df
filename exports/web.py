"""A page that runs a model: a static folder for any web server, which needs no network beyond it.

One-shots get a drum machine, loops and textures a player. The model is a TFLite file, which LiteRT.js runs in a worker
of the browser. The page draws the same noise from a seed as `melgan_tf.inference.sampler`: same seed, same sound.
``page/`` has what every such folder contains, and LiteRT.js (``page/LITERT.md``).
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf.dsp.spectrogram_image import LEVELS, MAGMA
from melgan_tf.errors import UsageError
from melgan_tf.exports import REPORT, Destination, tflite
from melgan_tf.inference.exportable import Exportable, ExportableModel, Quantize
from melgan_tf.inference.kit.plan import Pad, ascii_name, plan
from melgan_tf.inference.origin import vocoder_name
from melgan_tf.progress import Progress, counted
from melgan_tf.storage.atomic import write_text
from melgan_tf.weights.licenses import license_text, model_licenses, short_license

if TYPE_CHECKING:
    from melgan_tf.inference.sound_model import SoundModel

OPTIONS = frozenset({"quantize", "bpm", "bars"})
RUNNER = tflite.RUNNER
MODEL, FACTS = "model.tflite", "model.json"
PADS = 8
#: Steps in a window of a model of sounds of any length, which the page joins.
WINDOW_STEPS = 32
_PAGE = Path(__file__).parent / "page"


def destination(path: Path, **_: Any) -> Destination:
    """See `melgan_tf.exports.Format`. An existing folder is replaced only if it is such a page."""
    if path.exists() and not is_page(path) and not (path.is_dir() and not any(path.iterdir())):
        raise UsageError(f"{path} exists and is no page of a model: give another --out")
    return Destination(path, path / REPORT, "--out")


def is_page(path: Path) -> bool:
    """Whether a folder is what `write` makes."""
    return (path / FACTS).is_file() and (path / MODEL).is_file()


def view(model: ExportableModel, quantize: Quantize = "none", bpm: float | None = None, bars: int | None = None
         ) -> Exportable:
    """See `melgan_tf.exports.Format`."""
    if model.config.family.makes == "waveforms":
        raise UsageError("a vocoder makes no sounds of its own: give a sound model for --format web")
    model, stream = dataclasses.replace(model, sampler=model.sampler.at_tempo(bpm, bars)), {}
    if model.sampler.length() is not None:
        model = _in_windows(model)
        stream = _stream(model.sampler)
    exportable = tflite.view(model, quantize=quantize)
    signatures = {name: made for name, made in exportable.signatures.items() if name != "sample"}  # the page draws
    made = dataclasses.replace(
        exportable, origin={**exportable.origin, **_origin(model), **stream}, signatures=signatures,
        examples=lambda: [example for example in exportable.examples() if example.signature in signatures])
    anywhere = model.sampler.any_tempo()
    return made if anywhere is None else dataclasses.replace(
        made, origin={**made.origin, "tempo": anywhere.tempo}, signatures={"generate": anywhere.signature},
        examples=lambda: [anywhere.example(**example.inputs) for example in made.examples()
                          if example.signature == "generate"])


def _origin(model: SoundModel) -> dict[str, Any]:
    return {"source": model.source, "makes": model.sampler.evaluated_as, "samples": model.sampler.samples,
            "asked": model.sampler.wishes}


def _in_windows(model: SoundModel) -> SoundModel:
    """The model with longer windows than it was trained with: the fewer, the less is made twice."""
    sampler, samples = model.sampler, WINDOW_STEPS * model.sampler.step_frames * model.config.audio.hop_samples
    config = dataclasses.replace(model.config, data=dataclasses.replace(model.config.data, clip_samples=samples))
    longer = type(sampler)(sampler.generator, config, sampler.vocoder, sampler.classes)
    return dataclasses.replace(model, config=config, sampler=longer)


def _stream(sampler: Any) -> dict[str, Any]:
    """What joins the windows of a `melgan_tf.inference.long_sounds.StreamSampler`, in steps but for ``samples``."""
    quantum = sampler.loop_quantum // sampler.step_frames
    vocoder = -(-sampler.vocoder.stream().context // sampler.step_frames)
    return {"fade": sampler.fade_seconds, "stream": {
        "window": WINDOW_STEPS, "context": sampler.facts()["context_steps"], "quantum": quantum,
        "lead": -(-vocoder // quantum) * quantum, "samples": sampler.step_frames * sampler.audio.hop_samples,
        "noise_dim": sampler.source.noise_dim, "style_dim": sampler.source.style_dim,
        "turn": sampler.source.turn_steps}}


def write(exportable: Exportable, path: Path, progress: Progress) -> None:
    """See `melgan_tf.exports.Format`."""
    path.mkdir()
    tflite.write(exportable, path / MODEL, progress)
    with progress.stage("writing the page"):
        for file in _PAGE.iterdir():
            if file.suffix in (".html", ".css", ".js"):
                shutil.copyfile(file, path / file.name)
        with tarfile.open(next(_PAGE.glob("litert-*.tar.xz"))) as archive:
            archive.extractall(path, filter="data")
        write_text(path / FACTS, json.dumps(facts(exportable), ensure_ascii=False) + "\n")


def describe(path: Path) -> dict[str, Any] | None:
    """See `melgan_tf.exports.Format`."""
    return {**tflite.describe(path / MODEL), "kind": "page of a model"} if is_page(path) else None


def facts(exportable: Exportable) -> dict[str, Any]:
    """What the page knows of its model: the content of model.json."""
    origin, classes = exportable.origin, list(exportable.origin.get("classes", ()))
    name = Path(origin["source"].removeprefix("pretrained:")).name or origin["preset"]
    licenses = model_licenses(origin["source"], origin["vocoder"]["name"])
    seconds, rate = origin["samples"] / origin["sample_rate"], origin["sample_rate"]
    planned, bars = plan(classes), origin["asked"].get("bars")
    length = "any length" if "stream" in origin else f"{seconds:.3g} s"
    if bars:
        slowest, fastest = origin["tempo"]["bpm"]
        length = f"{counted(bars, 'bar')} at {slowest:g} to {fastest:g} BPM"
    return {"title": name, "kind": origin["makes"], "source": Path(origin["source"]).name,
            "about": f"{counted(origin['step'], 'step')} of training · {rate / 1000:g} kHz · {length}",
            "license": short_license(licenses), "licenses": license_text(licenses),
            **{key: origin[key] for key in ("weights", "step", "sample_rate", "samples", "noise_dim", "asked",
                                             "stream", "fade", "tempo") if key in origin},
            "vocoder": vocoder_name(origin["vocoder"]),
            "classes": [_class(label, next(pad for pad in planned if pad.label == label)) for label in classes],
            "pads": _pads(planned, classes),
            "palette": MAGMA[np.linspace(0, 255, LEVELS).round().astype(int)].tobytes().hex()}


def _class(name: str, pad: Pad) -> dict[str, Any]:
    return {"name": name, "kind": pad.kind, "note": pad.note, "choke": pad.choke or 0,
            "stem": ascii_name(name).replace(" ", "_")}


def _pads(planned: Sequence[Pad], classes: Sequence[str]) -> list[int | None]:
    """The number of the class of each pad: every class once, in the order of drum kits, then again from the first."""
    if not classes:
        return [None] * PADS
    order = dict.fromkeys(pad.label for pad in planned)
    return [classes.index(label) for label in itertools.islice(itertools.cycle(order), PADS)]
