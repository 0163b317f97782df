"""What becomes of the cases of a kind: counts, and a folder for each case that did not hold."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Outcome:
    """Results of one kind.

    Attributes:
        kind: its name.
        folder: for the cases that did not hold.
        verdicts: how many cases held in which way, and did not for which reason.
        failures: the cases that did not hold, by reason.
        megabytes: peak memory of one process.
    """

    kind: str
    folder: Path
    verdicts: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    megabytes: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def held(self, how: str) -> None:
        """Counts a case that held."""
        self.verdicts[how] += 1

    def failed(self, reason: str, case: str, files: dict[str, bytes] | None = None, **details: object) -> None:
        """Counts a case that did not hold, and keeps what replays it."""
        self.failures[reason] += 1
        place = self.folder / self.kind / f"{case}".replace("/", "_").replace(" ", "_")
        place.mkdir(parents=True, exist_ok=True)
        for name, content in (files or {}).items():
            (place / name).write_bytes(content)
        record = {"kind": self.kind, "case": case, "reason": reason, **details}
        (place / "case.json").write_text(json.dumps(record, indent=1, default=str) + "\n")

    def record(self) -> dict:
        """For the results file."""
        held = sum(self.verdicts.values())
        return {"kind": self.kind, "tries": held + sum(self.failures.values()), "held": held,
                "how": dict(self.verdicts.most_common()), "not held": dict(self.failures.most_common()),
                "megabytes": round(self.megabytes), "seconds": round(time.perf_counter() - self.started)}
