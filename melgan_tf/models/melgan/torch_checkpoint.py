"""Reads the state dict of a PyTorch checkpoint, in one spelling, and compares it with what a model expects.

No code in a file is run: PyTorch's loader for weights alone refuses any other object.
"""

from __future__ import annotations

import io
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from melgan_tf.errors import MelGANError, UsageError

#: Before it, PyTorch's loader for weights alone could be made to run code (CVE-2025-32434).
_MIN_TORCH = (2, 6)
#: Of a file; the published generator has 17 MB.
_MAX_BYTES = 1 << 30
#: What the pickle of a state dict may name.
_WEIGHTS = re.compile(r"collections OrderedDict|torch\._utils _rebuild_\w+|torch \w*Storage|torch\.storage \w*Storage"
                      r"|torch (Size|device|(b?float|u?int|complex)\d+|bool)|torch\.serialization _get_layout")
_NUMBERS = ("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4")
_UNREADABLE = "is damaged, or not a PyTorch checkpoint: it cannot be read"
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
        size = path.stat().st_size
        data = path.read_bytes() if size <= _MAX_BYTES else b""
    except OSError as error:
        raise MelGANError(f"cannot read {path}: {error.strerror or error}") from None
    if size > _MAX_BYTES:
        raise MelGANError(f"{path} has {size:,} bytes: a generator has at most {_MAX_BYTES:,}")
    if damage := check_before_loading(data):
        raise MelGANError(f"{path} {damage}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # a damaged archive or pickle can raise almost anything
        # PyTorch's own message is not passed on: it advises loading the file without this protection
        raise MelGANError(f"{path} {_UNREADABLE}") from None


def check_before_loading(data: bytes) -> str | None:
    """What is wrong with the content of a checkpoint, as far as it shows before PyTorch allocates anything.

    PyTorch ignores checksums, and believes a file what sizes it states and which functions it calls.
    """
    try:
        if not data.startswith(b"PK"):  # before PyTorch 1.6: five pickles and the tensors
            stream = io.BytesIO(data)
            return next(filter(None, (_check_pickle(stream, len(data)) for _ in range(5))), None)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            records = archive.infolist()
            if (any(record.compress_type != zipfile.ZIP_STORED for record in records)
                    or sum(record.file_size for record in records) > len(data)):
                return "has records larger than itself, as no checkpoint of PyTorch has"
            if damaged := archive.testzip():
                return f"is damaged: {_shown(damaged)} has a wrong checksum"
            pickles = [record for record in records if record.filename.endswith(".pkl")]
            return next(filter(None, (_check_pickle(archive.open(record), len(data)) for record in pickles)), None)
    except Exception:  # a damaged archive or pickle can raise almost anything
        return _UNREADABLE


def _check_pickle(stream: BinaryIO, size: int) -> str | None:
    """Walks through a pickle, from a file of that size, without building anything."""
    elements, number, previous, memo = 0, 0, "", {}
    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name == "STACK_GLOBAL" or (name in ("GLOBAL", "INST") and not _WEIGHTS.fullmatch(argument)):
            return (f"contains more than weights ({str(argument).replace(' ', '.')[:80]}), which is not loaded: give a "
                    "state dict")
        if name in _NUMBERS:
            number = argument
        elif name == "BINPERSID":  # a storage: its length is the last number
            elements += abs(number)
        elif name.endswith("PUT"):
            memo[argument] = previous
        elif name.endswith("GET") and (memo[argument] in _NUMBERS or memo[argument].startswith("TUPLE")):
            return _UNREADABLE  # picklers never refer to numbers; tuples of tuples of ... grow without end
        previous = name
    return "has tensors larger than itself, as no checkpoint of PyTorch has" if elements > size else None


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
