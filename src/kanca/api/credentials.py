"""``/api/credentials``: what workflows and subscriptions prove themselves with. It is taken in, and never given out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Body, Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from sqlalchemy import Connection

from kanca.api.answers import Message
from kanca.api.audit import About, Audited
from kanca.api.audited import CREDENTIAL
from kanca.api.fields import Cursor, Limit
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.domain.credential import (
    MAX_CERTIFICATE_LENGTH,
    MAX_PRIVATE_KEY_LENGTH,
    MAX_VALUE_LENGTH,
    PLAIN_KINDS,
    Credential,
    CredentialKind,
    ImpossibleCredential,
    additions,
    credential_not_found,
    read_credential,
)
from kanca.domain.ids import CHOSEN_ID
from kanca.egress.client_certificates import BadClientCertificate, check_client_certificate
from kanca.egress.headers import checked_headers
from kanca.errors import CredentialInUse, CredentialNotFound, EgressRefused, InvalidCredential
from kanca.storage import credentials, subscriptions
from kanca.storage.credentials import NamedCredential
from kanca.storage.secret_box import SecretBox
from kanca.workflows.credentials import workflows_with

router = resource("Credentials", "/api/credentials")

_EXAMPLE: JsonDict = {
    "name": "shop-api",
    "kind": "bearer",
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
}


def _name(text: str) -> str:
    if not CHOSEN_ID.fullmatch(text):
        raise credential_not_found(text)
    return text


NewName = Annotated[str, Path(description="1 to 64 letters, digits, `-` or `_`.", examples=["shop-api"])]
Name = Annotated[NewName, AfterValidator(_name)]
Part = Annotated[str | None, Field(max_length=MAX_VALUE_LENGTH, repr=False)]


class CredentialRequest(BaseModel):
    """A credential: its kind, and what that consists of."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"kind": "bearer", "token": "sk_live_4eC39HqLyjWDarjtT1zdp7dc"}]},
    )

    kind: CredentialKind = Field(
        description="`bearer` takes `token`, `basic` takes `username` and `password`, `header` and `query` take `name`"
        " and `value`, `oauth2` takes `token_url`, `client_id`, `client_secret` and perhaps `scope`, `mtls` takes"
        " `certificate` and `private_key`. Subscriptions take all kinds, nodes of workflows all but `oauth2` and"
        " `mtls`."
    )
    token: Part = Field(None, description="Of `bearer`: sent as `Authorization: Bearer …`.")
    username: Part = Field(None, description="Of `basic`.")
    password: Part = Field(None, description="Of `basic`; may be empty.")
    name: Part = Field(
        None, description="Of `header` and `query`: what the header or the parameter is called."
    )
    value: Part = Field(None, description="Of `header` and `query`.")
    token_url: Part = Field(None, description="Of `oauth2`: where its tokens come from.")
    client_id: Part = Field(None, description="Of `oauth2`.")
    client_secret: Part = Field(None, description="Of `oauth2`.")
    scope: Part = Field(
        None, description="Of `oauth2`: what tokens are asked for, words with a space between them."
    )
    certificate: Annotated[str | None, Field(max_length=MAX_CERTIFICATE_LENGTH, repr=False)] = Field(
        None,
        description="Of `mtls`: the client's certificate in PEM, and those that it was issued under behind it.",
    )
    private_key: Annotated[str | None, Field(max_length=MAX_PRIVATE_KEY_LENGTH, repr=False)] = Field(
        None, description="Of `mtls`: the certificate's key in PEM, without a passphrase."
    )


class CredentialView(BaseModel):
    """A credential, without what it consists of."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: str
    kind: CredentialKind
    created_at: datetime
    updated_at: datetime


class CredentialPage(BaseModel):
    """Some credentials."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EXAMPLE], "next_cursor": None}]})

    items: list[CredentialView]
    next_cursor: str | None = Field(description="Where the next page begins; null at the end.")


