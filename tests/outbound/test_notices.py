from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.event import is_envelope
from kanca.domain.ids import EVENT, IdFactory, show_id
from kanca.domain.subscription import OPERATIONAL_ENDPOINT
from kanca.outbound.notices import (
    MOST_TRIES,
    NoticeKind,
    event_of,
    growing,
    is_rejecting,
    is_told,
    message_of,
    retry_after,
)
from kanca.storage.alerts import Alert, Line
from kanca.storage.notices import Notice

NOW = datetime(2026, 5, 5, 12, 30, tzinfo=UTC)


def alert(*lines: Line, others: int = 0) -> Alert:
    return Alert("a", lines, others, 1, frozenset())


def test_the_event_of_a_notice_is_one_of_its_tenant_and_says_what_happened() -> None:
    facts = {"reason": "gone", "subject": "something else"}
    notice = Notice("subscription.disabled", "shop", "acme", NOW, NOW + timedelta(seconds=1), 3, facts)
    event_id = IdFactory().new()

    event = event_of(notice, event_id, NOW)

    assert (event.endpoint, event.tenant, event.type) == (OPERATIONAL_ENDPOINT, "acme", notice.kind)
    assert (event.id, event.correlation_id) == (event_id, show_id(EVENT, event_id))
    body = json.loads(event.body)
    assert is_envelope(body)
    assert body == {
        "event_type": "subscription.disabled",
        "data": {
            "subject": "shop",
            "count": 3,
            "first_at": "2026-05-05T12:30:00+00:00",
            "last_at": "2026-05-05T12:30:01+00:00",
            "reason": "gone",
        },
    }
    assert json.loads(event.request)["authenticated"] is True


def test_nothing_is_told_of_trouble_with_events_about_webhooks() -> None:
    assert [is_told(endpoint) for endpoint in (None, 0, 100, OPERATIONAL_ENDPOINT)] == [True] * 3 + [False]


def test_dead_letters_become_many_when_they_are_so_many_more_and_half_as_many_again() -> None:
    before = [{"a": 10, "b": 100, "c": 5}, {"a": 4, "b": 100}]
    now = {"a": 24, "b": 140, "c": 19, "new": 20}

    assert growing(before, now) == {"a": (4, 24), "new": (0, 20)}
    assert growing(before, {"b": 150}) == {"b": (100, 150)}
    assert growing(before, {"b": 149}) == {}
    assert growing(before, {"a": 9}, least=5) == {"a": (4, 9)}


def test_what_was_there_before_anybody_looked_is_no_growth() -> None:
    assert growing([], {"a": 1_000}) == {}


def test_an_endpoint_is_told_of_when_it_refuses_many_and_most() -> None:
    assert is_rejecting(20, 39)
    assert not is_rejecting(20, 40)
    assert not is_rejecting(19, 19)


def test_a_message_is_tried_a_few_times_more_and_more_slowly() -> None:
    minutes = [1, 4, 16, 64]
    assert [retry_after(tries) for tries in range(1, MOST_TRIES)] == [timedelta(minutes=m) for m in minutes]
    assert retry_after(MOST_TRIES) is None


def test_a_storm_is_one_message_that_can_be_read() -> None:
    dead = [Line("delivery.dead", f"sub{n}", "acme", n + 1, "http_500") for n in range(40)]
    disabled = Line("subscription.disabled", "shop", "acme", 1, "gone")

    title, body = message_of(alert(*dead, disabled, others=9), "Kanca")

    assert title == "Kanca: 1 subscription disabled, and more (1)"
    assert body.splitlines() == [
        "1 subscription disabled",
        "- shop (tenant acme), gone",
        "",
        "820 dead deliveries of 40 subscriptions",
        "- sub39 (tenant acme): 40 times, http_500",
        "- sub38 (tenant acme): 39 times, http_500",
        "- sub37 (tenant acme): 38 times, http_500",
        "- sub36 (tenant acme): 37 times, http_500",
        "- sub35 (tenant acme): 36 times, http_500",
        "- and 35 more",
        "",
        "And 9 more that are not listed.",
    ]


def test_every_kind_has_its_words() -> None:
    said = [message_of(alert(Line(kind, "s", "t", 1)), "K").title for kind in NoticeKind]
    assert said == [
        "K: 1 subscription disabled",
        "K: 1 dead delivery of 1 subscription",
        "K: 1 subscription failing",
        "K: Dead letters become many for 1 tenant",
        "K: 1 endpoint refusing most requests",
    ]
    assert message_of(alert(Line("of.a.newer.release", "s", "t", 1)), "K").title == "K: of.a.newer.release: 1"


@given(
    st.lists(
        st.builds(
            Line, st.sampled_from([*NoticeKind, "other"]), st.text(), st.text(), st.integers(1), st.text()
        )
    )
)
def test_whatever_happened_a_message_stays_short_and_each_subject_in_its_line(lines: list[Line]) -> None:
    title, body = message_of(alert(*lines), "Kanca")
    assert title.isprintable()
    assert len(body.splitlines()) <= 6 * 8
