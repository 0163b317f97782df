"""MelGAN generators from PyTorch: makes runs of the checkpoints that the paper's authors' code writes (``netG.pt``).

Such a file is a state dict of one long `torch.nn.Sequential`; activations and paddings have an index and no weights::

    model.1                     first convolution              (512, mel_bins, 7)
    model.3                     transposed convolution         (in, out, 2 * ratio)
    model.4 ... model.6         residual blocks: block.2, block.4, shortcut
    model.8 ... model.21        three more stages
    model.24                    last convolution               (1, channels, 7)

each with ``weight_g``, ``weight_v`` and ``bias``; or ``weight`` once weight norm is removed; or
``parametrizations.weight.original0`` and ``1`` as later versions of PyTorch call the two. All names may begin with
``module.`` (`torch.nn.DataParallel`). Everything but the dilations (1, 3, 9, ...) and the meaning of the mels can be
read off names and shapes.

`melgan_tf.models.melgan.torch_checkpoint` reads the file. No TensorFlow before `TorchGenerator.build`.

Reference: Kumar et al., "MelGAN" (2019), and its authors' code (descriptinc/melgan-neurips).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import math
import os
import shutil
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melgan_tf.config import Config, presets
from melgan_tf.errors import ConfigError, MelGANError, UsageError
from melgan_tf.models.melgan.torch_checkpoint import Convolution, Tensors, Weights, load_tensors, require_torch
from melgan_tf.storage.checkpoints import CheckpointStore, collect
from melgan_tf.storage.run_directory import RunDirectory

if TYPE_CHECKING:
    from melgan_tf.models.melgan.networks import Generator

#: More than any configuration has.
_MAX_STAGES = 16
#: Clips of a training that goes on from an imported run have at least so many frames.
_MIN_FRAMES = 8


@dataclass(frozen=True)
class TorchGenerator:
    """The generator in a PyTorch checkpoint, checked throughout.

    Attributes:
        path: the file.
        sha256: of the file.
        mel_bins: of the input.
        ratios: how much longer each stage makes the sound.
        channels: width after the last stage.
        residual_layers: residual blocks a stage.
        weights: direction ``v``, length ``g`` and ``bias`` of every convolution in the order of
            `Generator.convolutions`: ``(taps, in, out)``, ``(1, 1, out)`` and ``(out,)``; of transposed convolutions
            ``(taps, out, in)``, ``(1, 1, in)`` and ``(out,)``. Where weight norm was removed, ``g`` is the norm of
            ``v``, so that it changes nothing.
    """

    path: Path
    sha256: str
    mel_bins: int
    ratios: tuple[int, ...]
    channels: int
    residual_layers: int
    weights: list[Weights] = field(repr=False)

    @property
    def hop_samples(self) -> int:
        """Samples per frame."""
        return math.prod(self.ratios)

    @property
    def folded_weights(self) -> int:
        """Number of weights once weight norm is folded away: 4,260,257 in the published model."""
        return sum(weights.v.size + weights.bias.size for weights in self.weights)

    def config(self) -> Config:
        """Preset ``melgan`` with this generator's sizes.

        A checkpoint does not tell what its mels mean. Sample rate, filters and compression are taken to be those of
        the published model; with another hop, the window is taken to be four hops long, as it is there, or longer
        if that gives too few frequencies for the bands.

        Raises:
            MelGANError: there is no such configuration (ratios above 64, no residual blocks, ...).
        """
        preset = presets.get("melgan")
        n_fft = max(4 * self.hop_samples, 16)
        if n_fft < 2 * self.mel_bins:
            n_fft = 2 ** (2 * self.mel_bins - 1).bit_length()
        frames = max(_MIN_FRAMES, math.ceil(n_fft / self.hop_samples),
                     round(preset.data.clip_samples / self.hop_samples))
        try:
            return dataclasses.replace(
                preset, data=dataclasses.replace(preset.data, clip_samples=frames * self.hop_samples),
                audio=dataclasses.replace(preset.audio, hop_samples=self.hop_samples, n_fft=n_fft,
                                          mel_bins=self.mel_bins),
                model=dataclasses.replace(preset.model, ratios=self.ratios, channels=self.channels,
                                          residual_layers=self.residual_layers))
        except ConfigError as error:
            raise MelGANError(f"{self.path} holds a generator that a run cannot have: {error}") from None

    def build(self) -> Generator:
        """The generator with these weights, with weight norm as in training."""
        from melgan_tf.models.melgan.networks import Generator

        generator = Generator(self.mel_bins, self.ratios, self.channels, self.residual_layers)
        for convolution, weights in zip(generator.convolutions(), self.weights, strict=True):
            convolution.v.assign(weights.v)
            convolution.g.assign(weights.g)
            convolution.bias.assign(weights.bias)
        return generator


def read_generator(path: str | Path) -> TorchGenerator:
    """Reads the generator of a PyTorch checkpoint.

    Args:
        path: the authors' ``netG.pt``, or one of the same making with other widths, ratios or depths.

    Returns:
        What it holds, in float32 whatever the file's precision.

    Raises:
        UsageError: PyTorch is not installed, or there is no such file.
        MelGANError: the file cannot be read, is damaged, holds more than weights or belongs to another model; the
            message names the first tensor that does not fit.
    """
    path = Path(path)
    require_torch()
    if not path.exists():
        raise UsageError(f"{path} does not exist: give the netG.pt of a MelGAN")
    if not path.is_file():
        raise UsageError(f"{path} is no file: give the netG.pt of a MelGAN")
    tensors = Tensors(path, load_tensors(path))
    arguments = _arguments(tensors)
    expected = _convolutions(**arguments)
    weights = [tensors.weights(name, convolution) for name, convolution in expected.items()]
    for name in tensors.layers:
        if name not in expected:
            raise tensors.misfit(name, next(iter(tensors.layers[name])), "is one too many")
    return TorchGenerator(path, _digest(path), **arguments, weights=weights)


def import_run(checkpoint: TorchGenerator, run: str | Path) -> Config:
    """Makes a run directory with this generator at step 0, as if `melgan-tf train` had begun there.

    Its checkpoint has the generator and nothing else: neither discriminators nor optimizers.

    Args:
        checkpoint: as `read_generator` returns it.
        run: the run directory; it must not be there, or be empty. It appears as a whole or not at all.

    Returns:
        The run's configuration.

    Raises:
        UsageError: something is there.
        MelGANError: it cannot be written; nothing is left behind. Or no run can have such a generator.
    """
    config = checkpoint.config()
    require_new(run)
    state = collect(generator=checkpoint.build().variables)
    with _appearing(Path(run)) as folder:
        directory = RunDirectory(folder)
        origin = {"imported_from": str(checkpoint.path.absolute()), "sha256": checkpoint.sha256}
        CheckpointStore(directory.checkpoints).save(
            state, 0, {"epoch": 0, "audio_fingerprint": config.audio.fingerprint(), **origin})
        directory.write(config, origin, {})
    return config


def require_new(run: str | Path) -> None:
    """Raises a `UsageError` unless nothing, or an empty folder, is at the path."""
    path = Path(run)
    if path.is_symlink() and not path.exists():
        raise UsageError(f"{path} is a link to nothing: give another run directory")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} exists and is not replaced: give another run directory")


def _arguments(tensors: Tensors) -> dict[str, Any]:
    """What the names and shapes say about the generator; whether they all agree is for others to find out."""
    part, first = tensors.kernel("model.1")
    if first.ndim != 3:
        raise tensors.misfit("model.1", part, f"has shape {first.shape}, not (width, mel_bins, 7)")
    stages, depth = _layout(tensors.layers.keys())
    for name in _convolutions(1, (1,) * stages, 1, depth):
        tensors.kernel(name)
    ratios = []
    for stage in range(stages):
        name = f"model.{3 + stage * (depth + 2)}"
        up, kernel = tensors.kernel(name)
        if kernel.ndim != 3 or kernel.shape[2] < 4 or kernel.shape[2] % 2:
            raise tensors.misfit(name, up, f"has shape {kernel.shape}, not (in, out, twice a ratio of 2 or more)")
        ratios.append(kernel.shape[2] // 2)
    channels, left = divmod(first.shape[0], 2 ** stages)
    if left or not channels:
        raise tensors.misfit("model.1", part, f"has shape {first.shape}, whose width cannot be halved {stages} times")
    return {"mel_bins": first.shape[1], "ratios": tuple(ratios), "channels": channels, "residual_layers": depth}


def _layout(names: Set[str]) -> tuple[int, int]:
    """The number of stages and of residual blocks in each that the names come nearest to.

    Where a tensor is missing or one too many, that is to be found, not followed.
    """
    indices = {int(name.split(".")[1]) for name in names}
    blocks = {int(name.split(".")[1]) for name in names if name.count(".") > 1}
    depths = {0}
    for first in (block for block in blocks if block - 1 not in blocks):  # those of a stage have consecutive indices
        depths.add(next(count for count in itertools.count(1) if first + count not in blocks))
    layouts = [(stages, depth) for depth in depths
               for stages in range(1, min(max(indices) // (depth + 2), _MAX_STAGES) + 2)]
    return min(layouts, key=lambda layout: len(names ^ _convolutions(1, (1,) * layout[0], 1, layout[1]).keys()))


def _convolutions(mel_bins: int, ratios: tuple[int, ...], channels: int,
                  residual_layers: int) -> dict[str, Convolution]:
    """Every convolution by its name in PyTorch, in the order of `Generator.convolutions`."""
    width, index = channels * 2 ** len(ratios), 3
    found = {"model.1": Convolution((width, mel_bins, 7), width)}
    for ratio in ratios:
        found[f"model.{index}"] = Convolution((width, width // 2, 2 * ratio), width // 2)
        width //= 2
        for block in range(index + 1, index + 1 + residual_layers):
            found |= {f"model.{block}.{name}": Convolution((width, width, taps), width)
                      for name, taps in (("block.2", 3), ("block.4", 1), ("shortcut", 1))}
        index += residual_layers + 2
    return found | {f"model.{index + 1}": Convolution((1, width, 7), 1)}


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A folder that becomes ``path`` when the block ends well; when not, nothing of it stays, nor of its parents."""
    path = path.resolve()
    made = [parent for parent in path.parents if not parent.exists()]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    done = False
    try:
        temporary.mkdir(parents=True)
        yield temporary
        os.rename(temporary, path)  # an empty folder gives way, nothing else does
        done = True
    except OSError as error:
        raise MelGANError(f"cannot write run directory {path}: {error.strerror or error}") from None
    finally:
        if not done:
            shutil.rmtree(temporary, ignore_errors=True)
            for parent in made:
                with contextlib.suppress(OSError):
                    parent.rmdir()


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
