"""The cost of a million or a hundred million sounds, on paper: ``benchmarks/results/capacity.json``.

Everything is computed from the figures below, which other benchmarks measured on one core (each says which), and from
assumptions, which are marked as such. Change a figure to that of your machine and run ``python benchmarks/capacity.py``
again.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import results

#: CPU milliseconds that a file takes in the workers, megabytes read, and clip seconds: benchmarks/prepare_speed.py.
KINDS = {
    "one-shots, WAV 16-bit mono, 0.8 s": (0.78, 0.07),
    "one-shots, WAV 24-bit stereo, 2 s": (1.06, 0.53),
    "loops, WAV 24-bit stereo, 8 s": (2.39, 2.1),
    "songs, MP3 stereo, 60 s": (18.5, 1.0),
}
#: CPU milliseconds that a file takes in the collecting process: benchmarks/prepare_speed.py --scaling 100000.
COLLECTING = 0.16
#: Bytes of a prepared clip: 16 bits, 8,000 samples (`drums`) or 32,768 (`drums-44k`), and a few hundred of its record.
CLIP_BYTES = {"drums": 16_400, "drums-44k": 65_900}


@dataclass(frozen=True)
class Preset:
    """Training cost of a preset.

    Attributes:
        operations: floating-point operations per step (TensorFlow's profiler).
        batch: sounds per step.
        core_seconds: seconds per step, measured on one core.
        weights: number of all networks' weights, whose gradients are exchanged.
        mel_bytes: size of an example in memory.
    """

    operations: float
    batch: int
    core_seconds: float
    weights: float
    mel_bytes: int


PRESETS = {"drums": Preset(5.9e9, 64, 0.11, 1.9e6, 4 * 16 * 64),
           "drums-44k": Preset(15.5e9, 32, 0.26, 3.1e6, 4 * 64 * 128)}
FILES = (10**6, 10**8)

# Assumptions, not measurements: nothing here was run on a GPU.
GPU_OPERATIONS = 8e12  # a second that such small float32 layers reach: an eighth of an H100's 67e12
GPU_BATCH = 512  # sounds a GPU and step, so that launching kernels does not decide
LAUNCH_SECONDS = 0.008  # about 1,500 kernels a step, 5 microseconds each
NETWORK_BYTES = 1.25e9  # a second: 10 Gbit/s, to storage and between machines
NVLINK_BYTES = 100e9  # a second, between the 8 GPUs of a machine
CORE_HOUR, GPU_HOUR, TB_MONTH = 0.04, 3.0, 23.0  # dollars



def preparing() -> dict[str, Any]:
    """Files to shards."""
    rows = []
    for kind, (milliseconds, megabytes) in KINDS.items():
        for files in FILES:
            work = files * (milliseconds + COLLECTING) / 1e3
            read = files * megabytes * 1e6
            times = {"decoding": files * milliseconds / 1e3 / 31, "the collecting process": files * COLLECTING / 1e3,
                     "the network": read / NETWORK_BYTES}
            slowest = max(times, key=times.get)
            two, cluster = max(work / 2, times["the network"]), max(work / 1024, read / NETWORK_BYTES / 32)
            rows.append([kind, files, read / 1e12, work / 3600, work / 3600 * CORE_HOUR, _time(two),
                         _time(times[slowest]), slowest, _time(cluster)])
    return results.table(["sounds", "files", "TB read", "core-hours", "dollars", "2 cores", "32 cores, one machine",
                          "bottleneck there", "32 machines of 32"], rows)


def training() -> dict[str, Any]:
    """Time to see every sound; the shipped `drums` saw 1.9 million examples."""
    rows = []
    for name, preset in PRESETS.items():
        for files, passes in zip(FILES, (20, 1), strict=True):
            examples = files * passes
            cores = examples / preset.batch * preset.core_seconds / 2
            times = {}
            for gpus in (1, 8, 64):
                parts = _step(preset, gpus)
                times[gpus] = examples / (gpus * GPU_BATCH) * sum(parts.values()), max(parts, key=parts.get)
            rows.append([name, files, examples, _time(cores), *(_time(seconds) for seconds, _ in times.values()),
                         times[8][0] / 3600 * 8 * GPU_HOUR, f"{times[1][1]} / {times[64][1]}"])
    return results.table(["preset", "sounds", "examples", "2 cores", "1 GPU", "8 GPUs", "64 GPUs", "dollars, 8 GPUs",
                          "bottleneck at 1 / 64 GPUs"], rows)


def _step(preset: Preset, gpus: int) -> dict[str, float]:
    """Seconds per step by cause; gradients are exchanged by a ring all-reduce."""
    exchange = 0.0 if gpus == 1 else 2 * 4 * preset.weights / (NVLINK_BYTES if gpus <= 8 else NETWORK_BYTES)
    return {"arithmetic": preset.operations / preset.batch * GPU_BATCH / GPU_OPERATIONS,
            "launching kernels": LAUNCH_SECONDS, "gradients on the network": exchange}


#: CPU milliseconds of one core for a sound of `generate`: noise, mel, vocoder, phase retrieval, WAV file.
GENERATING = {"drums": 8.0, "drums-44k": 30.0}


def generating() -> dict[str, Any]:
    """Sounds to disk, with ``melgan-tf generate --count N --shard I/M`` on independent machines."""
    rows = []
    for name, milliseconds in GENERATING.items():
        for count in FILES:
            work = count * milliseconds / 1e3
            rows.append([name, count, work / 3600, work / 3600 * CORE_HOUR, _time(work / 2), _time(work / 1024),
                         count * (CLIP_BYTES[name] + 300) / 1e12])
    return results.table(["preset", "sounds", "core-hours", "dollars", "2 cores", "1,024 cores", "TB written"], rows)


def assumptions() -> dict[str, Any]:
    """The figures that nothing here measured, and those that the tables follow from."""
    rows = [["float32 operations per second of a GPU (an eighth of an H100's peak)", GPU_OPERATIONS, "assumed"],
            ["sounds per GPU and step", GPU_BATCH, "assumed"],
            ["ms per step to launch kernels", LAUNCH_SECONDS * 1e3, "assumed"],
            ["GB/s to storage and between machines", NETWORK_BYTES / 1e9, "assumed"],
            ["dollars per core-hour", CORE_HOUR, "assumed"], ["dollars per GPU-hour", GPU_HOUR, "assumed"],
            ["dollars per TB and month", TB_MONTH, "assumed"],
            ["ms per file in the collecting process", COLLECTING, "measured"],
            *([f"GB in memory per million sounds of `{name}`", preset.mel_bytes * 1e6 / 1e9, "computed"]
              for name, preset in PRESETS.items()),
            *([f"TB of shards per million sounds of `{name}`", size * 1e6 / 1e12, "computed"]
              for name, size in CLIP_BYTES.items())]
    return results.table(["figure", "value", "source"], rows)


def _time(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_option(parser)
    arguments = parser.parse_args()
    tables = {"preparing": preparing(), "training": training(), "generating": generating(),
              "assumptions": assumptions()}
    for name, table in tables.items():
        print(f"{name}:\n\n{results.markdown(table)}\n")
    results.save("capacity", tables, arguments.results,
                 "Computed, not measured: nothing here was run on a GPU or on more than two cores.")


if __name__ == "__main__":
    main()
