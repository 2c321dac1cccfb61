"""Which addresses are ingest, and how each is read and answered.

POST /api/webhooks/wh_…                any endpoint
POST /webhooks/{slug}                  an endpoint with a slug
POST /webhooks/receive                 the built-in endpoint, for envelopes with an id
POST /webhooks/receive-content-hash    the built-in endpoint, for bodies without one
POST /webhooks/resume/{token}          the built-in endpoint at which runs are resumed; GET asks before it
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from kanca.domain.endpoint import (
    BUILT_IN_PATHS,
    RECEIVE_CONTENT_HASH_WEBHOOK_ID,
    RECEIVE_WEBHOOK_ID,
    RESERVED_SLUGS,
    RESUME_WEBHOOK_ID,
)
from kanca.domain.ids import WEBHOOK_ID
from kanca.domain.resume_token import RESUME_PATH
from kanca.ingest import resume_pages
from kanca.ingest.answers import (
    Accept,
    Repeat,
    accepted,
    accepted_by_hash,
    accepted_by_id,
    accepted_resume,
    repeated,
    repeated_by_hash,
    repeated_by_id,
    repeated_resume,
)
from kanca.ingest.prepared import Prepared
from kanca.ingest.reading import Reading, read_event, read_hashed, read_received, read_resumed
from kanca.ingest.refusal import Refusal
from kanca.ingest.request import Said
from kanca.ingest.responses import as_json
from kanca.providers import SignedRequest

Read = Callable[[Prepared, SignedRequest, bytes | None], Reading | Refusal]

_API = "/api/webhooks/"
_SHORT = "/webhooks/"
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What a slug can be. Nothing else is looked for: a NUL in one query would be the end of all that share it."""
_WHOLE = frozenset({_SHORT + "receive", _SHORT + "receive-content-hash"})
BUILT_IN = frozenset({RECEIVE_WEBHOOK_ID, RECEIVE_CONTENT_HASH_WEBHOOK_ID, RESUME_WEBHOOK_ID})


class Face(NamedTuple):
    """How an address reads a request and words its answer."""

    read: Read
    accepted: Accept
    repeated: Repeat
    takes_custom: bool = False
    """Whether the endpoint may have an answer of its own in place of these."""
    says: Callable[[bytes], Said] = as_json
    """How their bodies are sent."""


class Route(NamedTuple):
    """Where a request goes."""

    face: Face
    key: str
    """What the endpoint is looked up by: its id, or ``/`` and its slug."""
    token: str | None = None
    """Of a resume address: what says what it resumes."""


ENDPOINT = Face(read_event, accepted, repeated, takes_custom=True)
RECEIVE = Route(Face(read_received, accepted_by_id, repeated_by_id), RECEIVE_WEBHOOK_ID)
CONTENT_HASH = Route(Face(read_hashed, accepted_by_hash, repeated_by_hash), RECEIVE_CONTENT_HASH_WEBHOOK_ID)

RESUME = Face(read_resumed, accepted_resume, repeated_resume)
RESUME_PAGE = Face(
    read_resumed,
    lambda *_: resume_pages.done(),
    lambda *_: resume_pages.answered_before(),
    says=resume_pages.as_page,
)


def path_of(webhook_id: str) -> str:
    """Where an endpoint is found."""
    return BUILT_IN_PATHS.get(webhook_id) or _API + webhook_id


def template_of(path: str) -> str:
    """The path as the routes write it, without what tells one endpoint, or one wait, from another."""
    if path.startswith(_API):
        return _API + "{webhook_id}"
    if path in _WHOLE or not path.startswith(_SHORT):
        return path if path in _WHOLE else "-"
    return RESUME_PATH + "{token}" if path.startswith(RESUME_PATH) else _SHORT + "{slug}"


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
    if not SLUG.fullmatch(slug):
        token = path.removeprefix(RESUME_PATH)
        return None if token == path else Route(RESUME, RESUME_WEBHOOK_ID, token)
    if slug in RESERVED_SLUGS:
        return None
    return Route(ENDPOINT, "/" + slug)
