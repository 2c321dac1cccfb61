"""The config of a subscription as people write it: read and checked, and shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Any

from kanca.domain.config_values import boolean, one_of, read_values, whole
from kanca.domain.endpoint import InvalidConfig
from kanca.domain.retry import RetryPolicy
from kanca.domain.subscription import DEFAULT_DELIVERY_POLICY, RetryConfig, SignatureKind, SubscriptionConfig

MAX_TIMEOUT_S = 300
MAX_RATE_PER_SECOND = 10_000
MAX_IN_FLIGHT = 1_000
MAX_ATTEMPTS = 50
MAX_DELAY_S = 7 * 24 * 3600
MAX_HEADERS = 32

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?!\s)[^\x00-\x1f\x7f\ud800-\udfff]*(?<!\s)")
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-webhook-event",
        "x-webhook-hops",
        "x-webhook-signature",
    }
)
"""Headers that say what a delivery is: nobody else sets them. Nor those that begin with ``webhook-`` or ``proxy-``."""


def read_subscription_config(values: Mapping[str, Any]) -> SubscriptionConfig:
    """The config in ``values`` (as JSON gives them), with defaults for what is not there.

    Raises InvalidConfig naming every unknown key, wrong type and impossible value.
    """
    config = SubscriptionConfig(**read_values(values, _READERS))
    if config.signature_header is not None and config.signature is not SignatureKind.HEX:
        raise InvalidConfig([("signature_header", "is for `signature: hex` only")])
    if config.fifo_key is not None and not config.fifo:
        raise InvalidConfig([("fifo_key", "is for `fifo: true` only")])
    return config


def show_subscription_config(config: SubscriptionConfig) -> dict[str, Any]:
    """The config as JSON gives it back."""
    shown = {entry.name: getattr(config, entry.name) for entry in fields(config)}
    return shown | {"headers": dict(config.headers)}


def stored_subscription_config(config: SubscriptionConfig) -> dict[str, Any]:
    """The config as it is stored: without what is as it is by default, as with endpoints (ADR 14)."""
    shown = show_subscription_config(config)
    return {key: value for key, value in shown.items() if value != _DEFAULTS[key]}


def retry_of(config: SubscriptionConfig) -> RetryConfig:
    """How failed deliveries are tried again."""
    return RetryConfig() if config.retry_config is None else _retry_config(config.retry_config)


def _retry_config(values: Mapping[str, Any]) -> RetryConfig:
    """Raises ValueError for what cannot be."""
    unknown = values.keys() - {
        "max_retries",
        "initial_delay",
        "backoff_factor",
        "max_delay",
        "schedule",
        "retry_on",
    }
    if unknown:
        raise ValueError(f"has no {', '.join(sorted(unknown))}")
    if values.get("retry_on", "usual") not in ("usual", "any"):
        raise ValueError("retry_on must be `usual` or `any`")
    retries_any = values.get("retry_on") == "any"
    schedule = values.get("schedule")
    if schedule is not None:
        if values.keys() & {"max_retries", "initial_delay", "backoff_factor", "max_delay"}:
            raise ValueError("has either `schedule` or the other keys")
        if not isinstance(schedule, list | tuple) or len(schedule) >= MAX_ATTEMPTS:
            raise ValueError(f"schedule must be a list of at most {MAX_ATTEMPTS - 1} delays in seconds")
        delays = tuple(timedelta(seconds=_number(delay, 0, MAX_DELAY_S, "schedule")) for delay in schedule)
        return RetryConfig(RetryPolicy(max_attempts=len(delays) + 1, schedule=delays), retries_any)
    if not values.keys() & {"max_retries", "initial_delay", "backoff_factor", "max_delay"}:
        return RetryConfig(DEFAULT_DELIVERY_POLICY, retries_any)
    attempts = values.get("max_retries", DEFAULT_DELIVERY_POLICY.max_attempts)
    if not isinstance(attempts, int) or isinstance(attempts, bool) or not 1 <= attempts <= MAX_ATTEMPTS:
        raise ValueError(f"max_retries must be a whole number from 1 to {MAX_ATTEMPTS}: attempts in all")
    policy = RetryPolicy(
        max_attempts=attempts,
        initial_delay=timedelta(
            seconds=_number(values.get("initial_delay", 5), 0, MAX_DELAY_S, "initial_delay")
        ),
        backoff_factor=_number(values.get("backoff_factor", 2.0), 1, 100, "backoff_factor"),
        max_delay=timedelta(seconds=_number(values.get("max_delay", 86_400), 0, MAX_DELAY_S, "max_delay")),
    )
    return RetryConfig(policy, retries_any)


def _number(value: object, lowest: float, highest: float, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ValueError(f"{name}: must be a number from {lowest:g} to {highest:g}")
    return value


def _between(lowest: float, highest: float) -> Any:
    def read(value: object) -> float | None:
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError(f"must be null or a number from {lowest:g} to {highest:g}")
        return value

    return read


def _text(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and value):
        raise ValueError("must be null or a text")
    return value


def _headers(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or len(value) > MAX_HEADERS:
        raise ValueError(f"must be an object of at most {MAX_HEADERS} texts")
    for name, text in value.items():
        if not isinstance(text, str) or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(text):
            raise ValueError(f"{name[:64]!r} is no header with a text of printable characters")
        lower = name.lower()
        if lower in _OWN_HEADERS or lower.startswith(("webhook-", "proxy-")):
            raise ValueError(f"{name} is set by the delivery itself")
    return dict(value)


def _header_name(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError("must be null or the name of a header")
    taken = _OWN_HEADERS - {"x-webhook-signature"} | {"webhook-id", "webhook-timestamp"}
    if value.lower() in taken or value.lower().startswith("proxy-"):
        raise ValueError(f"{value} is set by the delivery itself")
    return value


def _retry(value: object) -> Mapping[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("must be null or an object")  # noqa: TRY004 - one kind of error for all that a value can be
    _retry_config(value)
    return dict(value)


_READERS: dict[str, Any] = {
    "filter": _text,
    "transform": _text,
    "headers": _headers,
    "timeout": _between(0.1, MAX_TIMEOUT_S),
    "retry_config": _retry,
    "rate_limit_per_second": _between(0.01, MAX_RATE_PER_SECOND),
    "max_in_flight": whole(1, MAX_IN_FLIGHT),
    "fifo": boolean,
    "fifo_key": _text,
    "signature": one_of(SignatureKind),
    "signature_header": _header_name,
    "credential": _text,
    "challenge": boolean,
}


_DEFAULTS = show_subscription_config(SubscriptionConfig())
