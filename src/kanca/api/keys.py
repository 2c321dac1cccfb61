"""``/api/keys``: who may use the management API, and for what."""

from __future__ import annotations

from datetime import datetime

from fastapi import Response

from kanca.api.audit import About, Audited
from kanca.api.audited import A_KEY
from kanca.api.callers import DEFAULT_TENANT, Caller, CallerTenant
from kanca.api.fields import Cursor, KeyIdPath, Limit, Tenant
from kanca.api.key_models import KeyChange, KeyMade, KeyPage, KeyRequest, KeyView, key_view
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.domain.api_key import ApiKey, digest_of, hint_of, new_key
from kanca.errors import ApiKeyNotFound, BeyondOwnKey, InvalidInput
from kanca.storage import api_keys

router = resource("Keys", "/api/keys")


@router.post(
    "",
    summary="Create a key",
    operation_id="create_key",
    responses=refused_with(InvalidInput, BeyondOwnKey),
)
async def create(
    services: Given, caller: CallerTenant, trail: Audited, response: Response, request: KeyRequest
) -> KeyMade:
    """Make a key. `key` is shown here and never again: only its hash is stored.

    Whoever is confined to a tenant makes keys for that tenant, and no key outlasts the one it is made with.
    """
    now, text = services.now(), new_key()
    _check_expiry(caller, request.expires_at, now)
    tenant = caller.tenant_of(request.tenant)
    if tenant == DEFAULT_TENANT:
        raise InvalidInput(f"What belongs to no tenant is `{DEFAULT_TENANT}`: leave `tenant` out.")
    key = ApiKey(
        id=services.ids.new(),
        name=request.name,
        hint=hint_of(text),
        role=request.role,
        tenant=tenant,
        created_at=now,
        created_by=caller.actor,
        expires_at=request.expires_at,
    )
    made = About[None]("key.created", A_KEY, made=lambda _: key.id)
    await trail.write(made, api_keys.create, key, digest_of(text))
    await services.hear_of_keys()
    response.headers["Cache-Control"] = "no-store"
    return KeyMade(**key_view(key, now).model_dump(), key=text)


@router.get("", summary="List keys", operation_id="list_keys")
async def list_all(
    services: Given, caller: CallerTenant, limit: Limit = 50, cursor: Cursor = None, tenant: Tenant = None
) -> KeyPage:
    """List keys, the newest first, those too that were revoked. `KANCA_ADMIN_KEY` is none of them."""
    page = await services.database.read(api_keys.page, limit, cursor, caller.tenant_of(tenant))
    now = services.now()
    return KeyPage(items=[key_view(key, now) for key in page.items], next_cursor=page.next_cursor)


@router.get("/{key_id}", summary="Read a key", operation_id="get_key", responses=refused_with(ApiKeyNotFound))
async def get(services: Given, caller: CallerTenant, key_id: KeyIdPath) -> KeyView:
    """Read what a key is for, and when it was used."""
    key = await services.database.read(api_keys.get, key_id, caller.tenant)
    return key_view(key, services.now())


@router.put(
    "/{key_id}",
    summary="Change a key",
    operation_id="change_key",
    responses=refused_with(ApiKeyNotFound, BeyondOwnKey, InvalidInput),
)
async def change(
    services: Given, caller: CallerTenant, trail: Audited, key_id: KeyIdPath, request: KeyChange
) -> KeyView:
    """Give a key another name, or another end. What is left out stays."""
    now, given = services.now(), request.model_dump(exclude_unset=True)
    if "name" in given and given["name"] is None:
        raise InvalidInput("`name` cannot be null.")
    if "expires_at" in given:
        _check_expiry(caller, given["expires_at"], now)
    changed = About[ApiKey]("key.changed", A_KEY, key_id)
    key = await trail.write(changed, api_keys.change, key_id, given, caller.tenant)
    await services.hear_of_keys()
    return key_view(key, now)


@router.delete(
    "/{key_id}", summary="Revoke a key", operation_id="revoke_key", responses=refused_with(ApiKeyNotFound)
)
async def revoke(services: Given, caller: CallerTenant, trail: Audited, key_id: KeyIdPath) -> KeyView:
    """End a key for good, with its sessions: here at once, at other gateways within two seconds. It stays listed."""
    now = services.now()
    revoked = About[ApiKey]("key.revoked", A_KEY, key_id)
    key = await trail.write(revoked, api_keys.revoke, key_id, now, caller.tenant)
    await services.hear_of_keys()
    return key_view(key, now)


def _check_expiry(caller: Caller, expires_at: datetime | None, now: datetime) -> None:
    """Raise InvalidInput for an end in the past, BeyondOwnKey for one behind the end of the caller's own key."""
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("`expires_at` must be in the future; to end a key now, revoke it.")
    if caller.expires_at is not None and (expires_at is None or expires_at > caller.expires_at):
        raise BeyondOwnKey("Your own key ends before: give an `expires_at` that is not later.")
