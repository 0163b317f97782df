"""Speed of `melgan-tf prepare` beside a loop over librosa that does the same work, and how it grows with the folder.

    python benchmarks/prepare_speed.py [--workers 2]               # needs pip install -e .[dev]
    python benchmarks/prepare_speed.py --scaling 1000 10000 100000

Both decode, mix down, resample to 16 kHz, trim to the onset, cut to half a second, leave out exact duplicates and write
TFRecord of 16-bit samples. Start-up is left out on both sides. CPU time counts all processes: where a machine is shared
it says more than the clock, and its quotient is what one core gains; so many cores gain so many times as much, as far
as the disk keeps up.
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

import numpy as np
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
    """Made-up strokes, each different, repeated every two seconds where the sound is longer."""
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
    """What a programmer would write with librosa and TensorFlow."""
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
        load(writer, files[0], set())  # librosa loads its parts when they are first used
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
    """Runs one of the two in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--apart", function, *map(str, arguments)], check=True,
                          stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def compare(place: Path, workers: int) -> None:
    """Prints a table, one row for each kind of sound."""
    one = write_sounds(place / "one", "wav", "PCM_16", 1, 0.1, workers)
    start = apart("prepare", one, place / "one-out", workers)
    print("| sounds | files/s, librosa | files/s, prepare | quotient | CPU ms a file, librosa | prepare | quotient |\n"
          "|---|--:|--:|--:|--:|--:|--:|")
    for number, (kind, (*sounds, count)) in enumerate(KINDS.items()):
        folder = write_sounds(place / str(number), *sounds, count)
        theirs = apart("librosa", folder, place / f"{number}.tfrecord")
        ours = apart("prepare", folder, place / f"{number}-out", workers)
        assert theirs["kept"] == ours["kept"] == count, (theirs, ours)
        seconds, cpu = ours["seconds"] - start["seconds"], ours["cpu"] - start["cpu"]
        cells = [f"{count / theirs['seconds']:,.0f}", f"{count / seconds:,.0f}", f"{theirs['seconds'] / seconds:.1f}",
                 f"{1e3 * theirs['cpu'] / count:.2f}", f"{1e3 * cpu / count:.2f}", f"{theirs['cpu'] / cpu:.1f}"]
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


def scale(place: Path, counts: list[int], workers: int) -> None:
    """Prints time and memory for folders of so many sounds of a tenth of a second, a thousand to a folder."""
    print("| files | s | CPU ms a file | of it, collecting process | MB, collecting process | MB, a worker "
          "| MB written |\n" + "|--:" * 7 + "|")
    for count in counts:
        folder, rng = place / str(count), np.random.default_rng(0)
        for number in range(count):
            below = folder / f"{number // 1000:04d}"
            if number % 1000 == 0:
                below.mkdir(parents=True)
            content = rng.integers(-9000, 9000, 1600).astype("<i2")
            soundfile.write(below / f"{number % 1000:03d}.wav", content, 16_000)
        found = apart("prepare", folder, place / f"{count}-out", workers)
        assert found["kept"] == count
        size = sum(file.stat().st_size for file in (place / f"{count}-out").glob("*.tfrecord"))
        print(f"| {count:,} | {found['seconds']:.1f} | {1e3 * found['cpu'] / count:.2f} "
              f"| {1e3 * found['cpu of the collecting process'] / count:.2f} | {found['megabytes']:.0f} "
              f"| {found['megabytes of a worker']:.0f} | {size / 1e6:,.0f} |", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scaling", type=int, nargs="+", metavar="FILES")
    parser.add_argument("--apart", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.apart:
        function, folder, out, *workers = given.apart
        call = by_librosa if function == "librosa" else by_prepare
        print(json.dumps(call(Path(folder), Path(out), *map(int, workers))))
        return
    with tempfile.TemporaryDirectory() as place:
        if given.scaling:
            scale(Path(place), given.scaling, given.workers)
        else:
            compare(Path(place), given.workers)


if __name__ == "__main__":
    main()
