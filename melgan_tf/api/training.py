"""Functions that learn from sounds, or from what others learned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melgan_tf import runtime
from melgan_tf.errors import UsageError
from melgan_tf.progress import Progress

if TYPE_CHECKING:
    from melgan_tf.data.clips import Long, SampleFormat
    from melgan_tf.data.prepare import PrepareResult
    from melgan_tf.data.prepare_beam import Pipeline
    from melgan_tf.models.melgan.torch_import import TorchGenerator
    from melgan_tf.training.run import Result as Trained


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
    from melgan_tf.audio import isolated
    from melgan_tf.data.shards import is_prepared
    from melgan_tf.training.cluster import worker_from_environment
    from melgan_tf.training.resolve import resolve

    spec = worker_from_environment()
    config = resolve(data, run, preset, changes, init_from, fresh, progress)
    if not is_prepared(data):
        isolated.start()  # while TensorFlow loads
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
