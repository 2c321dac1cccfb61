from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies import read_document
from kanca.providers import compile_extractor, get_provider, provider_names
from tests.providers.arriving import own_spec
from tests.providers.test_locations import ANY

GITHUB = compile_extractor(get_provider("github"))
STANDARD = compile_extractor(get_provider("standardwebhooks"))


@pytest.mark.parametrize(
    ("name", "headers", "body", "event_type", "delivery_id"),
    [
        ("stripe", {}, {"id": "evt_1", "type": "invoice.paid"}, "invoice.paid", "evt_1"),
        ("github", {b"x-github-event": b"push", b"x-github-delivery": b"72d3"}, {}, "push", "72d3"),
        ("github", {b"x-github-event": b"issues"}, {"action": "opened"}, "issues.opened", None),
        ("github", {b"x-github-event": b"issues"}, {"action": ""}, "issues", None),
        ("github", {}, {"action": "opened"}, None, None),
        (
            "shopify",
            {
                b"x-shopify-topic": b"orders/create",
                b"x-shopify-event-id": b"98880550",
                b"x-shopify-webhook-id": b"b54",
            },
            {},
            "orders/create",
            "orders/create:98880550",
        ),
        (
            "shopify",
            {b"x-shopify-topic": b"orders/create", b"x-shopify-webhook-id": b"b54"},
            {},
            "orders/create",
            "b54",
        ),
        ("kanca", {}, {"event_type": "order.created", "event_id": "7"}, "order.created", "7"),
        ("generic", {b"x-event": b"push"}, {"event_type": "order.created", "event_id": "7"}, None, None),
    ],
)
def test_type_and_id_are_where_the_provider_puts_them(
    name: str, headers: dict[bytes, bytes], body: Any, event_type: str | None, delivery_id: str | None
) -> None:
    assert compile_extractor(get_provider(name)).extract(headers, body) == (event_type, delivery_id)


def test_forms_of_github_and_slack_that_carry_json_have_types_too() -> None:
    form = "application/x-www-form-urlencoded"
    document = read_document(b"payload=%7B%22action%22%3A%22opened%22%7D", form)
    assert GITHUB.extract({b"x-github-event": b"issues"}, document).event_type == "issues.opened"
    slack = compile_extractor(get_provider("slack"))
    document = read_document(
        b"payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%2212.3%22%7D", form
    )
    assert slack.extract({}, document) == ("block_actions", "12.3")


def test_an_unsigned_header_cannot_pass_for_the_signed_id() -> None:
    headers = {b"webhook-id": b"msg_unsigned", b"svix-id": b"msg_signed"}
    assert STANDARD.extract(headers, {}, signed_id=b"msg_signed").delivery_id == "msg_signed"
    assert STANDARD.extract(headers, {}, signed_id=b"").delivery_id is None
    assert STANDARD.extract(headers, {}, signed_id=b"\xff").delivery_id is None


def test_without_verification_the_id_is_that_of_the_first_header_there() -> None:
    assert STANDARD.extract({b"svix-id": b"msg_1"}, {}).delivery_id == "msg_1"


NO_NAMES = (
    "",
    "x" * 513,
    "nul\x00",
    "line\nbreak",
    "\ud800",
    "\u202e",
    True,
    None,
    1.5,
    ["x"],
    {"x": 1},
    1 << 20_000,
)


def test_what_cannot_be_a_name_is_none() -> None:
    extractor = compile_extractor(
        own_spec({"header": "s"}, event_type=["{body:type}"], delivery_id=["{body:id}"])
    )
    for value in NO_NAMES:
        assert extractor.extract({}, {"type": value, "id": value}) == (None, None)


def test_the_longest_names_still_pass() -> None:
    extractor = compile_extractor(
        own_spec({"header": "s"}, event_type=["{body:type}"], delivery_id=["{body:id}"])
    )
    found = extractor.extract({}, {"type": "x" * 256, "id": "y" * 512})
    assert found == ("x" * 256, "y" * 512)
    assert extractor.extract({}, {"type": "x" * 257}).event_type is None


HEADERS = st.dictionaries(
    st.sampled_from([b"x-github-event", b"x-github-delivery", b"x-shopify-topic", b"webhook-id", b"svix-id"]),
    st.binary(max_size=600),
)
BODIES = ANY | st.fixed_dictionaries({}, optional=dict.fromkeys(["id", "type", "action", "event_type"], ANY))


@given(HEADERS, BODIES, st.none() | st.binary())
def test_whatever_comes_gives_bounded_printable_names_or_none(
    headers: dict[bytes, bytes], body: Any, signed_id: bytes | None
) -> None:
    for name in provider_names():
        event_type, delivery_id = compile_extractor(get_provider(name)).extract(headers, body, signed_id)
        assert event_type is None or (0 < len(event_type) <= 256 and event_type.isprintable())
        assert delivery_id is None or (0 < len(delivery_id) <= 512 and delivery_id.isprintable())
