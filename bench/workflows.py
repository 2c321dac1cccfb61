"""Runs per second, end to end and fully stored, by worker processes as ``kanca serve`` starts them.

Small runs have two nodes that only compute, large ones six, one of which asks a server on this machine. The events are
in the database beforehand and are let go at once; a rate is from the first claim to the last outcome that is stored.
Handler calls and bare requests (the same client in a loop, as many at once and in as many processes) are measured
between them, round after round: the ratios are those of small runs to handler calls, and of large runs to bare
requests.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.cpu import cpu_seconds
from bench.ingest import databases
from bench.report import Report
from bench.servers import ROOT, bare, workers
from bench.site import FOR_HANDLERS, FOR_WORKFLOWS, Site, opened

ROUNDS = 3
PROCESSES = (1, 2)
AT_ONCE = 10
"""What one worker process does at once, by default."""
PER_SECOND = {"handlers": 3_000, "small": 1_500, "large": 250}
"""How much of each is prepared for each second of load."""
REQUESTS_PER_SECOND = 1_000
WARM_UP = 100
APP = "bench.handlers:hooks"
COLUMNS = (
    "",
    "small runs/s",
    "handlers/s",
    "ratio",
    "µs CPU/run",
    "large runs/s",
    "requests/s",
    "ratio",
    "µs CPU/run",
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly a lot was done."""

    per_second: float
    cpu_us: float
    """CPU time of workers and database for each event."""


def main(seconds: float) -> None:
    """Measure and print."""
    report = Report("workflows", COLUMNS)
    with tempfile.TemporaryDirectory(prefix="kanca-bench-") as name:
        directory = Path(name)
        with databases(directory) as stores, bare(directory) as sink:
            for label, (url, database_pid) in stores.items():
                for count in PROCESSES:
                    row = asyncio.run(_measure(url, database_pid, sink.url, directory, count, seconds))
                    report.add(f"{label}, {count} process{'es' * (count > 1)}", row, f"{label}_{count}")
    report.show()


async def _measure(
    url: str, database_pid: int, sink: str, directory: Path, count: int, seconds: float
) -> dict[str, float]:
    """Interleaved rounds of everything; medians."""
    sizes = {kind: max(int(rate * seconds / ROUNDS), WARM_UP) for kind, rate in PER_SECOND.items()}
    async with opened(url) as site:
        lots = await _fill(site, sink, sizes, count)
        options = {"KANCA_EGRESS_ALLOW": "127.0.0.1", "KANCA_WORKER_POLL_SECONDS": "0.05"}
        paces: dict[str, list[Pace]] = {kind: [] for kind in sizes}
        requests: list[float] = []
        with workers(url, directory, count, "--app", APP, **options) as pid:
            await site.has_workers(count)
            for (kind, number), (lot, event_ids) in lots.items():
                pids = (pid, *([database_pid] if database_pid else []))
                pace = await _pace(site, pids, lot, event_ids)
                if number:
                    paces[kind].append(pace)
                if number and kind == "large":
                    requests.append(_bare_requests(sink, int(REQUESTS_PER_SECOND * seconds / ROUNDS), count))
    handlers, small, large = (paces[kind] for kind in PER_SECOND)
    return {
        "small_per_second": _median(small),
        "handlers_per_second": _median(handlers),
        "small_ratio": _median_ratio(small, [pace.per_second for pace in handlers]),
        "small_cpu_us": statistics.median(pace.cpu_us for pace in small),
        "large_per_second": _median(large),
        "requests_per_second": statistics.median(requests),
        "large_ratio": _median_ratio(large, requests),
        "large_cpu_us": statistics.median(pace.cpu_us for pace in large),
    }


async def _fill(
    site: Site, sink: str, sizes: dict[str, int], count: int
) -> dict[tuple[str, int], tuple[str, list[UUID]]]:
    """Put in the events of all rounds, the first of which is to warm up: by kind and round, its lot and its events."""
    lots: dict[tuple[str, int], tuple[str, list[UUID]]] = {}
    endpoints: dict[str, int] = {"handlers": await site.add_endpoint()}
    for definition in (small(f"small-{count}"), large(f"large-{count}", sink)):
        await site.add_workflow(definition)
        endpoints[definition["id"].partition("-")[0]] = await site.add_endpoint(definition["id"], "start")
    for number in range(ROUNDS + 1):
        for kind, size in sizes.items():
            lot = f"{kind}-{count}-{number}"
            data = [{"order": n, "amount": 100 + n} for n in range(size if number else WARM_UP)]
            event_type = FOR_HANDLERS if kind == "handlers" else FOR_WORKFLOWS
            lots[kind, number] = lot, await site.put(lot, endpoints[kind], data, event_type)
    return lots


async def _pace(site: Site, pids: Sequence[int], lot: str, event_ids: Sequence[UUID]) -> Pace:
    before = cpu_seconds(*pids)
    await site.let_go(lot)
    ended_at = await site.ended(event_ids)
    spent = cpu_seconds(*pids) - before
    took = ended_at - await site.begun_at(event_ids)
    return Pace(len(event_ids) / took, spent / len(event_ids) * 1e6)


def _bare_requests(sink: str, requests: int, processes: int) -> float:
    """Requests per second of so many bare clients together."""
    command = [sys.executable, "-m", "bench.bare_client", f"{sink}/", str(requests), str(AT_ONCE)]
    path = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    clients = [
        subprocess.Popen(command, cwd=ROOT, env=path, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return sum(float(client.communicate(timeout=120)[0]) for client in clients)


def _median(paces: Sequence[Pace]) -> float:
    return statistics.median(pace.per_second for pace in paces)


def _median_ratio(paces: Sequence[Pace], others: Sequence[float]) -> float:
    return statistics.median(pace.per_second / other for pace, other in zip(paces, others, strict=True))


def small(workflow_id: str) -> dict[str, Any]:
    """Two nodes that only compute."""
    shape = node("shape", "Transform", value={"order": "=event.data.order", "type": "=event.type"})
    return _chain(workflow_id, [shape])


def large(workflow_id: str, sink: str) -> dict[str, Any]:
    """Six nodes, one of which asks the server at ``sink``."""
    order = {"order": "=event.data.order", "amount": "=event.data.amount"}
    return _chain(
        workflow_id,
        [
            node("shape", "Transform", value=order),
            node("branch", "Branch", condition="input.amount > 0"),
            node("ask", "HttpRequest", method="POST", url=f"{sink}/", json={"amount": "=input.amount"}),
            node("sum", "Transform", value={"status": "=input.status", "order": "=steps.shape.order"}),
            node("log", "Log", level="debug", message="='order ' + string(input.order)"),
        ],
        ports={"branch": "true"},
    )


def _chain(
    workflow_id: str, nodes: Sequence[dict[str, Any]], ports: dict[str, str] | None = None
) -> dict[str, Any]:
    all_nodes = [node("start", "WebhookTrigger"), *nodes]
    edges = [
        {"from": a["id"], "to": b["id"], "port": (ports or {}).get(a["id"], "out")}
        for a, b in pairwise(all_nodes)
    ]
    return {"id": workflow_id, "name": workflow_id, "nodes": all_nodes, "edges": edges}


def node(node_id: str, kind: str, **config: Any) -> dict[str, Any]:
    """A node of a definition."""
    return {"id": node_id, "type": kind, "config": config}
