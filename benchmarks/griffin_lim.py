"""Times Griffin-Lim with an FFT and with matrix products: seed preset, mel to waveform, 32 iterations.

    python benchmarks/griffin_lim.py [--batch 64] [--repeats 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable

import numpy as np
import results
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from melgan_tf.config import AudioConfig
from melgan_tf.dsp.griffin_lim import mel_to_waveform
from melgan_tf.dsp.spectral import mel_spectrogram

AUDIO, SAMPLES = AudioConfig(), 8_000
TRANSFORMS = {"FFT": False, "matrix product": True}


def best_ms(call: Callable[[], object], repeats: int) -> float:
    """The fastest of several calls, after one to warm up."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1e3 * min(seconds)


def lite_model(shape: tuple[int, ...]) -> bytes:
    """Griffin-Lim by matrix products as a TFLite file of builtin operations."""
    module = tf.Module()
    module.render = tf.function(lambda mel: mel_to_waveform(mel, AUDIO, length=SAMPLES, use_matmul_dft=True),
                                input_signature=[tf.TensorSpec(shape, tf.float32)])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.render)
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    results.add_option(parser)
    arguments = parser.parse_args()
    decay = np.exp(-np.arange(SAMPLES) / 1_000)
    noise = np.random.default_rng(0).normal(size=(arguments.batch, SAMPLES)) * decay
    mel = mel_spectrogram(tf.constant(0.3 * noise, tf.float32), AUDIO)
    rows = []
    for name, use_matmul_dft in TRANSFORMS.items():
        def render(mel: tf.Tensor, use_matmul_dft: bool = use_matmul_dft) -> tf.Tensor:
            return mel_to_waveform(mel, AUDIO, length=SAMPLES, use_matmul_dft=use_matmul_dft)

        for mode, call in {"eager": render, "graph": tf.function(render),
                           "XLA": tf.function(render, jit_compile=True)}.items():
            rows.append([name, mode, arguments.batch, best_ms(lambda call=call: call(mel), arguments.repeats)])
    model = lite_model((1, *mel.shape[1:]))
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], mel[:1].numpy())
    rows.append(["matrix product", f"LiteRT, one thread, {len(model) / 1e6:.1f} MB", 1,
                 best_ms(interpreter.invoke, arguments.repeats)])
    table = results.table(["Fourier transform", "runtime", f"sounds of {SAMPLES:,} samples", "ms"], rows)
    print(results.markdown(table))
    results.save("griffin_lim", {"render": table}, arguments.results)


if __name__ == "__main__":
    main()
