"""What is published in a test: nobody is sent it, and nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kanca.app.capturing import Capture, capturing
from kanca.domain.event import NewEvent
from kanca.workflows.values import read_json


@dataclass(frozen=True, slots=True)
class Published:
    """An event that was published."""

    event_type: str
    data: Any
    """After a round trip through JSON."""
    event_id: str | None
    """The sender's own id, if it was given one."""
    tenant: str = "default"
    correlation_id: str | None = None


@contextmanager
def collect_published() -> Iterator[list[Published]]:
    """Collect what anybody publishes meanwhile, without a connection: routes and jobs of your own, for example.

    The list grows as things are published. What goes through a connection is in your own table ``kanca_outbox``.
    """
    found: list[Published] = []
    with capturing(Capture(lambda event: found.append(as_published(event)))):
        yield found


def as_published(event: NewEvent) -> Published:
    """The event as a test is told of it."""
    data = read_json(event.body)["data"]
    return Published(event.type, data, event.source_event_id, event.tenant, event.correlation_id)
