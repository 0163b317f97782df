"""Vocoders in samples per second: the paper's generator in PyTorch, ours, the fast one, Griffin-Lim; on 1 and 2 CPUs.

``python benchmarks/vocoder_speed.py`` (needs ``pip install -e .[bench]``). Every row runs in a process of its own that
is held to its CPUs; the rows take turns, and the table shows medians over the turns. Four seconds of 80-band mel at
22.05 kHz a call; TFLite files render windows, of which only what is new counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS, RATE, HOP, BINS = 4.0, 22_050, 256, 80
FRAMES = round(SECONDS * RATE / HOP)
YARDSTICK = "paper's generator, PyTorch"
ROWS = (YARDSTICK, "MelGAN, TensorFlow", "MelGAN, SavedModel", "MelGAN, TFLite", "fast, TensorFlow", "fast, SavedModel",
        "fast, TFLite", "Griffin-Lim 32, TensorFlow")


def prepare(folder: Path) -> None:
    """Exports both vocoders, with initial weights: speed does not depend on them."""
    from melgan_tf.cli import options

    options.start_tensorflow()
    from melgan_tf import presets
    from melgan_tf.exports.vocoder import export_saved_model, export_tflite
    from melgan_tf.models.vocoder import build_vocoder
    from melgan_tf.vocoders import Vocoder

    for name, preset in (("MelGAN", "melgan"), ("fast", "vocoder-22k")):
        config = presets.get(preset)
        vocoder = Vocoder(build_vocoder(config), config, name, 0, "0" * 12)
        export_saved_model(vocoder, folder / name, version=1)
        export_tflite(vocoder, folder / f"{name}.tflite", seconds=SECONDS)


def timed(call: Callable[[], object], samples: float, seconds: float = 3.0) -> float:
    """Samples per second: the median of calls during some seconds, after two to warm up."""
    times = []
    call(), call()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 3:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return samples / statistics.median(times)


def measure(row: str, threads: int, folder: Path) -> float:
    """One row in this process."""
    import numpy as np

    mel = np.random.default_rng(0).normal(-2, 0.5, (1, FRAMES, BINS)).astype(np.float32)
    samples, kind = FRAMES * HOP, row.split(", ")[1]
    if kind == "PyTorch":
        import torch

        sys.path.insert(0, str(ROOT / "tests"))
        import torch_melgan

        torch.set_num_threads(threads)
        model = torch_melgan.Generator().eval()
        for layer in model.modules():
            if hasattr(layer, "weight_v"):
                torch.nn.utils.remove_weight_norm(layer)
        given = torch.from_numpy(mel.transpose(0, 2, 1).copy())
        with torch.inference_mode():
            return timed(lambda: model(given), samples)
    if kind == "TFLite":
        return _tflite(folder / f"{row.split(',')[0]}.tflite", threads)
    from melgan_tf.cli import options

    options.start_tensorflow(threads_per_op=threads)
    import tensorflow as tf

    given = tf.constant(mel)
    if kind == "SavedModel":
        loaded = tf.saved_model.load(str(folder / row.split(",")[0] / "1"))
        return timed(lambda: loaded.signatures["vocode"](mel=given)["audio"].numpy(), samples)
    from melgan_tf import presets
    from melgan_tf.griffin_lim import mel_to_waveform
    from melgan_tf.models.vocoder import build_vocoder, compiled

    if row.startswith("Griffin"):
        audio = presets.get("melgan").audio
        render = tf.function(lambda mel: mel_to_waveform(mel, audio, 32), autograph=False,
                             input_signature=[tf.TensorSpec((None, None, BINS))])
    else:
        vocode = compiled(build_vocoder(presets.get("melgan" if row.startswith("MelGAN") else "vocoder-22k")), BINS)
        return timed(lambda: vocode(mel), samples)
    return timed(lambda: render(given).numpy(), samples)


def _tflite(path: Path, threads: int) -> float:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    runner = interpreter.get_signature_runner("vocode")
    given = {name: np.zeros(detail["shape"], detail["dtype"]) for name, detail in runner.get_input_details().items()}
    given["mel"] = np.random.default_rng(0).normal(-2, 0.5, given["mel"].shape).astype(np.float32)
    if "present" in given:
        given["present"] = np.ones_like(given["present"])
    return timed(lambda: runner(**given), FRAMES * HOP)  # of the window, FRAMES are new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", nargs=3, metavar=("ROW", "THREADS", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        row, threads, folder = arguments.measure
        print(measure(row, int(threads), Path(folder)))
        return
    if arguments.prepare:
        prepare(arguments.prepare)
        return
    cpus = sorted(os.sched_getaffinity(0))
    found: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, __file__, "--prepare", folder], check=True, stderr=subprocess.DEVNULL)
        for number in range(arguments.rounds):
            for threads in (1, 2):
                for row in ROWS:
                    label = f"round {number + 1}: {row}, {threads} threads"
                    print(f"\r{label:79}", end="", file=sys.stderr, flush=True)
                    done = subprocess.run(
                        [sys.executable, __file__, "--measure", row, str(threads), folder], check=True, text=True,
                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                        preexec_fn=lambda n=threads: os.sched_setaffinity(0, cpus[:n]))
                    found.setdefault((row, threads), []).append(float(done.stdout.split()[-1]))
    print("\r".ljust(80), file=sys.stderr)
    print("| vocoder | 1 thread, kHz | x real time | x PyTorch | 2 threads, kHz | x real time | x PyTorch |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for row in ROWS:
        cells = []
        for threads in (1, 2):
            speed, pairs = statistics.median(found[row, threads]), zip(found[row, threads], found[YARDSTICK, threads],
                                                                       strict=True)
            ratio = statistics.median(ours / theirs for ours, theirs in pairs)
            cells.append(f"{speed / 1e3:,.0f} | {speed / RATE:,.0f} | {ratio:.1f}")
        print(f"| {row} | {' | '.join(cells)} |")
    if arguments.json:
        arguments.json.write_text(json.dumps({f"{row}, {threads}": speeds for (row, threads), speeds in found.items()}))


if __name__ == "__main__":
    main()
