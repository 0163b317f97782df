"""The tensors of a PyTorch checkpoint of a MelGAN generator, by convolution and part, each checked on its own.

What `melgan_tf.models.melgan.torch_import` makes a generator of. Nothing in a file is executed: PyTorch's loader for
weights alone refuses any other object.
"""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.models.melgan.torch_damage import first_damaged

#: Before it, PyTorch's loader for weights alone could be made to run code (CVE-2025-32434).
_MIN_TORCH = (2, 6)
_NAME = re.compile(r"(model\.(\d{1,4})(?:\.block\.[24]|\.shortcut)?)\.([a-z_.]+[01]?)")
_PARTS = {"weight_g": "g", "weight_v": "v", "parametrizations.weight.original0": "g",
          "parametrizations.weight.original1": "v", "weight": "weight", "bias": "bias"}
#: Norms below it are 0: their squares are lost in single precision.
_MIN_NORM = 1e-18


class Convolution(NamedTuple):
    """What a convolution's tensors have to be like."""

    shape: tuple[int, ...]  # in PyTorch's layout: the axis with a norm of its own comes first
    filters: int


class Weights(NamedTuple):
    """Direction, length and bias of a convolution in Keras's layout: see `TorchGenerator.weights`."""

    v: np.ndarray
    g: np.ndarray
    bias: np.ndarray


def require_torch() -> ModuleType:
    """PyTorch, loaded.

    Raises:
        UsageError: it is not installed, or is older than 2.6, whose loader could be made to run code.
    """
    try:
        import torch
    except ImportError:
        raise UsageError("importing a checkpoint needs PyTorch: pip install 'melgan-tf[torch]'") from None
    version = re.match(r"(\d+)\.(\d+)", torch.__version__)
    if version and tuple(map(int, version.groups())) < _MIN_TORCH:
        raise UsageError(f"PyTorch {torch.__version__} does not load files safely: pip install 'melgan-tf[torch]'")
    return torch


