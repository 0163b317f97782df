"""What a million or a hundred million sounds cost, on paper: `docs/capacity.md` is what this prints.

    python benchmarks/capacity.py > docs/capacity.md

Everything is computed from the figures below, which other benchmarks measured on one core (each says which), and from
assumptions, which are marked as such. Change a figure to that of your machine and print again.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """A preset in training.

    Attributes:
        operations: floating-point operations of a step (TensorFlow's profiler).
        batch: sounds of a step.
        core_seconds: of a step, measured on one core.
        weights: of all networks, whose gradients travel.
        mel_bytes: of an example in memory.
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


_BEGINNING = """# Capacity: a million sounds, a hundred million, on paper

`python benchmarks/capacity.py > docs/capacity.md` makes this page from the figures at the top of that file: CPU times
measured on one core of a two-core machine, and assumptions about GPUs, networks and prices, which stand at the
end. **Nothing here was run on a GPU or on more than two cores.**
"""

_END = """## What would have to change first

- *More than about six cores for one preparation.* One process puts files in order, looks for duplicates and writes; at
  {collecting} ms a file it is busy with {rate:,.0f} files a second. Beyond that the work belongs on a cluster
  (`melgan-tf prepare --runner`).
- *More examples than memory holds.* Training keeps all mels in memory: {memory}.
  A hundred million do not fit one machine; they would have to stream from the shards, which hold waveforms.
- *More than eight GPUs.* The models are small. Their gradients are a few megabytes, yet between machines they take
  as long as the arithmetic; batches grow with the GPUs (32,768 at 64), and what a GAN learns from such batches is
  another question than how fast.

Assumed, not measured: {operations:.0f} TFLOP/s of float32 reached on a GPU (an eighth of an H100's peak),
{batch} sounds a GPU and step, {launch:.0f} ms a step to launch kernels, 10 Gbit/s a machine to storage and
between machines, ${core} a core-hour, ${gpu:.0f} a GPU-hour, ${terabyte:.0f} a terabyte and month."""


def main() -> None:
    """Prints the page."""
    print(_BEGINNING)
    preparing()
    training()
    generating()
    memory = ", ".join(f"{preset.mel_bytes * 10**6 / 1e9:.0f} GB a million of `{name}`"
                       for name, preset in PRESETS.items())
    print(_END.format(collecting=COLLECTING, rate=1000 / COLLECTING, memory=memory, operations=GPU_OPERATIONS / 1e12,
                      batch=GPU_BATCH, launch=LAUNCH_SECONDS * 1e3, core=CORE_HOUR, gpu=GPU_HOUR, terabyte=TB_MONTH))


def preparing() -> None:
    """Files to shards."""
    print("## Preparing\n\n| sounds | files | TB read | core-hours | dollars | 2 cores | 32 cores, one machine "
          "| bottleneck there | 32 machines of 32 |\n|---|--:|--:|--:|--:|--:|--:|---|--:|")
    for kind, (milliseconds, megabytes) in KINDS.items():
        for files in FILES:
            work = files * (milliseconds + COLLECTING) / 1e3
            read = files * megabytes * 1e6
            times = {"decoding": files * milliseconds / 1e3 / 31, "the collecting process": files * COLLECTING / 1e3,
                     "the network": read / NETWORK_BYTES}
            slowest = max(times, key=times.get)
            two, cluster = max(work / 2, times["the network"]), max(work / 1024, read / NETWORK_BYTES / 32)
            print(f"| {kind} | {files:,} | {read / 1e12:.2f} | {work / 3600:,.1f} | {work / 3600 * CORE_HOUR:,.2f} "
                  f"| {_time(two)} | {_time(times[slowest])} | {slowest} | {_time(cluster)} |")
    print("\nShards of `drums` clips take "
          + ", ".join(f"{files * CLIP_BYTES['drums'] / 1e12:.2f} TB for {files:,}" for files in FILES)
          + "; of `drums-44k` four times that. To keep the\noriginals costs more than to prepare them.\n")


def training() -> None:
    """Examples a second, and what it takes to see every sound."""
    print("## Training\n\nThe shipped `drums` saw 1.9 million examples. Twenty passes over a million sounds, one over "
          "a hundred million:\n\n| preset | sounds | examples | 2 cores | 1 GPU | 8 GPUs | 64 GPUs | dollars, 8 GPUs "
          "| bottleneck at 1 / 64 GPUs |\n|---|--:|--:|--:|--:|--:|--:|--:|---|")
    for name, preset in PRESETS.items():
        for files, passes in zip(FILES, (20, 1), strict=True):
            examples = files * passes
            cores = examples / preset.batch * preset.core_seconds / 2
            times = {}
            for gpus in (1, 8, 64):
                parts = _step(preset, gpus)
                times[gpus] = examples / (gpus * GPU_BATCH) * sum(parts.values()), max(parts, key=parts.get)
            print(f"| `{name}` | {files:,} | {examples:,} | {_time(cores)} "
                  + "".join(f"| {_time(seconds)} " for seconds, _ in times.values())
                  + f"| {times[8][0] / 3600 * 8 * GPU_HOUR:,.2f} | {times[1][1]} / {times[64][1]} |")
    print()


def _step(preset: Preset, gpus: int) -> dict[str, float]:
    """Seconds of a step, by what they go into; gradients travel round a ring, twice."""
    travelling = 0.0 if gpus == 1 else 2 * 4 * preset.weights / (NVLINK_BYTES if gpus <= 8 else NETWORK_BYTES)
    return {"arithmetic": preset.operations / preset.batch * GPU_BATCH / GPU_OPERATIONS,
            "launching kernels": LAUNCH_SECONDS, "gradients on the network": travelling}


#: CPU milliseconds of one core for a sound of `generate`: noise, mel, vocoder, phase retrieval, WAV file.
GENERATING = {"drums": 8.0, "drums-44k": 30.0}


def generating() -> None:
    """Sounds to disk."""
    print("## Generating\n\n`melgan-tf generate --count N --shard I/M` on as many machines as there are shards; they "
          "share nothing.\n\n| preset | sounds | core-hours | dollars | 2 cores | 1,024 cores | TB written |\n"
          "|---|--:|--:|--:|--:|--:|--:|")
    for name, milliseconds in GENERATING.items():
        for count in FILES:
            work = count * milliseconds / 1e3
            print(f"| `{name}` | {count:,} | {work / 3600:,.1f} | {work / 3600 * CORE_HOUR:,.2f} | {_time(work / 2)} "
                  f"| {_time(work / 1024)} | {count * (CLIP_BYTES[name] + 300) / 1e12:.2f} |")
    print()


def _time(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"


if __name__ == "__main__":
    main()
