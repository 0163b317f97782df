"""The fixtures that the tests share. TensorFlow is set up here, before any test module can load it."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import conftest  # noqa: F401  sets the environment
import keras
import pytest
import tensorflow as tf
from drums import write_drums
from eagerly import eagerly
from loaded_once import load_them_once

from melgan_tf.cli import console
from melgan_tf.config import Config, presets

pytest_plugins = ["vocoder_fixtures"]
load_them_once()

# PyTorch would load Triton for its optimizers; one process cannot take its LLVM beside that of TensorFlow 2.20
sys.modules["triton"] = None

# two devices, so that mirrored training can be tried; nothing uses the second one unasked
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)


# progress in plain lines appears after some seconds: on slow machines only
console.PLAIN_FIRST_SECONDS = console.PLAIN_EVERY_SECONDS = 1e6


@pytest.fixture(scope="session")
def _sound_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drums(tmp_path_factory.mktemp("sounds") / "drums")


@pytest.fixture
def sound_folder(_sound_folder: Path) -> Iterator[Path]:
    """24 drum sounds in three sub-folders; to be read, not written to."""
    before = sorted(path.relative_to(_sound_folder) for path in _sound_folder.rglob("*"))
    yield _sound_folder
    assert sorted(path.relative_to(_sound_folder) for path in _sound_folder.rglob("*")) == before


@pytest.fixture
def tiny_config() -> Config:
    """The seed preset for 24 sounds: 3 steps an epoch, 4 epochs, a checkpoint and a log line after each."""
    config = presets.get("seed")
    return dataclasses.replace(config, training=dataclasses.replace(
        config.training, batch_size=8, epochs=4, checkpoint_every=1, log_every=1, preview_every=100, xla="off"))


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Writes bytes to a file below tmp_path and returns its path."""
    def write(content: bytes, name: str = "sound.wav") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


@contextlib.contextmanager
def _gradients_forgotten() -> Iterator[None]:
    """What `tf.custom_gradient` registers while tracing holds the graph, and TensorFlow would keep both for good."""
    with mock.patch.dict("tensorflow.python.framework.ops.gradient_registry._registry"):
        yield


@pytest.fixture(autouse=True, scope="module")
def _memory_of_a_module() -> Iterator[None]:
    """Goes back to the system where it is much: Python collects cycles rarely, and malloc keeps what is freed."""
    with _gradients_forgotten():
        yield
    if int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() > 1e9:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(autouse=True)
def _gradients_of_a_test() -> Iterator[None]:
    with _gradients_forgotten():
        yield


@pytest.fixture(autouse=True)
def _float32_afterwards() -> Iterator[None]:
    """A run sets the precision of the whole process; the next test gets the usual one."""
    yield
    if keras.mixed_precision.dtype_policy().name != "float32":
        keras.mixed_precision.set_global_policy("float32")


@pytest.fixture
def eager() -> Iterator[None]:
    """Steps one operation at a time: for few of them, that is sooner done than tracing them."""
    with eagerly():
        yield


@pytest.fixture(scope="module")
def eager_module() -> Iterator[None]:
    """So do all tests and fixtures of a module."""
    with eagerly():
        yield
