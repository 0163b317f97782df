"""Finding the sound files of a folder, without decoding them, and with the names of one folder in memory at a time."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melgan_tf import storage
from melgan_tf.audio.magic import EXTENSIONS, HEAD_BYTES, looks_like_audio
from melgan_tf.errors import MelGANError, UsageError, printable
from melgan_tf.storage.paths import RemotePath


@dataclass(frozen=True)
class SoundFile:
    """A file that looks like a sound.

    Attributes:
        path: the file, local or remote.
        name: its POSIX path relative to the searched folder, as valid UTF-8.
        label: its folder, as a POSIX path relative to the searched folder; "" at the top.
        notes: what was odd about it when it was decoded.
    """

    path: Path
    name: str
    label: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A file or folder that could not be used.

    Attributes:
        name: its POSIX path relative to the searched folder; a folder's ends in a slash.
        reason: why.
    """

    name: str
    reason: str


def find(folder: str | Path) -> tuple[list[SoundFile], list[Skipped]]:
    """Find the sound files in a folder and its sub-folders: the entries of `scan`, in two lists.

    Args:
        folder: the folder, or a single sound file.

    Returns:
        The sounds and what could not be accessed, each sorted by name.

    Raises:
        UsageError: the folder does not exist.
        MelGANError: the folder cannot be read.
    """
    found = list(scan(folder))
    return (sorted((entry for entry in found if isinstance(entry, SoundFile)), key=lambda sound: sound.name),
            sorted((entry for entry in found if isinstance(entry, Skipped)), key=lambda skip: skip.name))


