"""Calls of handlers: an event and a handler in, what is to be recorded out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from kanca.bodies import hops_in, trace_of
from kanca.domain.event import StoredEvent
from kanca.domain.ids import CALL, EVENT, derived_id, show_id
from kanca.domain.task import Becomes, Completion, Task, TaskKind
from kanca.handlers.causes import cause_of
from kanca.handlers.event import Event, Headers
from kanca.handlers.execution import CallOutcome, Circumstances, Failed, execute, invalid_payload
from kanca.handlers.payloads import PayloadInvalid, read_payload
from kanca.handlers.registry import Handler
from kanca.handlers.threads import SyncThreads
from kanca.telemetry.tracing import Span, span
from kanca.workers.settlement import Settling, Work
from kanca.workers.targets import DEFAULT_TIMEOUT, Sender, headers_of


class CallDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the task of a call carries."""

    works: int | None = None
    """1 when the call is its event's only piece of work (see ``Outcome.works``)."""


ONLY_WORK = msgspec.json.encode(CallDetail(works=1))
_read_detail = msgspec.json.Decoder(CallDetail).decode


HANDLER_WORK = "handler:"
"""What the names of pieces of work begin with that are calls."""


def work_of(handler_name: str) -> str:
    """The name of the piece of work that a handler is for an event."""
    return HANDLER_WORK + handler_name


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls handlers of this app."""

    settling: Settling
    threads: SyncThreads
    stuck_after: timedelta

    def work(self, task: Task, event: StoredEvent, handler_name: str, number: int) -> Work:
        """The piece of work that a call is, under a task of its own or its event's dispatch."""
        name = work_of(handler_name)
        about, works = Becomes(TaskKind.CALL, event.id, number, task.detail), None
        if task.kind is TaskKind.DISPATCH:
            about, works = Becomes(TaskKind.CALL, event.id, number, ONLY_WORK), 1
        elif task.detail:
            works = _read_detail(task.detail).works
        return Work(task, event, name, derived_id(event.id, name), about, works, self.settling.now())

    async def call(
        self,
        work: Work,
        event: StoredEvent,
        sender: Sender | None,
        handler: Handler,
        give_up: Callable[[Completion], None],
    ) -> Completion:
        """Call the handler, and give what is to be recorded once it has returned.

        One that does not return is given up meanwhile: ``give_up`` is told what is to be recorded of it at once.
        Raises CancelledError when the caller is cancelled.
        """

        def bury(failed: Failed) -> None:
            give_up(self.settling.fail(work, failed, handler.policy))

        with call_span(work, event) as this:
            try:
                payload = read_payload(event, handler.payload)
            except PayloadInvalid as error:
                ended: CallOutcome = invalid_payload(error)
            except Exception as error:  # noqa: BLE001 - a validator of the model's own may raise anything
                ended = Failed("handler_error", cause_of(error, "handler_error"))
            else:
                ended = await execute(
                    handler,
                    handed(
                        event,
                        payload,
                        sender,
                        work.attempt_number,
                        show_id(CALL, work.call_id),
                        lambda: this.trace.headers,
                    ),
                    timeout=handler.timeout or (sender.timeout if sender else DEFAULT_TIMEOUT),
                    threads=self.threads,
                    stuck_after=self.stuck_after,
                    on_stuck=bury,
                    around=Circumstances(lambda: hops_in(event.request), lambda: this.trace),
                )
            if isinstance(ended, Failed):
                this.fail(ended.code)
        return self.settling.settle(work, ended, handler.policy)


def call_span(work: Work, event: StoredEvent) -> AbstractContextManager[Span]:
    """The call in the trace of its event."""
    return span(
        work.name,
        lambda: trace_of(event),
        lambda: f"{work.call_id} {work.attempt_number}",
        "consumer",
        lambda: {
            "messaging.operation.type": "process",
            "kanca.work": work.name,
            "kanca.event_id": show_id(EVENT, event.id),
            "kanca.event_type": event.type,
            "kanca.tenant": event.tenant,
            "kanca.attempt_number": work.attempt_number,
        },
    )


def dispatch_span(event: StoredEvent) -> AbstractContextManager[Span]:
    """Finding out who wants an event, and doing that at once if it is one."""
    return span(
        "dispatch",
        lambda: trace_of(event),
        lambda: "dispatch",
        "consumer",
        lambda: {"kanca.event_id": show_id(EVENT, event.id), "kanca.event_type": event.type},
    )


def handed(
    event: StoredEvent,
    payload: Any,
    sender: Sender | None,
    attempt_number: int,
    call_id: str,
    trace_headers: Callable[[], Mapping[str, str]] = dict,
) -> Event[Any]:
    """The event as the handler gets it."""
    return Event(
        id=show_id(EVENT, event.id),
        type=event.type,
        data=payload,
        body=event.body,
        headers=headers_of(event),
        endpoint_id=sender.webhook_id if sender else None,
        provider=sender.provider if sender else None,
        tenant=event.tenant,
        source_event_id=event.source_event_id,
        correlation_id=event.correlation_id,
        received_at=event.received_at,
        attempt_number=attempt_number,
        call_id=call_id,
        trace_headers=Headers(lambda: trace_headers().items()),
    )
