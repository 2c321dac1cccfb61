"""The API's reference: its OpenAPI document, and every code that a problem body may carry."""

from __future__ import annotations

import json
from collections.abc import Iterator

from kanca import errors
from kanca.app.gateway import served_document
from kanca.errors import KancaError
from kanca.ingest.refusal import CAUSES, RULES

_INTRODUCTION = """\
# Errors

Whatever is refused is answered with `application/problem+json` (RFC 9457):

    {"type": "urn:kanca:problem:rate_limited", "title": "Too many requests", "status": 429,
     "detail": "The endpoint takes 60 requests a minute from one client.", "code": "rate_limited"}

Decide by `code`: it never changes its meaning. `title` is the same for every problem with the code, `detail` is about
this one and for people. Some codes come with further members, such as `problems` or `errors`, which list everything
that is wrong at once.
"""
_API = """\
## The API and the command line

The exit code is that of the command line. What concerns settings, handlers, expressions and outgoing requests is met at
start, in the log or as the code of a failed attempt rather than in an answer.

| code | status | exit code | meaning |
|---|---|---|---|
"""
_WEBHOOKS = """\
## Webhooks

What the addresses that senders call refuse. Everything here is counted, and the most recent refusals of an endpoint
are at `GET /api/webhooks/{webhook_id}/rejections`. After a 408, 429 or 503 the sender should try again: nothing was
accepted, or the dedupe key makes it harmless.

| code | status | `Retry-After` | meaning |
|---|---|---|---|
"""

_CAUSES = """\
## Causes of an invalid signature or token

Callers are told `invalid_signature` or `invalid_token`, and nothing that would help to forge one. What was wrong is for
the endpoint's operator: it is the `code` of the rejection, and a `status` of the metric `webhook_received_total`.

| code | meaning |
|---|---|
"""


def openapi_page() -> str:
    """The OpenAPI document."""
    return json.dumps(served_document(), indent=2, ensure_ascii=False) + "\n"


def errors_page() -> str:
    """Every code of the API and of ingest, and every cause of a failed proof, with its meaning."""
    api = [_api_row(error) for error in sorted(all_errors(), key=lambda error: (error.status, error.code))]
    webhooks = [
        _row(
            "webhooks",
            code,
            rule.status,
            f"{rule.retry_after_s} s" if rule.retry_after_s else "",
            rule.detail,
        )
        for code, rule in sorted(RULES.items(), key=lambda entry: (entry[1].status, entry[0]))
    ]
    causes = [
        f'| <a id="cause-{code}"></a>`{code}` | {meaning} |' for code, meaning in sorted(CAUSES.items())
    ]
    tables = _API + "\n".join(api), _WEBHOOKS + "\n".join(webhooks), _CAUSES + "\n".join(causes)
    return "\n".join([_INTRODUCTION, "\n\n".join(tables), ""])


def all_errors(of: type[KancaError] = KancaError) -> Iterator[type[KancaError]]:
    """Every class of the tree in ``kanca.errors``."""
    yield of
    for derived in of.__subclasses__():
        if derived.__module__ == errors.__name__:
            yield from all_errors(derived)


def _api_row(error: type[KancaError]) -> str:
    sentence = (error.__doc__ or "").splitlines()[0]
    return _row("api", error.code, error.status, str(error.exit_code), sentence)


def _row(section: str, code: str, status: int, third: str, meaning: str) -> str:
    return f'| <a id="{section}-{code}"></a>`{code}` | {status} | {third} | {meaning} |'
