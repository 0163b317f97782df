"""Reads the state dict of a PyTorch checkpoint, in one spelling, and compares it with what a model expects.

No code in a file is run: PyTorch's loader for weights alone refuses any other object.
"""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from melgan_tf.errors import MelGANError, UsageError

#: Before it, PyTorch's loader for weights alone could be made to run code (CVE-2025-32434).
_MIN_TORCH = (2, 6)
#: Names that an error lists of each kind.
_MAX_LISTED = 3
#: Smaller norms count as 0: their squares are lost in single precision.
_MIN_NORM = 1e-18


def require_torch() -> ModuleType:
    """Imports PyTorch.

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


def load_state(path: Path) -> dict[str, np.ndarray]:
    """Reads a state dict with weight norm: ``weight_g``, ``weight_v`` and ``bias`` of every convolution, in float32.

    The prefix ``module.`` (`torch.nn.DataParallel`) is removed, the ``parametrizations`` of later versions of PyTorch
    get the older names, and a plain ``weight`` becomes a ``weight_v`` with its own norm as ``weight_g``.

    Raises:
        UsageError: PyTorch is not installed, or too old.
        MelGANError: the file cannot be read, is damaged, or contains anything but finite weights.
    """
    torch = require_torch()
    stored = _load(path, torch)
    if not isinstance(stored, dict) or not stored:
        raise MelGANError(f"{path} contains no named tensors: give the netG.pt of a MelGAN")
    state = {_canonical(path, name): _array(path, name, value, torch) for name, value in stored.items()}
    if len(state) < len(stored):
        raise MelGANError(f"{path} contains a tensor twice, with two spellings of its name")
    for name in [name for name in state if name.endswith(".weight")]:
        if not {f"{name}_v", f"{name}_g"} & state.keys() and state[name].ndim == 3:
            state[f"{name}_v"], state[f"{name}_g"] = _normalized(state.pop(name))
    return state


def require_state(path: Path, state: dict[str, np.ndarray], expected: dict[str, tuple[int, ...]]) -> None:
    """Compares names and shapes as ``load_state_dict(strict=True)`` does, and requires kernels that are finite.

    Raises:
        MelGANError: the state differs; the message lists missing, unexpected and misshapen tensors.
    """
    shapes = [f"{name} has shape {state[name].shape}, not {shape}" for name, shape in expected.items()
              if name in state and state[name].shape != shape]
    parts = {"missing": [name for name in expected if name not in state],
             "unexpected": [_shown(name) for name in state if name not in expected], "wrong shape": shapes}
    listed = [f"{kind}: {', '.join(names[:_MAX_LISTED])}"
              + (f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else "")
              for kind, names in parts.items() if names]
    if listed:
        raise MelGANError(f"{path} is not a checkpoint of a MelGAN generator ({'; '.join(listed)})")
    for name, values in state.items():
        if name.endswith("weight_v") and not ((_norm(values) > _MIN_NORM) & (_norm(values) < np.inf)).all():
            raise MelGANError(f"{path}: {name} contains a filter without a direction, its norm is 0 or infinite")


def _load(path: Path, torch: ModuleType) -> Any:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MelGANError(f"cannot read {path}: {error.strerror or error}") from None
    if damaged := _damaged_record(data):  # PyTorch ignores checksums
        raise MelGANError(f"{path} is damaged: {_shown(damaged)} has a wrong checksum")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive or pickle can raise almost anything
        # PyTorch's own message is not passed on: it advises loading the file without this protection
        other = isinstance(error, pickle.UnpicklingError) and re.search(r"GLOBAL ([\w.]+)", str(error))
        raise MelGANError(f"{path} contains more than weights ({other[1][:80]}), which is not loaded: give a state dict"
                          if other else f"{path} is damaged, or not a PyTorch checkpoint: it cannot be read") from None


def _damaged_record(data: bytes) -> str | None:
    """The first record of a zip archive whose checksum is wrong; None also for data that are not a whole archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.testzip()
    except Exception:  # cut off or scrambled: PyTorch refuses it as well
        return None


def _canonical(path: Path, name: Any) -> str:
    if not isinstance(name, str):
        raise MelGANError(f"{path} is not a state dict: {_shown(repr(name))} is not a name")
    name = name.removeprefix("module.")
    return name.replace(".parametrizations.weight.original0", ".weight_g").replace(
        ".parametrizations.weight.original1", ".weight_v")


def _array(path: Path, name: str, value: Any, torch: ModuleType) -> np.ndarray:
    plain = (torch.is_tensor(value) and value.layout == torch.strided and value.device.type == "cpu"
             and value.is_floating_point()
             and value.numel() * value.element_size() <= value.untyped_storage().nbytes())
    if not plain:
        raise MelGANError(f"{path}: {_shown(name)} is not a tensor of floating-point numbers")
    array = value.detach().float().numpy()
    if not np.isfinite(array).all():
        raise MelGANError(f"{path}: {_shown(name)} contains values that are not finite")
    return array


def _normalized(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Direction and norm of a kernel; a filter of zeros gets any direction and the norm 0."""
    norm = _norm(kernel)
    return np.where(norm > _MIN_NORM, kernel, np.float32(1.0)), np.where(norm > _MIN_NORM, norm, np.float32(0.0))


def _norm(kernel: np.ndarray) -> np.ndarray:
    """Of every index of the first axis, the one that PyTorch normalizes."""
    with np.errstate(over="ignore", under="ignore"):
        return np.sqrt(np.sum(np.square(kernel), axis=tuple(range(1, kernel.ndim)), keepdims=True))


def _shown(name: str) -> str:
    """A name from a file, in which any characters may stand."""
    return name if re.fullmatch(r"[\w./-]{1,120}", name, re.ASCII) else repr(name[:80])
