"""What was starred on a page, as a folder of its own. No TensorFlow."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from melgan_tf.audio.find import Skipped
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.storage.atomic import folder_beside

_MAX_LIST_BYTES = 10_000_000


@dataclass(frozen=True)
class Explored:
    """What is on a page.

    Attributes:
        page: the file.
        sounds: how many are on it.
        duplicates: near duplicates of others, which are not.
        skipped: files that cannot be used, and why.
    """

    page: Path
    sounds: int
    duplicates: int
    skipped: tuple[Skipped, ...] = ()


def copy_favorites(folder: Path, favorites: Path, out: Path) -> Explored:
    """Copies sounds to a folder of their own.

    Args:
        folder: contains them.
        favorites: a text file with the name of one on each line, relative to the folder: what a page exports.
        out: the new folder.

    Raises:
        UsageError: the list cannot be read, is empty, or names what is not a sound in the folder.
        MelGANError: the sounds cannot be copied; nothing is kept.
    """
    try:
        if favorites.stat().st_size > _MAX_LIST_BYTES:
            raise UsageError(f"{favorites} is no list of favorites: give the file that the page saves")
        names = [line for line in favorites.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {favorites}: {getattr(error, 'strerror', None) or error}") from None
    root = os.path.realpath(folder)
    for name in names:
        path = os.path.realpath(os.path.join(root, name))
        if not os.path.isfile(path) or os.path.commonpath([root, path]) != root:
            raise UsageError(f"{favorites} names {name!r}, which is not a sound in {folder}")
    if not names:
        raise UsageError(f"{favorites} names no sounds: star some on the page, and export them again")
    try:
        with folder_beside(out, 0o777) as staging:
            for name in names:
                (staging / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(os.path.join(root, name), staging / name)
            shutil.copytree(staging, out, dirs_exist_ok=True)
    except OSError as error:
        raise MelGANError(f"cannot copy to {out}: {error.strerror}") from None
    return Explored(out, len(names), 0)
