"""What holds for every variant of every provider: other products, other ways of signing."""

from __future__ import annotations

import pytest

from kanca.providers import (
    Refusal,
    Verified,
    compile_extractor,
    compile_verifier,
    configure,
    get_provider,
    issue,
    make_delivery,
    provider_names,
    sign,
)
from tests.providers.arriving import NOW

URL = "https://hooks.example.com/webhooks/x"
VARIANTS = [(name, variant) for name in provider_names() for variant in get_provider(name).variants]
SAMPLES = [
    (name, variant, entry.event_type)
    for name, variant in VARIANTS
    for entry in get_provider(name).variants[variant].samples
]


def test_the_catalogue_has_variants() -> None:
    assert {("gitlab", "signing_token"), ("mollie", "classic"), ("bigcommerce", "headers")} <= set(VARIANTS)


@pytest.mark.parametrize(("name", "variant", "event_type"), SAMPLES)
def test_a_sample_of_a_variant_goes_the_whole_way(name: str, variant: str, event_type: str) -> None:
    spec, options = get_provider(name), {"variant": variant}
    issued = issue(spec, options)
    delivery = make_delivery(spec, options, now=NOW, url=URL, event_type=event_type)
    request = sign(spec, options, issued.signing, delivery.draft).request()
    request.documents = issued.documents
    verdict = compile_verifier(spec, options).verify(request, [issued.checking], NOW)
    assert isinstance(verdict, Verified)
    extractor = compile_extractor(spec, options)
    found = extractor.extract(request.headers, request.document(), verdict.signed_id, request.body)
    configured = configure(spec, options)
    if configured.event_type:
        assert found.event_type == event_type
    assert bool(found.delivery_id) == bool(configured.delivery_id)


def test_a_variant_without_a_proof_is_taken_only_where_the_endpoint_says_so() -> None:
    spec, options = get_provider("mollie"), {"variant": "classic"}
    request = sign(spec, options, "", make_delivery(spec, options, now=NOW, url=URL).draft).request()
    assert isinstance(compile_verifier(spec).verify(request, ["a secret"], NOW), Refusal)
    assert isinstance(compile_verifier(spec, options).verify(request, [], NOW), Verified)


@pytest.mark.parametrize("name", ["gitlab", "bigcommerce"])
def test_a_token_and_a_signature_do_not_stand_in_for_each_other(name: str) -> None:
    spec = get_provider(name)
    (variant,) = spec.variants
    for one, other in ((None, {"variant": variant}), ({"variant": variant}, None)):
        issued = issue(spec, one)
        draft = make_delivery(spec, one, now=NOW, url=URL).draft
        request = sign(spec, one, issued.signing, draft).request()
        assert isinstance(compile_verifier(spec, other).verify(request, [issued.checking], NOW), Refusal)
