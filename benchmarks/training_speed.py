"""Time of a training step of `seed`, `drums` and `loops` beside the same networks written plainly in PyTorch.

``python benchmarks/training_speed.py`` (needs ``pip install -e .[bench]``). The two run in processes of their own,
alternating, several times, on a batch in memory; the table shows medians, of times and of ratios within a pair. With
``--processor-time`` both have one CPU, and its time is measured, which other load disturbs less. ``--profile`` shows
instead where our steps' time goes on one CPU, by kind of operation, beside the arithmetic: what the products of the
plain program would take at the speed of a large one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import results

if TYPE_CHECKING:
    import tensorflow as tf

PRESETS = ("seed", "drums", "loops")
CLASSES = 8


def timed(run: Callable[[int], object], steps: int) -> tuple[float, float]:
    """Milliseconds a step, by wall clock and of processor time."""
    run(3)
    started, used = time.perf_counter(), time.process_time()
    run(steps)
    return 1000 * (time.perf_counter() - started) / steps, 1000 * (time.process_time() - used) / steps


def our_steps(preset: str) -> Callable[[int], object]:
    """Takes a number of steps of a preset, as training does."""
    from melgan_tf.runtime import start_tensorflow

    start_tensorflow(threads_per_op=1, compiling=preset == "seed")
    import numpy as np
    import tensorflow as tf

    from melgan_tf.config import presets
    from melgan_tf.training.optimizers import adam

    config, rng = presets.get(preset), np.random.default_rng(0)
    batch, (bins, frames) = config.training.batch_size, config.mel_shape
    shares, labels = np.full(CLASSES, 1 / CLASSES), np.arange(batch, dtype=np.int32) % CLASSES
    mels = rng.uniform(-4, 0, (batch, frames, bins)).astype(np.float32)
    if preset == "seed":
        from melgan_tf.models.spectrogram_gan.train_step import SpectrogramGAN

        model = SpectrogramGAN(config)
        data = rng.random((batch, bins, frames, 1), dtype=np.float32), np.full(batch, 1 / batch, np.float32)
    elif preset == "drums":
        from melgan_tf.models.frame_gan.train_step import FrameGAN

        model, data = FrameGAN(config, shares), (mels, labels)
    else:
        from melgan_tf.models.loop_gan.config import GRID_FRAMES
        from melgan_tf.models.loop_gan.train_step import LoopGAN

        mels = rng.uniform(-4, 0, (batch, GRID_FRAMES, bins)).astype(np.float32)
        model = LoopGAN(config, shares, np.stack([np.zeros((CLASSES, 3)), np.ones((CLASSES, 3))]).astype(np.float32))
        numbers = rng.normal(size=(2, batch, 3)).astype(np.float32)
        data = mels, labels, *numbers
    model.compile(adam(config, "generator"), adam(config, "discriminator"), xla=preset == "seed",
                  shards=len(os.sched_getaffinity(0)))
    data = tuple(map(tf.constant, data))
    step = tf.autograph.experimental.do_not_convert(model.train_step)

    @tf.function
    def steps(count: tf.Tensor) -> None:
        for _ in tf.range(count):
            step(data)

    def run(count: int) -> None:
        steps(tf.constant(count))
        float(model.trackers[0].result())

    return run


def torch_steps(preset: str) -> Callable[[int], object]:
    """The same of the plain program."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    if preset == "seed":
        import torch_seed

        trainer, data = torch_seed.Trainer(), (torch.rand(128, 1, 64, 16),)
    else:
        import torch_vae_gan

        trainer, shape = torch_vae_gan.Trainer(preset), torch_vae_gan.SHAPES[preset]
        data = torch.rand(shape.batch, shape.bins, shape.frames) * 2 - 1, torch.rand(shape.batch, shape.condition)

    def run(count: int) -> None:
        for _ in range(count):
            trainer.step(*data)

    return run


