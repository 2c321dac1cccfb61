"""A worker: announces its handlers, works shift after shift, and does the duties of the queue beside."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from kanca.domain.ids import IdFactory
from kanca.domain.task import Completion, Done, Task, TaskKind
from kanca.errors import KancaError
from kanca.handlers.matching import encode_spec
from kanca.handlers.registry import Handler, HandlerRegistry
from kanca.handlers.threads import SyncThreads
from kanca.outbound.filtering import Filters
from kanca.outbound.receivers import Receivers
from kanca.queue.duties import Duty
from kanca.queue.lease import Lease, WorkerIdentity
from kanca.queue.rescuer import Rescuer
from kanca.queue.scheduler import Scheduler
from kanca.storage.claimed_work import announce_handlers
from kanca.storage.ports import Database
from kanca.telemetry.metrics import BREAKERS_OPEN, DELIVERIES_IN_FLIGHT, WORKER_SLOTS
from kanca.telemetry.sampling import Sampled
from kanca.workers.arriving import Arrivals
from kanca.workers.calls import Calls
from kanca.workers.catalogue import Catalogue
from kanca.workers.delivering import Deliverer
from kanca.workers.delivery_means import DeliveryMeans, SendingMeans
from kanca.workers.delivery_shift import DeliveryShift
from kanca.workers.entering import Entrance
from kanca.workers.fan_out import FanOut
from kanca.workers.follow_up import FollowUp
from kanca.workers.health import HealthKeeper
from kanca.workers.pausing import until_it_works
from kanca.workers.performing import Performer
from kanca.workers.reading import Reader
from kanca.workers.replaying import Replayer
from kanca.workers.settlement import Settling
from kanca.workers.shift import Means, Shift, Stop
from kanca.workers.subscriptions import SubscriptionBook
from kanca.workers.tally import Tally
from kanca.workers.turns import TurnGiver
from kanca.workers.watching import SignalWatch
from kanca.workers.workbench import Held
from kanca.workers.worker_duties import RESCUER, duties_of
from kanca.workers.worker_settings import WorkerSettings
from kanca.workflows.announcing import announce
from kanca.workflows.desk import StoredDesk
from kanca.workflows.engine import Surroundings, WorkflowEngine
from kanca.workflows.loading import WorkflowLoader
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.surroundings import NodeMeans

log = structlog.get_logger(__name__)

FLUSH_EVERY = timedelta(seconds=1)


class WorkerStuck(KancaError):
    """Work that does not return keeps other work from ever beginning. Only a new process helps."""

    code = "worker_stuck"
    title = "Worker stuck"


class Worker:
    """Does the work of one process: handlers, runs, and the duties of the queue."""

    def __init__(
        self,
        database: Database,
        open_database: Callable[[], Awaitable[Database]],
        handlers: HandlerRegistry,
        nodes: NodeRegistry,
        node_means: NodeMeans,
        sending: SendingMeans,
        ids: IdFactory,
        settings: WorkerSettings,
    ) -> None:
        """``open_database`` opens the database anew, for the lease's own connection."""
        self._database = database
        self._handlers = handlers
        self._nodes = nodes
        self._node_means = node_means
        self._sending = sending
        self._settings = settings
        self._threads = SyncThreads()
        self._settling = Settling(now=lambda: datetime.now(UTC), new_id=ids.new, chance=random.random)
        identity = WorkerIdentity(
            socket.gethostname(), os.getpid(), settings.app, settings.concurrency, settings.describe
        )
        self._lease = Lease(open_database, identity, settings.lease, self._lost, lambda: self.active)
        self._tally = Tally(database, f"{identity.hostname}-{identity.pid}", self._settling.now)
        self._waker = database.waker()
        self._scheduler = Scheduler(database.queue, self._waker)
        self._turns = TurnGiver(database, self._waker)
        self._watch = SignalWatch(database)
        self._desk = StoredDesk(database, self._waker)
        rescuer = Rescuer(
            database.queue,
            self._waker,
            lambda: self._lease.worker,
            self._bury,
            settings.lease / 5,
            on_doubt=self._doubt,
        )
        self._duties = duties_of(
            database, self._waker, settings, self._scheduler, rescuer, self._turns, self._samples()
        )
        self._stop: Stop | None = None
        self._shift: Shift | None = None
        self._deliveries: DeliveryShift | None = None
        self._fan_out = FanOut(self._settling.now, ids.new)
        self._receivers = Receivers()
        self._book = SubscriptionBook(database, sending.box, self._receivers.forget)
        self._health = HealthKeeper(
            database, self._settling.now, sending.disable_after, sending.tell, self._receivers.forget
        )
        self._follow_up = FollowUp(
            self._tally,
            sending.tell,
            self._book,
            self._waker,
            self._duties,
            self._scheduler,
            self._turns,
            lambda: self._lease.worker,
        )

    @property
    def number(self) -> int | None:
        """The worker's number, while it has a lease."""
        return self._lease.worker

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop is not None and self._stop.requested.is_set()

    @property
    def active(self) -> int:
        """Pieces of work that are being done, but for deliveries, which have places of their own."""
        return self._shift.active if self._shift else 0

    @property
    def _free_slots(self) -> int:
        return max(self._settings.concurrency - self.active, 0)

    @property
    def _delivering(self) -> int:
        return self._deliveries.active if self._deliveries else 0

    async def run(self, stop: Stop, on_ready: Callable[[], None] = lambda: None) -> None:
        """Work until asked to stop. ``on_ready`` is called when work can begin.

        A database that is away is waited for. Raises WorkerStuck.
        """
        self._stop = stop
        beside: list[asyncio.Task[None]] = []
        try:
            means = await until_it_works(self._prepare, stop.requested, self._settling.chance)
            if means is None:
                return
            beside = [asyncio.create_task(self._listen()), asyncio.create_task(self._flush())]
            beside.append(asyncio.create_task(self._watch.run()))
            self._duties.start()
            while not stop.requested.is_set():
                number = await until_it_works(self._register, stop.requested, self._settling.chance)
                if number is None:
                    return
                self._shift = Shift(number, means, stop)
                self._deliveries = DeliveryShift(number, self._delivery_means(), stop)
                self._follow_up.deliveries = self._deliveries
                if self._lease.worker != number:
                    self._lost()
                on_ready()
                await self._work(self._shift, self._deliveries)
        finally:
            await self._duties.stop()
            await self._lease.close()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._desk.close()
            await self._tally.flush()
            await self._waker.close()
            self._threads.close()

    async def _work(self, shift: Shift, deliveries: DeliveryShift) -> None:
        """Work until asked to stop or the lease is lost. Raises WorkerStuck."""
        working = [asyncio.create_task(shift.run()), asyncio.create_task(deliveries.run())]
        try:
            # The first of them that fails, or is stuck, ends the process: it would go on with half of its work.
            for ended in asyncio.as_completed(working):
                await ended
                if shift.is_stuck:
                    raise WorkerStuck
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _register(self) -> int:
        if self._settings.predecessor is not None:
            await self._database.queue.expire(self._settings.predecessor)
        number = await self._lease.register()
        self._duties.hurry(RESCUER)
        return number

    # Putting together -------------------------------------------------------------------------------

    def _samples(self) -> dict[str, Duty]:
        return {
            "busy slots": Sampled(WORKER_SLOTS.labels("busy"), lambda: self.active),
            "free slots": Sampled(WORKER_SLOTS.labels("free"), lambda: self._free_slots),
            "breakers": Sampled(BREAKERS_OPEN, lambda: self._receivers.shut_off),
            "deliveries in flight": Sampled(DELIVERIES_IN_FLIGHT, lambda: self._delivering),
        }

    def _delivery_means(self) -> DeliveryMeans:
        deliverer = Deliverer(
            self._sending.sender,
            self._sending.rules,
            self._fan_out.wants,
            self._settling.now,
            self._settling.new_id,
            self._settling.chance,
        )
        return DeliveryMeans(
            database=self._database,
            book=self._book,
            deliverer=deliverer,
            receivers=self._receivers,
            health=self._health,
            places=self._sending.places,
            connections=self._sending.connections,
            poll=self._settings.poll,
            shutdown=self._settings.shutdown,
            on_written=self._follow_up.written,
        )

    async def _prepare(self) -> Means:
        """Announce what this app has, and put together what does the work. Raises DatabaseUnavailable."""
        catalogue = Catalogue(self._database, (kind.name for kind in self._nodes), self._book)
        own = await self._announce()
        loader = WorkflowLoader(self._database, self._nodes)
        calls = Calls(self._settling, self._threads, self._settings.stuck_after)
        engine = WorkflowEngine(self._surroundings(catalogue))
        arrivals = Arrivals(self._database, self._desk, loader, self._settling)
        entrance = Entrance(self._database, loader, catalogue, self._settling)
        replayer = Replayer(
            self._database, self._book.current, Filters(), self._settling.now, self._waker.wake
        )
        self._performer = Performer(
            calls,
            engine,
            catalogue,
            self._settling,
            entrance,
            arrivals,
            self._fan_out,
            replayer,
            own,
            self._settings.published_fields,
            self._keeps,
        )
        self._reader = Reader(self._database.queue, catalogue, loader)
        await self._reader.read([])
        return Means(
            queue=self._database.queue,
            reader=self._reader,
            performer=self._performer,
            slots=self._settings.concurrency,
            poll=self._settings.poll,
            shutdown=self._settings.shutdown,
            on_written=self._follow_up.written,
        )

    async def _announce(self) -> dict[int, Handler]:
        """Say what this app has; gives its handlers by their numbers."""
        specs = {handler.name: encode_spec(handler.spec) for handler in self._handlers}
        numbers = await self._database.write(announce_handlers, self._settings.app, specs)
        await announce(self._database, self._settings.app, self._nodes)
        return {numbers[handler.name]: handler for handler in self._handlers}

    def _surroundings(self, catalogue: Catalogue) -> Surroundings:
        return Surroundings(
            http=self._node_means.http,
            threads=self._threads,
            desk=self._desk,
            credentials=self._node_means.credentials,
            resume_url=self._node_means.resume_url,
            watch=self._watch.watch,
            is_paused=lambda number: number in catalogue.paused_workflows,
            now=self._settling.now,
            new_id=self._settling.new_id,
            chance=self._settling.chance,
        )

    # What its parts ask of it ------------------------------------------------------------------------

    async def _bury(self, tasks: Sequence[Task]) -> list[Completion]:
        await self._book.fetch({task.target for task in tasks if task.kind is TaskKind.DELIVER})
        return [self._bury_one(held) for held in await self._reader.read(tasks)]

    def _bury_one(self, held: Held) -> Completion:
        if held.task.kind is not TaskKind.DELIVER or held.event is None:
            return self._performer.lose(held)
        listed = self._book.get(held.task.target)
        if listed is None:
            return Completion(held.task, Done())
        return self._delivery_means().deliverer.lose(held.task, held.event, listed)

    def _doubt(self) -> None:
        for shift in (self._shift, self._deliveries):
            if shift is not None:
                shift.doubt()

    def _lost(self) -> None:
        for shift in (self._shift, self._deliveries):
            if shift is not None:
                shift.lose()

    def _keeps(self, subscription: int) -> bool:
        return self._deliveries is not None and self._deliveries.keeps(subscription)

    # Beside the work ---------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            await self._waker.wait(self._settings.poll)
            for shift in (self._shift, self._deliveries):
                if shift is not None:
                    shift.nudge()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY.total_seconds())
            try:
                await self._tally.flush()
                await self._health.flush()
            except Exception:
                log.exception("accounts_not_flushed")
