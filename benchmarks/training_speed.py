"""Training throughput of the `seed` preset against the plain PyTorch program, and whether data ever keeps it waiting.

``python benchmarks/training_speed.py`` (needs ``pip install -e .[bench]``). The two run in processes of their own, in
turn, several times; a row is a pair, the last line the median of the ratios. Each prints its own milliseconds a step.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

BATCH = 128


def ours(steps: int) -> dict[str, float]:
    """Milliseconds a step: the training loop with its data pipeline, and on one batch held in memory."""
    from melgan_tf.cli import options

    options.start_tensorflow(threads_per_op=1, compiling=True)
    import os

    import keras
    import numpy as np
    import tensorflow as tf

    from melgan_tf.config import presets
    from melgan_tf.data.mel_dataset import batches
    from melgan_tf.models.spectrogram_gan.train_step import SpectrogramGAN

    config = presets.get("seed")
    model = SpectrogramGAN(config)
    adams = [keras.optimizers.Adam(2e-4, 0.5, 0.999, 1e-8, name=name) for name in ("generator", "discriminator")]
    model.compile(*adams, xla=True, shards=len(os.sched_getaffinity(0)))
    images = np.random.default_rng(0).random((2_145, 64, 16, 1), dtype=np.float32)
    stream = iter(batches(images, BATCH, seed=0))
    held = next(stream)

    @tf.function
    def run(count: tf.Tensor, streaming: tf.Tensor) -> None:
        for _ in tf.range(count):
            model.train_step(next(stream) if streaming else held)

    figures = {}
    for name, streaming in (("streaming", True), ("held", False)):
        flag = tf.constant(streaming)
        run(tf.constant(3), flag)
        began = time.perf_counter()
        run(tf.constant(steps), flag)
        float(model.trackers[0].result())
        figures[name] = 1000 * (time.perf_counter() - began) / steps
    return figures


def pytorch(steps: int) -> dict[str, float]:
    """Milliseconds a step on one batch held in memory."""
    import torch

    sys.path.insert(0, str(Path(__file__).parent))
    from torch_seed import Trainer

    trainer, real = Trainer(), torch.rand(BATCH, 1, 64, 16)
    for _ in range(3):
        trainer.step(real)
    began = time.perf_counter()
    for _ in range(steps):
        trainer.step(real)
    return {"held": 1000 * (time.perf_counter() - began) / steps}


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
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps({"ours": ours, "pytorch": pytorch}[arguments.only](arguments.steps)))
        return
    print("pair   PyTorch ms   melgan-tf ms   (data held) ms   times PyTorch   data pipeline's share")
    ratios, shares = [], []
    for pair in range(arguments.pairs):
        theirs, mine = measure("pytorch", arguments.steps), measure("ours", arguments.steps)
        ratios.append(theirs["held"] / mine["streaming"])
        shares.append(mine["streaming"] / mine["held"] - 1)
        print(f"{pair + 1:4}   {theirs['held']:10.1f}   {mine['streaming']:12.1f}   {mine['held']:14.1f}   "
              f"{ratios[-1]:13.2f}   {100 * shares[-1]:18.1f} %")
    print(f"median of {len(ratios)} pairs: {statistics.median(ratios):.2f} times the PyTorch program's throughput; "
          f"the data pipeline adds {100 * statistics.median(shares):.1f} %")


if __name__ == "__main__":
    main()
