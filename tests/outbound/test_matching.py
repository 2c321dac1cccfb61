"""Who wants an event: the same subscriptions as when each of them is looked at."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.patterns import matches
from kanca.domain.subscription import OPERATIONAL, Subscription
from kanca.outbound.matching import Subscribers
from tests.outbound.samples import a_subscription

ENDPOINTS = [f"wh_{number:024x}" for number in (1, 2)]
TYPES = ["order", "order.created", "order.item.added", "invoice.paid", "x"]
PATTERNS = ["*", "order.*", "*.created", "order.item.*", "*.added", *TYPES]

wanted = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=4).map(tuple)
listed = st.lists(
    st.tuples(
        wanted,
        st.sampled_from(["default", "acme"]),
        st.lists(st.sampled_from([*ENDPOINTS, OPERATIONAL]), max_size=2).map(tuple),
        st.booleans(),
    ),
    max_size=12,
)


def numbers(found: list[Subscription]) -> list[int]:
    return [each.number for each in found]


@given(listed, st.sampled_from(TYPES), st.sampled_from(["default", "acme", "other"]), st.randoms())
def test_those_are_found_that_a_look_at_each_of_them_finds(
    each_of: list[tuple[tuple[str, ...], str, tuple[str, ...], bool]],
    event_type: str,
    tenant: str,
    chance: Random,
) -> None:
    subscriptions = [
        a_subscription(number=number, events=events, tenant=owner, sources=sources, is_active=is_active)
        for number, (events, owner, sources, is_active) in enumerate(each_of, start=1)
    ]
    shuffled = list(subscriptions)
    chance.shuffle(shuffled)
    subscribers = Subscribers(shuffled)
    for source in (None, *ENDPOINTS, OPERATIONAL):
        naive = [
            each
            for each in subscriptions
            if each.tenant == tenant
            and any(matches(pattern, event_type) for pattern in each.events)
            and (source is None or source in each.sources)
        ]
        assert numbers(subscribers.wanting(event_type, tenant, source)) == numbers(naive)
    assert subscribers.by_number == {each.number: each for each in subscriptions}


def test_one_that_wants_a_type_in_several_ways_gets_it_once() -> None:
    both = a_subscription(events=("order.created", "order.*", "*", "order.created"))
    assert Subscribers([both]).wanting("order.created", "default", None) == [both]


def test_one_that_names_sources_gets_what_is_published_too() -> None:
    relay = a_subscription(events=("*",), sources=(ENDPOINTS[0],))
    subscribers = Subscribers([relay])
    assert subscribers.wanting("order.created", "default", None) == [relay]
    assert subscribers.wanting("order.created", "default", ENDPOINTS[0]) == [relay]
    assert subscribers.wanting("order.created", "default", ENDPOINTS[1]) == []


def test_what_happens_to_webhooks_is_told_only_to_who_asks_for_it() -> None:
    everything = a_subscription(number=1, events=("*",))
    asks = a_subscription(number=2, events=("delivery.dead",), sources=(OPERATIONAL,))
    assert Subscribers([everything, asks]).wanting("delivery.dead", "default", OPERATIONAL) == [asks]


def test_those_that_are_off_are_among_them_for_it_is_written_down_that_they_got_nothing() -> None:
    off = a_subscription(events=("order.*",), is_active=False)
    assert Subscribers([off]).wanting("order.created", "default", None) == [off]
