"""Who asks is not known (401), or may not do it (403)."""

from __future__ import annotations

from kanca.errors.families import Forbidden, Unauthenticated


class TokenExpired(Unauthenticated):
    """The token's time is over; get a new one."""

    code = "token_expired"
    title = "Token expired"


class KeyExpired(Unauthenticated):
    """The key's time is over; get another one."""

    code = "key_expired"
    title = "Key expired"


class KeyRevoked(Unauthenticated):
    """The key was revoked; get another one."""

    code = "key_revoked"
    title = "Key revoked"


class SessionOver(Unauthenticated):
    """The session is over; sign in again."""

    code = "session_over"
    title = "Session over"


class NotForTenants(Forbidden):
    """Who is confined to a tenant may not do this."""

    code = "not_for_tenants"
    title = "Not for tenants"


class RoleNotAllowed(Forbidden):
    """The key's role may not do this; `roles` says which may."""

    code = "role_not_allowed"
    title = "Not for this role"


class BeyondOwnKey(Forbidden):
    """No key can be given more than the key has that it is made with."""

    code = "beyond_own_key"
    title = "Beyond your own key"


class CsrfRefused(Forbidden):
    """With a session, changes come from Kanca's own pages, with the header `X-CSRF-Token`."""

    code = "csrf_refused"
    title = "Not from this site"


class ReadOnlyToken(Forbidden):
    """The token is for reading only."""

    code = "read_only_token"
    title = "Read-only token"
