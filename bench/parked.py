"""Parked runs by the thousand: one that the engine has parked is the stencil of all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Table, insert, select

from bench.site import Site, ids, in_parts
from bench.workflows import node
from kanca.domain.ids import derived_id
from kanca.domain.task import TaskKind, TaskState
from kanca.domain.wait import WaitAddress
from kanca.storage.tables import events, runs, steps, tasks, waits

WORKFLOW, START, WAIT = "parked", "start", "paid"
ORDER = "order-stencil_"
"""The key of the stencil; those of the others are as long."""
FIRST_TASK = 10_000_000
"""Ids of tasks from here on are not given out by the database meanwhile."""
CHUNK = 1_000

Rows = dict[Table, dict[str, Any]]


def order(number: int) -> str:
    """The key of a run."""
    return f"order-{number:08d}"


def definition() -> dict[str, Any]:
    """Start, wait for the payment of an order, say what came."""
    keys = {"event_key": "event.data.order", "wait_key": "event.data.order"}
    return {
        "id": WORKFLOW,
        "name": WORKFLOW,
        "nodes": [
            node(START, "WebhookTrigger"),
            node(WAIT, "WebhookTrigger", **keys),
            node("end", "Transform", value={"paid": "=input"}),
        ],
        "edges": [{"from": START, "to": WAIT}, {"from": WAIT, "to": "end"}],
    }


def is_parked(connection: Connection) -> bool:
    """Whether the stencil waits, and no worker has it in hand."""
    is_waiting = (tasks.c.kind == TaskKind.RUN) & (tasks.c.state == TaskState.SCHEDULED)
    return connection.scalar(select(tasks.c.id).where(is_waiting).limit(1)) is not None


async def multiply(site: Site, count: int) -> list[UUID]:
    """Have ``count`` runs wait, as the stencil does; gives the events that started them, by their numbers."""
    stencil = await site.database.read(_stencil)
    found: list[UUID] = []
    for part in in_parts(range(count), CHUNK):
        copies = [_copy(stencil, number) for number in part]
        await site.database.write(_store, copies)
        found += [copy[events]["id"] for copy in copies]
    return found


def _stencil(connection: Connection) -> Rows:
    rows = {table: _only(connection, select(table)) for table in (waits, runs, steps)}
    rows[events] = _only(connection, select(events).where(events.c.id == rows[runs]["event_id"]))
    rows[tasks] = _only(connection, select(tasks).where(tasks.c.id == rows[waits]["task_id"]))
    return rows


def _only(connection: Connection, query: Select[Any]) -> dict[str, Any]:
    return dict(connection.execute(query).mappings().one())


def _copy(stencil: Rows, number: int) -> Rows:
    """The same with ids and a key of its own."""
    event_id = ids.new()
    run_id = derived_id(event_id, f"workflow:{WORKFLOW}")
    step, task_id, key = stencil[steps], FIRST_TASK + number, order(number)
    return {
        events: stencil[events] | {"id": event_id, "body": _with_key(stencil[events]["body"], key)},
        runs: stencil[runs] | {"id": run_id, "event_id": event_id},
        steps: step
        | {
            "id": derived_id(run_id, step["node_id"], "0"),
            "run_id": run_id,
            "input": _with_key(step["input"], key),
            "output": _with_key(step["output"], key),
        },
        waits: stencil[waits]
        | {"id": WaitAddress(run_id, WAIT).wait_id, "run_id": run_id, "key": key, "task_id": task_id},
        tasks: stencil[tasks] | {"id": task_id, "ref": run_id},
    }


def _with_key(text: bytes, key: str) -> bytes:
    return text.replace(ORDER.encode(), key.encode())


def _store(connection: Connection, copies: Sequence[Rows]) -> None:
    for table in (events, runs, steps, waits, tasks):
        connection.execute(insert(table), [copy[table] for copy in copies])
