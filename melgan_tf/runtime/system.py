"""What operating systems do differently: locks, processes and memory, of Linux, macOS and Windows.

Everything here has a substitute where the system lacks it. Without `ISOLATED`, sounds are decoded within this process,
so that one that crashes its decoder ends the program.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import BinaryIO

try:
    import fcntl
    import resource
except ImportError:  # Windows
    fcntl = resource = None

#: Whether processes can inherit a socket and be limited.
ISOLATED = fcntl is not None
_PR_SET_PDEATHSIG = 1


def cores() -> int:
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def physical_memory() -> int:
    """The memory of the machine in bytes; 8 GB where it does not say."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 8 << 30


def lock(handle: int) -> None:
    """Locks an open file until it is closed.

    Raises:
        BlockingIOError: another process has locked it.
        OSError: there are no locks.
    """
    if fcntl:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    try:
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except ImportError:
        raise OSError("this system has no locks on files") from None
    except OSError as error:
        raise BlockingIOError(error.errno, error.strerror) from None


def lock_temporary(handle: int) -> None:
    """As `lock`, where a locked file can be renamed and deleted.

    Raises:
        OSError: as `lock`, or there it cannot, as on Windows.
    """
    if not fcntl:
        raise OSError("a locked file could not be renamed")
    lock(handle)


def open_folder(folder: str | os.PathLike) -> int | None:
    """An open folder, which tells that it is still the same; None where folders cannot be opened."""
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY) if hasattr(os, "O_DIRECTORY") else None


def user() -> int:
    """The number of the user who owns new files."""
    return os.geteuid() if hasattr(os, "geteuid") else 0


def read_at(descriptor: int, count: int, position: int) -> bytes:
    """Bytes of an open file; its position stays."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, count, position)
    before = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, position, os.SEEK_SET)
    try:
        return os.read(descriptor, count)
    finally:
        os.lseek(descriptor, before, os.SEEK_SET)


def memory_file() -> BinaryIO:
    """A new file without a name, in memory if possible."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("melgan-tf"), "w+b", buffering=0)
    import tempfile

    return tempfile.TemporaryFile(buffering=0)


def above_standard_streams(descriptor: int) -> int:
    """A copy of a descriptor that is none of those of standard streams, which may be closed."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def end_with_parent() -> None:
    """Has Linux kill this process when its parent ends; elsewhere it notices that nobody listens."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def limit_memory(megabytes: int) -> None:
    """Lets allocations beyond a limit fail; no memory dump is written."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # macOS knows the limit and may refuse it
        resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))


def interrupt(number: int) -> None:
    """Sends this process a signal, from any thread."""
    if fcntl:
        os.kill(os.getpid(), number)
    else:  # where os.kill would end the process
        signal.raise_signal(number)
