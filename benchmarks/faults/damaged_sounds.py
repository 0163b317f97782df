"""Kind 1: damaged sound files, through the decoder processes of `melgan-tf prepare`."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

import numpy as np
from contradictions import contradiction
from damage import damage
from originals import Original, originals
from outcome import Outcome

from melgan_tf.audio.decoder_pool import DecoderPool, Failure, Limits, Success, Task

#: What one file may take.
LIMITS = Limits(seconds=10, seconds_per_megabyte=0, megabytes=1024)
_FAULTS = {"the decoder crashed": "crashed", "took longer": "hung", "decoding it takes more than": "memory",
           "an unexpected error": "unexpected error", "the decoder answered": "nonsense"}
_BATCH = 1000
_SLACK = {"pcm": 128, "frames": 2304}  # samples that programs and encoders are careless about
_TASK = Task("decode_task:samples_of", lambda value, content: value, lambda value: value,
             lambda arguments: (0, 1 << 20))


class _Whole:
    """An undamaged file and the samples that the package reads from it."""

    def __init__(self, original: Original, samples: np.ndarray, rate: int) -> None:
        self.original, self.samples, self.rate = original, samples, rate


def run(numbers: range, seed: int, outcome: Outcome, folder: Path, only: str | None = None) -> None:
    """Damages and decodes files; a case is a function of the seed and its number alone."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else folder) as place:
        wholes = _wholes(Path(place))
        numbers = numbers if only is None else range(int(only), int(only) + 1)
        for first in range(0, len(numbers), _BATCH):
            _batch(Path(place), numbers[first:first + _BATCH], seed, wholes, outcome)
    outcome.megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def make(number: int, seed: int, wholes: list) -> tuple[int, int, bytes, str, str]:
    """Case ``number``: indices of the original and the other file, the bytes, what was done, the extension."""
    rng = np.random.default_rng((seed, number))
    which, other = number % len(wholes), int(rng.integers(len(wholes)))
    if rng.random() < 0.5:  # often a relative
        family = [i for i, whole in enumerate(wholes) if whole.original.extension == wholes[which].original.extension]
        other = int(rng.choice(family))
    content, done = damage(wholes[which].original.content, wholes[other].original.content, rng)
    extension = wholes[which].original.extension
    if rng.random() < 0.1:
        extension = str(rng.choice(["wav", "flac", "mp3", "m4a", "ogg", "aiff", "caf"]))
    return which, other, content, done, extension


def _wholes(place: Path) -> list[_Whole]:
    found, files = originals(), []
    for number, original in enumerate(found):
        files.append(place / f"whole{number}.{original.extension}")
        files[-1].write_bytes(original.content)
    results = _decode(files)
    wholes = []
    for original, file in zip(found, files, strict=True):
        if isinstance(results[file], str):
            print(f"{original.name}: the whole file is refused: {results[file]}")
            continue
        wholes.append(_Whole(original, *results[file][:2]))
        if (wrong := contradiction(original.content)) not in ("", "checksums"):
            print(f"{original.name}: whole, but {wrong}")
    return wholes


def _decode(files: list[Path]) -> dict[Path, str | tuple[np.ndarray, int, int]]:
    """Samples, rate and number of notes of each file, or the reason why there are none."""
    found: dict[Path, str | tuple[np.ndarray, int, int]] = {}
    with DecoderPool(_TASK, 1, LIMITS) as pool:
        for file, result in pool.results((file, {"path": str(file)}, file.stat().st_size) for file in files):
            if isinstance(result, Failure):
                found[file] = result.reason
            elif isinstance(result, Success):
                values = np.fromfile(f"{file}.samples", np.float32)
                found[file] = values[:-2], int(values[-1]), int(values[-2])
            if isinstance(result, Failure | Success):
                Path(f"{file}.samples").unlink(missing_ok=True)
    return found


def _batch(place: Path, numbers: range, seed: int, wholes: list[_Whole], outcome: Outcome) -> None:
    cases = {}
    for number in numbers:
        case = make(number, seed, wholes)
        file = place / f"{number:06d}.{case[4]}"
        file.write_bytes(case[2])
        cases[file] = case
    for file, result in _decode(list(cases)).items():
        which, other, content, done, extension = cases[file]
        verdict, held = judge(content, done, result, wholes[which], wholes[other])
        if held:
            outcome.held(verdict)
        else:
            name = wholes[which].original.name
            detail = result if isinstance(result, str) else f"{len(result[0])} samples at {result[1]} Hz"
            outcome.failed(verdict, f"{seed}-{file.stem}", {file.name: content,
                                                             f"whole.{extension}": wholes[which].original.content},
                           format=name, damage=done, result=detail,
                           whole=f"{len(wholes[which].samples)} samples at {wholes[which].rate} Hz",
                           contradiction=contradiction(content))
        file.unlink()


def judge(content: bytes, done: str, result: str | tuple[np.ndarray, int, int], whole: _Whole, other: _Whole
          ) -> tuple[str, bool]:
    """The verdict on one damaged file, and whether it held."""
    if isinstance(result, str):
        for words, verdict in _FAULTS.items():
            if result.startswith(words):
                return verdict, False
        if "\n" in result or not result.strip():
            return "no reason in one line", False
        return "refused", True
    samples, rate, notes = result
    if rate in (whole.rate, other.rate) and _made_of(samples, (whole.samples, other.samples), content):
        return "read whole", True
    wrong = contradiction(content)
    if not wrong or (wrong == "checksums" and _rate_is_free(content) and _same(samples, whole.samples, content)):
        return "cannot be known", True
    if notes:
        return "read, and its contradiction told", True
    if rate not in (whole.rate, other.rate):
        return "another rate", False
    lacking = len(whole.samples) - len(samples)
    if wrong != "checksums" and abs(lacking) <= _slack(content):
        # other samples, of which there is no checksum; and a header that is wrong without doing harm
        return ("cannot be known", True) if ", " in done else ("samples changed, and a header is wrong", False)
    return "shortened" if lacking > 0 else "other samples", False


def _made_of(samples: np.ndarray, parts: tuple[np.ndarray, ...], content: bytes) -> bool:
    """Whether a sound is one of the parts, or several of them one after the other."""
    if any(_same(samples, part, content) for part in parts):
        return True
    heads = [part for part in parts if len(part) < len(samples) and _same(samples[:len(part)], part, content)]
    return any(_made_of(samples[len(part):], parts, content) for part in heads)


def _rate_is_free(content: bytes) -> bool:
    """Whether a FLAC file's rate is in its first header only: a frame's may say "see there"."""
    at = content.find(b"\xff\xf8", 42)
    return content[:4] == b"fLaC" and at > 0 and content[at + 2] & 15 == 0


def _slack(content: bytes) -> int:
    plain = content[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM", b"caff", b"fLaC", b"riff")
    return _SLACK["pcm"] if plain else _SLACK["frames"]


def _same(samples: np.ndarray, expected: np.ndarray, content: bytes) -> bool:
    """Whether a sound is the expected one, but for what careless programs and encoders add or lack at its ends."""
    if abs(len(samples) - len(expected)) > _slack(content):
        return False
    added = 0
    if _slack(content) == _SLACK["frames"] and len(samples) > len(expected):  # an encoder's padding, not trimmed
        head = expected[:1024]
        added = min(range(len(samples) - len(expected) + 1), key=lambda at: np.abs(
            samples[at:at + len(head)] - head).sum())
    common = min(len(samples) - added, len(expected))
    return bool(np.allclose(samples[added:added + common], expected[:common], atol=1e-4))
