"""Beside the archives in dist/: a bill of materials (CycloneDX) of what is locked. And known vulnerabilities in that.

    python requirements/release.py dist
"""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
from pathlib import Path

HERE, TOOLS = Path(__file__).resolve().parent, Path(sys.executable).parent
LOCK = HERE / "lock.txt"


def write_bill(file: Path) -> None:
    """Writes the components with their hashes, as parts of this package."""
    setup = configparser.ConfigParser()
    setup.read(HERE.parent / "setup.cfg")
    made = subprocess.run([TOOLS / "cyclonedx-py", "requirements", "--output-reproducible", LOCK], check=True,
                          stdout=subprocess.PIPE)
    bill, package = json.loads(made.stdout), setup["metadata"]
    purl = f"pkg:pypi/{package['name']}@{package['version']}"
    bill["metadata"]["component"] = {"type": "library", "bom-ref": purl, "name": package["name"], "purl": purl,
                                     "version": package["version"], "description": package["description"],
                                     "licenses": [{"license": {"id": package["license"]}}]}
    file.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    print(f"{file}: {len(bill['components'])} components")


def audit() -> int:
    """Prints known vulnerabilities, or that their index cannot be reached; 1 if there is one."""
    done = subprocess.run([TOOLS / "pip-audit", "--require-hashes", "--disable-pip", "--requirement", LOCK, "--format",
                           "json", "--progress-spinner", "off"], capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        found = []
    audited = [package for package in found if "vulns" in package]
    if not audited:  # a mirror that has packages only says that it knows none of them
        print("pip-audit: the index of vulnerabilities cannot be reached from here; nothing was audited")
        return 0
    vulnerable = [f"{package['name']} {package['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions'])}"
                  for package in audited for flaw in package["vulns"]]
    print(*vulnerable, f"{len(audited)} of {len(found)} packages audited, {len(vulnerable)} vulnerabilities", sep="\n")
    return int(bool(vulnerable))


if __name__ == "__main__":
    write_bill(Path(sys.argv[1]) / "sbom.cdx.json")
    sys.exit(audit())
