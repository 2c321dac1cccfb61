from dataclasses import replace

import pytest

from kanca.handlers.matching import Arrival, HandlerSpec, decode_spec, encode_spec, matching, wants

ARRIVAL = Arrival(
    type="order.created",
    tenant="default",
    provider="stripe",
    webhook_id="wh_" + "a" * 24,
    slug="orders",
    is_authenticated=True,
)
PUBLISHED = replace(ARRIVAL, webhook_id=None, slug=None, provider=None)


def spec(pattern: str = "*", **fields: object) -> HandlerSpec:
    return HandlerSpec(name="handler", pattern=pattern, **fields)  # type: ignore[arg-type]  # as the test says


@pytest.mark.parametrize("pattern", ["order.created", "order.*", "*.created", "*"])
def test_a_handler_wants_the_types_that_fit_its_pattern(pattern: str) -> None:
    assert wants(spec(pattern), ARRIVAL)


@pytest.mark.parametrize("pattern", ["order", "order.create", "order.created.late", "payment.*"])
def test_a_handler_wants_no_other_type(pattern: str) -> None:
    assert not wants(spec(pattern), ARRIVAL)


@pytest.mark.parametrize(
    ("narrow", "other"),
    [("provider", "github"), ("tenant", "acme"), ("endpoint", "payments"), ("source", "published")],
)
def test_what_a_handler_names_must_be_so(narrow: str, other: str) -> None:
    right = {"provider": "stripe", "tenant": "default", "endpoint": "orders", "source": "inbound"}
    assert wants(spec(**{narrow: right[narrow]}), ARRIVAL)
    assert not wants(spec(**{narrow: other}), ARRIVAL)


def test_an_endpoint_is_named_by_its_id_too() -> None:
    assert wants(spec(endpoint=ARRIVAL.webhook_id), ARRIVAL)


def test_what_came_without_authentication_reaches_only_handlers_that_name_the_endpoint() -> None:
    anybody = replace(ARRIVAL, is_authenticated=False)
    assert not wants(spec("order.created", provider="stripe", tenant="default", source="inbound"), anybody)
    assert wants(spec("order.created", endpoint="orders"), anybody)
    assert not wants(spec("order.created", endpoint="payments"), anybody)


def test_published_events_reach_handlers_that_do_not_ask_for_inbound_ones() -> None:
    assert wants(spec(), PUBLISHED)
    assert wants(spec(source="published"), PUBLISHED)
    assert not wants(spec(source="inbound"), PUBLISHED)
    assert not wants(spec(endpoint="orders"), PUBLISHED)


def test_events_about_webhooks_reach_only_handlers_that_ask_for_them() -> None:
    about_webhooks = replace(PUBLISHED, type="subscription.disabled", is_operational=True)
    assert wants(spec(source="operational"), about_webhooks)
    assert wants(spec("subscription.*", source="operational", tenant="default"), about_webhooks)
    assert not wants(spec(source="operational", tenant="acme"), about_webhooks)
    for other in (spec(), spec(source="published"), spec(source="inbound")):
        assert not wants(other, about_webhooks)
    for arrival in (ARRIVAL, PUBLISHED):
        assert not wants(spec(source="operational"), arrival)


def test_an_endpoint_without_a_slug_is_not_named_by_a_handler_without_an_endpoint() -> None:
    assert not wants(spec(), replace(ARRIVAL, slug=None, is_authenticated=False))


def test_the_handlers_come_in_the_order_given() -> None:
    specs = [spec("order.*"), spec("payment.*"), spec("*")]
    assert matching(specs, ARRIVAL) == [specs[0], specs[2]]


def test_a_spec_survives_its_announcement() -> None:
    announced = spec("order.*", endpoint="orders", order="path", order_path="customer.id", timeout_s=1.5)
    assert decode_spec(encode_spec(announced)) == announced


def test_a_spec_of_a_newer_process_is_read() -> None:
    assert decode_spec('{"name": "a", "pattern": "b", "invented_later": 1}') == HandlerSpec(
        name="a", pattern="b"
    )
