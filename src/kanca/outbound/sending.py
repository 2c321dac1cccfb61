"""One attempt of a delivery: one request, and what is kept of its answer."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from kanca.bodies import trace_of
from kanca.domain.endpoint import Secret
from kanca.domain.event import StoredEvent
from kanca.domain.ids import EVENT, show_id
from kanca.domain.subscription import Subscription
from kanca.domain.trace import Trace
from kanca.egress import EgressClient, EgressResponse
from kanca.egress.attempt import WAS_KEPT_OPEN
from kanca.egress.masking import Mask
from kanca.errors import EgressFailed, KancaError
from kanca.outbound.message import headers_for
from kanca.outbound.reports import AttemptReport, TimingReport
from kanca.outbound.verdict import fault_of, fault_of_error
from kanca.telemetry.tracing import Span, span

MAX_BODY_BYTES = 16 * 1024
MAX_HEADER_BYTES = 8 * 1024
"""Of the answer, that are kept."""

_NOT_KEPT = frozenset({"set-cookie", "set-cookie2"})


class Authorization(Protocol):
    """What a credential adds to a request."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, in place of others with these names."""
        ...

    @property
    def query(self) -> Mapping[str, str]:
        """Parameters of the URL."""
        ...

    @property
    def tls(self) -> ssl.SSLContext | None:
        """How the connection is encrypted, where that is a proof too."""
        ...

    @property
    def secrets(self) -> Iterable[str]:
        """Texts that nobody may see in an answer."""
        ...


class Authentication(Protocol):
    """Gives what proves Kanca to receivers, besides the signature."""

    async def of(self, name: str | None) -> Authorization:
        """What the credential adds; nothing without a name. Raises KancaError."""
        ...

    def forget(self, name: str, refused: Any) -> None:
        """A receiver answered 401 to ``refused``, which ``of`` gave: a token is fetched anew next time."""
        ...


