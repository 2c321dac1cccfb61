"""Specs in words."""

from __future__ import annotations

import pytest

from kanca.providers import get_provider, options_of, parse_spec, provider_names
from kanca.providers.description import (
    as_written,
    changes_of,
    other_parameters,
    signature_in_words,
    span,
    time_in_words,
)


@pytest.mark.parametrize("name", provider_names())
def test_every_provider_can_be_told_of(name: str) -> None:
    spec = get_provider(name)

    for one in (spec, *spec.variants.values()):
        for signature in one.signatures:
            assert signature_in_words(signature).endswith(".")
            assert "  " not in signature_in_words(signature)
            assert time_in_words(signature).endswith(".")
    assert parse_spec(as_written(spec)) == spec
    assert len({option.name for option in options_of(spec)}) == len(options_of(spec))


def test_signatures_in_words() -> None:
    said = {
        name: signature_in_words(get_provider(name).signatures[0]) for name in ("github", "generic", "slack")
    }

    assert said == {
        "github": "HMAC-SHA256 of `{body}`, in hex, in the header `X-Hub-Signature-256`, "
        "written `sha256={signature}`.",
        "generic": "A shared token in the header `Authorization`, written `Bearer {token}`. "
        "Nothing of the request is signed.",
        "slack": "HMAC-SHA256 of `v0:{timestamp}:{body}`, in hex, in the header `X-Slack-Signature`, "
        "written `v0={signature}`.",
    }


def test_tokens_that_are_signed_in_words() -> None:
    pubsub = get_provider("google-pubsub").signatures[0]

    assert "signed with a key that the provider publishes (RS256)" in signature_in_words(pubsub)
    assert "covers nothing of the request" in signature_in_words(pubsub)
    assert time_in_words(pubsub).startswith("The token says when it ends")
    assert "hash of the body" in signature_in_words(get_provider("livekit").signatures[0])


def test_an_hmac_of_the_providers_own_kind_in_words() -> None:
    twilio = signature_in_words(get_provider("twilio").signatures[0])

    assert twilio.startswith("HMAC-SHA1, in a way of the provider's own, of `{url}{body}`")


def test_times_in_words() -> None:
    assert time_in_words(get_provider("github").signatures[0]).startswith("No time is signed")
    assert time_in_words(get_provider("slack").signatures[0]) == (
        "The signed time is in the header `X-Slack-Request-Timestamp`, Unix seconds: "
        "at most 5 min old and 5 min ahead."
    )


def test_what_a_scheme_alone_has_is_told_beside() -> None:
    paypal = other_parameters(get_provider("paypal").signatures[0])

    assert set(paypal) == {"algorithm", "certificate"}
    assert other_parameters(get_provider("github").signatures[0]) == {}


def test_a_variant_is_told_by_the_keys_that_differ() -> None:
    sns = get_provider("aws-sns")

    assert changes_of(sns, sns.variants["v2_only"]) == ["signatures"]


def test_options_are_those_that_the_provider_can_have() -> None:
    def named(name: str) -> list[str]:
        return [option.name for option in options_of(get_provider(name))]

    assert named("github") == []
    assert named("stripe") == ["tolerance_seconds"]
    assert named("aws-sns") == ["variant", "tolerance_seconds"]
    algorithm = next(option for option in options_of(get_provider("hmac")) if option.name == "algorithm")
    assert (algorithm.default, algorithm.choices) == ("sha256", ["sha1", "sha256", "sha512"])


@pytest.mark.parametrize(
    ("seconds", "text"), [(15, "15 s"), (0.5, "0.5 s"), (300, "5 min"), (90, "90 s"), (345_600, "96 h")]
)
def test_durations_are_told_in_the_unit_that_they_are_whole_in(seconds: float, text: str) -> None:
    assert span(seconds) == text
