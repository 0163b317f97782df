"""The functions of `import melgan_tf as mt`: one for each thing that the package does.

Every function checks its arguments before it loads TensorFlow.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from melgan_tf import runtime
from melgan_tf.errors import UsageError, did_you_mean
from melgan_tf.progress import Progress

if TYPE_CHECKING:
    from melgan_tf.data.clips import Long, SampleFormat
    from melgan_tf.data.prepare import PrepareResult
    from melgan_tf.data.prepare_beam import Pipeline
    from melgan_tf.evaluation.choose import Choice
    from melgan_tf.evaluation.favorites import Explored
    from melgan_tf.evaluation.report import Report
    from melgan_tf.exports.receipt import Receipt
    from melgan_tf.inference.origin import File, Output
    from melgan_tf.inference.sound_model import SoundModel
    from melgan_tf.inference.vocode_files import Vocoded
    from melgan_tf.inference.vocoder import Vocoder
    from melgan_tf.models.melgan.torch_import import TorchGenerator
    from melgan_tf.training.run import Result as Trained

Checkpoint = Literal["last", "best"]

#: What `vocode` renders with by default.
DEFAULT_VOCODER = "vocoder-22k"


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

    runtime.start_tensorflow(threads_per_op=source_config(source).family.threads_per_op)
    from melgan_tf.inference import load

    return load.load(source, checkpoint, progress, vocoder)


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


def train(data: str | Path, run: str | Path, *, preset: str | None = None, changes: Mapping[str, Any] | None = None,
          init_from: str | Path | None = None, valid: str | Path | None = None, fresh: bool = False,
          wait_seconds: float = 300.0, progress: Progress | None = None) -> Trained:
    """Learns from a folder of sounds, or continues a run that was stopped.

    Args:
        data: folder of sounds (searched at any depth), or the output of `prepare`.
        run: the run directory: everything is written there; an existing run is continued.
        preset: name of the configuration to start with, one of `melgan_tf.presets.names()`; by default the one that
            suits the sounds.
        changes: values that override the preset, as in config.json:
            ``{"training": {"steps": 1000, "batch_size": 64}}``.
        init_from: fine-tune: start from the weights of a run, or of a bundled model (``pretrained:drums``).
        valid: folder of sounds that training does not see; the best checkpoint is the one closest to them.
        fresh: delete the existing run and start over.
        wait_seconds: how long to wait for the other workers that ``TF_CONFIG`` names.
        progress: reports epochs and warnings.

    Returns:
        The numbers of steps and epochs, the sounds, and the signal that stopped it early, if any. Of fine-tuning also
        a page on which new sounds and one's own can be heard side by side, and what their comparison found.

    Raises:
        UsageError: there are no sounds, or the existing run has another configuration.
        MelGANError: unusable sounds or run directory, or the losses are no longer finite. What was saved stays.

    Examples:
        >>> import melgan_tf as mt
        >>> mt.train("sounds", "runs/mine", init_from="pretrained:drums",
        ...          changes={"training": {"steps": 2000}})  # doctest: +SKIP
    """
    from melgan_tf.training.cluster import worker_from_environment
    from melgan_tf.training.resolve import resolve

    spec = worker_from_environment()
    config = resolve(data, run, preset, changes, init_from, fresh, progress)
    with (progress or Progress()).stage("loading TensorFlow"):
        # training runs its programs side by side, one a core (see melgan_tf.training.gan)
        runtime.start_tensorflow(threads_per_op=1, compiling=True, joining=spec is not None)
        from melgan_tf.training import run as training

    result = training.run(config, data, run, progress, fresh, valid, wait_seconds, init_from)
    if result.is_chief and not result.signal and config.family.makes == "clips":
        from melgan_tf.evaluation import fine_tuned

        return fine_tuned.compared(result, data, run, progress or Progress())
    return result


def prepare(data: str | Path, out: str | Path, *, rate: int = 16_000, seconds: float = 0.5, onset: bool = True,
            long: Long = "beginning", fade: float = 0.01, sample_format: SampleFormat = "int16", seed: int = 0,
            workers: int | None = None, shard_size: int = 1024, fresh: bool = False, runner: Pipeline | None = None,
            progress: Progress | None = None) -> PrepareResult:
    """Decodes a folder of sounds once and writes shards of clips, which `train` and `evaluate` accept.

    Args:
        data: folder of sounds, searched at any depth.
        out: folder for the shards; an interrupted preparation is continued.
        rate: sample rate of the clips, Hz.
        seconds: length of a clip.
        onset: start each sound where it first comes within 40 dB of its peak.
        long: clips of a longer sound: "beginning", one; "consecutive" or "random", as many as fit; "bars", of loops:
            their whole bars, repeated or cut to one clip, with tempo, bars, key and what told them in the report.
        fade: seconds of fade-out where a longer sound is cut off.
        sample_format: "int16" or "float32".
        seed: seed of the random positions.
        workers: number of decoding processes; by default one per core.
        shard_size: number of files whose clips form a shard.
        fresh: delete what was prepared in ``out`` and start over.
        runner: run on Apache Beam instead: a `melgan_tf.data.prepare_beam.Pipeline`.
        progress: reports files.

    Returns:
        The numbers of files and clips, and why files were skipped.

    Raises:
        UsageError: the folder does not exist, or ``out`` was prepared with other settings.
        MelGANError: there is no usable sound, or ``out`` cannot be written.

    Examples:
        >>> import tempfile
        >>> import melgan_tf as mt
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = mt.load("pretrained:drums").write(folder + "/sounds", 2, label="kick")
        ...     mt.prepare(folder + "/sounds", folder + "/shards", workers=1).counts.clips
        2
    """
    from melgan_tf.data.clips import ClipSettings
    from melgan_tf.data.prepare import prepare

    if not math.isfinite(seconds):
        raise UsageError(f"clips of {seconds} seconds: give a positive number")
    settings = ClipSettings(rate, round(seconds * rate), onset, fade, long, sample_format, seed)
    return prepare(data, out, settings, workers, shard_size, progress, fresh, runner=runner)


def evaluate(source: SoundModel | Vocoder | str | Path, reference: str | Path, *, train: str | Path | None = None,
             count: int | None = None, seed: int = 0, vocoder: str | None = None, checkpoint: Checkpoint = "last",
             progress: Progress | None = None) -> Report:
    """Compares the sounds of a model, or a folder of generated sounds, with real ones.

    Args:
        source: a loaded model, anything that `load` takes, or a folder of generated sounds.
        reference: folder of real sounds, preferably not used in training.
        train: folder of the training sounds; by default those of the run. Not for vocoders.
        count: number of sounds to generate; by default as many as the reference has. For sound models only.
        seed: seed of the generated sounds and of the choice of real ones.
        vocoder, checkpoint: as for `load`.
        progress: receives progress and warnings.

    Returns:
        All metrics, each beside its baseline, the same metric of real sounds against real ones.

    Raises:
        UsageError: a folder does not exist, or an option does not apply to the source.
        MelGANError: too few usable sounds.

    Examples:
        >>> import melgan_tf as mt
        >>> report = mt.evaluate("pretrained:drums", "held-out")  # doctest: +SKIP
        >>> print(report.markdown())  # doctest: +SKIP
    """
    from melgan_tf.evaluation.sounds import is_sound_folder

    if _is_location(source) and is_sound_folder(source):
        runtime.start_tensorflow()
    elif _is_location(source):
        source = load(source, checkpoint=checkpoint, vocoder=vocoder, progress=progress)
    from melgan_tf.evaluation import evaluate as evaluation

    return evaluation.evaluate(source, reference, train, count, seed, progress)


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

    if _is_location(model):
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


def vocode(inputs: str | Path | Sequence[str | Path], out: str | Path, *, vocoder: str | Path | None = None,
           chunk_seconds: float | None = None, checkpoint: Checkpoint = "last",
           progress: Progress | None = None) -> Vocoded:
    """Renders mels, or the mels of sounds (copy synthesis), to WAV files.

    Args:
        inputs: sound files, folders of them, or mels ``(frames, mel_bins)`` as ``.npy`` files.
        out: folder for the WAVs.
        vocoder: the run of a vocoder, or the name of a bundled one; by default ``vocoder-22k``.
        chunk_seconds: render in pieces of this length, for long inputs; the result is the same.
        checkpoint: as for `load`.
        progress: reports files.

    Returns:
        The files, seconds of sound, seconds spent rendering, the files that were clipped, and the sounds skipped.

    Raises:
        UsageError: an input does not exist, or two inputs would become one file.
        MelGANError: no sound can be decoded, a mel cannot be read, or a WAV not written.

    Examples:
        >>> import melgan_tf as mt
        >>> mt.vocode(["piano.wav", "mels.npy"], "copies", vocoder="vocoder-44k")  # doctest: +SKIP
    """
    from melgan_tf.audio import isolated
    from melgan_tf.inference.vocode_plan import plan
    from melgan_tf.weights.sources import vocoder_config

    inputs, skipped = [inputs] if isinstance(inputs, str | Path) else inputs, []
    pairs = plan([Path(source) for source in inputs], Path(out), skipped)
    if vocoder is not None:
        vocoder_config(vocoder)
    if any(source.suffix.lower() != ".npy" for source, _ in pairs):
        isolated.start()  # while TensorFlow loads
    runtime.start_tensorflow(threads_per_op=1)  # pieces are rendered side by side
    from melgan_tf.inference import vocoder as vocoders
    from melgan_tf.inference.vocode_files import vocode_files

    # a run directory with the name of the default vocoder is used only if it is given
    renderer = (vocoders.load_pretrained_vocoder(DEFAULT_VOCODER) if vocoder is None else
                vocoders.load_vocoder(vocoder, checkpoint, progress))
    return vocode_files(renderer, pairs, chunk_seconds, progress, skipped)


def regenerate(files: str | Path | Sequence[str | Path], out: str | Path, *, model: str | Path | None = None,
               vocoder: str | None = None, delivery: Mapping[str, Any] | None = None, name: str | None = None,
               add: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Makes generated sounds again, from the records that their files carry.

    Args:
        files: files, or folders of files, that `SoundModel.write`, a kit or the functions here wrote.
        out: folder for the sounds.
        delivery: what is to differ from the originals, such as ``{"bit_depth": "24", "sample_rate": 48000}``; see
            `melgan_tf.audio.delivery.Delivery`.
        name, add: as for `SoundModel.write`.
        model: what makes them; by default the model that the files name. With another one, the sounds are others.
        vocoder: as for `load`.
        progress: reports sounds, and what is different in this model.

    Returns:
        The record, as `SoundModel.write`, with ``same``, the number of files that are equal to the originals.

    Raises:
        UsageError: the files are of several models, or their model must be given.
        MelGANError: a file has no record, or its model has other weights today.

    Examples:
        >>> import tempfile
        >>> import melgan_tf as mt
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = mt.load("pretrained:drums").write(folder + "/made", 2, seed=1)
        ...     mt.regenerate(folder + "/made", folder + "/again")["same"]
        2
    """
    loaded, files, output = _load_for([files] if isinstance(files, str | Path) else files, model, vocoder, progress,
                                      out, delivery, name, add, generated=True)
    from melgan_tf.inference import variations

    return variations.regenerate(loaded, files, output, model is None, progress)


