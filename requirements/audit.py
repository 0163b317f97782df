"""Looks for known vulnerabilities in what is locked, where their index can be reached; else says that it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parent / "lock.txt"
_UNREACHABLE = ("ConnectionError", "ServiceError", "Max retries", "timed out", "HTTPError", "ProxyError")


def main() -> None:
    """Exits with pip-audit's code: 1 if there is a vulnerability."""
    done = subprocess.run([Path(sys.executable).parent / "pip-audit", "--require-hashes", "--disable-pip",
                           "--requirement", LOCK, "--progress-spinner", "off"], capture_output=True, text=True,
                          check=False)
    if done.returncode and any(word in done.stderr for word in _UNREACHABLE):
        print("pip-audit: the index of vulnerabilities cannot be reached from here; nothing was audited")
        return
    print((done.stdout + done.stderr).strip())
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