def count(folder: str | Path) -> int:
    """Estimate the number of sounds in a folder from file extensions alone, much faster than `scan`.

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


def scan(folder: str | Path, exclude: str | Path | None = None, ignored: Counter[str] | None = None
         ) -> Iterator[SoundFile | Skipped]:
    """Find the sound files in a folder and its sub-folders one by one, sorted by name.

    A file is included if its extension is one of `EXTENSIONS` or its first bytes are those of a sound format. Hidden
    files and folders are ignored. Symbolic links are followed; a file that can be reached in several ways is listed
    once, by its real path if that is below ``folder``.

    Args:
        folder: the folder, or a single sound file.
        exclude: a folder to skip.
        ignored: counts the other files, by extension.

    Yields:
        Sounds, and what could not be accessed.

    Raises:
        UsageError: the folder does not exist.
        MelGANError: the folder cannot be read.
    """
    folder = storage.path(folder)
    if storage.is_remote(folder):
        return _scan_remote(folder, exclude, Counter() if ignored is None else ignored)
    try:
        folder.stat()
        if folder.is_file():
            return iter([SoundFile(folder, printable(folder.name), "")])
        os.scandir(folder).close()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"folder {printable(folder)} does not exist: give a folder of sound files") from None
    except OSError as error:
        raise MelGANError(f"cannot read {printable(folder)}: {error.strerror}; "
                          "give a readable folder of sound files") from None
    return _Walk(folder, exclude, Counter() if ignored is None else ignored).entries()


@dataclass(frozen=True)
class _Entry:
    """A directory entry: its path relative to the searched folder, and its real path."""

    place: str
    real: str
    is_folder: bool
    is_link: bool
    is_regular: bool


class _Walk:
    """Depth first; folders sort as if their names ended in a slash, which is the order of full paths."""

    def __init__(self, folder: Path, exclude: str | Path | None, ignored: Counter[str]) -> None:
        self.folder, self.root = str(folder), os.path.realpath(folder)
        self.exclude = None if exclude is None or storage.is_remote(exclude) else os.path.realpath(exclude)
        self.ignored = ignored
        self.folders_seen: set[str] = set()  # outside the searched folder
        self.files_linked: set[str] = set()

    def entries(self) -> Iterator[SoundFile | Skipped]:
        stack = [iter(self._children("", self.root))]
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
            elif isinstance(entry, Skipped):
                yield entry
            elif entry.is_folder:
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
            return [Skipped(f"{printable(place)}/", f"cannot be opened: {error.strerror}")]
        prefix = f"{place}/" if place else ""
        entries = [self._entry(prefix + entry.name, entry, real) for entry in visible]
        return sorted(entries, key=lambda entry: (printable(entry.place) + "/" * entry.is_folder, entry.place))

    def _entry(self, place: str, entry: os.DirEntry, real: str) -> _Entry:
        link = entry.is_symlink()
        target = os.path.realpath(os.path.join(self.folder, place)) if link else f"{real}/{entry.name}"
        try:
            return _Entry(place, target, entry.is_dir(), link, entry.is_file())
        except OSError:  # a circular link
            return _Entry(place, target, False, link, False)

    def _enter(self, entry: _Entry) -> bool:
        """Whether to search a folder under this name, and not under another one."""
        if entry.real == self.exclude:
            return False
        if self._canonical(entry):
            return True
        if self._inside(entry.real) and not self._hidden(entry.real):
            return False
        return self._first_visit(self.folders_seen, entry.real)

    def _file(self, entry: _Entry) -> Iterator[SoundFile | Skipped]:
        name = printable(entry.place)
        path = os.path.join(self.folder, entry.place)
        try:
            if not self._looks_like_sound(path, entry.is_regular):
                self.ignored[os.path.splitext(entry.place)[1].lower()] += entry.is_regular
                return
            if entry.is_link:
                os.stat(path)  # raises if it is broken
            listed = self._listed(entry)
        except OSError as error:
            yield Skipped(name, f"cannot be read: {error.strerror}")
            return
        if listed:
            return
        place = os.path.dirname(entry.place)
        yield SoundFile(Path(path), name, printable(place))

    def _listed(self, entry: _Entry) -> bool:
        """Whether a file is listed under another name, now or later."""
        if self._canonical(entry):
            return False
        if not entry.is_link:
            return entry.real in self.files_linked
        if self._inside(entry.real) and not self._hidden(entry.real) and self._looks_like_sound(entry.real, True):
            return True
        if os.path.dirname(entry.real) in self.folders_seen and self._looks_like_sound(entry.real, True):
            return True
        return not self._first_visit(self.files_linked, entry.real)

    def _canonical(self, entry: _Entry) -> bool:
        return entry.real == f"{self.root.rstrip('/')}/{entry.place}"

    def _inside(self, real: str) -> bool:
        return real == self.root or real.startswith(f"{self.root.rstrip('/')}/")

    def _hidden(self, real: str) -> bool:
        return "/." in real[len(self.root.rstrip("/")):]

    @staticmethod
    def _first_visit(seen: set[str], real: str) -> bool:
        if real in seen:
            return False
        seen.add(real)
        return True

    @staticmethod
    def _looks_like_sound(path: str, regular: bool) -> bool:
        """Whether a file is a sound by its extension or its first bytes.

        Raises:
            OSError: it cannot be read, and has no extension.
        """
        extension = os.path.splitext(path)[1].lower()
        if extension in EXTENSIONS:
            return True
        if not regular:
            return False
        try:
            with open(path, "rb", buffering=0) as file:
                head = file.read(HEAD_BYTES)
        except OSError:
            if extension:  # its name does not say that it is a sound
                return False
            raise
        return looks_like_audio(head, extension)


def _scan_remote(folder: RemotePath, exclude: str | Path | RemotePath | None, ignored: Counter[str]
                 ) -> Iterator[SoundFile | Skipped]:
    """Do what `scan` does, for a remote folder or sound file; remote storage has no links."""
    info = folder.info()
    if info is None:
        raise UsageError(f"folder {folder} does not exist: give a folder of sound files")
    if not info.is_folder:
        if not _remote_looks_like_sound(folder):
            raise UsageError(f"{folder} is neither a folder nor a sound file" + (
                ": HTTP has no folders, give the URL of one sound file or of prepared shards"
                if folder.scheme.startswith("http") else ""))
        return iter([SoundFile(folder, printable(folder.name), "")])
    return _walk_remote(folder, storage.path(exclude) if exclude else None, ignored)


def _walk_remote(folder: RemotePath, exclude: Any, ignored: Counter[str]) -> Iterator[SoundFile | Skipped]:
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
            if child != exclude:
                stack.append(children(place, child))
        elif _remote_looks_like_sound(child):
            yield SoundFile(child, printable(place), printable(os.path.dirname(place)))
        else:
            ignored[child.suffix.lower()] += 1


def _remote_looks_like_sound(file: RemotePath) -> bool:
    extension = file.suffix.lower()
    return extension in EXTENSIONS or looks_like_audio(file.head(HEAD_BYTES), extension)
