"""MelGAN generators from PyTorch: reads the checkpoints that the paper's authors' code writes (``netG.pt``).

Such a file is a state dict of one long `torch.nn.Sequential`::

    model.1                     first convolution              (512, mel_bins, 7)
    model.3                     transposed convolution         (in, out, 2 * ratio)
    model.4 ... model.6         residual blocks: block.2, block.4, shortcut
    model.8, ...                further stages, one index apart for the activation
    model.25                    last convolution               (1, channels, 7)

each with ``weight_g``, ``weight_v`` and ``bias``; or ``weight`` once weight norm is removed; or
``parametrizations.weight.original0`` and ``1`` as later versions of PyTorch call the two. Everything but the dilations
(1, 3, 9, ...) can be read off names and shapes.

Nothing in a file is executed: PyTorch's loader for weights alone refuses any other object.

Reference: Kumar et al., "MelGAN" (2019), and its authors' code (descriptinc/melgan-neurips).
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from melgan_tf.errors import MelGANError
from melgan_tf.models.melgan import Generator

_NAME = re.compile(r"(model\.(\d{1,6})(?:\.block\.\d{1,6}|\.shortcut)?)\.(.+)")
_PARTS = {"weight": "weight", "weight_g": "g", "weight_v": "v", "bias": "bias",
          "parametrizations.weight.original0": "g", "parametrizations.weight.original1": "v"}

Layers = dict[str, dict[str, np.ndarray]]
Shape = tuple[int, ...]


def read_generator(path: str | Path) -> tuple[Generator, dict[str, Any]]:
    """Reads the generator of a PyTorch checkpoint.

    Args:
        path: the authors' ``netG.pt``, or one of the same making with other widths, ratios or depths.

    Returns:
        The generator, with weight norm if the file has it throughout, and its arguments: ``mel_bins``, ``ratios``,
        ``channels`` and ``residual_layers``.

    Raises:
        MelGANError: PyTorch is not installed, or the file cannot be read, is damaged, holds more than weights or
            belongs to another model; the message names the first tensor that does not fit.
    """
    layers = _layers(_load(Path(path)), path)
    arguments = _arguments(layers, path)
    expected = _expected(**arguments)
    for name, shape in expected.items():
        _check(name, layers.get(name, {}), shape, path)
    for name in layers:
        if name not in expected:
            raise _misfit(path, f"{name}.{next(iter(layers[name]))} is one too many")
    weight_norm = all("v" in layer for layer in layers.values())
    generator = Generator(**arguments, weight_norm=weight_norm)
    for convolution, name in zip(generator.convolutions(), expected, strict=True):
        layer = layers[name]
        if weight_norm:
            convolution.v.assign(layer["v"].transpose(2, 1, 0))
            convolution.g.assign(layer["g"].transpose(2, 1, 0))
        else:
            convolution.v.assign(_folded(layer).transpose(2, 1, 0))
        convolution.bias.assign(layer["bias"])
    return generator, arguments


def _load(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of the file, by its name in the file."""
    try:
        import torch
    except ImportError:
        raise MelGANError(f"reading {path} needs PyTorch: pip install melgan-tf[torch]") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise MelGANError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # a damaged archive or pickle can end in almost any of Python's own
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise MelGANError(f"{path} is damaged, or no file of PyTorch weights alone ({reason})") from None
    if not isinstance(stored, dict) or not stored:
        raise MelGANError(f"{path} holds no named tensors: give the netG.pt of a MelGAN")
    tensors = {}
    for name, value in stored.items():
        dense = torch.is_tensor(value) and value.layout == torch.strided and value.device.type == "cpu"
        if not dense or not value.is_floating_point():
            raise _misfit(path, f"{name!r} is no tensor of floating-point numbers")
        tensors[str(name)] = value.detach().float().numpy()
    return tensors


def _layers(tensors: dict[str, np.ndarray], path: str | Path) -> Layers:
    """The tensors by convolution and part: ``{"model.1": {"g": ..., "v": ..., "bias": ...}, ...}``."""
    layers: Layers = {}
    for name, value in tensors.items():
        match = _NAME.fullmatch(name)
        if not match or match[3] not in _PARTS:
            raise _misfit(path, f"{name} is unknown")
        if not np.isfinite(value).all():
            raise _misfit(path, f"{name} holds values that are not finite")
        layers.setdefault(match[1], {})[_PARTS[match[3]]] = value
    return layers


