"""Deliveries as the provider would make them: for samples, an endpoint's own test, and tests of handlers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from kanca.providers.options import configure
from kanca.providers.samples import fill, new_delivery_id, sample
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.issued import Issued
from kanca.providers.spec import ProviderSpec


class Delivery(NamedTuple):
    """A request of a provider's, and what it is about."""

    event_type: str
    delivery_id: str
    draft: Draft


def make_delivery(
    spec: ProviderSpec,
    options: Mapping[str, Any] | None,
    *,
    now: float,
    url: str = "",
    event_type: str | None = None,
    delivery_id: str | None = None,
    body: bytes | None = None,
) -> Delivery:
    """What the provider would POST at ``now`` (Unix seconds) to ``url``, not signed yet.

    A sample of the event type (the spec's first, where none is named), or ``body``; where event type and delivery id
    are in the body, such a body has them already. Raises InvalidProvider for options that cannot be used.
    """
    configured = configure(spec, options)
    delivery_id = delivery_id or new_delivery_id(configured)
    made = sample(configured, now, delivery_id, event_type)
    headers = {
        name: fill(value, now=now, delivery_id=delivery_id, event_type=made.event_type)
        for name, value in configured.headers.items()
    }
    joint = "&" if "?" in url else "?"
    draft = Draft(
        url=f"{url}{joint}{made.query}" if made.query else url,
        headers={"Content-Type": "application/json"} | headers | made.headers,
        body=made.body if body is None else body,
        now=now,
        delivery_id=delivery_id,
    )
    return Delivery(made.event_type, delivery_id, draft)


def sign(spec: ProviderSpec, options: Mapping[str, Any] | None, secret: str, draft: Draft) -> Draft:
    """The draft as the provider would send it; of several kinds of signature it has the first.

    ``secret`` is what the provider signs with: for one with a key pair the private key, which no endpoint has.
    Raises InvalidProvider for options that cannot be used, InvalidSecret for a secret that is no key, InvalidInput for
    a body that has no place for its signature.
    """
    configured = configure(spec, options)
    return configured.signatures[0].sign(configured.secret, secret, draft)


def issue(spec: ProviderSpec, options: Mapping[str, Any] | None = None) -> Issued:
    """A new secret, or a new pair of keys, as if the provider had made it: for tests and rehearsals.

    Raises InvalidProvider when the options cannot be used.
    """
    configured = configure(spec, options)
    return configured.signatures[0].issue(configured.secret)
