"""One request: what is learned while it is under way, and what is told about it in the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from kanca.egress.addresses import Address

WAS_KEPT_OPEN = "was_kept_open"
"""The fact that a connection was used again: its other end may have been closing it at that moment."""


@dataclass(frozen=True, slots=True)
class EgressTiming:
    """Where the time of a request went, in milliseconds."""

    dns_ms: float | None
    """None when no name was looked up: a connection was used again, or the host is an address."""
    connect_ms: float | None
    """TCP, and what the proxy took if there is one; None when a connection was used again."""
    tls_ms: float | None
    """None for http, and when a connection was used again."""
    first_byte_ms: float
    """From the request's first byte to the head of the response."""
    total_ms: float


@dataclass(frozen=True, slots=True)
class EgressResponse:
    """A response of any status, redirects included."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names; repeated headers are joined by ``, ``."""
    body: bytes
    """Without gzip or deflate, if it had any."""
    truncated: bool
    """The body went on beyond the limit."""
    address: str
    """The IP address that answered, also when it was asked through a proxy."""
    timing: EgressTiming

    @property
    def duration_ms(self) -> float:
        """From the start until the body was read."""
        return self.timing.total_ms


@dataclass(slots=True)
class Attempt:
    """What is learned about one request while aiohttp works on it."""

    host: str
    connect_limit_seconds: float
    """What one connection may take, from the look-up to the end of the handshake."""
    started: float = field(default_factory=time.perf_counter)
    phase: str = "dns"
    dns_seconds: float | None = None
    connecting_since: float | None = None
    connected_at: float | None = None
    tls_seconds: float | None = None
    sent: float = 0.0
    address: str | None = None
    refused: list[tuple[Address, str]] = field(default_factory=list)
    has_tried: bool = False
    is_over_connect_limit: bool = False

    def facts(self) -> dict[str, object]:
        """What an error about it tells."""
        facts: dict[str, object] = {
            "host": self.host,
            "address": self.address,
            "duration_ms": rounded_ms(time.perf_counter() - self.started),
        }
        is_reused = self.address is not None and self.connecting_since is None
        return facts | {WAS_KEPT_OPEN: True} if is_reused else facts

    def timing(self, head_at: float) -> EgressTiming:
        """Where its time went, when the head of the response came at ``head_at`` and its body now."""
        since, until = self.connecting_since, self.connected_at
        return EgressTiming(
            dns_ms=None if self.dns_seconds is None else rounded_ms(self.dns_seconds),
            connect_ms=None if since is None or until is None else rounded_ms(until - since),
            tls_ms=None if self.tls_seconds is None else rounded_ms(self.tls_seconds),
            first_byte_ms=rounded_ms(head_at - self.sent),
            total_ms=rounded_ms(time.perf_counter() - self.started),
        )


current: ContextVar[Attempt] = ContextVar("kanca_egress_attempt")
"""The request that the running task, and those that it starts, are working on."""


def rounded_ms(seconds: float) -> float:
    """Seconds as milliseconds, to the microsecond."""
    return round(seconds * 1000, 3)