def _arguments(layers: Layers, path: str | Path) -> dict[str, Any]:
    """What the names and shapes say about the generator; whether they all agree is for `_check` to find out."""
    plain = sorted(int(name.split(".")[1]) for name in layers if name.count(".") == 1)  # not in a residual block
    blocks = {name.split(".")[1] for name in layers} - set(map(str, plain))
    if len(plain) < 3 or plain[:2] != [1, 3]:
        wanted = next((f"model.{index}" for index in (1, 3) if index not in plain), "the last convolution")
        raise _misfit(path, f"{wanted} is missing")
    shapes = [_weight_shape(f"model.{index}", layers, path) for index in plain]
    # a stage is an activation, the transposed convolution and its blocks; the last one is followed by a padding as well
    residual_layers = plain[2] - plain[1] - (2 if len(plain) > 3 else 3)
    if not 0 <= residual_layers * (len(plain) - 2) <= len(blocks):
        raise _misfit(path, f"model.{plain[1] + 1 + len(blocks) // (len(plain) - 2)} is missing")
    return {"mel_bins": shapes[0][1], "ratios": tuple(max(1, shape[2] // 2) for shape in shapes[1:-1]),
            "channels": shapes[-1][1], "residual_layers": residual_layers}


def _expected(mel_bins: int, ratios: tuple[int, ...], channels: int, residual_layers: int) -> dict[str, Shape]:
    """The shape of every weight in PyTorch's layout, in the order of `Generator.convolutions`."""
    width, index = channels * 2 ** len(ratios), 3
    shapes = {"model.1": (width, mel_bins, 7)}
    for ratio in ratios:
        shapes[f"model.{index}"] = (width, width // 2, 2 * ratio)
        width //= 2
        for block in range(index + 1, index + 1 + residual_layers):
            shapes |= {f"model.{block}.block.2": (width, width, 3), f"model.{block}.block.4": (width, width, 1),
                       f"model.{block}.shortcut": (width, width, 1)}
        index += residual_layers + 2
    return shapes | {f"model.{index + 1}": (1, width, 7)}


def _check(name: str, layer: dict[str, np.ndarray], shape: Shape, path: str | Path) -> None:
    filters = shape[1] if name.count(".") == 1 and shape[2] % 2 == 0 else shape[0]
    weights = {"weight": shape} if "weight" in layer else {"g": (shape[0], 1, 1), "v": shape}
    for part, wanted in {**weights, "bias": (filters,)}.items():
        if part not in layer:
            raise _misfit(path, f"{_stored(name, part)} is missing")
        if layer[part].shape != wanted:
            raise _misfit(path, f"{_stored(name, part)} has shape {layer[part].shape}, not {wanted}")
    for part in layer.keys() - weights.keys() - {"bias"}:
        raise _misfit(path, f"{_stored(name, part)} is one too many")


def _weight_shape(name: str, layers: Layers, path: str | Path) -> Shape:
    layer = layers[name]
    part = "v" if "v" in layer else "weight"
    if part not in layer:
        raise _misfit(path, f"{_stored(name, part)} is missing")
    if layer[part].ndim != 3 or 0 in layer[part].shape:
        raise _misfit(path, f"{_stored(name, part)} has shape {layer[part].shape}: a convolution's has three axes")
    return layer[part].shape


def _folded(layer: dict[str, np.ndarray]) -> np.ndarray:
    if "weight" in layer:
        return layer["weight"]
    return layer["v"] * (layer["g"] / np.sqrt(np.sum(np.square(layer["v"]), axis=(1, 2), keepdims=True)))


def _stored(name: str, part: str) -> str:
    return f"{name}.{'weight_' + part if part in 'gv' else part}"


def _misfit(path: str | Path, what: str) -> MelGANError:
    return MelGANError(f"{path} is no checkpoint of a MelGAN generator: {what}")
