"""Which files of a folder promise a sound. No decoding here, and no more in memory than the names of one folder."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melgan_tf import storage
from melgan_tf.audio.decode import looks_like_audio
from melgan_tf.errors import MelGANError, UsageError, printable
from melgan_tf.storage.paths import RemotePath

EXTENSIONS = frozenset({".wav", ".wave", ".flac", ".aif", ".aiff", ".aifc", ".ogg", ".oga", ".opus", ".mp3", ".m4a",
                        ".mp4", ".aac", ".caf"})

# Under a foreign extension the first bytes must be those of a sound format: films and pictures begin as M4A files do.
_UNMISTAKABLE = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"fLaC", b"caff")

_HEAD_BYTES = 2048  # as much as the first frame of an MP3 takes and a little more


@dataclass(frozen=True)
class SoundFile:
    """A file that promises a sound.

    Attributes:
        path: where it is.
        name: its POSIX path below the folder that was searched, as valid UTF-8.
        label: the folder that it lies in, as a POSIX path below the folder that was searched; "" at the top.
    """

    path: Path
    name: str
    label: str


@dataclass(frozen=True)
class Skipped:
    """Something below the folder that gives no sound, and why.

    Attributes:
        name: its POSIX path below the folder that was searched; a folder's ends in a slash.
        reason: for people.
    """

    name: str
    reason: str


def find(folder: str | Path) -> tuple[list[SoundFile], list[Skipped]]:
    """Finds the sound files in a folder and all its sub-folders: what `scan` yields, in two lists.

    Args:
        folder: the folder, or a single sound file.

    Returns:
        The sounds and what could not be looked into, each sorted by name.

    Raises:
        UsageError: there is no such folder.
        MelGANError: the folder cannot be read.
    """
    found = list(scan(folder))
    return (sorted((entry for entry in found if isinstance(entry, SoundFile)), key=lambda sound: sound.name),
            sorted((entry for entry in found if isinstance(entry, Skipped)), key=lambda skip: skip.name))


def count(folder: str | Path) -> int:
    """About how many sounds are in a folder, by their names: what `scan` will take long to tell.

    Links are not followed.
    """
    total, places = 0, [os.fspath(folder)]
    while places:
        with contextlib.suppress(OSError), os.scandir(places.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    places.append(entry.path)
                elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                    total += 1
    return total


def scan(folder: str | Path, without: str | Path | None = None, ignored: Counter[str] | None = None
         ) -> Iterator[SoundFile | Skipped]:
    """Finds the sound files in a folder and all its sub-folders one by one, in the order of their names.

    Files count if their extension is one of `EXTENSIONS`, or if they begin as sound files do. Hidden files and folders
    do not. Symbolic links are followed; what can be reached in several ways is listed once, by its real place if that
    is below ``folder`` too.

    Args:
        folder: the folder, or a single sound file.
        without: a folder to leave out.
        ignored: counts the files that promise no sound, by extension.

    Yields:
        Sounds, and what could not be looked into.

    Raises:
        UsageError: there is no such folder.
        MelGANError: the folder cannot be read.
    """
    folder = storage.path(folder)
    if storage.is_remote(folder):
        return _scan_remote(folder, without, Counter() if ignored is None else ignored)
    try:
        folder.stat()
        if folder.is_file():
            return iter([SoundFile(folder, printable(folder.name), "")])
        os.scandir(folder).close()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"no folder {printable(folder)}: give a folder of sound files") from None
    except OSError as error:
        raise MelGANError(f"cannot read {printable(folder)}: {error.strerror}; "
                          "give a folder of sound files that you may read") from None
    return _Walk(folder, without, Counter() if ignored is None else ignored).entries()


@dataclass(frozen=True)
class _Entry:
    """One name in a folder: where it is below the searched folder, and where it really is."""

    place: str
    real: str
    folder: bool
    link: bool
    regular: bool


class _Walk:
    """Depth first; folders sort as if their names ended in a slash, which is the order of whole paths."""

    def __init__(self, folder: Path, without: str | Path | None, ignored: Counter[str]) -> None:
        self.folder, self.root = str(folder), os.path.realpath(folder)
        self.without = None if without is None or storage.is_remote(without) else os.path.realpath(without)
        self.ignored = ignored
        self.folders_seen: set[str] = set()  # of those outside the searched folder
        self.files_linked: set[str] = set()

    def entries(self) -> Iterator[SoundFile | Skipped]:
        stack = [iter(self._children("", self.root))]
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
            elif isinstance(entry, Skipped):
                yield entry
            elif entry.folder:
                if self._enter(entry):
                    stack.append(iter(self._children(entry.place, entry.real)))
            else:
                yield from self._file(entry)

    def _children(self, place: str, real: str) -> list[_Entry | Skipped]:
        where = os.path.join(self.folder, place) if place else self.folder
        try:
            with os.scandir(where) as found:
                visible = [entry for entry in found if not entry.name.startswith(".")]
        except OSError as error:
            return [Skipped(f"{printable(place)}/", f"cannot look into it: {error.strerror}")]
        prefix = f"{place}/" if place else ""
        entries = [self._entry(prefix + entry.name, entry, real) for entry in visible]
        return sorted(entries, key=lambda entry: (printable(entry.place) + "/" * entry.folder, entry.place))

    def _entry(self, place: str, entry: os.DirEntry, real: str) -> _Entry:
        link = entry.is_symlink()
        target = os.path.realpath(os.path.join(self.folder, place)) if link else f"{real}/{entry.name}"
        try:
            return _Entry(place, target, entry.is_dir(), link, entry.is_file())
        except OSError:  # a link that leads in a circle
            return _Entry(place, target, False, link, False)

    def _enter(self, entry: _Entry) -> bool:
        """Whether a folder is to be looked into here, and not by another name."""
        if entry.real == self.without:
            return False
        if self._canonical(entry):
            return True
        if self._inside(entry.real) and not self._hidden(entry.real):
            return False
        return self._new(self.folders_seen, entry.real)

    def _file(self, entry: _Entry) -> Iterator[SoundFile | Skipped]:
        name = printable(entry.place)
        path = os.path.join(self.folder, entry.place)
        try:
            if not self._claims(path, entry.regular):
                self.ignored[os.path.splitext(entry.place)[1].lower()] += entry.regular
                return
            if entry.link:
                os.stat(path)  # it may lead nowhere
        except OSError as error:
            yield Skipped(name, f"cannot be read: {error.strerror}")
            return
        if self._listed(entry):
            return
        place = os.path.dirname(entry.place)
        yield SoundFile(Path(path), name, printable(place))

    def _listed(self, entry: _Entry) -> bool:
        """Whether a file is, was or will be listed by another name."""
        if self._canonical(entry):
            return False
        if not entry.link:
            return entry.real in self.files_linked
        if self._inside(entry.real) and not self._hidden(entry.real) and self._claims(entry.real, True):
            return True
        if os.path.dirname(entry.real) in self.folders_seen and self._claims(entry.real, True):
            return True
        return not self._new(self.files_linked, entry.real)

    def _canonical(self, entry: _Entry) -> bool:
        return entry.real == f"{self.root.rstrip('/')}/{entry.place}"

    def _inside(self, real: str) -> bool:
        return real == self.root or real.startswith(f"{self.root.rstrip('/')}/")

    def _hidden(self, real: str) -> bool:
        return "/." in real[len(self.root.rstrip("/")):]

    @staticmethod
    def _new(seen: set[str], real: str) -> bool:
        if real in seen:
            return False
        seen.add(real)
        return True

    @staticmethod
    def _claims(path: str, regular: bool) -> bool:
        """Whether a file's name or its first bytes promise a sound.

        Raises:
            OSError: it cannot be read, and its name does not tell.
        """
        extension = os.path.splitext(path)[1].lower()
        if extension in EXTENSIONS:
            return True
        if not regular:
            return False
        try:
            with open(path, "rb", buffering=0) as file:
                head = file.read(_HEAD_BYTES)
        except OSError:
            if extension:  # nobody called it a sound
                return False
            raise
        return _begins_as_sound(head, extension)


def _begins_as_sound(head: bytes, extension: str) -> bool:
    return looks_like_audio(head) and (not extension or head[:4] in _UNMISTAKABLE)


def _scan_remote(folder: RemotePath, without: str | Path | RemotePath | None, ignored: Counter[str]
                 ) -> Iterator[SoundFile | Skipped]:
    """`scan` of a remote folder, or of one sound file; there are no links."""
    found = folder.look_up()
    if found is None:
        raise UsageError(f"no folder {folder}: give a folder of sound files")
    if not found.folder:
        if not _promises_sound(folder):
            raise UsageError(f"{folder} is no folder and no sound file" + (
                ": HTTP has no folders, give the address of one sound file, or of prepared shards"
                if folder.scheme.startswith("http") else ""))
        return iter([SoundFile(folder, printable(folder.name), "")])
    return _walk_remote(folder, storage.path(without) if without else None, ignored)


def _walk_remote(folder: RemotePath, without: Any, ignored: Counter[str]) -> Iterator[SoundFile | Skipped]:
    def children(place: str, where: RemotePath) -> Iterator[tuple[str, RemotePath]]:
        prefix = f"{place}/" if place else ""
        named = [(prefix + child.name, child) for child in where.children() if not child.name.startswith(".")]
        return iter(sorted(named, key=lambda item: printable(item[0]) + "/" * item[1].is_dir()))

    stack = [children("", folder)]
    while stack:
        place, child = next(stack[-1], ("", None))
        if child is None:
            stack.pop()
        elif child.is_dir():
            if child != without:
                stack.append(children(place, child))
        elif _promises_sound(child):
            yield SoundFile(child, printable(place), printable(os.path.dirname(place)))
        else:
            ignored[child.suffix.lower()] += 1


def _promises_sound(file: RemotePath) -> bool:
    extension = file.suffix.lower()
    return extension in EXTENSIONS or _begins_as_sound(file.head(_HEAD_BYTES), extension)
