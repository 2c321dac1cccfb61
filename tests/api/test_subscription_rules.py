"""What a subscription may be, decided purely."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kanca.api import subscription_rules as rules
from kanca.domain.endpoint import Secret
from kanca.domain.subscription import SignatureKind, SubscriptionConfig, SubscriptionStatus
from kanca.egress import EgressGuard
from kanca.errors import InvalidSecret, InvalidSubscription
from tests.factories import new_subscription

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GUARD = EgressGuard()
CHALLENGED = SubscriptionConfig(challenge=True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1/hooks", "127.0.0.1, which is not allowed: loopback"),
        ("http://169.254.169.254/", "metadata"),
        ("http://[::1]:8000/", "loopback"),
        ("https://2130706433/", "not written as usual"),
        ("ftp://partner.example/", "only http and https"),
        ("https://me:secret@partner.example/", "user name or password"),
        ("https://partner.example/#part", "fragment"),
        ("https:///hooks", "no host"),
        ("https://partner.example/a b", "character that URLs do not have"),
        ("partner.example", "only http and https"),
        ("", "only http and https"),
        ("https://partner.example/" + "a" * 2048, "longer than 2048"),
    ],
)
def test_a_url_that_may_not_be_sent_to_is_a_problem(url: str, words: str) -> None:
    (problem,) = rules.url_problems(GUARD, url)
    assert problem["key"] == "url"
    assert words in problem["message"]


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.example",
        "http://partner.example:8080/a?b=c",
        "https://93.184.216.34/",
        "https://localhost/",  # a name: where it leads is checked when it is connected to
        "https://partner.example/" + "a" * 2024,
    ],
)
def test_any_other_url_is_none(url: str) -> None:
    assert rules.url_problems(GUARD, url) == []


def test_an_address_that_is_allowed_is_no_problem() -> None:
    assert rules.url_problems(EgressGuard(["10.0.0.0/8"]), "http://10.1.2.3/") == []


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "1 to 100"),
        (["order.created"] * 101, "1 to 100"),
        (["order.*", "or*er"], "'or*er' is neither"),
        (["order created"], "neither"),
        (["**"], "neither"),
        ([""], "neither"),
    ],
)
def test_what_is_no_event_type_is_a_problem(events: list[str], words: str) -> None:
    (problem,) = rules.event_problems(events)
    assert words in problem["message"]


def test_types_and_wildcards_are_none() -> None:
    assert rules.event_problems(["order.created", "order.*", "*.created", "*"]) == []


@pytest.mark.parametrize(
    ("values", "key", "words"),
    [
        ({"filter": "event.data.total >"}, "filter", "line"),
        ({"filter": "order.total > 5"}, "filter", "order"),
        ({"transform": "{'a': endpoint.name}"}, "transform", "endpoint"),
        ({"fifo": True, "fifo_key": "key"}, "fifo_key", "key"),
        ({"fifo_key": "event.id"}, "fifo_key", "fifo: true"),
        ({"headers": {"Webhook-Id": "1"}}, "headers", "set by the delivery"),
        ({"headers": None}, "headers", "object"),
        ({"timeout": 301}, "timeout", "300"),
        ({"retry_config": {"tries": 3}}, "retry_config", "tries"),
        ({"rate_limit_per_second": 0}, "rate_limit_per_second", "0.01"),
        ({"signature": "rsa"}, "signature", "one of"),
        ({"signature_header": "X-Sig"}, "signature_header", "hex"),
    ],
)
def test_options_that_cannot_be_are_named_and_change_nothing(
    values: dict[str, Any], key: str, words: str
) -> None:
    _, problems = rules.read_options(values)
    assert [problem["key"] for problem in problems] == [key]
    assert words in problems[0]["message"]


def test_every_expression_that_is_wrong_is_named() -> None:
    values = {"filter": "(", "transform": ")", "fifo": True, "fifo_key": "x"}
    _, problems = rules.read_options(values)
    assert [problem["key"] for problem in problems] == ["filter", "transform", "fifo_key"]


def test_what_is_not_given_stays() -> None:
    before = SubscriptionConfig(timeout=3, headers={"X-Team": "shop"})
    config, problems = rules.read_options({"max_in_flight": 2}, before)
    assert (config, problems) == (replace(before, max_in_flight=2), [])


def test_problems_are_told_in_one_sentence_and_one_by_one() -> None:
    rules.refuse([])
    problems = [{"key": "url", "message": "is wrong"}, {"key": "events", "message": "are wrong"}]
    with pytest.raises(InvalidSubscription) as refusal:
        rules.refuse(problems)
    assert refusal.value.detail == "url is wrong; events are wrong"
    assert refusal.value.facts["problems"] == problems


@pytest.mark.parametrize("kind", list(SignatureKind))
def test_a_rotated_secret_is_of_the_kind_that_signs(kind: SignatureKind) -> None:
    first = rules.first_secret(kind, None)
    before = new_subscription(secrets=(first,), config=SubscriptionConfig(signature=kind))
    after = rules.rotated(before, None, DAY, NOW)
    newest, old = after.secrets
    assert newest.value[:5] == first.value[:5]
    assert newest.value != first.value
    assert (newest.expires_at, old) == (None, Secret(first.value, NOW + DAY))
    with pytest.raises(InvalidSecret):
        rules.rotated(before, "too short", DAY, NOW)


@pytest.mark.parametrize(
    ("changes", "must_ask"),
    [
        ({}, False),
        ({"name": "Other"}, False),
        ({"url": "https://other.example/"}, True),
        ({"config": SubscriptionConfig()}, False),
        ({"config": SubscriptionConfig(challenge=True, timeout=3)}, False),
    ],
)
def test_another_address_has_to_answer_the_challenge(changes: dict[str, Any], must_ask: bool) -> None:
    before = new_subscription(config=CHALLENGED)
    assert rules.must_ask_again(before, replace(before, **changes)) is must_ask


def test_a_challenge_that_is_asked_for_later_has_to_be_answered() -> None:
    before = new_subscription()
    assert rules.must_ask_again(before, replace(before, config=CHALLENGED))
    assert not rules.must_ask_again(before, replace(before, url="https://other.example/"))


def test_enabling_undoes_whatever_switched_it_off_but_not_the_challenge() -> None:
    off = new_subscription(is_active=False, is_verified=False, disabled_reason="gone", disabled_at=NOW)
    on = rules.enabled(off, NOW)
    assert (on.status, on.disabled_reason, on.disabled_at) == (SubscriptionStatus.UNVERIFIED, None, None)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"is_active": False, "disabled_reason": "gone"}, "not active"),
        ({"disabled_reason": "gone"}, "(gone)"),
        ({"is_verified": False}, "challenge"),
        ({"secrets": ()}, "no secret"),
        ({"secrets": (Secret("s", NOW),)}, "no secret"),
    ],
)
def test_a_hint_says_why_nothing_is_sent(values: dict[str, Any], words: str) -> None:
    well = new_subscription(secrets=(Secret("s"),))
    assert rules.hint_of(well, NOW) is None
    assert words in str(rules.hint_of(replace(well, **values), NOW))
