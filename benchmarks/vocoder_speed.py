"""Vocoders in samples per second: MelGAN in PyTorch and here, Vocos, the fast ones, Griffin-Lim; 1 and 2 CPUs.

Griffin-Lim is this package's, and librosa's (`librosa.feature.inverse.mel_to_audio`); both also invert the mel filters.
Vocos has random weights; `torch_vocos.py` says how to install it.

``python benchmarks/vocoder_speed.py`` (needs ``pip install -e .[bench]``). Every row runs in a process of its own that
is pinned to its CPUs; the rows alternate, and the tables show medians over the rounds, of speeds and of ratios within a
round. Ten seconds of mel per call (``--seconds``): 80 bands at 22.05 kHz, or 64 at 16 kHz; or sixteen sounds of half a
second, as ``melgan-tf generate`` makes them. TFLite files render windows of the default size, of which only the new
frames count.

The table is by wall clock; with ``--processor-time`` it is by processor time on one CPU, which other load hardly
disturbs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import results

if TYPE_CHECKING:
    import numpy as np

    from melgan_tf.config import AudioConfig

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 10.0


@dataclass(frozen=True)
class Row:
    """One measurement: a preset's model, or Griffin-Lim with its mels, in one runtime.

    Attributes:
        griffin_lim: the Griffin-Lim row of the same mels.
    """

    title: str
    kind: str
    preset: str = "melgan"
    rate: int = 22_050
    griffin_lim: str = "Griffin-Lim 32 (22k)"


MELGAN, FAST, SMALL, FULL = "MelGAN", "fast (22k)", "fast (16k)", "fast (44k)"
IN_44K = {"rate": 44_100, "griffin_lim": "Griffin-Lim 32 (44k)"}
IN_16K = {"rate": 16_000, "griffin_lim": "Griffin-Lim 32 (16k)"}
IN_BATCH = {"rate": 16_000, "griffin_lim": "generate, Griffin-Lim 32 (16k)"}
BASELINE = "paper's generator, PyTorch"
VOCOS = "Vocos (22k), PyTorch"
ROWS = {row.title: row for row in (
    Row(BASELINE, "PyTorch"),
    Row(VOCOS, "Vocos", "vocoder-22k"),
    *(Row(f"{name}, {kind}", kind, preset) for name, preset in ((MELGAN, "melgan"), (FAST, "vocoder-22k"))
      for kind in ("TensorFlow", "SavedModel", "TFLite")),
    Row("Griffin-Lim 32 (22k)", "Griffin-Lim"),
    Row("Griffin-Lim 32 (22k), librosa", "librosa"),
    Row(f"{FULL}, TensorFlow", "TensorFlow", "vocoder-44k", **IN_44K),
    Row("Griffin-Lim 32 (44k)", "Griffin-Lim", "vocoder-44k", **IN_44K),
    *(Row(f"{SMALL}, {kind}", kind, "vocoder-16k", **IN_16K) for kind in ("TensorFlow", "TFLite")),
    Row("Griffin-Lim 32 (16k)", "Griffin-Lim", "vocoder-16k", **IN_16K),
    Row(f"generate, {SMALL}", "generate", "vocoder-16k", **IN_BATCH),
    Row("generate, Griffin-Lim 32 (16k)", "generate", **IN_BATCH))}


def prepare(folder: Path) -> None:
    """Exports all vocoders, with initial weights: speed does not depend on them."""
    from melgan_tf.runtime import start_tensorflow

    start_tensorflow()
    from melgan_tf.config import presets
    from melgan_tf.config.registry import build_network
    from melgan_tf.exports import export
    from melgan_tf.inference.vocoder import Vocoder

    for preset in ("melgan", "vocoder-22k", "vocoder-16k"):
        config = presets.get(preset)
        vocoder = Vocoder(build_network(config), config, preset, 0, "0" * 12)
        export(vocoder, folder / preset, version=1)
        window = export(vocoder, folder / f"{preset}.tflite", "tflite").origin
        new_frames = window["frames"] - 2 * window["context_frames"]
        (folder / f"{preset}.new").write_text(str(new_frames * window["hop_samples"]))


def timed(call: Callable[[], object], samples: float, seconds: float = 3.0) -> tuple[float, float]:
    """Samples per second of wall clock and of processor time: medians of calls, after two to warm up."""
    times, processor = [], []
    call(), call()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 3:
        started, used = time.perf_counter(), time.process_time()
        call()
        times.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return samples / statistics.median(times), samples / statistics.median(processor)


def measure(row: Row, threads: int, folder: Path, seconds: float) -> tuple[float, float]:
    """One row in this process; ``seconds`` of mel a call."""
    import numpy as np

    if row.kind == "TFLite":
        return _tflite(folder / f"{row.preset}.tflite", threads)
    from melgan_tf.config import presets

    audio = presets.get(row.preset).audio
    frames = round(seconds * audio.sample_rate / audio.hop_samples)
    mel = np.random.default_rng(0).normal(-2, 0.5, (1, frames, audio.mel_bins)).astype(np.float32)
    samples = frames * audio.hop_samples
    if row.kind in ("PyTorch", "Vocos"):
        return _torch(row, mel, samples, threads)
    if row.kind == "librosa":
        return _librosa(mel, samples, audio)
    from melgan_tf.runtime import start_tensorflow

    # where pieces, or parts of a batch, run side by side, one thread for each is best, as the commands have it
    start_tensorflow(threads_per_op=1 if row.kind in ("TensorFlow", "generate") else threads)
    import tensorflow as tf

    if row.kind == "generate":
        return _generate(row)
    given = tf.constant(mel)
    if row.kind == "SavedModel":
        loaded = tf.saved_model.load(str(folder / row.preset / "1"))
        return timed(lambda: loaded.signatures["vocode"](mel=given)["audio"].numpy(), samples)
    from melgan_tf.config.registry import build_network
    from melgan_tf.dsp.griffin_lim import mel_to_waveform
    from melgan_tf.inference.streaming import compiled

    if row.kind == "Griffin-Lim":
        render = tf.function(lambda mel: mel_to_waveform(mel, audio, 32), autograph=False,
                             input_signature=[tf.TensorSpec((None, None, audio.mel_bins))])
        return timed(lambda: render(given).numpy(), samples)
    vocode = compiled(build_network(presets.get(row.preset)), audio.mel_bins)
    return timed(lambda: vocode(mel), samples)


def _torch(row: Row, mel: np.ndarray, samples: int, threads: int) -> tuple[float, float]:
    import torch

    torch.set_num_threads(threads)
    if row.kind == "Vocos":
        import torch_vocos

        from melgan_tf.config import presets

        model = torch_vocos.build(presets.get(row.preset).audio)
    else:
        sys.path.insert(0, str(ROOT / "tests"))
        import torch_melgan

        model = torch_melgan.Generator().eval()
    for layer in model.modules():
        if hasattr(layer, "weight_v"):
            torch.nn.utils.remove_weight_norm(layer)
    given = torch.from_numpy(mel.transpose(0, 2, 1).copy())
    with torch.inference_mode():
        return timed(lambda: model(given), samples)


def _librosa(mel: np.ndarray, samples: int, audio: AudioConfig) -> tuple[float, float]:
    import librosa

    given = 10.0 ** mel[0].T
    return timed(lambda: librosa.feature.inverse.mel_to_audio(
        given, sr=audio.sample_rate, n_fft=audio.n_fft, hop_length=audio.hop_samples, power=1.0, n_iter=32), samples)


def _generate(row: Row) -> tuple[float, float]:
    """The `seed` preset's sampler: its generator takes next to no time."""
    from melgan_tf.config import presets
    from melgan_tf.config.registry import build_network
    from melgan_tf.inference.sampler import BATCH, Sampler
    from melgan_tf.inference.vocoder import Vocoder
    from melgan_tf.models.spectrogram_gan.networks import Generator

    config, vocoder = presets.get("seed"), None
    if row.preset != "melgan":
        theirs = presets.get(row.preset)
        vocoder = Vocoder(build_network(theirs), theirs, row.preset, 0, "0" * 12)
    sampler = Sampler(Generator(weight_std=0.1), config, vocoder=vocoder)
    noise = sampler.noise(0, BATCH)
    return timed(lambda: sampler.make_batch(noise)["audio"].numpy(), BATCH * config.data.clip_samples)


