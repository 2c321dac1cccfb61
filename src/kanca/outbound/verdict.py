"""What the answer to an attempt means: delivered, to be tried again, or given up. Pure.

The codes of failed attempts, which never change their meaning:

| code | what happened | by default |
|---|---|---|
| ``redirected`` | a 3xx: redirects are not followed | tried again |
| ``try_later`` | 408, 425 or 429 | tried again |
| ``receiver_error`` | a 5xx, or a status that there is not | tried again |
| ``unauthorized`` | 401, though a credential went along: it may have run out | tried again |
| ``rejected`` | any other 4xx: the same request would meet the same answer | given up |
| ``gone`` | 410: nobody is there for good | given up, and the subscription is disabled |
| ``no_retry`` | the receiver said so in ``webhook-no-retry: 1`` (Slack: ``x-slack-no-retry: 1``) | given up |
| ``timeout`` | no whole answer in time | tried again |
| ``dns_failed`` | the host's name could not be looked up | tried again |
| ``connect_failed`` | no connection | tried again |
| ``tls_failed`` | no encrypted connection, or a certificate that is not trusted | tried again |
| ``proxy_failed`` | the proxy that Kanca goes through made no tunnel | tried again |
| ``connection_closed`` | the receiver hung up before its answer was complete | tried again |
| ``bad_answer`` | the answer is not HTTP | tried again |
| ``address_refused`` | the host is at an address that may not be reached; DNS may say another one later | tried again |
| ``url_refused`` | the URL itself may not be asked: a forbidden address, scheme or port | given up |

Any other code is that of the error (``kanca.errors``) for which no request was made, such as ``invalid_secret`` or
``credential_not_found``: tried again, for what is missing may be there by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address

from kanca.errors import EgressError, EgressFailed, EgressRefused, EgressTimeout, KancaError
from kanca.outbound.reports import AttemptReport

REDIRECTED = "redirected"
TRY_LATER = "try_later"
RECEIVER_ERROR = "receiver_error"
UNAUTHORIZED = "unauthorized"
REJECTED = "rejected"
GONE = "gone"
NO_RETRY = "no_retry"
TIMEOUT = "timeout"
ADDRESS_REFUSED = "address_refused"
URL_REFUSED = "url_refused"

_FAILED = {
    "dns": "dns_failed",
    "connect": "connect_failed",
    "tls": "tls_failed",
    "proxy": "proxy_failed",
    "connection_closed": "connection_closed",
    "protocol": "bad_answer",
}
"""By the causes of EgressFailed."""
_NO_RETRY_HEADERS = ("webhook-no-retry", "x-slack-no-retry")
_TRY_LATER_STATUSES = frozenset({408, 425, 429})
_GIVEN_UP = frozenset({GONE, NO_RETRY, URL_REFUSED})
"""Whatever the subscription retries."""
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """It may work later."""

    code: str
    message: str
    asked_delay: timedelta | None = None
    """What the receiver asks for, at most what is allowed; None: it asks for nothing."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Trying again would be of no use."""

    code: str
    message: str
    disables: str | None = None
    """Why the subscription is to be disabled, if it is."""


Verdict = Delivered | TryAgain | GiveUp


def judge(report: AttemptReport, *, retries_any: bool, now: datetime, retry_after_max: timedelta) -> Verdict:
    """What follows an attempt, apart from how many there may be.

    ``retries_any`` has rejected requests tried again, too. ``Retry-After`` (RFC 9110, section 10.2.3) is read with
    any failure, in seconds or as a date; a date counts from the receiver's own clock where it tells it, else from
    ``now``. Asking for no delay is asking for nothing, so that nobody has all attempts made at once.
    """
    if report.code is None:
        return Delivered()
    message = report.message or ""
    if report.code == GONE:
        return GiveUp(GONE, message, disables=GONE)
    if report.code in _GIVEN_UP or (report.code == REJECTED and not retries_any):
        return GiveUp(report.code, message)
    asked = asked_delay(report.headers, now)
    return TryAgain(report.code, message, None if asked is None else min(asked, retry_after_max))


def fault_of(status: int, headers: Mapping[str, str], *, has_credential: bool) -> tuple[str, str] | None:
    """Code and sentence for an answer that did not take the delivery; None when it did.

    ``headers`` have lower-case names.
    """
    if 200 <= status < 300:
        return None
    message = f"the receiver answered {status}"
    if status == 410:
        return GONE, message
    if any(headers.get(name, "").strip() == "1" for name in _NO_RETRY_HEADERS):
        return NO_RETRY, f"{message}, and not to be asked again"
    if 300 <= status < 400:
        return REDIRECTED, f"{message}: redirects are not followed"
    if status in _TRY_LATER_STATUSES:
        return TRY_LATER, message
    if status == 401 and has_credential:
        return UNAUTHORIZED, message
    return (REJECTED if 400 <= status < 500 else RECEIVER_ERROR), message


def fault_of_error(error: KancaError) -> tuple[str, str]:
    """Code and sentence for an attempt that got no answer."""
    match error:
        case EgressTimeout():
            return TIMEOUT, error.detail
        case EgressRefused():
            return (URL_REFUSED if _is_final(error) else ADDRESS_REFUSED), error.detail
        case EgressFailed():
            return _FAILED.get(str(error.facts.get("cause")), "connect_failed"), error.detail
        case EgressError():
            return "connect_failed", error.detail
    return error.code, error.detail


def asked_delay(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """What ``Retry-After`` asks for; None for nothing, or what cannot be read."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return timedelta(seconds=int(asked) if len(asked) <= _MOST_DIGITS else 10**_MOST_DIGITS) or None
    moment = _date(asked)
    if moment is None:
        return None
    delay = moment - (_date(headers.get("date", "")) or now)
    return delay if delay > timedelta(0) else None


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    # `-0000` is a date without a zone: HTTP has none but UTC.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _is_final(error: EgressRefused) -> bool:
    """Whether nothing that DNS says can change it: it was no name that led to a refused address."""
    if "address" not in error.facts:
        return True
    try:
        ip_address(str(error.facts.get("host")))
    except ValueError:
        return False
    return True