@router.get("", summary="List credentials", operation_id="list_credentials")
async def list_all(services: Given, limit: Limit = 50, cursor: Cursor = None) -> CredentialPage:
    """List credentials by name, without what they consist of."""
    page = await services.database.read(credentials.page, limit, cursor)
    return CredentialPage(items=[_view(found) for found in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{name}",
    summary="Read a credential",
    operation_id="get_credential",
    responses=refused_with(CredentialNotFound),
)
async def get(services: Given, name: Name) -> CredentialView:
    """Read of what kind a credential is. What it consists of is not given out, to nobody."""
    return _view(await services.database.read(credentials.describe, name))


@router.put(
    "/{name}",
    summary="Create or replace a credential",
    operation_id="put_credential",
    responses=refused_with(InvalidCredential, CredentialInUse),
)
async def put(
    services: Given, trail: Audited, name: NewName, request: Annotated[CredentialRequest, Body()]
) -> CredentialView:
    """Store a credential under a name that nodes and subscriptions refer to. What is replaced is not used any more."""
    credential = read_request(name, request)
    about = About[tuple[NamedCredential, bool]](_action, CREDENTIAL, name, detail=_kind)
    stored, _ = await trail.write(about, put_credential, services.secret_box, credential, services.now())
    return _view(stored)


@router.delete(
    "/{name}",
    summary="Delete a credential",
    operation_id="delete_credential",
    responses=refused_with(CredentialNotFound, CredentialInUse),
)
async def delete(trail: Audited, name: Name) -> Message:
    """Delete a credential that no newest and no published version of a workflow refers to, and no subscription."""
    deleted = About[None]("credential.deleted", CREDENTIAL, name)
    await trail.write(deleted, delete_credential, name)
    return Message(message=f"Credential {name} was deleted")


def _action(put: tuple[NamedCredential, bool]) -> str:
    return "credential.created" if put[1] else "credential.replaced"


def _kind(put: tuple[NamedCredential, bool]) -> dict[str, str]:
    return {"kind": put[0].kind}


def delete_credential(connection: Connection, name: str) -> None:
    """Delete a credential that nothing refers to. Raises CredentialNotFound, CredentialInUse."""
    # Taken away first: who refers to it meanwhile is either waited for, and seen here, or finds nothing.
    credentials.remove(connection, name)
    using = {
        "workflows": workflows_with(connection, name),
        "subscriptions": subscriptions.with_credential(connection, name),
    }
    listed = " and by ".join(f"{what} {_listed(ids)}" for what, ids in using.items() if ids)
    if listed:
        raise CredentialInUse(f"Credential {name} is used by {listed}", **using)


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


def read_request(name: str, request: CredentialRequest) -> Credential:
    """The credential that is asked for. Raises InvalidCredential with all that is wrong with it."""
    values: dict[str, Any] = request.model_dump(exclude={"kind"}, exclude_none=True)
    try:
        credential = read_credential(name, request.kind, values)
        if credential.kind in PLAIN_KINDS:
            checked_headers("GET", additions(credential).headers)
        elif credential.kind is CredentialKind.MTLS:
            check_client_certificate(values["certificate"], values["private_key"])
    except ImpossibleCredential as error:
        problems = [{"field": key, "message": what} for key, what in error.problems]
        raise InvalidCredential(str(error), problems=problems) from None
    except BadClientCertificate as error:
        problem = {"field": error.key, "message": error.problem}
        raise InvalidCredential(str(error), problems=[problem]) from None
    except EgressRefused as error:
        raise InvalidCredential(error.detail) from None
    return credential


def put_credential(
    connection: Connection, box: SecretBox, credential: Credential, now: datetime
) -> tuple[NamedCredential, bool]:
    """Store a credential in the place of the one that had its name; also whether it is new. Raises CredentialInUse."""
    # Written first, as what is deleted is: who publishes meanwhile finds this kind, or is seen here.
    stored = credentials.put(connection, box, credential, now)
    using = [] if credential.kind in PLAIN_KINDS else workflows_with(connection, credential.name)
    if using:
        sentence = f"Credential {credential.name} is used by workflows, which cannot send {credential.kind}"
        raise CredentialInUse(sentence, workflows=using)
    return stored


def _view(stored: NamedCredential) -> CredentialView:
    return CredentialView(
        name=stored.name,
        kind=CredentialKind(stored.kind),
        created_at=stored.created_at,
        updated_at=stored.updated_at,
    )