def _tflite(path: Path, threads: int) -> tuple[float, float]:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    runner = interpreter.get_signature_runner("vocode")
    given = {name: np.zeros(detail["shape"], detail["dtype"]) for name, detail in runner.get_input_details().items()}
    given["mel"] = np.random.default_rng(0).normal(-2, 0.5, given["mel"].shape).astype(np.float32)
    if "present" in given:
        given["present"] = np.ones_like(given["present"])
    return timed(lambda: runner(**given), int(path.with_suffix(".new").read_text()))


def table(chosen: dict[str, Row], found: dict[tuple[str, int], list[tuple[float, float]]], threads: tuple[int, ...],
          which: int) -> dict[str, Any]:
    """A table of rows.

    Args:
        chosen: the rows by title.
        found: by row and threads: speeds of every round by wall clock and by processor time, samples per second.
        threads: one group of columns each.
        which: 0 by wall clock, 1 by processor time.
    """
    columns = ["vocoder", *(f"{column}, {n} thread{'s' * (n > 1)}" for n in threads
                            for column in ("kHz", "x real time", "x PyTorch", "x Vocos", "x Griffin-Lim"))]
    rows = []
    for title, row in chosen.items():
        cells = []
        for n in threads:
            speeds = [speed[which] for speed in found[title, n]]
            # MelGAN is compared in samples, Vocos and Griffin-Lim in seconds of sound
            scales = {BASELINE: 1.0, VOCOS: ROWS[VOCOS].rate / row.rate, row.griffin_lim: 1.0}
            ratios = [statistics.median(scale * ours / theirs[which]
                                        for ours, theirs in zip(speeds, found[other, n], strict=True))
                      for other, scale in scales.items()]
            speed = statistics.median(speeds)
            cells += [speed / 1e3, speed / row.rate, *ratios]
        rows.append([title, *cells])
    return results.table(columns, rows)