def profile(preset: str, steps: int) -> dict[str, Any]:
    """Milliseconds of a step by kind of operation, on the one CPU that this process may use."""
    # programs compiled by XLA report their operations too
    os.environ["XLA_FLAGS"] = "--xla_cpu_enable_xprof_traceme=true"
    run = our_steps(preset)
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    run(3)
    spent, number = Counter(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            run(steps)
        file, = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    plane, = (plane for plane in space.planes if plane.name == "/host:CPU")
    kinds = {key: _kind(metadata.name) for key, metadata in plane.event_metadata.items()}
    for event in (event for line in plane.lines for event in line.events):
        if kind := kinds[event.metadata_id]:
            spent[kind] += event.duration_ps / 1e9 / steps
            number[kind] += 1 / steps
    total = sum(spent.values())
    return results.table(["operation", "ms a step", "%", "calls a step"], [
        [kind, ms, 100 * ms / total, round(number[kind])] for kind, ms in spent.most_common(12)]
        + [["all", total, 100.0, round(sum(number.values()))]])


def _kind(event: str) -> str | None:
    """The operation that an event of the profiler is: of TensorFlow ``name:Kind``, of XLA ``kind.3.clone``."""
    if compiled := re.fullmatch(r"([a-z]+(-[a-z]+)*)(\.\d+)?(\.clone)?", event):
        return f"XLA: {compiled[1]}" if "." in event else None
    name, _, kind = event.rpartition(":")
    return kind if name and "::" not in event and " " not in kind else None


def arithmetic(preset: str, _: int) -> tuple[float, float]:
    """GFLOP of a step's products, counted in the plain program, and GFLOP/s of a large product on one CPU."""
    from torch.utils.flop_counter import FlopCounterMode

    run = torch_steps(preset)
    with FlopCounterMode(display=False) as counter:
        run(1)
    import tensorflow as tf

    # not PyTorch's product, which is half as fast on processors of AMD
    size, rounds = 2048, 10
    matrix = tf.random.stateless_normal((size, size), (0, 0))
    tf.matmul(matrix, matrix)
    started = time.process_time()
    for _ in range(rounds):
        tf.matmul(matrix, matrix)
    return counter.get_total_flops() / 1e9, rounds * 2 * size ** 3 / 1e9 / (time.process_time() - started)


#: What runs in a process of its own, with a preset and a number of steps.
PROGRAMS = {"ours": lambda preset, steps: timed(our_steps(preset), steps),
            "pytorch": lambda preset, steps: timed(torch_steps(preset), steps),
            "profile": profile, "arithmetic": arithmetic}


def measure(program: str, preset: str, steps: int, cpus: set[int]) -> Any:
    """Runs one of `PROGRAMS` in a fresh process."""
    command = [sys.executable, __file__, "--only", program, "--presets", preset, "--steps", str(steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
                          preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS)
    parser.add_argument("--processor-time", action="store_true", help="of one CPU, not wall clock on all")
    parser.add_argument("--profile", action="store_true", help="where the time goes, instead")
    parser.add_argument("--only", choices=PROGRAMS, help=argparse.SUPPRESS)
    results.add_option(parser)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(PROGRAMS[arguments.only](arguments.presets[0], arguments.steps)))
        return
    available = sorted(os.sched_getaffinity(0))
    if arguments.profile:
        tables, rows = {}, []
        for preset in arguments.presets:
            tables[preset] = measure("profile", preset, arguments.steps, set(available[:1]))
            count, speed = measure("arithmetic", preset, 1, set(available[:1]))
            least, used = 1000 * count / speed, tables[preset]["rows"][-1][1]
            rows.append([preset, count, least, used, 100 * least / used])
            print(results.markdown(tables[preset]))
        tables["arithmetic"] = results.table(
            ["preset", "GFLOP a step", "at the speed of a large product, ms", "a step, ms", "%"], rows)
        print(results.markdown(tables["arithmetic"]))
        results.save("training_profile", tables, arguments.results, "One CPU; milliseconds of its time.")
        return
    cpus, which = set(available[:1] if arguments.processor_time else available), int(arguments.processor_time)
    rows = []
    for preset in arguments.presets:
        pairs = [[measure(program, preset, arguments.steps, cpus)[which] for program in ("pytorch", "ours")]
                 for _ in range(arguments.pairs)]
        medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
        ratios = [theirs / ours for theirs, ours in pairs]
        rows.append([preset, *medians, statistics.median(ratios), min(ratios), max(ratios)])
        print(rows[-1], file=sys.stderr)
    columns = ["preset", "PyTorch, ms a step", "melgan-tf, ms a step", "times PyTorch", "lowest", "highest"]
    table = results.table(columns, rows)
    print(results.markdown(table))
    name = "training_processor_time" if arguments.processor_time else "training_speed"
    results.save(name, {"step": table}, arguments.results,
                 f"Medians of {arguments.pairs} pairs; {arguments.steps} steps each, a batch in memory.")


if __name__ == "__main__":
    main()