@dataclass(frozen=True, slots=True)
class Nothing:
    """No credential, no addition."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """An attempt that was made."""

    report: AttemptReport
    """``code`` and ``message`` are None when the receiver took it; ``kanca.outbound.verdict`` says what they mean."""
    started_at: datetime
    finished_at: datetime
    failure: KancaError | None
    """Why there is no answer."""


class Sender:
    """Makes attempts."""

    def __init__(
        self,
        http: EgressClient,
        authentication: Authentication,
        now: Callable[[], datetime],
        *,
        timeout: timedelta,
    ) -> None:
        """``timeout`` is for subscriptions that have none of their own."""
        self._http = http
        self._authentication = authentication
        self._now = now
        self._timeout = timeout

    async def attempt(self, subscription: Subscription, event: StoredEvent, body: bytes) -> Sent:
        """POST the body to the subscription once, signed, and read what is answered.

        Nothing that a receiver or the network does raises; nor does a credential or a secret that is not there.
        """
        started_at = self._now()
        failure: KancaError | None = None
        with _attempt_span(subscription, event, started_at) as this:
            try:
                report = await self._send(subscription, event, body, started_at, this.trace)
            except KancaError as error:
                failure = error
                report = _report_of(subscription.url, error)
            this.say({"http.response.status_code": report.status})
            if report.code is not None:
                this.fail(report.code)
        return Sent(report, started_at, self._now(), failure)

    async def _send(
        self, subscription: Subscription, event: StoredEvent, body: bytes, moment: datetime, trace: Trace
    ) -> AttemptReport:
        config = subscription.config
        headers = headers_for(config, event, body, moment, live(subscription.secrets, moment), trace)
        proof = await self._proof(config.credential)
        request = partial(
            self._http.request,
            "POST",
            _with_query(subscription.url, proof.query),
            headers=_with_headers(headers, proof.headers),
            body=body,
            timeout=self._timeout if config.timeout is None else timedelta(seconds=config.timeout),
            max_response_bytes=MAX_BODY_BYTES,
            tls=proof.tls,
        )
        try:
            response = await request()
        except EgressFailed as error:
            if not _closed_while_idle(error):
                raise
            response = await request()
        if response.status == 401 and config.credential is not None:
            self._authentication.forget(config.credential, proof)
        fault = fault_of(response.status, response.headers, has_credential=config.credential is not None)
        return _report(subscription.url, response, Mask(proof.secrets), fault or (None, None))

    async def _proof(self, name: str | None) -> Authorization:
        return Nothing() if name is None else await self._authentication.of(name)


def _attempt_span(
    subscription: Subscription, event: StoredEvent, moment: datetime
) -> AbstractContextManager[Span]:
    """An attempt in the trace of its event."""
    return span(
        f"deliver:{subscription.id}",
        lambda: trace_of(event),
        lambda: f"{subscription.number} {moment.isoformat()}",
        "client",
        lambda: {
            "messaging.operation.type": "send",
            "http.request.method": "POST",
            "server.address": _host(subscription.url),
            "kanca.subscription_id": subscription.id,
            "kanca.event_id": show_id(EVENT, event.id),
            "kanca.event_type": event.type,
            "kanca.tenant": event.tenant,
        },
    )


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def live(secrets: Iterable[Secret], now: datetime) -> list[str]:
    """Those of the secrets that sign at that moment, in their order."""
    return [secret.value for secret in secrets if secret.expires_at is None or secret.expires_at > now]


def _closed_while_idle(error: EgressFailed) -> bool:
    """Whether the receiver closed a connection that had been kept open, just when it was used again.

    That says nothing about the receiver. It may have the request all the same, and knows it by its ``webhook-id``.
    """
    return error.facts.get("cause") == "connection_closed" and WAS_KEPT_OPEN in error.facts


def _with_headers(headers: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    if not added:
        return dict(headers)
    names = {name.lower() for name in added}
    return {name: value for name, value in headers.items() if name.lower() not in names} | dict(added)


def _with_query(url: str, added: Mapping[str, str]) -> str:
    if not added:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url  # the egress guard says what is wrong with it
    query = urlencode(dict(added))
    return parts._replace(query=f"{parts.query}&{query}" if parts.query else query).geturl()


def _report(
    url: str, response: EgressResponse, mask: Mask, fault: tuple[str | None, str | None]
) -> AttemptReport:
    body, is_base64 = _shown_body(mask.content(response.body)[:MAX_BODY_BYTES], response.truncated)
    code, message = fault
    return AttemptReport(
        url=url,
        status=response.status,
        headers=_kept_headers(response.headers, mask),
        body=body,
        is_base64=is_base64,
        is_truncated=response.truncated,
        address=response.address or None,
        timing=_timing(response),
        code=code,
        message=message,
    )


def _report_of(url: str, error: KancaError) -> AttemptReport:
    code, message = fault_of_error(error)
    address, duration = error.facts.get("address"), error.facts.get("duration_ms")
    return AttemptReport(
        url=url,
        address=address if isinstance(address, str) else None,
        timing=TimingReport(total_ms=duration if isinstance(duration, int | float) else None),
        code=code,
        message=message,
    )


def _timing(response: EgressResponse) -> TimingReport:
    timing = response.timing
    return TimingReport(
        dns_ms=timing.dns_ms,
        connect_ms=timing.connect_ms,
        tls_ms=timing.tls_ms,
        first_byte_ms=timing.first_byte_ms,
        total_ms=timing.total_ms,
    )


def _kept_headers(headers: Mapping[str, str], mask: Mask) -> dict[str, str]:
    kept: dict[str, str] = {}
    left = MAX_HEADER_BYTES
    for name, value in headers.items():
        left -= len(name.encode()) + len(value.encode())
        if left < 0:
            break
        if name not in _NOT_KEPT:
            kept[mask.text(name)] = mask.text(value)
    return kept


def _shown_body(body: bytes, is_cut: bool) -> tuple[str, bool]:
    """The body as text, or else in base64 and True."""
    # A cut may have gone through a character, which has four bytes at the most.
    for end in range(len(body), max(len(body) - 4, -1) if is_cut else len(body) - 1, -1):
        try:
            text = body[:end].decode()
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text, False
        break
    return b64encode(body).decode(), True