def vary(file: str | Path, out: str | Path, *, intensity: float = 0.3, direction: int = 0, count: int = 8,
         label: str | None = None, model: str | Path | None = None, vocoder: str | None = None,
         delivery: Mapping[str, Any] | None = None, name: str | None = None, add: bool = False,
         wishes: Mapping[str, Any] | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Makes variations of a sound: of a generated one, or of any recording, which is encoded first.

    Variations of a loop keep its tempo, bars and key.

    Args:
        file: a WAV that was generated, or any sound file.
        out: folder for the sounds.
        intensity: 0 is the sound itself, 1 any sound of its class.
        direction: the first variation; each number is another one, and always the same.
        count: number of variations.
        label: class of the variations; by default that of the sound.
        model: what makes them; by default the model that the file names.
        vocoder: as for `load`.
        delivery, name, add: as for `regenerate`.
        wishes: what the variations are to be, by name: see `SoundModel.asked`.
        progress: reports sounds, and that a recording is out of the model's reach.

    Returns:
        The record, as `SoundModel.write`; of a recording also ``distance_db``, how near the model comes to it.

    Raises:
        UsageError: a number is out of range, there is no such class, or the model must be given.
        MelGANError: the file cannot be decoded, or the folder not written.

    Examples:
        >>> import tempfile
        >>> import melgan_tf as mt
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = mt.load("pretrained:drums").write(folder, 1, label="kick")
        ...     mt.vary(f"{folder}/{made['files'][0]}", folder + "/more", intensity=0.2, count=3)["made"]
        3
    """
    loaded, files, output = _load_for([file], model, vocoder, progress, out, delivery, name, add, count)
    from melgan_tf.inference import variations

    return variations.vary(loaded, files[0], output, intensity, range(direction, direction + count), label, progress,
                           wishes)


def interpolate(first: str | Path, second: str | Path | None, out: str | Path, *, steps: int = 8,
                label: str | None = None, model: str | Path | None = None, vocoder: str | None = None,
                delivery: Mapping[str, Any] | None = None, name: str | None = None, add: bool = False,
                progress: Progress | None = None) -> dict[str, Any]:
    """Makes sounds from one sound to another, at equal distances: spherical in the noise, linear in the classes.

    Args:
        first, second: generated WAVs, or any sound files. Without a second one, the first changes its class.
        out: folder for the sounds.
        steps: number of sounds, both ends included.
        label: class at the end; needed without ``second``.
        model, vocoder, delivery, name, add, progress: as for `vary`.

    Returns:
        As `vary`.

    Raises:
        UsageError: as `vary`.
        MelGANError: as `vary`.

    Examples:
        >>> import tempfile
        >>> import melgan_tf as mt
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = mt.load("pretrained:drums").write(folder, 2, label="kick")
        ...     first, second = (f"{folder}/{name}" for name in made["files"])
        ...     mt.interpolate(first, second, folder + "/between", steps=3)["made"]
        3
    """
    loaded, files, output = _load_for([first] if second is None else [first, second], model, vocoder, progress, out,
                                      delivery, name, add, steps)
    from melgan_tf.evaluation.embeddings.log_mel import embed_waveforms
    from melgan_tf.inference import variations

    return variations.interpolate(loaded, files, output, steps, label, embed_waveforms, progress)


def _load_for(paths: Sequence[str | Path], model: str | Path | None, vocoder: str | None, progress: Progress | None,
              out: str | Path, delivery: Mapping[str, Any] | None, name: str | None, add: bool, count: int = 0,
              generated: bool = False) -> tuple[SoundModel, list[File], Output]:
    """The model that sounds name, unless another is given; the sounds, with their records if they are generated; and
    where the new ones go."""
    from melgan_tf.inference.origin import Output, model_of, read_origins
    from melgan_tf.inference.output_folder import NamePattern

    files = read_origins(paths, required=generated)
    output = Output(Path(out), delivery or {}, name, add)
    for _, origin in files:
        output.delivery_of(origin)  # refuses before anything is loaded
    if name is not None:
        NamePattern(name, count or len(files))
    return load_sound_model(model_of(files, model), vocoder=vocoder, progress=progress), files, output


def explore(source: str | Path, out: str | Path, *, count: int = 256, seed: int = 0, label: str | None = None,
            seconds: float | None = None, favorites: str | Path | None = None, vocoder: str | None = None,
            checkpoint: Checkpoint = "last", progress: Progress | None = None) -> Explored:
    """Makes a page to choose sounds by ear: a map on which near sounds sound alike. Near duplicates are left out.

    Args:
        source: a folder of sounds, or anything that `load_sound_model` takes, whose sounds are generated first.
        out: folder for the page, and for the generated sounds or copies of the others.
        count, seed, label, seconds: of the generated sounds, as for `SoundModel.write`.
        favorites: a list that the page saved: copy these sounds of the folder to ``out``, and make no page.
        vocoder, checkpoint: as for `load`.
        progress: reports sounds, and files that cannot be used.

    Returns:
        The page, and how many sounds are on it and left out.

    Raises:
        UsageError: there is no such folder, model or class, or the list names what is not in the folder.
        MelGANError: no sound can be used, or the folder cannot be written.

    Examples:
        >>> import tempfile
        >>> import melgan_tf as mt
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mt.explore("pretrained:drums", folder + "/page", count=8, label="kick").sounds
        8
    """
    from melgan_tf.evaluation.sounds import is_sound_folder
    from melgan_tf.storage.run_directory import RunDirectory
    from melgan_tf.weights import PRETRAINED, pretrained_models

    folder = is_sound_folder(source) or (Path(source).is_dir() and not RunDirectory(source).exists())
    if not Path(source).exists() and not str(source).startswith(PRETRAINED):
        raise UsageError(f"{source} does not exist: " + did_you_mean(
            str(source), pretrained_models(), "give a folder of sounds, a run, or a bundled model:"))
    if favorites is not None:
        if not folder:
            raise UsageError(f"{source} is not a folder of sounds: give the one of the page on which they were starred")
        from melgan_tf.evaluation.favorites import copy_favorites

        return copy_favorites(Path(source), Path(favorites), Path(out))
    if not folder:
        model = load_sound_model(source, checkpoint=checkpoint, vocoder=vocoder, progress=progress)
        from melgan_tf.evaluation.explore import explore_model

        return explore_model(model, Path(out), count, seed, label, seconds, progress)
    runtime.start_tensorflow()
    from melgan_tf.evaluation.explore import explore_folder

    return explore_folder(Path(source), Path(out), progress)


def choose(model: SoundModel, count: int = 16, *, seed: int = 0, label: str | None = None,
           candidates: int | None = None, diverse: bool = True, avoid: str | Path | None = None,
           progress: Progress | None = None) -> Choice:
    """Chooses among the first sounds of a seed: the most different, or those that keep away from sounds one has.

    Args:
        model: makes them.
        count: how many are chosen.
        seed, label: of the sounds, as for `SoundModel.write`.
        candidates: number of sounds to choose from; by default eight for each, at most 5,000.
        diverse: choose the most different ones; otherwise the first ones that are far enough from ``avoid``.
        avoid: folder of sounds to keep away from: none is chosen that is nearer to one of them than 99 in 100 of them
            are to each other, or than half of the candidates are.
        progress: reports sounds.

    Returns:
        Their indices, which `SoundModel.write` takes.

    Raises:
        UsageError: there are more to choose than candidates, or no such class.
        MelGANError: too few sounds are left, or the folder has no usable sound.

    Examples:
        >>> import melgan_tf as mt
        >>> choice = mt.choose(mt.load("pretrained:drums"), 3, label="kick")
        >>> len(choice.indices), choice.candidates
        (3, 24)
    """
    from melgan_tf.evaluation.choose import choose

    return choose(model, count, seed=seed, label=label, candidates=candidates, diverse=diverse, avoid=avoid,
                  progress=progress)


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


def kit(model: SoundModel | str | Path, out: str | Path, *, seed: int = 0, labels: Sequence[str] = (),
        style_from: Sequence[str | Path] = (), round_robins: int = 3, velocities: int = 3, bit_depth: str = "24",
        sample_rate: int | None = None, vocoder: str | None = None, checkpoint: Checkpoint = "last",
        progress: Progress | None = None) -> dict[str, Any]:
    """Makes a drum kit of a model's sounds: WAVs, and files for samplers.

    Args:
        model: a loaded model, or anything that `load_sound_model` takes.
        out: folder for the kit.
        seed, labels, style_from, round_robins, velocities, bit_depth, sample_rate: as for `SoundModel.kit`.
        vocoder, checkpoint, progress: as for `load`.

    Returns:
        The content of ``kit.json``, as `SoundModel.kit`.

    Raises:
        UsageError: as `load_sound_model` and `SoundModel.kit`.
        MelGANError: as `load_sound_model` and `SoundModel.kit`.

    Examples:
        >>> import melgan_tf as mt
        >>> mt.kit("pretrained:drums", "my-kit", seed=3, style_from=["my-sounds"])  # doctest: +SKIP
    """
    from melgan_tf.audio.find import scan

    for place in style_from:
        scan(place)  # refuses before anything is loaded
    if _is_location(model):
        model = load_sound_model(model, checkpoint=checkpoint, vocoder=vocoder, progress=progress)
    return model.kit(out, seed, labels, style_from=style_from, round_robins=round_robins, velocities=velocities,
                     bit_depth=bit_depth, sample_rate=sample_rate, progress=progress)


def import_torch(checkpoint: str | Path, run: str | Path) -> TorchGenerator:
    """Converts a MelGAN generator that was trained in PyTorch to a run.

    Args:
        checkpoint: the ``netG.pt`` of the authors' code, of any width, ratios and depth.
        run: new run directory.

    Returns:
        The generator that was read: its sizes, and ``config()``, the configuration of the run.

    Raises:
        UsageError: PyTorch is not installed, the file does not exist, or the run directory does.
        MelGANError: the file is no such checkpoint, or the run cannot be written.

    Examples:
        >>> import melgan_tf as mt
        >>> mt.import_torch("netG.pt", "runs/melgan")  # doctest: +SKIP
    """
    from melgan_tf.models.melgan import torch_import

    torch_import.require_new(run)
    generator = torch_import.read_generator(checkpoint)
    generator.config()  # refuses unsupported sizes before TensorFlow is loaded
    runtime.start_tensorflow()
    torch_import.import_run(generator, run)
    return generator


def _is_location(source: object) -> bool:
    """Whether a model still has to be loaded: a path, a remote one included, or a name."""
    from melgan_tf.storage.paths import RemotePath

    return isinstance(source, str | Path | RemotePath)
