"""What both databases do alike, each on its engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, Generic, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from kanca.storage.appending import Appending, Store
from kanca.storage.dialects.schema import begin_migrating
from kanca.storage.migrating import alone_in_this_process
from kanca.storage.moves import Moves, noting
from kanca.storage.ports import Accepting, QueueStore, Waker
from kanca.storage.waking import Bell, BellWaker, Messenger

P = ParamSpec("P")
T = TypeVar("T")


class Engine(Protocol):
    """Runs SQLAlchemy functions."""

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """In one transaction that only reads."""
        ...

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """In one transaction."""
        ...

    async def migrate(self, work: Callable[[Connection], T]) -> T:
        """In one transaction that may take as long as it needs."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


E = TypeVar("E", bound=Engine)


class OnEngine(Generic[E]):
    """The half of the ``Database`` port that is the same everywhere."""

    def __init__(self, engine: E, store: Store, queue: QueueStore, bell: Bell, messenger: Messenger) -> None:
        """``store`` writes accepted events. ``messenger`` rings the ``bell`` when another process wakes this one."""
        self.engine = engine
        self.accepting: Accepting = Appending(store)
        self.queue = queue
        self.moves = Moves()
        self._bell = bell
        self._messenger = messenger

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.engine.read(query, *args, **kwargs)

    async def write(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        moved: set[str] = set()
        done = await self.engine.write(noting(change, moved), *args, **kwargs)
        self.moves.tell(moved)
        return done

    async def migrating(self, work: Callable[[Connection], T]) -> T:
        def alone(connection: Connection) -> T:
            begin_migrating(connection)
            return work(connection)

        async with alone_in_this_process():
            return await self.engine.migrate(alone)

    def waker(self) -> Waker:
        return BellWaker(self._bell, self._messenger)

    async def close(self) -> None:
        await self._messenger.close()
        await self.engine.close()
