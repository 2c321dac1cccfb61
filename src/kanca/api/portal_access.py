"""What a tenant may reach with a portal token. What is not listed here is refused, whatever route is added later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from starlette.routing import compile_path

from kanca.api.callers import Caller, Proof
from kanca.domain.portal_token import PREFIX, read_token
from kanca.domain.signed_token import ExpiredToken, InvalidToken
from kanca.errors import NotForTenants, ReadOnlyToken, TokenExpired, Unauthenticated

_SUBSCRIPTIONS = "/webhooks/subscriptions"
_SUBSCRIPTION = _SUBSCRIPTIONS + "/{subscription_id}"
_REPLAYS = "/api/replays"

PORTAL_ROUTES = (
    *((method, _SUBSCRIPTIONS) for method in ("GET", "POST")),
    *((method, _SUBSCRIPTION) for method in ("GET", "PUT", "DELETE")),
    *(
        ("POST", f"{_SUBSCRIPTION}/{action}")
        for action in ("test", "rotate-secret", "reveal-secret", "enable", "challenge", "replay")
    ),
    ("GET", "/api/deliveries"),
    ("GET", "/api/deliveries/{delivery_id}"),
    ("POST", "/api/deliveries/{delivery_id}/resend"),
    ("GET", "/api/event-types"),
    ("GET", _REPLAYS),
    ("GET", _REPLAYS + "/{replay_id}"),
    ("POST", _REPLAYS + "/{replay_id}/cancel"),
)
"""Method and path, as the routes are written."""

_PATTERNS = tuple((method, compile_path(path)[0]) for method, path in PORTAL_ROUTES)


def is_for_tenants(method: str, path: str) -> bool:
    """Whether tenants may ask for this; ``path`` is one of a request, or as a route is written."""
    return any(method == each and pattern.fullmatch(path) for each, pattern in _PATTERNS)


def portal_token_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """What a request gives as a portal token; None when it comes with something else, or nothing."""
    scheme, _, key = dict(headers).get(b"authorization", b"").partition(b" ")
    text = key.strip().decode("latin-1")
    return text if scheme.lower() == b"bearer" and text.startswith(PREFIX) else None


def tenant_calling(keys: Sequence[bytes], token: str, method: str, path: str, now: datetime) -> Caller:
    """The tenant that asks for this with a token.

    Raises Unauthenticated and TokenExpired for the token, NotForTenants and ReadOnlyToken for what is asked.
    """
    try:
        said = read_token(keys, token, now)
    except InvalidToken:
        raise Unauthenticated("The token is not valid.") from None
    except ExpiredToken:
        raise TokenExpired from None
    if not is_for_tenants(method, path):
        raise NotForTenants
    if said.is_read_only and method != "GET":
        raise ReadOnlyToken
    return Caller(said.tenant, said.is_read_only, proof=Proof.PORTAL_TOKEN)
