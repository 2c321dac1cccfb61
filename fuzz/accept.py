"""Whole requests at ingest, with an endpoint for every provider: proven ones, and ones that need no proof."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from functools import cache

from fuzz.target import Target
from kanca.ingest.refusal import RULES
from kanca.ingest.request import Request, whole
from kanca.providers import Draft
from tests.ingest.senders import PROXY, UNVERIFIED, Doors, all_senders, arriving

DECLARED = {rule.status for code, rule in RULES.items() if code != "internal_error"}


def check(data: bytes) -> None:
    """``data`` is written as HTTP/1 is: a line with method and target, headers, an empty line, the body."""
    _loop().run_until_complete(check_request(_doors(), read_request(data)))


async def check_request(doors: Doors, request: Request) -> None:
    """The answer is an acceptance, or a declared refusal with its code."""
    status, body = await doors.take(request)
    if 200 <= status <= 299:
        return
    if status not in DECLARED:
        raise AssertionError(f"answered {status}: {body!r}")
    if body and json.loads(body)["code"] not in RULES:
        raise AssertionError(f"an unknown code: {body!r}")


def read_request(data: bytes) -> Request:
    """The request that is written so."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, target = first.decode("latin-1").partition(" ")
    headers = [
        (name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)
    ]
    return Request(method, target.partition("?")[0], target, "https", PROXY, headers, whole(body))


def seeds() -> Iterable[bytes]:
    """A real delivery of every provider."""
    yield from deliveries(_doors())


def deliveries(doors: Doors) -> Iterable[bytes]:
    """What every sender would send, at either of its endpoints."""
    for sender in doors.senders:
        draft = sender.send(doors.clock.now)
        yield _written(draft, "")
        yield _written(draft, UNVERIFIED)


def _written(draft: Draft, suffix: str) -> bytes:
    request = arriving(draft)
    path, mark, query = request.target.partition("?")
    lines = [f"{request.method} {path}{suffix}{mark}{query}".encode()]
    lines += [name + b": " + value for name, value in request.headers]
    return b"\n".join([*lines, b"", draft.body])


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@cache
def _doors() -> Doors:
    return Doors(all_senders())


TARGET = Target(
    check, seeds, (b"GET ", b"OPTIONS ", b"HEAD ", b"?", b"content-type: ", b"content-encoding: gzip")
)
