"""What people are told of an endpoint that cannot be used yet, or that does not take what they expect."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from kanca.api.endpoint_rules import is_built_in, may_be_active, secret_problem, waits_for_secret
from kanca.domain.endpoint import RESUME_WEBHOOK_ID, Endpoint
from kanca.providers import ProviderSpec, configure


def hint_of(
    endpoint: Endpoint, spec: ProviderSpec | None, now: datetime, *, has_public_url: bool
) -> str | None:
    """What is missing before senders can use the endpoint; None when nothing is.

    ``spec`` is None for a provider that is unknown; ``has_public_url`` says whether KANCA_PUBLIC_URL is set.
    """
    if spec is None:
        return (
            f"Takes nothing: its provider `{endpoint.provider}` is unknown here, "
            "or its spec or options are not valid."
        )
    hints = (_about_secret(endpoint, spec, now), None if has_public_url else _about_url(endpoint, spec))
    return " ".join(filter(None, hints)) or None


def unreadable_hint(unreadable: Collection[str]) -> str:
    """The hint of an endpoint of which ``secrets``, ``config`` or both cannot be read."""
    reasons = {
        "secrets": "no key of KANCA_SECRET_KEY opens its secrets",
        "config": "its config, as it is stored, is not one that this version knows",
    }
    why = "; ".join(reasons[what] for what in unreadable)
    return f"Takes nothing: {why}. Until that is mended it can only be deleted."


def _about_secret(endpoint: Endpoint, spec: ProviderSpec, now: datetime) -> str | None:
    if endpoint.webhook_id == RESUME_WEBHOOK_ID:
        return None
    if waits_for_secret(spec, endpoint.config, endpoint.secrets):
        return (
            f"Waits for {spec.title} to bring its secret, and refuses all else until then: give it this address "
            "(the one with `wh_`) within a day after the endpoint was made or last changed."
        )
    how = (
        f"`kanca endpoint rotate-secret {endpoint.webhook_id} --secret …`, or "
        f'POST /api/webhooks/endpoints/{endpoint.webhook_id}/rotate-secret with {{"secret": "…"}}'
    )
    problem = secret_problem(spec, endpoint, now)
    if problem is not None:
        return f"Takes nothing until it has another secret: {how}. {problem}"
    if may_be_active(spec, endpoint.config, endpoint.secrets):
        return None
    if is_built_in(endpoint):
        return "Inactive until the setting KANCA_WEBHOOK_SECRET says what its senders sign with."
    where = f" ({spec.secret.where})" if spec.secret.where else ""
    return f"Inactive until it has the secret that {spec.title} signs with{where}: {how}."


def _about_url(endpoint: Endpoint, spec: ProviderSpec) -> str | None:
    configured = configure(spec, endpoint.config.provider_options)
    if not endpoint.config.authentication_required or not configured.signs_url:
        return None
    return (
        f"{spec.title} signs the address that it sends to: set KANCA_PUBLIC_URL to the beginning of it, "
        "or its signatures may not fit, as behind a proxy."
    )
