"""The graphs of sound models that were used before, so that the next command need not import TensorFlow.

Importing TensorFlow, building a model and tracing it take ten times as long as a batch of sounds. The first command
that makes sounds with a model therefore keeps the graphs that TensorFlow has optimized, and the weights, in a file of
the user's cache folder. The next ones run them with TensorFlow's C library: the same operations in the same order, so
the same bits. A file is kept only if its graphs gave the same bits when it was written, and its name is a digest of all
that they depend on: weights, configuration, this package, TensorFlow, its settings and the processor.

``MELGAN_TF_CACHE`` is the folder, by default ``$XDG_CACHE_HOME/melgan-tf`` or ``~/.cache/melgan-tf``; "off" switches
this off. No TensorFlow at import.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf import storage
from melgan_tf.config import Config
from melgan_tf.config.registry import Family
from melgan_tf.data.labels import Classes
from melgan_tf.errors import MelGANError
from melgan_tf.inference.batches import BATCH, FRAMES, BatchSampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.progress import Progress
from melgan_tf.runtime.graph import Definition, Graph, library_file
from melgan_tf.storage.arrays import read_npz
from melgan_tf.storage.atomic import atomic_write
from melgan_tf.storage.checkpoints import CheckpointStore
from melgan_tf.storage.run_directory import RunDirectory, versions
from melgan_tf.weights import packaged_name
from melgan_tf.weights.sources import NO_VOCODER

if TYPE_CHECKING:
    import tensorflow as tf

    from melgan_tf.inference.sampler import Sampler

#: Models whose graphs are kept: those used last.
MAX_MODELS = 8
#: Settings of libraries that numbers may depend on.
_SETTINGS = ("TF_", "XLA_", "OMP_", "ONEDNN_", "DNNL_", "CUDA_VISIBLE_DEVICES")


def load(source: str | Path, config: Config, checkpoint: str, vocoder: str | None,
         load_whole: Callable[[], SoundModel], progress: Progress | None = None) -> SoundModel:
    """Loads a sound model from its graphs; if they are not there, whole, and keeps them when it makes sounds.

    ``load_whole`` loads it with TensorFlow; the rest is as for `melgan_tf.api.load`.
    """
    entry = Entry.of(source, config, checkpoint, vocoder)
    if entry is None:
        return load_whole()
    if model := entry.load(source, config, functools.cache(load_whole)):
        if vocoder is None and model.vocoder_metadata["name"] == "griffin-lim":
            (progress or Progress()).warning(NO_VOCODER)
        return model
    return dataclasses.replace(load_whole(), before_making=entry.store)


@dataclass(frozen=True)
class Entry:
    """Where the graphs of a model are kept, or would be.

    Attributes:
        file: the file.
        step: of the checkpoint whose digest is in its name; None for a model of the package.
    """

    file: Path
    step: int | None

    @classmethod
    def of(cls, source: str | Path, config: Config, checkpoint: str = "last", vocoder: str | None = None
           ) -> Entry | None:
        """The entry of a model; None if its graphs are not kept.

        They are not once TensorFlow is there anyway, nor of models in remote storage, of families with a sampler of
        their own (loops, sounds of any length) or from other packages.
        """
        folder = _folder()
        bundled = config.family.build.startswith("melgan_tf.") and config.family.sampler == Family.sampler
        if folder is None or "tensorflow" in sys.modules or not bundled or not library_file():
            return None
        with contextlib.suppress(OSError):
            step, model = _weights(source, checkpoint)
            parts = [model, _weights(vocoder, "last")[1] if vocoder else None, vocoder, config.family.threads_per_op,
                     _environment()]
            return cls(folder / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}.npz", step)
        return None

    def load(self, source: str | Path, config: Config, load_whole: Callable[[], SoundModel]) -> SoundModel | None:
        """The model, ready to make sounds without TensorFlow; None if nothing is kept, or it is damaged.

        ``load_whole`` loads it with TensorFlow, for all else that it can do.
        """
        try:
            _require_own(self.file)
            sampler = _KeptSampler(config, read_npz(self.file), lambda: load_whole().sampler)
            os.utime(self.file)  # used last
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, MelGANError):
            return None
        return SoundModel(sampler, config, sampler.kept["step"], sampler.kept["weights"], storage.recorded(source),
                          lambda: load_whole().load_encoder())

    def store(self, model: SoundModel) -> None:
        """Keeps the graphs of a model that has not made sounds yet, if they give the same bits as the model.

        Without an error: a full disk, or a TensorFlow that has changed, only means that nothing is kept.
        """
        import tensorflow as tf

        if self.step not in (None, model.step) or self.file.exists() or tf.config.list_physical_devices("GPU"):
            return
        with contextlib.suppress(Exception):
            arrays = _capture(model)
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            archive = io.BytesIO()
            np.savez(archive, **arrays)
            with atomic_write(self.file, durable=False) as temporary:
                temporary.write_bytes(archive.getvalue())
            kept = sorted(self.file.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)
            for old in kept[:-MAX_MODELS]:
                old.unlink(missing_ok=True)


class _KeptSampler(BatchSampler):
    """Makes sounds with kept graphs. For anything else the model is loaded with TensorFlow.

    Args:
        arrays: as `_capture` returns them.
    """

    def __init__(self, config: Config, arrays: Mapping[str, np.ndarray], load_whole: Callable[[], Sampler]) -> None:
        self.kept = json.loads(str(arrays["meta"]))
        super().__init__(config, Classes(self.kept["classes"]) if self.kept["classes"] else None)
        self.vocoder_metadata = self.kept["vocoder"]
        self._load_whole = load_whole
        self._graphs = {name: Graph(_definition(name, described, arrays), config.family.threads_per_op)
                        for name, described in self.kept["graphs"].items()}

    def draw(self, seed: int, start: int) -> dict[str, np.ndarray]:
        return self._graphs["draw"](seed=np.int64(seed), start=np.int64(start))

    def run_batch(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, Any]:
        return self._graphs["make"](**inputs)

    def decibels_of_frames(self, mel: np.ndarray) -> np.ndarray:
        return self._graphs["decibels"](mel=mel)["mel"]

    def asked(self, **wishes: Any) -> BatchSampler:
        """See `BatchSampler.asked`."""
        return self if all(value is None for value in wishes.values()) else self._load_whole().asked(**wishes)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._load_whole(), name)

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        return self._load_whole()(*inputs, **named)


def _capture(model: SoundModel) -> dict[str, np.ndarray]:
    """The graphs of a model as arrays by name, and ``meta``, JSON that says what is what.

    Raises:
        MelGANError: the graphs do not give the same bits.
    """
    from melgan_tf.runtime.capture import capture

    sampler, arrays, described = model.sampler, {}, {}

    def keep(name: str, function: tf.types.experimental.PolymorphicFunction, **inputs: np.ndarray
             ) -> dict[str, np.ndarray]:
        definition, results = capture(function, inputs)
        again = Graph(definition, model.config.family.threads_per_op)(**inputs)
        if any(not np.array_equal(again[key], value) for key, value in results.items()):
            raise MelGANError(f"the graph {name} gives other numbers")
        arrays[f"{name}/graph"] = np.frombuffer(definition.content, np.uint8)
        arrays.update({f"{name}/weights/{node}": values for node, values in definition.weights.items()})
        described[name] = {"inputs": definition.inputs, "outputs": definition.outputs}
        return results

    drawn = keep("draw", sampler.draw_batch, seed=np.int64(0), start=np.int64(0))
    mel = keep("make", sampler.make_batch, **{name: drawn[name] for name in sampler.input_signature(BATCH)})["mel"]
    keep("decibels", sampler.log_mel_frames, mel=np.resize(mel, (FRAMES, mel.shape[-1])))
    arrays["meta"] = np.array(json.dumps({
        "graphs": described, "step": model.step, "weights": model.weights, "vocoder": model.vocoder_metadata,
        "classes": sampler.classes.counts if sampler.classes else None}))
    return arrays


def _definition(name: str, described: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Definition:
    weights = f"{name}/weights/"
    return Definition(arrays[f"{name}/graph"].tobytes(), {key.removeprefix(weights): values for key, values
                      in arrays.items() if key.startswith(weights)}, described["inputs"], described["outputs"])


def _weights(source: str | Path, checkpoint: str) -> tuple[int | None, list[str]]:
    """What a model's weights and configuration are: the step of a checkpoint, and what names both.

    Raises:
        OSError: there are none, or they are in remote storage.
    """
    directory = RunDirectory(source)
    if packaged_name(source) or not directory.exists():  # in the package, or a word such as griffin-lim
        return None, [str(source)]
    store = CheckpointStore(directory.checkpoints)
    if storage.is_remote(directory.path) or not (steps := store.steps()):
        raise OSError("no checkpoint at hand")
    best = checkpoint == "best"
    files = (directory.config_file, store.best_file if best else store.file(steps[-1]))
    digests = []
    for file in files:
        with open(file, "rb") as opened:
            digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
    return None if best else steps[-1], digests


def _environment() -> list[Any]:
    """All that numbers depend on besides a model."""
    package, library = Path(__file__).parents[1], library_file()
    files = sorted((str(file.relative_to(package)), file.stat().st_size, file.stat().st_mtime_ns)
                   for file in package.rglob("*.*") if file.suffix in (".py", ".npz", ".json"))
    settings = {name: value for name, value in os.environ.items()
                if name.startswith(_SETTINGS) and not name.startswith("TF_CPP_")}
    return [versions(), files, str(library), library.stat().st_mtime_ns, _processor(), sorted(settings.items())]


def _processor() -> list[str]:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        first = "".join(lines).partition("\n\n")[0]
        return [line for line in first.splitlines() if line.startswith(("model name", "flags", "Features"))]
    return [platform.machine(), platform.processor()]


def _folder() -> Path | None:
    chosen = os.environ.get("MELGAN_TF_CACHE", "")
    if chosen:
        return None if chosen == "off" else Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "melgan-tf") if os.path.isabs(base) else None


def _require_own(file: Path) -> None:
    """Raises an `OSError` unless a file exists, and nobody else can have written it: graphs are programs."""
    for place in (file, file.parent):
        status = place.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise PermissionError(f"others can write to {place}")
