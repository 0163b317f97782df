"""Imports MelGAN generators from PyTorch: makes runs of the checkpoints of the paper's authors' code (``netG.pt``).

Such a file is a state dict of one long `torch.nn.Sequential`; activations and paddings have an index and no weights::

    model.1                     first convolution              (512, mel_bins, 7)
    model.3                     transposed convolution         (in, out, 2 * ratio)
    model.4 ... model.6         residual blocks: block.2, block.4, shortcut
    model.8 ... model.21        three more stages
    model.24                    last convolution               (1, channels, 7)

each with ``weight_g``, ``weight_v`` and ``bias``; for other spellings see `torch_checkpoint.load_state`. Names and
shapes determine everything but the dilations (1, 3, 9, ...) and the meaning of the mels.

TensorFlow is not imported before `TorchGenerator.build`.

Reference: Kumar et al., "MelGAN" (2019), and its authors' code (descriptinc/melgan-neurips).
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf.config import Config, presets
from melgan_tf.errors import ConfigError, MelGANError, UsageError
from melgan_tf.models.melgan.torch_checkpoint import load_state, require_state, require_torch
from melgan_tf.storage.atomic import atomic_folder
from melgan_tf.storage.checkpoints import CheckpointStore, collect
from melgan_tf.storage.run_directory import RunDirectory

if TYPE_CHECKING:
    from melgan_tf.models.melgan.networks import Generator

#: An imported run can be trained further; its clips have at least this many frames.
_MIN_FRAMES = 8


@dataclass(frozen=True)
class TorchGenerator:
    """The generator of a PyTorch checkpoint.

    Attributes:
        path: the file.
        sha256: of the file.
        mel_bins: of the input.
        ratios: how much longer each stage makes the sound.
        channels: width after the last stage.
        residual_layers: residual blocks a stage.
        state: ``weight_g``, ``weight_v`` and ``bias`` of every convolution, in PyTorch's layout, by their names there.
    """

    path: Path
    sha256: str
    mel_bins: int
    ratios: tuple[int, ...]
    channels: int
    residual_layers: int
    state: dict[str, np.ndarray] = field(repr=False)

    @property
    def hop_samples(self) -> int:
        """Samples per frame."""
        return math.prod(self.ratios)

    @property
    def folded_weights(self) -> int:
        """Number of weights once weight norm is folded away: 4,260,257 in the published model."""
        return sum(values.size for name, values in self.state.items() if not name.endswith("weight_g"))

    def config(self) -> Config:
        """Preset ``melgan`` with this generator's sizes.

        A checkpoint does not record its mel configuration. Sample rate, filters and compression are assumed to be those
        of the published model. With another hop, the window is assumed to be four hops long, as it is there, or longer
        if that gives too few bins for the bands.

        Raises:
            MelGANError: the configuration is not allowed (ratios above 64, no residual blocks, ...).
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
            raise MelGANError(f"{self.path} contains a generator of a size that is not supported: {error}") from None

    def build(self) -> Generator:
        """The generator with these weights, with weight norm as in training."""
        from melgan_tf.models.melgan.networks import Generator

        generator = Generator(self.mel_bins, self.ratios, self.channels, self.residual_layers)
        names = _convolutions(self.mel_bins, self.ratios, self.channels, self.residual_layers)
        for name, convolution in zip(names, generator.convolutions(), strict=True):
            # (taps, in, out), or (taps, out, in) of transposed convolutions
            convolution.v.assign(self.state[f"{name}.weight_v"].transpose(2, 1, 0))
            convolution.g.assign(self.state[f"{name}.weight_g"].transpose(2, 1, 0))
            convolution.bias.assign(self.state[f"{name}.bias"])
        return generator


