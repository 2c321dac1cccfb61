"""Whatever is sent to whatever route, the answer is what the route says of itself, or a problem that is not a 500."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kanca.api.app import api_document
from kanca.domain.delivery import delivery_id
from kanca.domain.ids import AUDIT, DEAD_LETTER, DELIVERY, JOB, KEY, REPLAY, RUN, show_id
from kanca.domain.job import Job, JobKind
from kanca.domain.status import RunStatus
from kanca.domain.task import RunChange
from kanca.storage import jobs, replays
from kanca.storage.ports import Database
from tests.api.conformity import ROUTES
from tests.api.rows import accept, later_ids, shown, store
from tests.api.workflow_samples import definition
from tests.factories import a_dead_letter, ids
from tests.sending import a_delivery, a_replay, ended, subscribe

ODD_TEXTS = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "ü",
    "..",
    "-1",
    "0",
    "1e999",
    "null",
    "a" * 300,
    "'; --",
    "%",
]
ODD_MOMENTS = [
    "0001-01-01",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-12:00",
    "1969-12-31",
    "1e18",
    "2026-01-01",
]
WORDS = [
    "generic",
    "stripe",
    "hmac",
    "test-123",
    "node-456",
    "auto",
    "dead",
    "pending",
    "WebhookTrigger",
    "=event",
]
QUERY_KEYS = [
    "code",
    "cursor",
    "event_id",
    "event_type",
    "field",
    "kind",
    "limit",
    "offset",
    "since",
    "status",
    "text",
    "until",
    "version",
]


def _keys() -> list[str]:
    """Every member that some route takes, and those of definitions and configs."""
    document = api_document()
    known = {
        key for schema in document["components"]["schemas"].values() for key in schema.get("properties", {})
    }
    return sorted(
        known | {"nodes", "edges", "from", "to", "type", "hmac", "algorithm", "message", "condition"}
    )


KEYS = _keys()

texts = st.sampled_from(ODD_TEXTS + ODD_MOMENTS + WORDS) | st.text(max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | texts, inner, max_size=6)
    ),
    max_leaves=15,
)
objects = st.dictionaries(st.sampled_from(KEYS), values, max_size=8)
bodies = st.binary(max_size=50) | (objects | values).map(lambda value: json.dumps(value).encode())
queries = st.dictionaries(st.sampled_from(QUERY_KEYS), texts | st.integers().map(str), max_size=3)


class Garbage(NamedTuple):
    """A request to some route."""

    method: str
    path: str
    text: str | None
    """What stands for the names in the path; None: what there is."""
    query: dict[str, str]
    body: bytes


@st.composite
def requests(draw: st.DrawFn) -> Garbage:
    route = draw(st.sampled_from(ROUTES))
    method = min(route.methods or ())
    # What there is stays, so that there is something to fail at.
    names = texts if method == "DELETE" else texts | st.none()
    return Garbage(method, route.path, draw(names), draw(queries), draw(bodies))


@pytest.fixture
async def known(client: httpx.AsyncClient, database: Database) -> dict[str, str]:
    """Names of things that there are, by the parameter of the path."""
    await client.post("/api/workflows", json=definition())
    await client.post("/api/workflows/test-123/publish")
    made = (await client.post("/api/webhooks/endpoints", json={"workflow_id": "test-123"})).json()
    event = await accept(database)
    letter = a_dead_letter(event)
    shop = await subscribe(database)
    await ended(database, a_delivery((event.id, shop.number)))
    replay = a_replay()
    await database.write(replays.create, replay, event.received_at)
    run = RunChange(later_ids.new(), "test-123", 1, None, RunStatus.RUNNING, event.received_at)
    await store(database, letter, run)
    job = Job(ids.new(), JobKind.PURGE_DEAD_LETTERS, None, {}, 0, datetime.now(UTC))
    await database.write(jobs.create, job)
    return {
        "webhook_id": made["webhook_id"],
        "event_id": shown(event),
        "workflow_id": "test-123",
        "run_id": show_id(RUN, run.id),
        "node_id": "node-456",
        "letter": show_id(DEAD_LETTER, letter.id),
        "delivery_id": show_id(DELIVERY, delivery_id(event.id, shop.number)),
        "replay_id": show_id(REPLAY, replay.id),
        "subscription_id": shop.id,
        "name": "stripe",
        "job_id": show_id(JOB, job.id),
        "key_id": show_id(KEY, ids.new()),
        "entry_id": show_id(AUDIT, ids.new()),
        "tenant": "acme",
    }


@given(request_=requests())
@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_request_is_answered_500(
    client: httpx.AsyncClient, known: dict[str, str], request_: Garbage
) -> None:
    def name(parameter: re.Match[str]) -> str:
        return known[parameter[1]] if request_.text is None else _quoted(request_.text)

    path = re.sub(r"\{(\w+)\}", name, request_.path)
    # A tail that is followed would never end.
    query = "follow=false&" * path.endswith("/tail") + "&".join(
        f"{key}={_quoted(value)}" for key, value in request_.query.items()
    )
    # The client checks the form of every answer itself, and fails when the app raises.
    answer = await client.request(
        request_.method,
        f"http://kanca.test{path}?{query}",
        content=request_.body,
        headers={"content-type": "application/json"},
    )
    # There is no ingest here to test endpoints with, nothing that sends, and no worker, so nothing is at work.
    assert answer.status_code < 500 or path.endswith(("/test", "/challenge")), answer.text


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")
