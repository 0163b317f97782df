"""Training throughput of the `seed` preset and of the plain PyTorch program, and whether training waits for data.

``python benchmarks/training_speed.py`` (needs ``pip install -e .[bench]``). The two run in processes of their own,
alternating, several times; a row is a pair, the results file has the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import results

BATCH = 128


def ours(steps: int) -> dict[str, float]:
    """Milliseconds per step: the training loop with its data pipeline, and on one batch held in memory."""
    from melgan_tf.runtime import start_tensorflow

    start_tensorflow(threads_per_op=1, compiling=True)
    import os

    import numpy as np
    import tensorflow as tf

    from melgan_tf.config import presets
    from melgan_tf.data.mel_dataset import batches
    from melgan_tf.models.spectrogram_gan.train_step import SpectrogramGAN
    from melgan_tf.training.optimizers import adam

    config = presets.get("seed")
    model = SpectrogramGAN(config)
    optimizers = adam(config, "generator"), adam(config, "discriminator")
    model.compile(*optimizers, xla=True, shards=len(os.sched_getaffinity(0)))
    images = np.random.default_rng(0).random((2_145, 64, 16, 1), dtype=np.float32)
    stream = iter(batches(images, BATCH, seed=0))
    fixed = next(stream)

    @tf.function
    def run(count: tf.Tensor, streaming: tf.Tensor) -> None:
        for _ in tf.range(count):
            model.train_step(next(stream) if streaming else fixed)

    times = {}
    for name, streaming in (("streaming", True), ("fixed", False)):
        flag = tf.constant(streaming)
        run(tf.constant(3), flag)
        started = time.perf_counter()
        run(tf.constant(steps), flag)
        float(model.trackers[0].result())
        times[name] = 1000 * (time.perf_counter() - started) / steps
    return times


def pytorch(steps: int) -> dict[str, float]:
    """Milliseconds per step on one batch held in memory."""
    import torch

    sys.path.insert(0, str(Path(__file__).parent))
    from torch_seed import Trainer

    trainer, real = Trainer(), torch.rand(BATCH, 1, 64, 16)
    for _ in range(3):
        trainer.step(real)
    started = time.perf_counter()
    for _ in range(steps):
        trainer.step(real)
    return {"fixed": 1000 * (time.perf_counter() - started) / steps}


def measure(name: str, steps: int) -> dict[str, float]:
    """Runs one side in a fresh process."""
    command = [sys.executable, __file__, "--only", name, "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", choices=["ours", "pytorch"])
    results.add_option(parser)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps({"ours": ours, "pytorch": pytorch}[arguments.only](arguments.steps)))
        return
    rows = []
    for pair in range(arguments.pairs):
        theirs, mine = measure("pytorch", arguments.steps), measure("ours", arguments.steps)
        rows.append([pair + 1, theirs["fixed"], mine["streaming"], mine["fixed"], theirs["fixed"] / mine["streaming"],
                     100 * (mine["streaming"] / mine["fixed"] - 1)])
    pairs = results.table(["pair", "PyTorch, ms", "melgan-tf, ms", "melgan-tf, data in memory, ms", "times PyTorch",
                           "data pipeline, %"], rows)
    medians = [statistics.median(column) for column in zip(*rows, strict=True)]
    step = results.table(["program", "ms a step"], [
        ["PyTorch, written plainly", medians[1]], ["melgan-tf, data pipeline included", medians[2]],
        ["melgan-tf, one batch held in memory", medians[3]]])
    print(results.markdown(pairs), "", results.markdown(step), sep="\n")
    results.save("training_speed", {"step": step, "pairs": pairs}, arguments.results,
                 f"Preset seed, batch {BATCH}; medians of {arguments.pairs} pairs.")


if __name__ == "__main__":
    main()