def load_tensors(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a checkpoint in float32, by its name in the file.

    Raises:
        UsageError: PyTorch is not installed, or too old.
        MelGANError: the file cannot be read, is damaged, or holds more than weights.
    """
    torch = require_torch()
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = _load_weights(path, file, torch)
        damaged = first_damaged(path)  # PyTorch does not look at checksums
    except OSError as error:
        raise MelGANError(f"cannot read {path}: {error.strerror or error}") from None
    if damaged:
        raise MelGANError(f"{path} is damaged: {_shown(damaged)} has a wrong checksum")
    if not isinstance(stored, dict) or not stored:
        raise MelGANError(f"{path} holds no named tensors: give the netG.pt of a MelGAN")
    return {name: _array(path, torch, name, value) for name, value in stored.items()}


def _load_weights(path: Path, file: BinaryIO, torch: ModuleType) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive or pickle can end in almost any of Python's own
        # PyTorch's own message is not passed on: it advises to load the file without this protection
        other = isinstance(error, pickle.UnpicklingError) and re.search(r"GLOBAL ([\w.]+)", str(error))
    if other:
        raise MelGANError(f"{path} holds more than weights ({other[1][:80]}), and nothing else is loaded: give a state "
                          "dict")
    damaged = first_damaged(path)
    raise MelGANError(f"{path} is damaged: {_shown(damaged)} is cut off or cannot be read" if damaged else
                      f"{path} is damaged, or no PyTorch checkpoint: it cannot be read")


def _array(path: Path, torch: ModuleType, name: Any, value: Any) -> np.ndarray:
    if not isinstance(name, str) or not torch.is_tensor(value):
        raise _misfit(path, f"{_shown(name)} is no tensor")
    if value.layout != torch.strided or value.device.type != "cpu" or not value.is_floating_point():
        kind = str(value.dtype).removeprefix("torch.")
        raise _misfit(path, f"{_shown(name)} holds {kind}, not plain floating-point numbers")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise _misfit(path, f"{_shown(name)} has shape {tuple(value.shape)} and fewer numbers than that")
    return value.detach().float().numpy()


class Tensors:
    """The tensors of a file by convolution and part, ``{"model.1": {"g": ..., "v": ..., "bias": ...}, ...}``.

    Args:
        path: for messages.
        stored: the tensors by their names in the file, at least one.

    Raises:
        MelGANError: a name is unknown, or a tensor holds no finite numbers.
    """

    def __init__(self, path: Path, stored: dict[str, np.ndarray]) -> None:
        self.path, self.layers = path, {}
        self.prefix = "module." if next(iter(stored)).startswith("module.") else ""
        self.spelling = {part: spelling for spelling, part in reversed(_PARTS.items())}
        seen = set()
        for name, values in stored.items():
            match = _NAME.fullmatch(name.removeprefix(self.prefix)) if name.startswith(self.prefix) else None
            if not match or match[3] not in _PARTS:
                raise _misfit(path, f"{_shown(name)} is unknown")
            if not np.isfinite(values).all():
                raise _misfit(path, f"{name} holds values that are not finite")
            layer, part = self.layers.setdefault(match[1], {}), _PARTS[match[3]]
            if part in layer:
                raise _misfit(path, f"{name} is one too many")
            layer[part], self.spelling[part] = values, match[3]
            seen.add(part)
        self.normalized = bool(seen & {"g", "v"})

    def misfit(self, layer: str, part: str, what: str) -> MelGANError:
        """An error about one tensor, by the name that the file gives it."""
        return _misfit(self.path, f"{self.prefix}{layer}.{self.spelling[part]} {what}")

    def kernel(self, layer: str) -> tuple[str, np.ndarray]:
        """A convolution's kernel, direction only where there is weight norm, and the part's name.

        Raises:
            MelGANError: there is none.
        """
        parts = self.layers.get(layer, {})
        part = "v" if self.normalized and "weight" not in parts else "weight"
        if part not in parts:
            raise self.misfit(layer, part, "is missing")
        return part, parts[part]

    def weights(self, layer: str, wanted: Convolution) -> Weights:
        """A convolution's weights in Keras's layout.

        Raises:
            MelGANError: a part is missing, misshapen, one too many, or gives no finite kernel.
        """
        part, v = self.kernel(layer)
        self._require_shape(layer, part, wanted.shape)
        parts, shapes = self.layers[layer], {part: wanted.shape, "bias": (wanted.filters,)}
        if part == "v":
            shapes["g"] = (wanted.shape[0], 1, 1)
        for other, shape in shapes.items():
            if other not in parts:
                raise self.misfit(layer, other, "is missing")
            self._require_shape(layer, other, shape)
        for other in parts:
            if other not in shapes:
                raise self.misfit(layer, other, "is one too many")
        with np.errstate(over="ignore", under="ignore"):
            norm = np.sqrt(np.sum(np.square(v), axis=(1, 2), keepdims=True))
        if not np.isfinite(norm).all():
            raise self.misfit(layer, part, "holds values that are too large")
        if part == "v":
            if not (norm > _MIN_NORM).all():
                raise self.misfit(layer, part, "has a filter of zeros, whose direction nobody knows")
            g = parts["g"]
        else:  # a filter of zeros has no direction: any will do, with length 0
            v, g = np.where(norm > _MIN_NORM, v, np.float32(1.0)), np.where(norm > _MIN_NORM, norm, np.float32(0.0))
        return Weights(*(np.ascontiguousarray(x.transpose(2, 1, 0)) for x in (v, g)), parts["bias"])

    def _require_shape(self, layer: str, part: str, shape: tuple[int, ...]) -> None:
        found = self.layers[layer][part].shape
        if found != shape:
            raise self.misfit(layer, part, f"has shape {found}, not {shape}")


def _shown(name: Any) -> str:
    """A name from a file that may hold anything."""
    text = name if isinstance(name, str) else repr(name)
    return text if re.fullmatch(r"[\w.]{1,120}", text, re.ASCII) else repr(text[:80])


def _misfit(path: Path, what: str) -> MelGANError:
    return MelGANError(f"{path} is no checkpoint of a MelGAN generator: {what}")
