"""Functions that compare sounds, and choose among them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from melgan_tf import runtime
from melgan_tf.api.models import Checkpoint, is_location, load, load_sound_model
from melgan_tf.errors import UsageError, did_you_mean
from melgan_tf.progress import Progress

if TYPE_CHECKING:
    from melgan_tf.evaluation.choose import Choice
    from melgan_tf.evaluation.favorites import Explored
    from melgan_tf.evaluation.report import Report
    from melgan_tf.inference.sound_model import SoundModel
    from melgan_tf.inference.vocoder import Vocoder


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

    if is_location(source) and is_sound_folder(source):
        runtime.start_tensorflow()
    elif is_location(source):
        source = load(source, checkpoint=checkpoint, vocoder=vocoder, progress=progress)
    from melgan_tf.evaluation import evaluate as evaluation

    return evaluation.evaluate(source, reference, train, count, seed, progress)


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
