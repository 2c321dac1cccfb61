"""``kanca credential``: what workflows and subscriptions prove themselves with."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from kanca.cli.options import STDIN, Cursor, Limit, read_file
from kanca.cli.output import Output, details, page
from kanca.cli.server import Server, speaks_to_server
from kanca.errors import InvalidInput

app = typer.Typer(
    name="credential",
    help="What workflows and subscriptions prove themselves with to others.",
    no_args_is_help=True,
)

CREDENTIALS = ("api", "credentials")
Name = Annotated[str, typer.Argument(metavar="NAME", help="What workflows and subscriptions call it.")]


class Kind(StrEnum):
    """The kinds of credentials, and what of each is secret."""

    BEARER = "bearer"
    BASIC = "basic"
    HEADER = "header"
    QUERY = "query"
    OAUTH2 = "oauth2"
    MTLS = "mtls"


_SECRETS = {
    Kind.BEARER: "token",
    Kind.BASIC: "password",
    Kind.HEADER: "value",
    Kind.QUERY: "value",
    Kind.OAUTH2: "client_secret",
    Kind.MTLS: "private_key",
}
_NEEDED: dict[Kind, dict[str, str]] = {
    Kind.BEARER: {},
    Kind.BASIC: {"--username": "username"},
    Kind.HEADER: {"--header-name": "name"},
    Kind.QUERY: {"--query-name": "name"},
    Kind.OAUTH2: {"--token-url": "token_url", "--client-id": "client_id"},
    Kind.MTLS: {"--certificate": "certificate"},
}
_POSSIBLE: dict[Kind, dict[str, str]] = {Kind.OAUTH2: {"--scope": "scope"}}


@app.command("list")
@speaks_to_server
def list_credentials(server: Server, output: Output, *, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the credentials; what they consist of is never shown."""
    answer = server.get(*CREDENTIALS, limit=limit, cursor=cursor)
    output.show(answer, page("name", "kind", "created_at", "updated_at"))


@app.command()
@speaks_to_server
def show(server: Server, output: Output, name: Name) -> None:
    """Show of what kind a credential is, and since when."""
    output.show(server.get(*CREDENTIALS, name), details)


@app.command("set")
@speaks_to_server
def set_credential(
    server: Server,
    output: Output,
    name: Name,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="What holds the token, password, value, client secret or private key; - is standard input."
            " Left out, it is asked for.",
            show_default=False,
        ),
    ] = None,
    *,
    kind: Annotated[Kind, typer.Option(help="How it is sent.")] = Kind.BEARER,
    username: Annotated[str | None, typer.Option(help="Of a basic credential.", show_default=False)] = None,
    header_name: Annotated[
        str | None, typer.Option(help="Of a header credential.", show_default=False)
    ] = None,
    query_name: Annotated[
        str | None, typer.Option(help="Of a query credential: the parameter's name.", show_default=False)
    ] = None,
    token_url: Annotated[
        str | None, typer.Option(help="Of an oauth2 credential: where tokens come from.", show_default=False)
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(help="Of an oauth2 credential.", show_default=False)
    ] = None,
    scope: Annotated[
        str | None, typer.Option(help="Of an oauth2 credential, if it needs one.", show_default=False)
    ] = None,
    certificate: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Of an mtls credential: its certificates in PEM.", show_default=False
        ),
    ] = None,
) -> None:
    """Store a credential, in the place of the one that had its name."""
    options = {
        "--username": username,
        "--header-name": header_name,
        "--query-name": query_name,
        "--token-url": token_url,
        "--client-id": client_id,
        "--scope": scope,
        "--certificate": None if certificate is None else _text(certificate),
    }
    body = credential_of(kind, options) | {_SECRETS[kind]: _secret(kind, file)}
    output.show(server.put(*CREDENTIALS, name, body=body), details)


@app.command()
@speaks_to_server
def delete(server: Server, output: Output, name: Name) -> None:
    """Delete a credential that no workflow uses."""
    output.show(server.delete(*CREDENTIALS, name), lambda done: str(done["message"]))


def credential_of(kind: Kind, options: dict[str, str | None]) -> dict[str, Any]:
    """A credential as the API takes it, without its secret. Raises InvalidInput for options of another kind."""
    needed = _NEEDED[kind]
    possible = needed | _POSSIBLE.get(kind, {})
    a_kind = f"{'an' if kind in (Kind.OAUTH2, Kind.MTLS) else 'a'} {kind} credential"
    for option, value in options.items():
        if value is None and option in needed:
            raise InvalidInput(f"{a_kind.capitalize()} needs {option}.")
        if value is not None and option not in possible:
            raise InvalidInput(f"{option} is not for {a_kind}.")
    given = {key: options[option] for option, key in possible.items() if options.get(option) is not None}
    return {"kind": str(kind)} | given


def _secret(kind: Kind, file: str | None) -> str:
    """What is secret of it: never an argument, which everybody on the machine can see while the command runs."""
    if file is not None:
        return _text(file)
    asked = _SECRETS[kind].replace("_", " ").capitalize()
    return str(typer.prompt(asked, default="", hide_input=True, show_default=False))


def _text(file: str) -> str:
    try:
        return read_file(file).decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        what = "Standard input" if file == STDIN else "The file"
        raise InvalidInput(f"{what} is not UTF-8.") from None
