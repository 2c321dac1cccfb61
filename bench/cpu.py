"""CPU time of processes, from ``/proc``: it hardly depends on how busy the machine is otherwise."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(*roots: int) -> float:
    """User and system time of the processes ``roots`` and of all their descendants, those that ended included."""
    stats = _stats()
    wanted, total = set(roots), 0.0
    growing = True
    while growing:
        found = {pid for pid, (parent, _) in stats.items() if parent in wanted} - wanted
        wanted |= found
        growing = bool(found)
    for pid in wanted & stats.keys():
        total += stats[pid][1]
    return total


def _stats() -> dict[int, tuple[int, float]]:
    """Of every process: its parent, and its CPU seconds with those of the children it has waited for."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(path.parent.name)] = (int(fields[1]), sum(int(ticks) for ticks in fields[11:15]) / _TICKS)
    return found
