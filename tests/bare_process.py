"""Exports as their recipients have them: in a process without this package, Keras or (but for a server) TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from command_line import python

#: Makes packages absent.
_WITHOUT = """
import sys
from importlib.machinery import ModuleSpec
class Absent:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.split(".")[0] in {names} else None
    def create_module(self, spec):
        raise ModuleNotFoundError(spec.name)
    def exec_module(self, module):
        raise ModuleNotFoundError(module)
sys.meta_path.insert(0, Absent())
"""

#: A server: MODEL IN.npz (noise, audio) OUT.npz.
SERVER = _WITHOUT.format(names=("keras", "melgan_tf")) + """
import numpy as np, tensorflow as tf
path, inputs, outputs = sys.argv[1:]
inputs, results, functions = np.load(inputs), {}, tf.saved_model.load(path).signatures
def keep(name, outputs):
    results.update({f"{name}/{key}": value.numpy() for key, value in outputs.items()})
keep("batch 1", functions["generate"](noise=tf.constant(inputs["noise"][:1])))
keep("batch 3", functions["generate"](noise=tf.constant(inputs["noise"][:3])))
keep("default", functions["serving_default"](noise=tf.constant(inputs["noise"][:3])))
def sample(name, *indices):
    rows = len(indices)
    shares = {feature: tf.fill([rows], -1.0) for feature in ("brightness", "decay", "pitch")}
    keep(name, functions["sample"](seed=tf.fill([rows], tf.constant(5, tf.int64)),
                                   index=tf.constant(indices, tf.int64), **shares))
sample("sample", *range(20))
sample("sample 3", 3)
keep("analyze 1", functions["analyze"](audio=tf.constant(inputs["audio"][:1])))
keep("analyze 3", functions["analyze"](audio=tf.constant(inputs["audio"][:3])))
assert not {"keras", "melgan_tf"} & set(sys.modules)
np.savez(outputs, **results)
"""

#: A phone: MODEL IN.npz (noise) OUT.npz.
PHONE = _WITHOUT.format(names=("tensorflow", "keras", "melgan_tf")) + """
import numpy as np
from ai_edge_litert.interpreter import Interpreter
path, inputs, outputs = sys.argv[1:]
interpreter, results = Interpreter(model_path=path, num_threads=1), {}
for name in ("mel", "generate"):
    runner = interpreter.get_signature_runner(name)
    made = [runner(noise=noise[None]) for noise in np.load(inputs)["noise"]]
    results.update({f"{name}/{key}": np.concatenate([one[key] for one in made]) for key in made[0]})
np.savez(outputs, **results)
"""

#: Another program: MODEL IN.npz (noise) OUT.npz.
PROGRAM = _WITHOUT.format(names=("tensorflow", "keras", "melgan_tf", "onnx", "tf2onnx")) + """
import numpy as np, onnxruntime
path, inputs, outputs = sys.argv[1:]
session, noise, results = onnxruntime.InferenceSession(path), np.load(inputs)["noise"], {}
names = [value.name for value in session.get_outputs()]
for batch in (1, 3, len(noise)):
    made = session.run(names, {"noise": noise[:batch]})
    results.update({f"{batch}/{name}": value for name, value in zip(names, made)})
np.savez(outputs, **results)
"""


def run_bare(script: str, model: Path, folder: Path, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of a script."""
    np.savez(folder / "in.npz", **inputs)
    ended = python("-I", "-c", script, model, folder / "in.npz", folder / "out.npz")
    assert ended.code == 0, ended.stderr
    with np.load(folder / "out.npz") as archive:
        return dict(archive)


def worst(made: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference in parts of each sound's own peak."""
    axes = tuple(range(1, made.ndim))
    assert made.shape == expected.shape
    return float((np.abs(made - expected).max(axis=axes) / np.abs(expected).max(axis=axes)).max())
