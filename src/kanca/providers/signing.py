"""Signing as the provider would: for samples, an endpoint's own test, and tests of handlers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kanca.providers.options import configure
from kanca.providers.samples import fill
from kanca.providers.schemes.draft import Draft
from kanca.providers.spec import ProviderSpec


def sign(
    spec: ProviderSpec,
    options: Mapping[str, Any] | None,
    secret: str,
    body: bytes,
    now: float,
    delivery_id: str,
    event_type: str,
    url: str = "",
) -> dict[str, str]:
    """The headers that the provider would send with a POST of ``body`` at ``now`` (Unix seconds) to ``url``.

    Where event type and delivery id are in the body, the body has them already. Of several kinds of signature the
    first is used. Raises InvalidProvider for options that cannot be used, InvalidSecret for a secret that is no key.
    """
    configured = configure(spec, options)
    headers = {
        name: fill(value, now=now, delivery_id=delivery_id, event_type=event_type)
        for name, value in configured.headers.items()
    }
    draft = Draft(url, headers, body, now, delivery_id)
    return headers | configured.signatures[0].sign(configured.secret, secret, draft)
