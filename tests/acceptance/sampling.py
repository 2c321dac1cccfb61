"""What a running server takes: memory, open files, and room in the database."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, quantiles

from tests.acceptance.processes import KancaProcess
from tests.servers.postgres import PostgresServer

_DAY = re.compile(r"_p\d{8}$")
_SIZES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relnamespace = 'kanca'::regnamespace AND relkind = 'r'
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """At one moment."""

    memory_mb: dict[str, float]
    """By kind of process."""
    files: dict[str, int]
    """Open, by kind of process."""
    partitions: int
    by_day_mb: float
    """All partitions together."""
    rest_mb: dict[str, float]
    """The other tables, by name."""
    events: int
    """Accepted since the last look."""
    p50_ms: float
    p99_ms: float

    def line(self) -> str:
        """For the report."""
        memory = " ".join(f"{self.memory_mb[kind]:>8.1f}" for kind in sorted(self.memory_mb))
        files = " ".join(f"{self.files[kind]:>7}" for kind in sorted(self.files))
        return (
            f"{memory} {files} {self.partitions:>10} {self.by_day_mb:>9.1f} {sum(self.rest_mb.values()):>9.1f}"
            f" {self.events:>7} {self.p50_ms:>8.1f} {self.p99_ms:>8.1f}"
        )


HEADINGS = (
    f"{'day':>4} {'gateway':>8} {'worker':>8} {'gw fds':>7} {'wk fds':>7} {'partitions':>10} {'days MB':>9}"
    f" {'rest MB':>9} {'events':>7} {'p50 ms':>8} {'p99 ms':>8}"
)


def sample(server: KancaProcess, postgres: PostgresServer, database: str, took_s: Sequence[float]) -> Sample:
    """Look at everything now. ``took_s``: how long answers took since the last look."""
    pids = {kind: server.children(kind)[0] for kind in ("gateway", "worker")}
    sizes = {
        name: int(size) / 1e6
        for name, size in (line.split("|") for line in postgres.execute(_SIZES, database).splitlines())
    }
    by_day = [size for name, size in sizes.items() if _DAY.search(name)]
    rest = {name: size for name, size in sizes.items() if not _DAY.search(name)}
    cuts = quantiles(took_s, n=100)
    return Sample(
        memory_mb={kind: _memory_mb(pid) for kind, pid in pids.items()},
        files={kind: len(list(Path(f"/proc/{pid}/fd").iterdir())) for kind, pid in pids.items()},
        partitions=len(by_day),
        by_day_mb=sum(by_day),
        rest_mb=rest,
        events=len(took_s),
        p50_ms=cuts[49] * 1_000,
        p99_ms=cuts[98] * 1_000,
    )


def grown(before: Sequence[float], after: Sequence[float]) -> float:
    """How many times as much the later ones are, on average."""
    return fmean(after) / max(fmean(before), 1e-9)


def _memory_mb(pid: int) -> float:
    """What is the process's own: shared libraries are not counted."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE)) / 1_000
