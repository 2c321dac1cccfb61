"""Creating and changing subscriptions, each in one transaction with what it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

from sqlalchemy import Connection

from kanca.api import subscription_rules as rules
from kanca.api.callers import DEFAULT_TENANT, Caller
from kanca.api.endpoint_models import Rotation
from kanca.api.services import Services
from kanca.api.subscription_requests import SubscriptionChange, SubscriptionRequest
from kanca.domain.ids import SUBSCRIPTION, show_id
from kanca.domain.subscription import OPERATIONAL, Subscription, SubscriptionConfig
from kanca.errors import NotForTenants
from kanca.storage import credentials, endpoints, subscriptions
from kanca.storage.versions import bump_version

OPERATORS = frozenset({"credential", "sources"})
"""What a tenant cannot set: it would get at what is the operator's."""
_LONGEST_NAME = 200


def create_subscription(
    connection: Connection, services: Services, caller: Caller, request: SubscriptionRequest
) -> Subscription:
    """Store the subscription that is asked for.

    Raises InvalidSubscription, InvalidSecret, SubscriptionExists, NotForTenants.
    """
    caller.check_fields(request.model_fields_set, OPERATORS)
    tenant = caller.tenant_of(request.tenant) or DEFAULT_TENANT
    # Locked first, as by changes: who waits for the lock of a credential holds none that others wait for.
    bump_version(connection, "subscriptions")
    config, problems = rules.read_options(request.given_options())
    problems += rules.url_problems(services.guard, request.url)
    problems += rules.event_problems(request.events)
    sources, wrong_sources = _sources(connection, request.sources, tenant)
    rules.refuse(problems + wrong_sources + _credential_problems(connection, config))
    given = request.secret.get_secret_value() if request.secret else None
    now = services.now()
    subscription = Subscription(
        number=0,
        id=request.id or show_id(SUBSCRIPTION, services.ids.new()),
        tenant=tenant,
        name=request.name or (urlsplit(request.url).hostname or request.url)[:_LONGEST_NAME],
        url=request.url,
        events=tuple(dict.fromkeys(request.events)),
        sources=sources,
        config=config,
        secrets=(rules.first_secret(config.signature, given),),
        is_active=request.active,
        is_verified=not config.challenge,
        disabled_reason=None,
        disabled_at=None,
        created_at=now,
        updated_at=now,
    )
    return subscriptions.create(connection, services.secret_box, subscription)


def change_subscription(
    connection: Connection,
    services: Services,
    caller: Caller,
    subscription_id: str,
    request: SubscriptionChange,
) -> tuple[Subscription, bool]:
    """Change what the request has of the subscription; gives it, and whether its receiver must be asked again.

    Raises SubscriptionNotFound, InvalidSubscription, NotForTenants.
    """
    caller.check_fields(request.model_fields_set, OPERATORS)
    given = request.model_dump(include={"url", "events", "name", "active", "sources"}, exclude_unset=True)
    must_ask = False

    def changed(before: Subscription) -> Subscription:
        nonlocal must_ask
        config, problems = rules.read_options(request.given_options(), before.config)
        problems += rules.signature_problems(before.config, config) + rules.null_problems(given)
        sources = before.sources
        if request.url is not None:
            _check_own_url(caller, before, request.url)
            problems += rules.url_problems(services.guard, request.url)
        if request.events is not None:
            problems += rules.event_problems(request.events)
        if request.sources is not None:
            sources, wrong_sources = _sources(connection, request.sources, before.tenant)
            problems += wrong_sources
        if "credential" in request.model_fields_set:
            problems += _credential_problems(connection, config)
        rules.refuse(problems)
        after = replace(
            before,
            url=given.get("url", before.url),
            events=tuple(dict.fromkeys(given.get("events", before.events))),
            name=given.get("name", before.name),
            is_active=given.get("active", before.is_active),
            sources=sources,
            config=config,
            updated_at=services.now(),
        )
        must_ask = rules.must_ask_again(before, after)
        return replace(after, is_verified=not must_ask and (before.is_verified or not after.config.challenge))

    box = services.secret_box
    return subscriptions.change(connection, box, subscription_id, changed, caller.tenant), must_ask


def enable_subscription(
    connection: Connection, services: Services, caller: Caller, subscription_id: str
) -> Subscription:
    """Switch a subscription on, whoever switched it off, and begin anew to count how long it has failed.

    Raises SubscriptionNotFound.
    """
    now = services.now()

    def enabled(before: Subscription) -> Subscription:
        return rules.enabled(before, now)

    subscription = subscriptions.change(
        connection, services.secret_box, subscription_id, enabled, caller.tenant
    )
    health = subscriptions.health_of(connection, [subscription.number])[subscription.number]
    if health.failing_since is not None:
        subscriptions.note_health(connection, [replace(health, failing_since=None)])
    return subscription


def rotate_subscription_secret(
    connection: Connection, services: Services, caller: Caller, subscription_id: str, rotation: Rotation
) -> Subscription:
    """Give a subscription a new secret; deliveries are signed with the old one too until the grace is over.

    Raises SubscriptionNotFound, InvalidSecret.
    """
    given = rotation.secret.get_secret_value() if rotation.secret else None
    grace, now = timedelta(seconds=rotation.grace_seconds), services.now()

    def rotated(subscription: Subscription) -> Subscription:
        return rules.rotated(subscription, given, grace, now)

    return subscriptions.change(connection, services.secret_box, subscription_id, rotated, caller.tenant)


def _check_own_url(caller: Caller, before: Subscription, url: str) -> None:
    """Raise NotForTenants when a tenant would have a credential of the operator's sent somewhere else."""
    if caller.tenant is not None and before.config.credential is not None and url != before.url:
        raise NotForTenants(
            "The subscription carries a credential of the operator's: only the operator may have it sent elsewhere.",
            fields=["url"],
        )


def _sources(
    connection: Connection, sources: Sequence[str], tenant: str
) -> tuple[tuple[str, ...], rules.Problems]:
    found = endpoints.by_address(connection, {source for source in sources if source != OPERATIONAL})
    return rules.source_problems(sources, found, tenant)


def _credential_problems(connection: Connection, config: SubscriptionConfig) -> rules.Problems:
    named = [config.credential] if config.credential is not None else []
    return rules.credential_problems(config, credentials.existing(connection, named))
