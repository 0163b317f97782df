"""Functions for models: loading, describing and delivering them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from melgan_tf import runtime
from melgan_tf.errors import UsageError
from melgan_tf.progress import Progress

if TYPE_CHECKING:
    from melgan_tf.exports.receipt import Receipt
    from melgan_tf.inference.sound_model import SoundModel
    from melgan_tf.inference.vocoder import Vocoder

Checkpoint = Literal["last", "best"]


def load(source: str | Path, *, checkpoint: Checkpoint = "last", vocoder: str | None = None,
         progress: Progress | None = None) -> SoundModel | Vocoder:
    """Loads a trained model.

    Args:
        source: a run directory, or the name of a bundled model: ``pretrained:drums`` (a sound model) or ``vocoder-22k``
            (a vocoder).
        checkpoint: of a run: "last", the newest, or "best", the one with the best validation score.
        vocoder: what renders the mels of a sound model: the run of a vocoder, the name of a bundled one, or
            ``griffin-lim``; by default the bundled one that matches, else Griffin-Lim.
        progress: reports damaged checkpoints, and that Griffin-Lim is used.

    Returns:
        A `SoundModel` or a `Vocoder`; for a definite type use `load_sound_model` or `load_vocoder`.

    Raises:
        UsageError: there is no such run or model, or the vocoder does not fit it.
        MelGANError: the run has no usable checkpoint.

    Examples:
        >>> import melgan_tf as mt
        >>> mt.load("pretrained:drums").classes[:4]
        ('clap', 'cymbal', 'hat', 'kick')
        >>> mt.load("vocoder-22k").audio.sample_rate
        22050
    """
    from melgan_tf.weights.sources import source_config

    family = source_config(source).family
    if family.makes == "waveforms":
        if vocoder:
            raise UsageError(f"{source} is a vocoder itself: remove --vocoder")
        return load_vocoder(source, checkpoint=checkpoint, progress=progress)
    runtime.start_tensorflow(threads_per_op=family.threads_per_op)
    from melgan_tf.inference import load

    return load.load_sound_model(source, checkpoint, progress, vocoder)


def load_sound_model(source: str | Path, *, checkpoint: Checkpoint = "last", vocoder: str | None = None,
                     progress: Progress | None = None) -> SoundModel:
    """Loads a model that makes sounds from noise.

    Args:
        source, checkpoint, vocoder, progress: as for `load`.

    Raises:
        UsageError: as `load`, or the source is a vocoder.
        MelGANError: as `load`.
    """
    from melgan_tf.inference import graph_cache
    from melgan_tf.weights.sources import sound_model_config, warn_of_little_training

    config = sound_model_config(source)

    def whole() -> SoundModel:
        runtime.start_tensorflow(threads_per_op=config.family.threads_per_op)
        from melgan_tf.inference import load

        return load.load_sound_model(source, checkpoint, progress, vocoder)

    model = graph_cache.load(source, config, checkpoint, vocoder, whole, progress)
    warn_of_little_training(source, model.step, progress or Progress())
    return model


def load_vocoder(source: str | Path, *, checkpoint: Checkpoint = "last", progress: Progress | None = None) -> Vocoder:
    """Loads a vocoder.

    Args:
        source, checkpoint, progress: as for `load`.

    Raises:
        UsageError: as `load`, or the source is a sound model.
        MelGANError: as `load`.
    """
    from melgan_tf.weights.sources import vocoder_config

    runtime.start_tensorflow(threads_per_op=vocoder_config(source).family.threads_per_op)
    from melgan_tf.inference import vocoder

    return vocoder.load_vocoder(source, checkpoint, progress)


def connect(address: str, model: str, *, version: int | None = None, deadline: float = 60.0,
            fingerprint: str | Path | None = None, progress: Progress | None = None) -> SoundModel:
    """Finds a sound model on a server: TF Serving with what `export` wrote. TensorFlow is not loaded here.

    Sounds are made there and are the same as here; noise and classes are drawn there as well. What needs the networks
    themselves, such as `SoundModel.encode`, and models of sounds of any length are left to `load_sound_model`.

    Args:
        address: ``http://HOST:8501`` (REST; also ``https``), or ``grpc://HOST:8500``.
        model: its name on the server.
        version: of the model; by default the newest. All sounds are of one version.
        deadline: seconds after which a request is given up. Until then it is repeated while the server cannot be
            reached or is busy; a request that the server refuses is not.
        fingerprint: what the model must be: the twelve digits that name its weights, or a folder of sounds that it
            made.
        progress: reports that the server does not answer yet.

    Returns:
        A model that makes sounds as any other, in batches of at most 16.

    Raises:
        UsageError: the address is none, or the model makes sounds of any length.
        MelGANError: the server does not answer in time, serves no such model, or another one than was asked for.

    Examples:
        >>> import melgan_tf as mt
        >>> drums = mt.connect("http://localhost:8501", "drums")  # doctest: +SKIP
        >>> drums.write("kicks", 8, label="kick")  # doctest: +SKIP
    """
    from melgan_tf.inference.client.served_model import connect

    return connect(address, model, version, deadline, fingerprint, progress)


def info(source: str | Path | None = None, other: str | Path | None = None) -> dict[str, Any]:
    """Tells what a path or a name stands for; no TensorFlow.

    Args:
        source: a run, an export, a checkpoint, a sound, a folder of sounds, sounds.json, or a bundled model. Without
            one, all bundled models are described, by name.
        other: a second run or model: the result is what differs.

    Returns:
        ``kind`` and, where they are known, ``seconds`` (None: any length), ``sample_rate`` (Hz), ``classes``, ``try``
        (a command to go on with), and all that is recorded. Of two: ``config`` and ``figures``, by key both values.

    Raises:
        UsageError: there is no such thing, or two that cannot be compared.
        MelGANError: it is damaged.

    Examples:
        >>> import melgan_tf as mt
        >>> drums = mt.info("pretrained:drums")
        >>> drums["seconds"], drums["sample_rate"], list(drums["classes"])[:3]
        (0.5, 16000, ['clap', 'cymbal', 'hat'])
        >>> mt.info("drums", "drums-44k")["config"]["audio.sample_rate"]
        [16000, 44100]
    """
    from melgan_tf.exports import inspection

    if source is None:
        return inspection.bundled_models()
    return inspection.describe(source) if other is None else inspection.compare(source, other)


def export(model: SoundModel | Vocoder | str | Path, path: str | Path, *, format: str = "saved-model",
           force: bool = False, vocoder: str | None = None, checkpoint: Checkpoint = "last",
           progress: Progress | None = None, **options: Any) -> Receipt:
    """Writes a model for a server, a phone, a browser or another program, and keeps it if it runs and agrees.

    Args:
        model: a loaded model, or anything that `load` takes.
        path: for a SavedModel the base folder, in which the version becomes a folder; for a page a folder; else a file
            or a folder.
        format: "saved-model", "tflite", "web" or "onnx", which needs the extra ``[onnx]``.
        force: replace an existing export.
        vocoder, checkpoint, progress: as for `load`.
        options: options of the format, such as ``quantize="float16"``; see `melgan_tf.exports.export`.

    Returns:
        The receipt, with signatures, size, speed, and the largest difference from the model.

    Raises:
        UsageError: the options do not suit the format, or something exists at the path.
        MelGANError: the export differs from the model, or cannot be written; nothing is kept.

    Examples:
        >>> import melgan_tf as mt
        >>> mt.export("pretrained:drums", "drums.tflite", format="tflite", quantize="float16")  # doctest: +SKIP
    """
    from melgan_tf import exports

    if is_location(model):
        exports.destination(path, format, **options)  # refuses before anything is loaded
        with (progress or Progress()).stage("loading the model"):
            model = load(model, checkpoint=checkpoint, vocoder=vocoder, progress=progress)
    return exports.export(model, path, format, force, progress, **options)


def play(source: str | Path, *, port: int = 0, ready: Callable[[str], None] = print, vocoder: str | None = None,
         checkpoint: Checkpoint = "last", progress: Progress | None = None) -> None:
    """Serves a page that plays a model to the browsers of this machine, until it is interrupted.

    Args:
        source: a run, a bundled model, or a page that `export` made.
        port: of the address; 0: any free one.
        ready: called with the address, once it answers.
        vocoder, checkpoint, progress: as for `load`.

    Raises:
        UsageError: there is no such model, or it is a vocoder.
        MelGANError: the model cannot be exported, or the port is taken.

    Examples:
        >>> import melgan_tf as mt
        >>> mt.play("pretrained:drums")  # doctest: +SKIP
    """
    from melgan_tf import storage
    from melgan_tf.exports import web
    from melgan_tf.exports.page_server import serve_folder
    from melgan_tf.weights.sources import sound_model_config

    with storage.temporary_folder() as folder:
        page = folder / "page"
        if not storage.is_remote(source) and web.is_page(Path(source)):
            page = Path(source)
        else:
            sound_model_config(source)
            export(source, page, format="web", vocoder=vocoder, checkpoint=checkpoint, progress=progress)
        with serve_folder(page, port) as address:
            ready(address)
            threading.Event().wait()


def is_location(source: object) -> bool:
    """Whether a model still has to be loaded: a path, a remote one included, or a name."""
    from melgan_tf.storage.paths import RemotePath

    return isinstance(source, str | Path | RemotePath)
