"""What a subscription may be, decided purely: where it is, what it wants, and how it is sent to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from kanca.api.secret_rotation import live, rotated_secrets
from kanca.domain.endpoint import InvalidConfig, Secret
from kanca.domain.patterns import is_pattern
from kanca.domain.subscription import (
    OPERATIONAL,
    SignatureKind,
    Subscription,
    SubscriptionConfig,
    SubscriptionStatus,
)
from kanca.domain.subscription_config import read_subscription_config, show_subscription_config
from kanca.egress import EgressGuard
from kanca.errors import EgressRefused, InvalidExpression, InvalidSubscription
from kanca.expressions.uses import compile_fifo_key, compile_filter, compile_transform
from kanca.outbound.keys import check_secret, new_secret

MAX_URL_LENGTH = 2048
MOST_EVENTS = 100
MOST_SOURCES = 100

Problems: TypeAlias = list[dict[str, str]]
"""``{"key", "message"}`` each."""


def read_options(
    values: Mapping[str, Any], before: SubscriptionConfig | None = None
) -> tuple[SubscriptionConfig, Problems]:
    """The config that ``values`` say, the rest as ``before``; and what cannot be (the config is ``before`` then)."""
    before = before or SubscriptionConfig()
    try:
        config = read_subscription_config(show_subscription_config(before) | dict(values))
    except InvalidConfig as error:
        return before, [{"key": key[:64], "message": message} for key, message in error.problems]
    return config, _expression_problems(config)


def url_problems(guard: EgressGuard, url: str) -> Problems:
    """Why a URL cannot be delivered to, as far as can be told without asking DNS."""
    if len(url) > MAX_URL_LENGTH:
        return _problem("url", f"is longer than {MAX_URL_LENGTH} characters")
    if "#" in url:
        return _problem("url", "has a fragment (`#…`), which is not sent to anybody")
    try:
        guard.checked_url(url)
    except EgressRefused as error:
        return _problem("url", f"cannot be sent to: {error.detail}")
    return []


def event_problems(events: Sequence[str]) -> Problems:
    """Why these are no event types to subscribe to."""
    if not 1 <= len(events) <= MOST_EVENTS:
        return _problem("events", f"must name 1 to {MOST_EVENTS} event types or wildcards")
    wrong = [pattern for pattern in events if not is_pattern(pattern)]
    if wrong:
        what = "is neither an event type nor `*`, `order.*` or `*.created`"
        return _problem("events", f"{wrong[0]!r} {what}")
    return []


def source_problems(
    sources: Sequence[str], found: Mapping[str, tuple[str, str]], tenant: str
) -> tuple[tuple[str, ...], Problems]:
    """The ids of the endpoints that ``sources`` name, and what is wrong with them.

    ``found`` has the id and the tenant of each that there is, by how it was named.
    """
    if len(sources) > MOST_SOURCES:
        return (), _problem("sources", f"must name at most {MOST_SOURCES} endpoints")
    ids, problems = [], []
    for source in dict.fromkeys(sources):
        if source == OPERATIONAL:
            ids.append(source)
        elif source not in found:
            problems += _problem("sources", f"{source[:128]!r}: there is no endpoint of that id or slug")
        elif found[source][1] != tenant:
            problems += _problem("sources", f"{source!r} is an endpoint of another tenant")
        else:
            ids.append(found[source][0])
    return tuple(dict.fromkeys(ids)), problems


def credential_problems(config: SubscriptionConfig, existing: frozenset[str]) -> Problems:
    """That the config names a credential which is not among the ``existing``."""
    if config.credential is None or config.credential in existing:
        return []
    return _problem("credential", f"there is no credential {config.credential[:64]!r}")


def signature_problems(before: SubscriptionConfig, after: SubscriptionConfig) -> Problems:
    """That deliveries would be signed in a way that the secret is not made for."""
    if before.signature is after.signature:
        return []
    return _problem("signature", "stays as it was created: make a new subscription, and delete this one")


def null_problems(values: Mapping[str, Any]) -> Problems:
    """Which of the values are null, and cannot be."""
    return [
        problem
        for key, value in values.items()
        if value is None
        for problem in _problem(key, "cannot be null")
    ]


def refuse(problems: Problems) -> None:
    """Raise InvalidSubscription if there are problems."""
    if problems:
        sentence = "; ".join(f"{problem['key']} {problem['message']}" for problem in problems)
        raise InvalidSubscription(sentence, problems=problems)


def first_secret(kind: SignatureKind, given: str | None) -> Secret:
    """The secret of a new subscription: the one that was given, else a new one. Raises InvalidSecret."""
    return Secret(_checked(kind, given))


def rotated(subscription: Subscription, given: str | None, grace: timedelta, now: datetime) -> Subscription:
    """The subscription with a new secret; it is signed with the old ones too until the grace is over.

    Raises InvalidSecret.
    """
    newest = _checked(subscription.config.signature, given)
    return replace(
        subscription, secrets=rotated_secrets(subscription.secrets, newest, grace, now), updated_at=now
    )


def enabled(subscription: Subscription, now: datetime) -> Subscription:
    """The subscription, switched on, whoever switched it off. The challenge is not answered by that."""
    return replace(subscription, is_active=True, disabled_reason=None, disabled_at=None, updated_at=now)


def must_ask_again(before: Subscription, after: Subscription) -> bool:
    """Whether the receiver has to answer the challenge because of a change: it is asked anew, or another one is."""
    if not after.config.challenge:
        return False
    return after.url != before.url or not before.config.challenge


def hint_of(subscription: Subscription, now: datetime) -> str | None:
    """Why nothing is sent to it, and what to do; None when it is sent to."""
    match subscription.status:
        case SubscriptionStatus.INACTIVE:
            return "Nothing is sent: it is not active. Enable it."
        case SubscriptionStatus.DISABLED:
            return f"Nothing is sent: Kanca disabled it ({subscription.disabled_reason}). Enable it when it is mended."
        case SubscriptionStatus.UNVERIFIED:
            return "Nothing is sent: its receiver has not echoed the challenge's token. Ask it again."
    if not live(subscription.secrets, now):
        return "Nothing can be signed: it has no secret. Rotate it."
    return None


def unreadable_hint(unreadable: Sequence[str]) -> str:
    """The hint of a subscription of which ``secrets``, ``config`` or both cannot be read."""
    reasons = {
        "secrets": "no key of KANCA_SECRET_KEY opens its secrets",
        "config": "its config, as it is stored, is not one that this version knows",
    }
    return f"Nothing is sent: {' and '.join(reasons[each] for each in unreadable)}."


def _expression_problems(config: SubscriptionConfig) -> Problems:
    problems: Problems = []
    for key, source, compiles in (
        ("filter", config.filter, compile_filter),
        ("transform", config.transform, compile_transform),
        ("fifo_key", config.fifo_key, compile_fifo_key),
    ):
        try:
            if source is not None:
                compiles(source)
        except InvalidExpression as error:
            problems += _problem(key, error.detail)
    return problems


def _checked(kind: SignatureKind, given: str | None) -> str:
    if given is None:
        return new_secret(kind)
    check_secret(kind, given)
    return given


def _problem(key: str, message: str) -> Problems:
    return [{"key": key, "message": message}]
