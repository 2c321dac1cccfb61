"""Other people's servers, as a test says they are."""

from __future__ import annotations

import json as jsonlib
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kanca.egress import EgressResponse, EgressTiming
from kanca.egress.headers import checked_headers
from kanca.errors import EgressFailed

_AT_ONCE = EgressTiming(dns_ms=None, connect_ms=None, tls_ms=None, first_byte_ms=0.0, total_ms=0.0)


class UnexpectedRequest(AssertionError):
    """A request was sent for which the test has no answer."""


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as a server would have got it."""

    method: str
    url: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes | None

    @property
    def json(self) -> Any:
        """The body, read as JSON. Raises ValueError when it is none."""
        return jsonlib.loads(self.body or b"")


@dataclass(frozen=True, slots=True)
class _Script:
    method: str
    url: str
    answers: list[EgressResponse | Exception]
    """The next one first; the last one stays."""

    def fits(self, method: str, url: str) -> bool:
        """Whether this answers such a request."""
        pattern = ".*".join(map(re.escape, self.url.split("*")))
        return self.method in (method, "*") and re.fullmatch(pattern, url, re.DOTALL) is not None


class FakeHttp:
    """Stands in for the HTTP client of nodes: answers what it was told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[SentRequest] = []
        """All that was sent, in order."""
        self.unexpected: list[SentRequest] = []
        """Of these, those that nothing was said about."""
        self._scripts: list[_Script] = []

    def answer(
        self,
        method: str,
        url: str,
        status: int = 200,
        *,
        json: Any = None,
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
    ) -> FakeHttp:
        """Answer requests to ``url`` with this status and body (``json`` is sent as JSON); gives itself back.

        ``*`` in ``url`` stands for any characters, as ``method`` for any method. Several answers for the same method
        and URL are given one after the other, the last one again and again.
        """
        found = {name.lower(): value for name, value in (headers or {}).items()}
        content = body.encode() if isinstance(body, str) else body
        if json is not None:
            content = jsonlib.dumps(json).encode()
            found.setdefault("content-type", "application/json")
        return self._add(method, url, EgressResponse(status, found, content, False, "192.0.2.1", _AT_ONCE))

    def fail(self, method: str, url: str, error: Exception | None = None) -> FakeHttp:
        """Let requests to ``url`` fail, as an answer does in its turn; gives itself back.

        ``error`` is what the client raises: ``kanca.errors.EgressTimeout()``, ``EgressRefused()``; by default
        ``EgressFailed``, as when nobody listens there.
        """
        return self._add(method, url, error or EgressFailed("nobody listens there", cause="connect"))

    def _add(self, method: str, url: str, answer: EgressResponse | Exception) -> FakeHttp:
        for script in self._scripts:
            if (script.method, script.url) == (method.upper(), url):
                script.answers.append(answer)
                return self
        self._scripts.append(_Script(method.upper(), url, [answer]))
        return self

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout: timedelta,  # noqa: ARG002 - as EgressClient's; what comes, comes at once
        max_response_bytes: int,
        connect_timeout: timedelta | None = None,  # noqa: ARG002 - likewise
        tls: ssl.SSLContext | None = None,  # noqa: ARG002 - likewise
    ) -> EgressResponse:
        """Answer as ``EgressClient.request`` does. Raises UnexpectedRequest when nothing was said about the request."""
        pairs = checked_headers(method, headers)
        sent = SentRequest(method.upper(), url, {name.lower(): value for name, value in pairs}, body)
        self.requests.append(sent)
        script = next((script for script in self._scripts if script.fits(sent.method, url)), None)
        if script is None:
            self.unexpected.append(sent)
            raise UnexpectedRequest(_told(sent, self._scripts))
        answer = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return _cut(answer, max_response_bytes)

    def check(self) -> None:
        """Raise UnexpectedRequest when a request was sent that nothing was said about."""
        if self.unexpected:
            raise UnexpectedRequest(_told(self.unexpected[0], self._scripts))


def _told(sent: SentRequest, scripts: list[_Script]) -> str:
    known = "; ".join(f"{script.method} {script.url}" for script in scripts) or "nothing"
    return (
        f"{sent.method} {sent.url} was sent, and there is no answer to it."
        f" Give one with FakeHttp().answer({sent.method!r}, {sent.url!r}, …). Answers there are to: {known}"
    )


def _cut(answer: EgressResponse, max_bytes: int) -> EgressResponse:
    if len(answer.body) <= max_bytes:
        return answer
    return EgressResponse(
        answer.status, answer.headers, answer.body[:max_bytes], True, answer.address, answer.timing
    )
