"""What an endpoint's owner, or the settings, do not want to be stored is not."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies.event_data import event_data
from kanca.domain.event import as_stored
from kanca.errors import InvalidSetting
from kanca.ingest.redacting import QUICKLY_REDACTED_BYTES, redaction_of
from kanca.ingest.refusal import Refusal
from kanca.ingest.settings import IngestSettings
from kanca.settings import load_settings
from tests.ingest.site import BEARER, JSON, endpoint, signed, site

HIDDEN = "[redacted]"

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "0", "é"]), inner),
    max_leaves=12,
)
paths = st.lists(
    st.lists(st.sampled_from(["a", "b", "0", "1", "é"]), min_size=1, max_size=3).map(".".join), max_size=4
)


def redacted(body: bytes, *fields: str) -> bytes | Refusal | None:
    redaction = redaction_of(fields)
    assert redaction is not None
    return redaction.body(body)


def test_only_what_is_named_is_replaced_and_all_else_stays_as_it_was_written() -> None:
    body = (
        b'{ "n": 1e999, "big": 12345678901234567890123, "f": 1.50, "s": "\\u00e9",\n "card": {"no": 4242} }'
    )

    assert redacted(body, "card.no") == (
        b'{"n":1e999,"big":12345678901234567890123,"f":1.50,"s":"\\u00e9","card":{"no":"[redacted]"}}'
    )
    assert redacted(body, "card.cvc", "other", "n.x") is None
    assert json.loads(redacted(body, "card", "card.no") or b"")["card"] == HIDDEN  # type: ignore[arg-type]  # bytes


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ('{"e\\u006dail": "a"}', {"email": HIDDEN}),
        ('{"email": 1, "email": {"x": 2}}', {"email": HIDDEN}),
        ('{"email": null}', {"email": HIDDEN}),
        (
            '[{"email": "a"}, 1, [{"email": "b", "c": 1}]]',
            [{"email": HIDDEN}, 1, [{"email": HIDDEN, "c": 1}]],
        ),
    ],
)
def test_a_field_is_found_however_it_is_written_and_in_every_item_of_a_list(body: str, left: Any) -> None:
    found = redacted(body.encode(), "email")
    assert isinstance(found, bytes)
    assert json.loads(found) == left


def test_an_item_of_a_list_may_be_named_by_its_number() -> None:
    found = redacted(b'[{"a":1,"b":2},{"a":3,"b":4}]', "0.a", "b", "1")
    assert found == b'[{"a":"[redacted]","b":"[redacted]"},"[redacted]"]'


@pytest.mark.parametrize(
    "body",
    [
        b"email=a",
        b"<email>a</email>",
        b"\xff\xfe{",
        b'\xef\xbb\xbf{"email": "a"}',
        b'{"email": "\\ud800"}',
        b'{"email": NaN}',
        b'{"email": "a"',
        b"[" * 9 + b"]" * 9,
    ],
)
def test_a_body_in_which_nothing_can_be_found_for_sure_is_refused(body: bytes) -> None:
    assert redacted(body, "email") == Refusal("cannot_redact")


@given(documents, paths.filter(bool))
def test_no_named_value_is_left_and_nothing_else_is_lost(document: Any, fields: list[str]) -> None:
    found = redacted(json.dumps(document).encode(), *fields)
    expected = copy.deepcopy(document)
    for field in fields:
        expected = _replaced(expected, tuple(field.split(".")))

    assert not isinstance(found, Refusal)
    assert (document if found is None else json.loads(found)) == expected


def _replaced(value: Any, path: tuple[str, ...]) -> Any:
    """The same in a few lines, without regard for the text."""
    if not path:
        return HIDDEN
    first, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {key: _replaced(each, rest) if key == first else each for key, each in value.items()}
    if isinstance(value, list):
        every = [_replaced(each, path) for each in value]
        return [_replaced(each, rest) if str(index) == first else each for index, each in enumerate(every)]
    return value


async def test_an_event_is_verified_and_compared_as_it_came_and_stored_without_the_fields() -> None:
    here = site(endpoint("hmac", redact_fields=["data.card.number"], dedupe="content"))
    bodies = [
        b'{"event_type": "paid", "data": {"card": {"number": "%d", "brand": "x"}}}' % number
        for number in (1, 2)
    ]

    replies = [await here.post(body, signed(body) | JSON) for body in [*bodies, bodies[0]]]

    assert [(reply.status, reply.json()["status"]) for reply in replies] == [
        (200, "accepted"),
        (200, "accepted"),
        (200, "duplicate"),
    ]
    for event in here.accepting.events.values():
        assert json.loads(event.body)["data"] == {"card": {"number": HIDDEN, "brand": "x"}}
        assert json.loads(event.request)["redacted"] is True
        assert event.type == "paid"
    assert (await here.post(bodies[0] + b" ", signed(bodies[0]) | JSON)).code == "invalid_signature"


async def test_what_is_left_is_read_as_json_whatever_its_content_type() -> None:
    here = site(endpoint(redact_fields=["a"]))
    await here.post(b'{"a": 1, "b": "\xc3\xa9"}', BEARER | {"content-type": "text/plain; charset=latin-1"})

    assert event_data(as_stored(here.event)) == {"a": HIDDEN, "b": "é"}


async def test_a_large_body_is_redacted_like_a_small_one() -> None:
    here = site(endpoint(redact_fields=["items.a"]))
    body = json.dumps({"items": [{"a": 4242, "b": number} for number in range(2_000)]}).encode()

    assert len(body) > QUICKLY_REDACTED_BYTES
    assert (await here.post(body, BEARER | JSON)).status == 200
    assert b"4242" not in here.event.body
    assert json.loads(here.event.body)["items"][-1] == {"a": HIDDEN, "b": 1_999}


async def test_without_any_of_the_fields_the_bytes_are_the_exact_ones() -> None:
    here = site(endpoint(redact_fields=["a"]))
    await here.post(b' {"b" : 1}', BEARER | JSON)

    assert here.event.body == b' {"b" : 1}'
    assert "redacted" not in json.loads(here.event.request)


async def test_a_refused_body_of_such_an_endpoint_is_not_kept() -> None:
    here = site(endpoint(redact_fields=["card"]))
    form = await here.post(b"card=4242", BEARER | {"content-type": "application/x-www-form-urlencoded"})
    unproven = await here.post(b'{"card": {"n": 4242}}', JSON)
    await here.ingest.stop(timedelta(seconds=1))

    assert (form.status, form.code, unproven.status) == (415, "cannot_redact", 401)
    assert len(here.store.rejected) == 2
    assert "4242" not in str(here.store.rejected)


async def test_headers_that_the_settings_name_are_stored_nowhere() -> None:
    here = site(settings=IngestSettings(redact_headers=frozenset({b"x-real-ip", b"user-agent"})))
    private = {"x-real-ip": "198.51.100.9", "user-agent": "Ada's phone", "x-other": "1"}
    await here.post({"event_type": "a", "event_id": "1"}, BEARER | private)
    await here.post({"event_type": "a"}, private)
    await here.ingest.stop(timedelta(seconds=1))

    described = json.loads(here.event.request)
    assert described["user_agent"] == HIDDEN
    assert {"x-real-ip": HIDDEN, "user-agent": HIDDEN, "x-other": "1"}.items() <= dict(
        described["headers"]
    ).items()
    [refused] = here.store.rejected
    assert all(value not in str(refused) for value in ("198.51.100.9", "phone"))


@pytest.mark.parametrize("names", ["X-Real-IP,Content-Type", "x-webhook-hops", "bad name"])
def test_headers_that_are_needed_later_cannot_be_redacted(names: str) -> None:
    with pytest.raises(InvalidSetting, match="KANCA_REDACT_HEADERS"):
        load_settings({"KANCA_REDACT_HEADERS": names})


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b'{"card":{"no":"4111"},"card":{"x":1}}', b'{"card":{"x":1}}'),
        (b'{"card":{"no":"4111"},"c\\u0061rd":7}', b'{"card":7}'),
        (b'{"card":{"no":"4111","no":"1"}}', b'{"card":{"no":"[redacted]"}}'),
        (b'[{"card":{"no":"4111"},"card":null}]', b'[{"card":null}]'),
        (
            b'{"a":{"x":{"card":{"no":1}}},"card":{"no":[4111]},"card":{}}',
            b'{"a":{"x":{"card":{"no":1}}},"card":{}}',
        ),
    ],
)
def test_what_is_there_twice_is_stored_as_it_is_read(body: bytes, left: bytes) -> None:
    assert redacted(body, "card.no") == left


def test_what_no_path_goes_through_may_be_there_twice() -> None:
    assert redacted(b'{"x":1,"x":2}', "card.no") is None
