"""Runs a SavedModel as a server would: with TensorFlow, without Keras and without melgan-tf.

``python run_saved_model.py MODEL IN.npz OUT.npz``: noise, label if any, mel and audio of 32 sounds in, or for a vocoder
mels alone; mel and audio out. Prints one line of JSON: operations, signatures, milliseconds per sound, threads.
"""

import importlib.abc
import importlib.machinery
import json
import os
import sys
import time


class _Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes a machine that has neither package out of one that has them."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name.split(".")[0] in ("keras", "melgan_tf"):
            return importlib.machinery.ModuleSpec(name, self, origin="absent")
        return None

    def create_module(self, spec: object) -> None:
        raise ModuleNotFoundError(f"the export needs {spec.name}")


sys.meta_path.insert(0, _Absent())
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
model_path, given, made = sys.argv[1:]

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

REPEATS = 7


def operations() -> dict[str, int]:
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    with open(os.path.join(model_path, "saved_model.pb"), "rb") as file:
        model.ParseFromString(file.read())
    counts: dict[str, int] = {}
    for meta in model.meta_graphs:
        for nodes in [meta.graph_def.node, *[function.node_def for function in meta.graph_def.library.function]]:
            for node in nodes:
                counts[node.op] = counts.get(node.op, 0) + 1
    foreign = [op for op in counts if not hasattr(tf.raw_ops, op) and op not in _UNLISTED]
    if foreign:
        raise SystemExit(f"operations that are not TensorFlow's own: {', '.join(sorted(foreign))}")
    return dict(sorted(counts.items()))


#: TensorFlow's own, but with no wrapper in `tf.raw_ops`.
_UNLISTED = {"Placeholder", "PartitionedCall", "StatefulPartitionedCall", "NoOp", "Const"}


def milliseconds(call, **inputs: np.ndarray) -> float:
    times = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        call(**{name: tf.constant(value) for name, value in inputs.items()})["audio"].numpy()
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times[1:])) / len(next(iter(inputs.values())))


def require_same(alone: dict[str, tf.Tensor], results: dict[str, np.ndarray]) -> None:
    for name, value in alone.items():
        difference = np.max(np.abs(value.numpy() - results[name][:1])) / max(1e-6, np.max(np.abs(results[name][:1])))
        if difference > 1e-3:
            raise SystemExit(f"{name} of a sound depends on its batch ({difference:.3g} of the peak)")


def sounds(signatures, inputs: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    generate, analyze, sample = (signatures[name] for name in ("generate", "analyze", "sample"))
    given = {name: inputs[name] for name in generate.structured_input_signature[1]}  # and a label or a style

    def made(count: int) -> dict[str, tf.Tensor]:
        return generate(**{name: tf.constant(value[:count]) for name, value in given.items()})

    results = {name: value.numpy() for name, value in made(len(inputs["noise"])).items()}
    require_same(made(1), results)
    length = {"steps": tf.constant(inputs["mel"].shape[1] // 16)} if "style" in given else {}
    by_seed = sample(seed=tf.constant(0, tf.int64), count=tf.constant(2), **length)
    results["audio_by_seed"] = by_seed["audio"].numpy()[:1]
    results["mel_analyzed"] = analyze(audio=tf.constant(inputs["audio"]))["mel"].numpy()
    return results, {f"audio, batch {count}": milliseconds(generate, **{k: v[:count] for k, v in given.items()})
                     for count in (1, 16)}


def vocoder(signatures, inputs: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    vocode, mel = signatures["vocode"], inputs["mel"]
    results = {"audio": vocode(mel=tf.constant(mel))["audio"].numpy()}
    require_same(vocode(mel=tf.constant(mel[:1])), results)
    return results, {"audio, batch 1": milliseconds(vocode, mel=mel[:1]),
                     "audio, batch 8": milliseconds(vocode, mel=mel)}


def main() -> None:
    model = tf.saved_model.load(model_path)
    inputs = dict(np.load(given))
    results, times = (vocoder if "vocode" in model.signatures else sounds)(model.signatures, inputs)
    report = {"ops": operations(), "threads": len(os.sched_getaffinity(0)),
              "signatures": {name: {"inputs": sorted(signature.structured_input_signature[1]),
                                    "outputs": sorted(signature.structured_outputs)}
                             for name, signature in sorted(model.signatures.items())},
              "milliseconds_per_sound": times}
    np.savez(made, **results)
    print(json.dumps(report))


main()
