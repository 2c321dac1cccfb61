"""What the rest of Kanca asks of a database.

Two narrow ports carry the hot statements (``Accepting`` for ingest, ``QueueStore`` for the queue), written by hand for
each database in ``storage.dialects``. Everything else is SQLAlchemy Core, written once in the query modules beside this
one: plain functions that take a connection and are run by ``Database.read`` and ``Database.write``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Concatenate, ParamSpec, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from kanca.domain.event import Appended, NewEvent, StoredEvent
from kanca.domain.task import Completion, NewTask, Task, TaskKind
from kanca.storage.instances import Description
from kanca.storage.measuring import StorageReadings
from kanca.storage.moves import Moves

P = ParamSpec("P")
T = TypeVar("T")


class Accepting(Protocol):
    """Makes events durable."""

    async def append(self, batch: Sequence[NewEvent]) -> list[Appended | Exception]:
        """Store every event that is new, with its dispatch task, in one transaction; answer in the batch's order.

        An event whose dedupe key is taken (within its window), by the store or by an earlier event of the batch, is a
        ``Duplicate`` of that one. An event whose values the database refuses is answered with the error, alone: the
        rest of the batch is stored. Raises DatabaseUnavailable when nothing could be stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a worker can do."""

    targets: Mapping[TaskKind, frozenset[int]]
    """Kinds that are missing are claimed whatever their target."""
    others: Mapping[TaskKind, frozenset[int]] = field(default_factory=dict)
    """Targets that are left to others, of any kind."""


@dataclass(frozen=True, slots=True)
class LaneAsk:
    """What a claim wants of one lane."""

    lane: int
    floor: int
    """Positions below are not looked at (they are dead rows, most likely: see ``queue.claiming``)."""
    share: int
    """At most so many tasks."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a promotion did, and when the next is worth while."""

    moved: int
    """Tasks that are ready now."""
    is_waited: bool
    """Ordered tasks wait for an earlier one."""
    due_in: timedelta | None
    """Until the next scheduled task is due, by the database's clock; None when there is none."""


@dataclass(frozen=True, slots=True)
class Rescued:
    """What a rescue found."""

    returned: int
    """Tasks that are ready again."""
    lost: tuple[Task, ...]
    """Tasks that lost a worker too often: claimed by the rescuer (fenced), to be finished as dead."""


@dataclass(frozen=True, slots=True)
class ConnectionRoom:
    """How many connections a server takes, from all its users together."""

    most: int
    """For users like Kanca's: those that are kept for others are taken off."""
    used: int
    """Open now, whoever has them."""


class QueueStore(Protocol):
    """The durable queue. All due times and leases are compared with the database's clock."""

    async def register(
        self,
        hostname: str,
        pid: int,
        app: str | None,
        concurrency: int,
        lease: timedelta,
        description: Description | None = None,
    ) -> int:
        """Enter a worker, with what it says of itself, and give its number."""
        ...

    async def heartbeat(self, worker: int, lease: timedelta, active: int) -> bool:
        """Extend a worker's lease. False: it was cleared away, and nothing that it holds is its own any more."""
        ...

    async def expire(self, worker: int) -> None:
        """End a worker's lease, for its process is known to have died: the next rescue finds its tasks."""
        ...

    async def leave(self, worker: int) -> int:
        """Sign a worker off: all that it still holds is ready again, at no cost. Gives how many."""
        ...

    async def enqueue(self, tasks: Sequence[NewTask]) -> None:
        """Add tasks in a transaction of its own."""
        ...

    async def claim(
        self, worker: int, limit: int, capabilities: Capabilities, asks: Sequence[LaneAsk]
    ) -> list[tuple[Task, int]]:
        """Claim up to ``limit`` ready tasks, each with its position, from the lanes in the order they are asked.

        A task that was suspected of killing its worker is only found in ``SUSPECT_LANE`` (see ``queue.claiming``).
        Claims nothing when the worker's lease has expired.
        """
        ...

    async def read_claimed(self, ids: Collection[UUID]) -> tuple[str, dict[UUID, StoredEvent]]:
        """The events of claimed tasks that are there, and the versions of what processes keep in memory, as one text.

        While that text is the same (see ``storage.versions``), what else a process has read is as fresh as the events.
        """
        ...

    async def has_suspects(self, capabilities: Capabilities) -> bool:
        """Whether a ready task that must run alone waits for somebody with these capabilities."""
        ...

    async def put_back(self, worker: int, held: Collection[int], *, deliveries: bool) -> int:
        """Make ready again, at no cost, what the worker has claimed but for the tasks ``held``; gives how many.

        Of its ``deliveries`` only, or of all else.

        For a worker that asked for tasks and got no answer: the claim may have happened all the same. It must not be
        claiming meanwhile.
        """
        ...

    async def finish(self, worker: int, batch: Sequence[Completion]) -> list[bool | Exception]:
        """Write the completions, each whole or not at all, all of them in one transaction where that is possible.

        False for a task that is no longer this worker's: nothing of it was written. A completion that the database
        refuses (a NUL in a text) is answered with the error, alone: the others are written. Raises
        DatabaseUnavailable when nothing is known to be written.
        """
        ...

    async def promote(self, limit: int) -> Promoted:
        """Make due scheduled tasks ready, and parked ordered tasks whose turn it is: up to ``limit`` of each."""
        ...

    async def rescue(self, rescuer: int, max_crashes: int) -> Rescued:
        """Return the running tasks of workers whose lease has expired, and clear those workers away."""
        ...

    async def unpark(self, kind: TaskKind, target: int) -> int:
        """Make a target's parked tasks (those without an order key) ready."""
        ...

    async def unpark_some(self, kind: TaskKind, wanted: Mapping[int, int]) -> dict[int, int]:
        """Make the first parked tasks (those without an order key) of targets ready, at most so many of each.

        Gives how many of each were.
        """
        ...

    async def backlog(self, limit: int) -> int:
        """How many inbound tasks are due (ready or running), counted up to ``limit``."""
        ...