def read_generator(path: str | Path) -> TorchGenerator:
    """Reads the generator of a PyTorch checkpoint.

    Args:
        path: the authors' ``netG.pt``, or one of the same structure with other widths, ratios or depths.

    Returns:
        The generator, in float32 whatever the file's precision.

    Raises:
        UsageError: PyTorch is not installed, or the file does not exist.
        MelGANError: the file cannot be read, is damaged, contains more than weights or belongs to another model.
    """
    path = Path(path)
    require_torch()
    if not path.is_file():
        problem = "is not a file" if path.exists() else "does not exist"
        raise UsageError(f"{path} {problem}: give the netG.pt of a MelGAN")
    state = load_state(path)
    sizes = _sizes({name: values.shape for name, values in state.items()})
    expected = {}
    for name, (kernel, filters) in _convolutions(**sizes).items():
        expected |= {f"{name}.weight_g": (kernel[0], 1, 1), f"{name}.weight_v": kernel, f"{name}.bias": (filters,)}
    require_state(path, state, expected)
    return TorchGenerator(path, _digest(path), **sizes, state=state)


def import_run(checkpoint: TorchGenerator, run: str | Path) -> Config:
    """Makes a run directory with this generator at step 0, as if `melgan-tf train` had started there.

    Its checkpoint contains only the generator: neither discriminators nor optimizers.

    Args:
        checkpoint: as `read_generator` returns it.
        run: the run directory; it must not exist, or be empty. It appears as a whole or not at all.

    Returns:
        The run's configuration.

    Raises:
        UsageError: the run directory exists and is not empty.
        MelGANError: it cannot be written; nothing is left behind. Or the generator's sizes are not supported.
    """
    config = checkpoint.config()
    require_new(run)
    state = collect(generator=checkpoint.build().variables)
    with atomic_folder(Path(run), "run directory") as folder:
        directory = RunDirectory(folder)
        origin = {"imported_from": str(checkpoint.path.absolute()), "sha256": checkpoint.sha256}
        CheckpointStore(directory.checkpoints).save(
            state, 0, {"epoch": 0, "audio_fingerprint": config.audio.fingerprint(), **origin})
        directory.write(config, origin, {})
    return config


def require_new(run: str | Path) -> None:
    """Raises a `UsageError` unless the path does not exist or is an empty folder."""
    path = Path(run)
    if path.is_symlink() and not path.exists():
        raise UsageError(f"{path} is a link to nothing: give another run directory")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} exists and is not replaced: give another run directory")


def _sizes(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """The arguments of a generator with such tensors; `require_state` checks that all of them agree."""
    layers = {name.rpartition(".")[0] for name in shapes}
    numbers = [layer.split(".") for layer in layers if layer.startswith("model.")]
    stages = max(1, sum(len(number) == 2 for number in numbers) - 2)
    blocks = len({number[1] for number in numbers if len(number) > 2})
    depth = round(blocks / stages)

    def kernel(name: str) -> tuple[int, ...]:
        shape = shapes.get(f"{name}.weight_v", ())
        return shape if len(shape) == 3 else (1, 1, 2)

    width, mel_bins, _ = kernel("model.1")
    ratios = tuple(kernel(f"model.{3 + stage * (depth + 2)}")[2] // 2 for stage in range(stages))
    return {"mel_bins": mel_bins, "ratios": ratios, "channels": max(1, width // 2 ** stages), "residual_layers": depth}


def _convolutions(mel_bins: int, ratios: tuple[int, ...], channels: int,
                  residual_layers: int) -> dict[str, tuple[tuple[int, ...], int]]:
    """Kernel shape and filters of every convolution by its PyTorch name, in the order of `Generator.convolutions`."""
    width, index = channels * 2 ** len(ratios), 3
    found = {"model.1": ((width, mel_bins, 7), width)}
    for ratio in ratios:
        found[f"model.{index}"] = (width, width // 2, 2 * ratio), width // 2
        width //= 2
        for block in range(index + 1, index + 1 + residual_layers):
            found |= {f"model.{block}.{name}": ((width, width, taps), width)
                      for name, taps in (("block.2", 3), ("block.4", 1), ("shortcut", 1))}
        index += residual_layers + 2
    return found | {f"model.{index + 1}": ((1, width, 7), 1)}


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
