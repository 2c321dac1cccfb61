"""Which addresses are ingest, and how each is read and answered.

POST /api/webhooks/wh_…                any endpoint
POST /webhooks/{slug}                  an endpoint with a slug
POST /webhooks/receive                 the built-in endpoint, for envelopes with an id
POST /webhooks/receive-content-hash    the built-in endpoint, for bodies without one
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from kanca.domain.endpoint import RECEIVE_CONTENT_HASH_WEBHOOK_ID, RECEIVE_WEBHOOK_ID
from kanca.domain.ids import WEBHOOK_ID
from kanca.ingest.answers import (
    Accept,
    Repeat,
    accepted,
    accepted_by_hash,
    accepted_by_id,
    repeated,
    repeated_by_hash,
    repeated_by_id,
)
from kanca.ingest.prepared import Prepared
from kanca.ingest.reading import Reading, read_event, read_hashed, read_received
from kanca.ingest.refusal import Refusal
from kanca.providers import SignedRequest

Read = Callable[[Prepared, SignedRequest, bytes | None], Reading | Refusal]

_API = "/api/webhooks/"
_SHORT = "/webhooks/"
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What a slug can be. Nothing else is looked for: a NUL in one query would be the end of all that share it."""
BUILT_IN = frozenset({RECEIVE_WEBHOOK_ID, RECEIVE_CONTENT_HASH_WEBHOOK_ID})


class Face(NamedTuple):
    """How an address reads a request and words its answer."""

    read: Read
    accepted: Accept
    repeated: Repeat
    takes_custom: bool = False
    """Whether the endpoint may have an answer of its own in place of these."""


class Route(NamedTuple):
    """Where a request goes."""

    face: Face
    key: str
    """What the endpoint is looked up by: its id, or ``/`` and its slug."""


ENDPOINT = Face(read_event, accepted, repeated, takes_custom=True)
RECEIVE = Route(Face(read_received, accepted_by_id, repeated_by_id), RECEIVE_WEBHOOK_ID)
CONTENT_HASH = Route(Face(read_hashed, accepted_by_hash, repeated_by_hash), RECEIVE_CONTENT_HASH_WEBHOOK_ID)


def path_of(webhook_id: str) -> str:
    """Where an endpoint is found."""
    built_in = {RECEIVE_WEBHOOK_ID: "receive", RECEIVE_CONTENT_HASH_WEBHOOK_ID: "receive-content-hash"}
    return _SHORT + built_in[webhook_id] if webhook_id in built_in else _API + webhook_id


def find_route(path: str) -> Route | None:
    """The route of a path; None for all that is not ingest."""
    if path.startswith(_API):
        key = path[len(_API) :]
        return Route(ENDPOINT, key) if WEBHOOK_ID.fullmatch(key) and key not in BUILT_IN else None
    if not path.startswith(_SHORT):
        return None
    slug = path[len(_SHORT) :]
    if slug == "receive":
        return RECEIVE
    if slug == "receive-content-hash":
        return CONTENT_HASH
    if slug == "subscriptions" or not SLUG.fullmatch(slug):
        return None
    return Route(ENDPOINT, "/" + slug)