def chosen(texts: list[str]) -> dict[str, Row]:
    """The rows that contain one of the texts, and those that they are compared with."""
    found = {title: row for title, row in ROWS.items() if any(text in title for text in texts)}
    wanted = {BASELINE, VOCOS, *found, *(row.griffin_lim for row in found.values())}
    return {title: row for title, row in ROWS.items() if title in wanted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of mel per call")
    parser.add_argument("--rows", nargs="+", default=[""], help="only rows that contain one of these texts")
    parser.add_argument("--processor-time", action="store_true", help="of one CPU, not wall clock on one and two")
    results.add_option(parser)
    parser.add_argument("--measure", nargs=3, metavar=("ROW", "THREADS", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        row, threads, folder = arguments.measure
        print(*measure(ROWS[row], int(threads), Path(folder), arguments.seconds))
        return
    if arguments.prepare:
        prepare(arguments.prepare)
        return
    rows = chosen(arguments.rows)
    cpus, counts = sorted(os.sched_getaffinity(0)), (1,) if arguments.processor_time else (1, 2)
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if any(row.kind in ("SavedModel", "TFLite") for row in rows.values()):
            subprocess.run([sys.executable, __file__, "--prepare", folder], check=True, stderr=subprocess.DEVNULL)
        for number in range(arguments.rounds):
            for threads in counts:
                for row in rows:
                    label = f"round {number + 1}: {row}, {threads} threads"
                    print(f"\r{label:79}", end="", file=sys.stderr, flush=True)
                    done = subprocess.run(
                        [sys.executable, __file__, "--seconds", str(arguments.seconds), "--measure", row,
                         str(threads), folder], check=True, text=True,
                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                        preexec_fn=lambda n=threads: os.sched_setaffinity(0, cpus[:n]))
                    found.setdefault((row, threads), []).append(
                        tuple(map(float, done.stdout.split()[-2:])))
    print("\r".ljust(80), file=sys.stderr)
    found_table = table(rows, found, counts, int(arguments.processor_time))
    print(results.markdown(found_table))
    name, kind = ("vocoder_processor_time", "processor") if arguments.processor_time else ("vocoder_speed", "clock")
    results.save(name, {kind: found_table}, arguments.results)


if __name__ == "__main__":
    main()
