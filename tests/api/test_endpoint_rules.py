"""What an endpoint may be, decided purely."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.api import endpoint_rules as rules
from kanca.api.secret_rotation import CLOCKS_DIFFER_BY, MOST_SECRETS, masked
from kanca.domain.endpoint import Dedupe, EndpointConfig, Secret
from kanca.errors import InvalidEndpoint, InvalidSecret, SecretRequired
from kanca.providers import Catalogue, generate_secret, get_provider, provider_names
from tests.factories import new_endpoint

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GENERIC = get_provider("generic")


def values(*secrets: Secret) -> list[str]:
    return [secret.value for secret in secrets]


def test_rotating_often_keeps_a_bounded_number_of_secrets() -> None:
    endpoint = new_endpoint(secrets=(Secret("secret-0"),))
    for n in range(1, 20):
        endpoint = rules.rotated(endpoint, GENERIC, f"secret-{n}", DAY, NOW)

    assert values(*endpoint.secrets) == [f"secret-{n}" for n in range(19, 19 - MOST_SECRETS, -1)]


def test_without_grace_all_older_secrets_have_ended_and_are_still_known() -> None:
    endpoint = new_endpoint(secrets=(Secret("old"), Secret("older", NOW + DAY), Secret("oldest", NOW - DAY)))

    rotated = rules.rotated(endpoint, GENERIC, "newest", timedelta(0), NOW)

    assert values(*rotated.secrets) == ["newest", "old", "older", "oldest"]
    assert rotated.secrets[-1].expires_at == NOW - DAY
    slow = NOW - CLOCKS_DIFFER_BY
    assert values(*rules.live_secrets(rotated, slow)) == ["newest"]


def test_what_has_ended_takes_no_place_from_what_is_live() -> None:
    endpoint = new_endpoint(secrets=(Secret("secret-0"),))
    for n in range(1, 6):
        endpoint = rules.rotated(endpoint, GENERIC, f"secret-{n}", timedelta(0), NOW)
    for n in range(6, 8 + MOST_SECRETS):
        endpoint = rules.rotated(endpoint, GENERIC, f"secret-{n}", DAY, NOW)

    assert len(rules.live_secrets(endpoint, NOW)) == len(endpoint.secrets) == MOST_SECRETS


def test_an_ended_secret_does_not_hide_that_the_live_one_fits_no_more() -> None:
    sendgrid = get_provider("sendgrid")
    secrets = (Secret("no public key"), Secret(generate_secret(sendgrid), NOW))
    endpoint = new_endpoint(provider="sendgrid", secrets=secrets)

    assert rules.secret_problem(sendgrid, endpoint, NOW - DAY) is None
    assert rules.secret_problem(sendgrid, endpoint, NOW) is not None


def test_a_grace_does_not_lengthen_the_life_of_older_secrets_nor_revive_dead_ones() -> None:
    soon = NOW + timedelta(minutes=5)
    endpoint = new_endpoint(secrets=(Secret("old"), Secret("older", soon), Secret("oldest", NOW)))

    rotated = rules.rotated(endpoint, GENERIC, "newest", DAY, NOW)

    assert rotated.secrets == (
        Secret("newest"),
        Secret("old", NOW + DAY),
        Secret("older", soon),
        Secret("oldest", NOW),
    )


def test_giving_an_older_secret_again_keeps_it_once_and_without_end() -> None:
    endpoint = new_endpoint(secrets=(Secret("secret-2"), Secret("secret-1", NOW + DAY)))

    rotated = rules.rotated(endpoint, GENERIC, "secret-1", DAY, NOW)

    assert rotated.secrets == (Secret("secret-1"), Secret("secret-2", NOW + DAY))


def test_rotating_does_not_turn_on_what_a_person_turned_off() -> None:
    off = new_endpoint(secrets=(Secret("secret-1"),), is_active=False)

    assert not rules.rotated(off, GENERIC, "secret-2", DAY, NOW).is_active
    assert rules.rotated(replace(off, secrets=()), GENERIC, "secret-2", DAY, NOW).is_active


@pytest.mark.parametrize("provider", provider_names())
def test_every_provider_has_a_secret_or_waits_for_one(provider: str) -> None:
    spec = get_provider(provider)
    config = EndpointConfig()

    secrets = rules.first_secrets(spec, config, None)
    brings_its_own = any(handshake.store_secret for handshake in spec.handshakes)

    assert bool(secrets) is not spec.secret.is_issued
    assert rules.may_be_active(spec, config, secrets) is (bool(secrets) or brings_its_own)
    with pytest.raises(InvalidSecret):
        rules.first_secrets(spec, config, "\x00")


def test_an_endpoint_waits_only_for_a_provider_that_brings_its_secret() -> None:
    asana, config = get_provider("asana"), EndpointConfig()
    assert rules.waits_for_secret(asana, config, ())
    assert not rules.waits_for_secret(asana, config, (Secret("x"),))
    assert not rules.waits_for_secret(asana, EndpointConfig(authentication_required=False), ())
    assert not rules.waits_for_secret(get_provider("stripe"), config, ())
    rules.check_activity(new_endpoint(provider="asana"), asana)


def test_an_endpoint_that_must_verify_needs_something_to_verify_with() -> None:
    endpoint = new_endpoint(provider="stripe")
    with pytest.raises(SecretRequired, match="Signing secret"):
        rules.check_activity(endpoint, get_provider("stripe"))
    rules.check_activity(replace(endpoint, is_active=False), GENERIC)
    rules.check_activity(replace(endpoint, config=EndpointConfig(authentication_required=False)), GENERIC)


def test_a_window_longer_than_the_retention_is_refused_only_if_asked_for() -> None:
    assert rules.read_endpoint_config({}, 3).dedupe_window_days == 3
    before = EndpointConfig(dedupe_window_days=7, webhook_timeout=5)
    after = rules.read_endpoint_config({"enable_cors": False}, 3, before)
    assert (after.dedupe_window_days, after.webhook_timeout, after.enable_cors) == (3, 5, False)
    with pytest.raises(InvalidEndpoint):
        rules.read_endpoint_config({"dedupe_window_days": 4}, 3, before)


def test_a_provider_that_signs_a_checksum_keeps_its_own_dedupe() -> None:
    catalogue = Catalogue()
    rules.described(catalogue, "paypal", EndpointConfig())
    with pytest.raises(InvalidEndpoint, match="checksum"):
        rules.described(catalogue, "paypal", EndpointConfig(dedupe=Dedupe.OFF))
    rules.described(catalogue, "stripe", EndpointConfig(dedupe=Dedupe.OFF))


def test_what_is_public_does_not_become_a_secret() -> None:
    discord, own = get_provider("discord"), EndpointConfig(provider_spec={"name": "own"})
    hmac = get_provider("hmac")
    before = new_endpoint(provider="discord", secrets=(Secret("a public key"),))

    rules.check_kind_of_secret(before, discord, discord, EndpointConfig())
    rules.check_kind_of_secret(replace(before, secrets=()), discord, hmac, own)
    rules.check_kind_of_secret(before, hmac, hmac, own)
    with pytest.raises(InvalidEndpoint, match="public key"):
        rules.check_kind_of_secret(before, discord, hmac, own)


@given(st.text(min_size=1))
def test_a_masked_secret_shows_a_sixth_at_most(secret: str) -> None:
    shown = masked(secret).removeprefix("…")
    assert len(shown) * 6 <= len(secret)
    assert secret.endswith(shown)
