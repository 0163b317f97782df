"""Speed of `melgan-tf prepare` beside a loop over librosa that does the same work, and how it grows with the folder.

    python benchmarks/prepare_speed.py [--workers 2]               # needs pip install -e .[dev]
    python benchmarks/prepare_speed.py --scaling 1000 10000 100000

Both decode, mix down, resample to 16 kHz, trim to the onset, cut to half a second, drop exact duplicates and write
TFRecord of 16-bit samples. Start-up is excluded on both sides. CPU time counts all processes: on a shared machine it
says more than the wall clock, and its ratio is the gain of one core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import results
import soundfile

#: Kind: extension, subtype, channels, seconds, files.
KINDS = {
    "one-shot, WAV 16-bit mono, 0.8 s": ("wav", "PCM_16", 1, 0.8, 1500),
    "one-shot, FLAC 16-bit mono, 0.8 s": ("flac", "PCM_16", 1, 0.8, 1500),
    "one-shot, WAV 24-bit stereo, 2 s": ("wav", "PCM_24", 2, 2.0, 800),
    "loop, WAV 24-bit stereo, 8 s": ("wav", "PCM_24", 2, 8.0, 200),
    "song, MP3 stereo, 60 s": ("mp3", "MPEG_LAYER_III", 2, 60.0, 20),
}
_RATE = 44_100


def write_sounds(folder: Path, extension: str, subtype: str, channels: int, seconds: float, count: int) -> Path:
    """Synthetic drum strokes, each different, repeated every two seconds in longer sounds."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    at = np.arange(round(seconds * _RATE)) % (2 * _RATE) / _RATE
    noise = rng.standard_normal((len(at), channels))
    for number in range(count):
        tone = np.sin(2 * np.pi * rng.uniform(60, 2000) * at)[:, None]
        stroke = (0.5 * tone + 0.1 * np.roll(noise, number, axis=0)) * np.exp(-rng.uniform(3, 12) * at)[:, None]
        soundfile.write(folder / f"{number:06d}.{extension}", stroke, _RATE, subtype=subtype)
    return folder


def by_librosa(folder: Path, out: Path) -> dict[str, float]:
    """The loop that a programmer would write with librosa and TensorFlow."""
    import librosa
    import tensorflow as tf

    def load(writer: tf.io.TFRecordWriter, path: Path, seen: set[bytes]) -> None:
        samples, _ = librosa.load(path, sr=16_000, mono=True)
        samples, _ = librosa.effects.trim(samples, top_db=40)
        clip = librosa.util.fix_length(samples, size=8_000)
        content = np.clip(np.rint(clip * 32768), -32768, 32767).astype("<i2").tobytes()
        digest = hashlib.sha256(content).digest()
        if digest in seen or not clip.any():
            return
        seen.add(digest)
        features = {"audio": content, "label": path.parent.name.encode(), "name": path.name.encode(), "sha256": digest}
        writer.write(tf.train.Example(features=tf.train.Features(feature={
            key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for key, value in features.items()
        })).SerializeToString())

    files = sorted(folder.iterdir())
    with tf.io.TFRecordWriter(str(out)) as writer:
        load(writer, files[0], set())  # librosa imports its modules on first use
        cpu, clock, seen = time.process_time(), time.perf_counter(), set()
        for path in files:
            load(writer, path, seen)
    return {"seconds": time.perf_counter() - clock, "cpu": time.process_time() - cpu, "kept": len(seen)}


def by_prepare(folder: Path, out: Path, workers: int) -> dict[str, float]:
    """The preparation, with all its processes."""
    from melgan_tf.data.prepare import prepare

    clock = time.perf_counter()
    result = prepare(folder, out, workers=workers)
    seconds = time.perf_counter() - clock
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"seconds": seconds, "cpu": sum(u.ru_utime + u.ru_stime for u in used),
            "cpu of the collecting process": used[0].ru_utime + used[0].ru_stime, "kept": result.counts.clips,
            "megabytes": used[0].ru_maxrss / 1024, "megabytes of a worker": used[1].ru_maxrss / 1024}


def apart(function: str, *arguments: object) -> dict[str, float]:
    """Runs one of the two programs in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--apart", function, *map(str, arguments)], check=True,
                          stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def compare(folder: Path, workers: int) -> dict[str, Any]:
    """A table with one row for each kind of sound."""
    one = write_sounds(folder / "one", "wav", "PCM_16", 1, 0.1, workers)
    start, rows = apart("prepare", one, folder / "one-out", workers), []
    for number, (kind, (*sounds, count)) in enumerate(KINDS.items()):
        source = write_sounds(folder / str(number), *sounds, count)
        theirs = apart("librosa", source, folder / f"{number}.tfrecord")
        ours = apart("prepare", source, folder / f"{number}-out", workers)
        assert theirs["kept"] == ours["kept"] == count, (theirs, ours)
        seconds, cpu = ours["seconds"] - start["seconds"], ours["cpu"] - start["cpu"]
        rows.append([kind, count / theirs["seconds"], count / seconds, theirs["seconds"] / seconds,
                     1e3 * theirs["cpu"] / count, 1e3 * cpu / count, theirs["cpu"] / cpu])
    return results.table(["sounds", "files/s, librosa", "files/s, prepare", "ratio", "CPU ms a file, librosa",
                          "CPU ms a file, prepare", "ratio of CPU time"], rows)


def scale(folder: Path, counts: list[int], workers: int) -> dict[str, Any]:
    """A table of time and memory for folders of `counts` sounds of a tenth of a second, a thousand in a subfolder."""
    rows = []
    for count in counts:
        source, rng = folder / str(count), np.random.default_rng(0)
        for number in range(count):
            below = source / f"{number // 1000:04d}"
            below.mkdir(parents=True, exist_ok=True)
            content = rng.integers(-9000, 9000, 1600).astype("<i2")
            soundfile.write(below / f"{number % 1000:03d}.wav", content, 16_000)
        found = apart("prepare", source, folder / f"{count}-out", workers)
        assert found["kept"] == count
        size = sum(file.stat().st_size for file in (folder / f"{count}-out").glob("*.tfrecord"))
        rows.append([count, found["seconds"], 1e3 * found["cpu"] / count,
                     1e3 * found["cpu of the collecting process"] / count, found["megabytes"],
                     found["megabytes of a worker"], size / 1e6])
    return results.table(["files", "s", "CPU ms a file", "of it, collecting process", "MB, collecting process",
                          "MB, a worker", "MB written"], rows)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scaling", type=int, nargs="+", metavar="FILES")
    parser.add_argument("--apart", nargs="+", help=argparse.SUPPRESS)
    results.add_option(parser)
    arguments = parser.parse_args()
    if arguments.apart:
        function, folder, out, *workers = arguments.apart
        call = by_librosa if function == "librosa" else by_prepare
        print(json.dumps(call(Path(folder), Path(out), *map(int, workers))))
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.scaling:
            name, key, table = "prepare_scaling", "scaling", scale(Path(folder), arguments.scaling, arguments.workers)
        else:
            name, key, table = "prepare_speed", "librosa", compare(Path(folder), arguments.workers)
    print(results.markdown(table))
    results.save(name, {key: table}, arguments.results)


if __name__ == "__main__":
    main()