class Waker(Protocol):
    """Tells idle workers that there is work."""

    def wake(self) -> None:
        """Say so: at once in this process, within milliseconds in the others. Never blocks, never fails."""
        ...

    async def wait(self, timeout: timedelta) -> bool:
        """Wait until somebody said so, or until the time is over (False)."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the feed can be read."""

    settled: int
    """Up to this number nothing can appear any more that is not there now."""
    newest: int
    """The last number that was given out."""


class Horizon(Protocol):
    """Watches how far the feed of events is settled.

    Numbers are given out in order, but become visible when their transactions commit: whoever reads "after number N"
    without asking here misses what commits late.
    """

    async def reach(self) -> Reach:
        """Look. Raises DatabaseUnavailable."""
        ...


class Database(Protocol):
    """An open database."""

    accepting: Accepting
    queue: QueueStore
    moves: Moves
    """What ``write`` moved on (see ``storage.versions``)."""

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a query function in a read-only transaction. Raises DatabaseUnavailable."""
        ...

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a changing function in one transaction, rolled back when it raises. Raises DatabaseUnavailable.

        It runs again when it lost against another transaction, so it changes nothing but the database.
        """
        ...

    async def now(self) -> datetime:
        """The database's clock."""
        ...

    async def migrate(self) -> None:
        """Bring the schema up to date; several processes may call this at once."""
        ...

    async def migrating(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` (a migration) in one transaction while no other process migrates. Raises DatabaseUnavailable."""
        ...

    async def prepare_storage(self, days_ahead: int = 14) -> None:
        """Make the room that coming days need (partitions, where the database has them)."""
        ...

    async def drop_expired(self, before: datetime, *, keeps_dead_letters: bool = False) -> int:
        """Delete what is older than ``before`` and finished; gives how much (rows or partitions).

        Dead letters go with the day of their event, unless they have a retention of their own.
        """
        ...

    async def wipe(self) -> None:
        """Let nothing that was deleted stay readable beside the tables, as far as that is the database's own doing."""
        ...

    def horizon(self) -> Horizon:
        """A new watch over the feed. It remembers what it has seen, so whoever reads on keeps the same one."""
        ...

    def waker(self) -> Waker:
        """How processes on this database wake each other's workers."""
        ...

    async def warnings(self) -> list[str]:
        """Sentences about settings of the database that break a promise (fsync off, a pooler in the way…)."""
        ...

    async def oldest_snapshot_age(self) -> timedelta | None:
        """How long the oldest transaction has been open: what is deleted since then still has to be read past.

        None when none is open, or when that does not matter. Raises DatabaseUnavailable.
        """
        ...

    async def connection_room(self) -> ConnectionRoom | None:
        """How many connections the server takes; None for a file. Raises DatabaseUnavailable."""
        ...

    async def measure(self) -> StorageReadings:
        """How large everything is, and how many connections there are. Raises DatabaseUnavailable."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...
