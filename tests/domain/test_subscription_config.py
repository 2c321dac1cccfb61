"""A subscription's config is checked whole when it is saved."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.endpoint import InvalidConfig
from kanca.domain.retry import GiveUp, RetryAfter, after_failure
from kanca.domain.subscription import (
    DEFAULT_DELIVERY_POLICY,
    DEFAULT_SCHEDULE,
    RetryConfig,
    SignatureKind,
    SubscriptionConfig,
)
from kanca.domain.subscription_config import (
    MAX_ATTEMPTS,
    read_subscription_config,
    retry_of,
    show_subscription_config,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
retry_configs = st.dictionaries(
    st.sampled_from(
        ["max_retries", "initial_delay", "backoff_factor", "max_delay", "schedule", "retry_on", "x"]
    ),
    st.integers(-1, 60)
    | st.floats()
    | st.none()
    | st.lists(st.integers(-1, 100_000), max_size=60)
    | st.sampled_from(["any", "usual", "never"]),
)


def retries(**values: object) -> RetryConfig:
    return retry_of(read_subscription_config({"retry_config": values}))


def test_an_empty_config_has_the_published_defaults() -> None:
    assert show_subscription_config(read_subscription_config({})) == {
        "filter": None,
        "transform": None,
        "headers": {},
        "timeout": None,
        "retry_config": None,
        "rate_limit_per_second": None,
        "max_in_flight": 10,
        "fifo": False,
        "fifo_key": None,
        "signature": "standard",
        "signature_header": None,
        "credential": None,
        "challenge": False,
    }


def test_every_key_is_read() -> None:
    given_values = {
        "filter": "event.data.total > 100",
        "transform": "{'id': event.id}",
        "headers": {"X-Shop": "Çay & Kahve", "Authorization": "Bearer x"},
        "timeout": 2.5,
        "retry_config": {"schedule": [1, 2.5]},
        "rate_limit_per_second": 0.01,
        "max_in_flight": 1_000,
        "fifo": True,
        "fifo_key": "event.data.order",
        "signature": "hex",
        "signature_header": "X-Hub-Signature",
        "credential": "crm",
        "challenge": True,
    }
    config = read_subscription_config(given_values)
    assert given_values.keys() == SubscriptionConfig.__dataclass_fields__.keys()
    assert show_subscription_config(config) == given_values
    assert config.signature is SignatureKind.HEX


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("colour", "red"),
        ("filter", ""),
        ("filter", 5),
        ("transform", ""),
        ("transform", {}),
        ("headers", None),
        ("headers", ["X-A"]),
        ("headers", {f"X-{number}": "" for number in range(33)}),
        ("headers", {"X-A": 5}),
        ("headers", {"X-A": None}),
        ("headers", {"": "a"}),
        ("headers", {"X A": "a"}),
        ("headers", {"X-A:": "a"}),
        ("headers", {"X-Ä": "a"}),
        ("headers", {"X-A\r\nHost": "a"}),
        ("headers", {"X-A": "a\r\nHost: b"}),
        ("headers", {"X-A": "a\nb"}),
        ("headers", {"X-A": "a\x00b"}),
        ("headers", {"X-A": "a\x7f"}),
        ("headers", {"X-A": "\ud800"}),
        ("headers", {"X-A": " a"}),
        ("headers", {"X-A": "a "}),
        ("headers", {"Host": "metadata.internal"}),
        ("headers", {"HOST": "metadata.internal"}),
        ("headers", {"Content-Length": "0"}),
        ("headers", {"content-type": "text/plain"}),
        ("headers", {"Transfer-Encoding": "chunked"}),
        ("headers", {"Connection": "close"}),
        ("headers", {"User-Agent": "x"}),
        ("headers", {"X-Webhook-Signature": "x"}),
        ("headers", {"X-Webhook-Event": "x"}),
        ("headers", {"X-Webhook-Hops": "0"}),
        ("headers", {"Webhook-Id": "x"}),
        ("headers", {"webhook-anything": "x"}),
        ("headers", {"Proxy-Authorization": "x"}),
        ("timeout", 0),
        ("timeout", 300.5),
        ("timeout", True),
        ("timeout", "15"),
        ("timeout", float("nan")),
        ("rate_limit_per_second", 0),
        ("rate_limit_per_second", -1),
        ("rate_limit_per_second", 10_001),
        ("rate_limit_per_second", True),
        ("rate_limit_per_second", float("nan")),
        ("max_in_flight", 0),
        ("max_in_flight", 1_001),
        ("max_in_flight", 1.0),
        ("max_in_flight", True),
        ("max_in_flight", None),
        ("fifo", 1),
        ("fifo", None),
        ("signature", "sha1"),
        ("signature", None),
        ("signature", ["hex"]),
        ("credential", ""),
        ("credential", 1),
        ("challenge", "yes"),
        ("retry_config", []),
        ("retry_config", 5),
    ],
)
def test_what_cannot_be_is_named(key: str, value: object) -> None:
    with pytest.raises(InvalidConfig) as caught:
        read_subscription_config({key: value, "timeout" if key != "timeout" else "fifo_key": None})
    assert [name for name, _ in caught.value.problems] == [key]


@pytest.mark.parametrize(
    "value",
    [
        {"attempts": 5},
        {"max_retries": 0},
        {"max_retries": 51},
        {"max_retries": 5.0},
        {"max_retries": True},
        {"max_retries": None},
        {"initial_delay": -1},
        {"initial_delay": "5"},
        {"backoff_factor": 0.9},
        {"backoff_factor": 101},
        {"backoff_factor": float("nan")},
        {"max_delay": 604_801},
        {"max_delay": float("inf")},
        {"schedule": 5},
        {"schedule": "5"},
        {"schedule": [-1]},
        {"schedule": [None]},
        {"schedule": [True]},
        {"schedule": [604_801]},
        {"schedule": [1] * 50},
        {"schedule": [1], "max_retries": 2},
        {"schedule": [1], "max_delay": 2},
        {"retry_on": "never"},
        {"retry_on": None},
        {"retry_on": ["any"]},
    ],
)
def test_a_retry_config_that_cannot_be_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(InvalidConfig) as caught:
        read_subscription_config({"retry_config": value})
    assert [name for name, _ in caught.value.problems] == ["retry_config"]


@pytest.mark.parametrize("name", ["Content-Type", "webhook-id", "Webhook-Timestamp", "proxy-x", "", "a b", 5])
def test_a_signature_does_not_take_the_place_of_another_header(name: object) -> None:
    with pytest.raises(InvalidConfig) as caught:
        read_subscription_config({"signature": "hex", "signature_header": name})
    assert [key for key, _ in caught.value.problems] == ["signature_header"]


@pytest.mark.parametrize("name", ["X-Webhook-Signature", "webhook-signature", "X-Hub-Signature-256"])
def test_a_hex_signature_may_have_the_name_that_its_receiver_knows(name: str) -> None:
    config = read_subscription_config({"signature": "hex", "signature_header": name})
    assert config.signature_header == name


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"signature_header": "X-Signed"}, "signature_header"),
        ({"signature": "ed25519", "signature_header": "X-Signed"}, "signature_header"),
        ({"fifo_key": "event.type"}, "fifo_key"),
        ({"fifo": False, "fifo_key": "event.type"}, "fifo_key"),
    ],
)
def test_what_would_have_no_effect_is_refused(values: dict[str, object], key: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        read_subscription_config(values)
    assert [name for name, _ in caught.value.problems] == [key]


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(InvalidConfig) as caught:
        read_subscription_config({"timeout": 0, "fifo": 1, "colour": "red", "retry_config": {"x": 1}})
    assert [name for name, _ in caught.value.problems] == ["colour", "fifo", "retry_config", "timeout"]


@given(
    st.dictionaries(
        st.sampled_from(list(SubscriptionConfig.__dataclass_fields__)), json_values | retry_configs
    )
)
def test_a_config_is_read_or_refused_and_reads_back_as_itself(values: dict[str, object]) -> None:
    try:
        config = read_subscription_config(values)
    except InvalidConfig:
        return
    assert read_subscription_config(show_subscription_config(config)) == config
    stored = json.loads(json.dumps(show_subscription_config(config)))
    assert read_subscription_config(stored) == config


@given(retry_configs)
def test_whatever_is_taken_says_what_follows_each_attempt_and_ends(values: dict[str, object]) -> None:
    try:
        policy = retries(**values).policy
    except InvalidConfig:
        return
    assert 1 <= policy.max_attempts <= MAX_ATTEMPTS
    for number in range(1, policy.max_attempts):
        follows = after_failure(number, policy, 0.5)
        assert isinstance(follows, RetryAfter)
        assert timedelta(0) <= follows.delay <= timedelta(days=7)
    assert after_failure(policy.max_attempts, policy, 0.5) == GiveUp()


def test_by_default_there_are_ten_attempts_over_three_days() -> None:
    assert retry_of(SubscriptionConfig()) == retries() == RetryConfig(DEFAULT_DELIVERY_POLICY)
    assert DEFAULT_DELIVERY_POLICY.max_attempts == 10
    steady = replace(DEFAULT_DELIVERY_POLICY, jitter=0)
    delays = [after_failure(number, steady, 0.0) for number in range(1, 11)]
    assert delays == [*map(RetryAfter, DEFAULT_SCHEDULE), GiveUp()]
    assert timedelta(days=3) <= sum(DEFAULT_SCHEDULE, timedelta(0)) <= timedelta(days=4)


def test_a_schedule_of_its_own_has_one_attempt_more_than_delays() -> None:
    assert retries(schedule=[]).policy.max_attempts == 1
    policy = retries(schedule=[0, 60.5]).policy
    assert (policy.max_attempts, policy.schedule) == (3, (timedelta(0), timedelta(seconds=60.5)))


def test_delays_that_grow_replace_the_schedule() -> None:
    policy = replace(
        retries(max_retries=4, initial_delay=10, backoff_factor=3, max_delay=60).policy, jitter=0
    )
    found = [after_failure(number, policy, 0.0) for number in range(1, 5)]
    assert found == [*(RetryAfter(timedelta(seconds=s)) for s in (10, 30, 60)), GiveUp()]


def test_one_key_of_those_that_grow_is_enough() -> None:
    policy = retries(max_retries=3).policy
    assert (policy.max_attempts, policy.schedule) == (3, ())
    assert policy.initial_delay == timedelta(seconds=5)
    assert retries(initial_delay=1).policy.max_attempts == DEFAULT_DELIVERY_POLICY.max_attempts


def test_retrying_everything_leaves_the_schedule_as_it_is() -> None:
    assert retries(retry_on="any") == RetryConfig(DEFAULT_DELIVERY_POLICY, retries_any=True)
    assert retries(retry_on="any", schedule=[1]).retries_any
    assert not retries(retry_on="usual").retries_any
