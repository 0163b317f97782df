"""What a model is loaded from: a run directory, or the name of a model of the package. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

from melgan_tf.config import Config
from melgan_tf.errors import UsageError, did_you_mean
from melgan_tf.progress import Progress, counted
from melgan_tf.storage.checkpoints import CheckpointStore
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.weights import (
    PRETRAINED,
    card_config,
    packaged_name,
    pretrained_models,
    pretrained_vocoders,
    read_card,
)

#: The warning where mels are rendered by Griffin-Lim though nobody asked for it.
NO_VOCODER = "no bundled vocoder matches this mel configuration; falling back to Griffin-Lim"


def source_config(source: str | Path) -> Config:
    """The configuration of a run, or of a model of the package.

    Args:
        source: a run directory, ``pretrained:NAME``, or the name of a vocoder; a run directory of that name goes first.

    Raises:
        UsageError: there is neither.
        MelGANError: config.json is damaged.
    """
    if name := packaged_name(source):
        return card_config(read_card(name))
    directory = RunDirectory(source)
    if directory.path.exists():
        return directory.config()
    if str(source).startswith(PRETRAINED):
        raise UsageError(f"there is no bundled model {source}: {did_you_mean(str(source), pretrained_models())}")
    hint = did_you_mean(str(source), [*pretrained_models(), *pretrained_vocoders()],
                        "train one with `melgan-tf train`, or take a bundled model:")
    raise UsageError(f"run directory {source} does not exist: {hint}")


def trained_steps(source: str | Path) -> int:
    """Training steps behind the newest weights of a run, or behind a model of the package."""
    if name := packaged_name(source):
        return read_card(name)["step"]
    return max(CheckpointStore(RunDirectory(source).checkpoints).steps(), default=0)


def warn_of_little_training(source: str | Path, step: int, progress: Progress) -> None:
    """Says of a run that stopped before a tenth of its training that its sounds are not what it will make.

    Args:
        source: as for `source_config`.
        step: of the weights.
        progress: takes the warning.
    """
    directory = RunDirectory(source)
    if packaged_name(source) or not step:  # those that were converted have no step
        return
    training, per_epoch = directory.config().training, directory.record()["resolved"].get("steps_per_epoch", 0)
    planned = training.steps or training.epochs * per_epoch
    if step < planned / 10:
        progress.warning(f"{source} has trained {step:,} of {counted(planned, 'step')}: its sounds will get better; to "
                         "go on, run its train command again")


def sound_model_config(source: str | Path) -> Config:
    """The configuration of a sound model; see `source_config`.

    Raises:
        UsageError: there is no such model, or it is a vocoder.
        MelGANError: config.json is damaged.
    """
    config = source_config(source)
    if config.family.makes == "waveforms":
        raise UsageError(f"{source} is a vocoder, which makes no sounds of its own: melgan-tf vocode SOUND "
                         f"--vocoder {source}")
    return config


def vocoder_config(source: str | Path) -> Config:
    """The configuration of a vocoder; see `source_config`.

    Raises:
        UsageError: there is no such vocoder, or it is a sound model.
        MelGANError: config.json is damaged.
    """
    directory = RunDirectory(source)
    if str(source) not in pretrained_vocoders() and not directory.exists():
        raise unknown_vocoder(source, pretrained_vocoders())
    config = source_config(source)
    if config.family.makes != "waveforms":
        raise UsageError(f"{source} is a run of preset {config.preset!r}, which makes mels from noise: give the run of "
                         "a vocoder")
    return config


def unknown_vocoder(source: str | Path, names: list[str]) -> UsageError:
    """The error for a vocoder that does not exist; it names the nearest one."""
    if source == "griffin-lim":
        return UsageError("griffin-lim has no mels of its own: give a run, or the name of a vocoder")
    return UsageError(f"{str(source)!r} is neither the run directory of a vocoder nor the name of one: "
                      f"{did_you_mean(str(source), names)}")
