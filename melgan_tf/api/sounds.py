"""Functions that make sounds of sounds and models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melgan_tf import runtime
from melgan_tf.api.models import Checkpoint, is_location, load_sound_model
from melgan_tf.progress import Progress

if TYPE_CHECKING:
    from melgan_tf.audio.find import Skipped
    from melgan_tf.inference.origin import File, Output
    from melgan_tf.inference.sound_model import SoundModel
    from melgan_tf.inference.vocode_files import Vocoded

#: What `vocode` renders with by default.
DEFAULT_VOCODER = "vocoder-22k"


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

    skipped: list[Skipped] = []
    pairs = plan([Path(source) for source in _several(inputs)], Path(out), skipped)
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
    from melgan_tf.inference import variations

    output, files = variations.Output(Path(out), delivery or {}, name, add), _several(files)
    loaded, files = _load_for(files, output, model, vocoder, progress, generated=True)
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
    from melgan_tf.inference import variations

    output = variations.Output(Path(out), delivery or {}, name, add)
    loaded, files = _load_for([file], output, model, vocoder, progress, count)
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
    from melgan_tf.inference import variations

    output = variations.Output(Path(out), delivery or {}, name, add)
    loaded, files = _load_for([first] if second is None else [first, second], output, model, vocoder, progress, steps)
    from melgan_tf.evaluation.embeddings.log_mel import embed_waveforms

    return variations.interpolate(loaded, files, output, steps, label, embed_waveforms, progress)


def _load_for(paths: Sequence[str | Path], output: Output, model: str | Path | None, vocoder: str | None,
              progress: Progress | None, count: int = 0, generated: bool = False) -> tuple[SoundModel, list[File]]:
    """The model that sounds name, unless another is given, and the sounds, with their records if they are generated."""
    from melgan_tf.inference.origin import model_of, read_origins
    from melgan_tf.inference.output_folder import NamePattern

    files = read_origins(paths, required=generated)
    for _, origin in files:
        output.delivery_of(origin)  # refuses before anything is loaded
    if output.name is not None:
        NamePattern(output.name, count or len(files))
    return load_sound_model(model_of(files, model), vocoder=vocoder, progress=progress), files


def _several(paths: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    return [paths] if isinstance(paths, str | Path) else paths


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
    if is_location(model):
        model = load_sound_model(model, checkpoint=checkpoint, vocoder=vocoder, progress=progress)
    return model.kit(out, seed, labels, style_from=style_from, round_robins=round_robins, velocities=velocities,
                     bit_depth=bit_depth, sample_rate=sample_rate, progress=progress)
