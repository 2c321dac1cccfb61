from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.errors import (
    CredentialNotFound,
    EgressError,
    EgressFailed,
    EgressRefused,
    EgressTimeout,
    KancaError,
)
from kanca.outbound.reports import AttemptReport
from kanca.outbound.verdict import Delivered, GiveUp, TryAgain, Verdict, fault_of, fault_of_error, judge

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
statuses = st.integers(100, 999)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "date", "webhook-no-retry", "x-slack-no-retry", "x"]),
    st.text() | st.sampled_from(["0", "1", "60", "Wed, 21 Oct 2026 07:28:00 GMT"]),
)


def verdict(
    status: int,
    said: dict[str, str] | None = None,
    *,
    retries_any: bool = False,
    has_credential: bool = False,
    most: timedelta = DAY,
) -> Verdict:
    """What is made of an answer."""
    code, message = fault_of(status, said or {}, has_credential=has_credential) or (None, None)
    report = AttemptReport("https://x", status=status, headers=said or {}, code=code, message=message)
    return judge(report, retries_any=retries_any, now=NOW, retry_after_max=most)


def after(error: KancaError) -> Verdict:
    """What is made of no answer."""
    code, message = fault_of_error(error)
    report = AttemptReport("https://x", code=code, message=message)
    return judge(report, retries_any=False, now=NOW, retry_after_max=DAY)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (300, "redirected"),
        (301, "redirected"),
        (304, "redirected"),
        (308, "redirected"),
        (408, "try_later"),
        (425, "try_later"),
        (429, "try_later"),
        (500, "receiver_error"),
        (501, "receiver_error"),
        (503, "receiver_error"),
        (599, "receiver_error"),
        (999, "receiver_error"),
    ],
)
def test_what_may_pass_is_tried_again(status: int, code: str) -> None:
    found = verdict(status)
    assert isinstance(found, TryAgain)
    assert (found.code, found.asked_delay) == (code, None)
    assert f"the receiver answered {status}" in found.message


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 418, 422, 451, 499])
def test_a_request_that_is_wrong_is_given_up_unless_all_failures_are_retried(status: int) -> None:
    assert verdict(status) == GiveUp("rejected", f"the receiver answered {status}")
    assert verdict(status, retries_any=True) == TryAgain("rejected", f"the receiver answered {status}")


def test_401_is_tried_again_where_a_credential_may_have_run_out() -> None:
    assert verdict(401, has_credential=True) == TryAgain("unauthorized", "the receiver answered 401")
    assert isinstance(verdict(403, has_credential=True), GiveUp)


@pytest.mark.parametrize("retries_any", [True, False])
def test_410_disables_the_subscription(retries_any: bool) -> None:
    found = verdict(410, retries_any=retries_any)
    assert found == GiveUp("gone", "the receiver answered 410", disables="gone")


@pytest.mark.parametrize("retries_any", [True, False])
@pytest.mark.parametrize("name", ["webhook-no-retry", "x-slack-no-retry"])
def test_a_receiver_can_say_that_it_wants_no_more_of_it(name: str, retries_any: bool) -> None:
    for status in (301, 404, 429, 500):
        found = verdict(status, {name: " 1 "}, retries_any=retries_any)
        assert isinstance(found, GiveUp)
        assert (found.code, found.disables) == ("no_retry", None)
    assert isinstance(verdict(500, {name: "0"}), TryAgain)
    assert verdict(200, {name: "1"}) == Delivered()


# --- Retry-After -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "delay"),
    [
        ({"retry-after": "120"}, timedelta(seconds=120)),
        ({"retry-after": " 120 "}, timedelta(seconds=120)),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "9" * 5000}, DAY),
        ({"retry-after": "86401"}, DAY),
        ({"retry-after": "Mon, 04 May 2026 03:04:01 GMT"}, timedelta(minutes=2)),
        ({"retry-after": "Monday, 04-May-26 03:04:01 GMT"}, timedelta(minutes=2)),
        ({"retry-after": "Mon May  4 03:04:01 2026"}, timedelta(minutes=2)),
        ({"retry-after": "Mon, 04 May 2026 03:02:00 GMT"}, None),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, DAY),
        # its own clock, which is an hour slow, says how far away its date is
        (
            {"retry-after": "Mon, 04 May 2026 02:03:01 GMT", "date": "Mon, 04 May 2026 02:02:01 GMT"},
            timedelta(minutes=1),
        ),
        ({"retry-after": "Mon, 04 May 2026 03:04:01 GMT", "date": "whenever"}, timedelta(minutes=2)),
    ],
)
@pytest.mark.parametrize("status", [302, 429, 500, 503])
def test_what_a_receiver_asks_for_is_heard_and_capped(
    said: dict[str, str], delay: timedelta | None, status: int
) -> None:
    found = verdict(status, said)
    assert isinstance(found, TryAgain)
    assert found.asked_delay == delay


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - Hypothesis adds it
def test_any_date_is_so_far_away_as_it_is(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    found = verdict(503, {"retry-after": format_datetime(moment, usegmt=True)}, most=timedelta(days=10**5))
    assert isinstance(found, TryAgain)
    assert found.asked_delay == (moment - NOW if moment > NOW else None)


@given(statuses, headers, st.booleans(), st.booleans(), st.timedeltas(timedelta(0), timedelta(days=7)))
def test_every_answer_has_a_verdict(
    status: int, said: dict[str, str], retries_any: bool, has_credential: bool, most: timedelta
) -> None:
    found = verdict(status, said, retries_any=retries_any, has_credential=has_credential, most=most)
    assert (found == Delivered()) == (200 <= status < 300)
    if isinstance(found, TryAgain):
        assert found.asked_delay is None or timedelta(0) <= found.asked_delay <= most
    if isinstance(found, GiveUp):
        assert (found.disables is not None) == (status == 410)
        assert not retries_any or found.code in {"gone", "no_retry"}


# --- No answer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EgressTimeout("slow", phase="response"), "timeout"),
        (EgressFailed("no name", cause="dns"), "dns_failed"),
        (EgressFailed("nobody", cause="connect"), "connect_failed"),
        (EgressFailed("stranger", cause="tls"), "tls_failed"),
        (EgressFailed("hung up", cause="connection_closed"), "connection_closed"),
        (EgressFailed("FTP", cause="protocol"), "bad_answer"),
        (EgressFailed("no tunnel", cause="proxy"), "proxy_failed"),
        (EgressFailed("a cause of tomorrow", cause="weather"), "connect_failed"),
        (EgressError("whatever"), "connect_failed"),
        (
            EgressRefused("is at 10.0.0.1", reason="private", host="a.test", address="10.0.0.1"),
            "address_refused",
        ),
        (CredentialNotFound("no such credential"), "credential_not_found"),
    ],
)
def test_what_the_network_does_is_tried_again(error: KancaError, code: str) -> None:
    assert after(error) == TryAgain(code, error.detail)


@pytest.mark.parametrize(
    "facts",
    [
        {"reason": "private", "host": "10.0.0.1", "address": "10.0.0.1"},
        {"reason": "loopback", "host": "::1", "address": "::1"},
        {"reason": "bad_scheme"},
        {"reason": "bad_port", "host": "a.test"},
        {"reason": "bad_host", "host": "0x7f.1"},
        {"reason": "bad_header"},
    ],
)
def test_a_url_that_dns_cannot_better_is_given_up(facts: dict[str, Any]) -> None:
    assert after(EgressRefused("no", **facts)) == GiveUp("url_refused", "no")
