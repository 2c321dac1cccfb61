"""``kanca provider``: who sends, and how it signs."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.header_dumps import folded, read_header, read_headers
from kanca.cli.options import read_file
from kanca.cli.output import Output, details, page
from kanca.cli.provider_view import provider_details
from kanca.cli.server import AsJson, Server, speaks_to_server
from kanca.cli.specs import ProviderOptions, SpecFile, find_spec, read_options
from kanca.errors import EgressError, InvalidInput

if TYPE_CHECKING:
    from rich.console import RenderableType


app = typer.Typer(name="provider", help="Who sends, and how it signs.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `kanca provider list` names it.")]

PROVIDERS = ("api", "providers")


@app.command("list")
@speaks_to_server
def list_providers(server: Server, output: Output) -> None:
    """List the providers that the server knows."""
    output.show(server.get(*PROVIDERS), page("name", "title", "origin", "label", "signs", "summary"))


@app.command()
@speaks_to_server
def show(server: Server, output: Output, name: Name) -> None:
    """Show how a provider signs, where its secret is found, and what else there is to know."""
    output.show(server.get(*PROVIDERS, name), provider_details)


@app.command()
def verify(
    *,
    name: Name,
    secret: Annotated[
        list[str],
        typer.Option(
            envvar="KANCA_VERIFY_SECRET",
            help="What an endpoint would have: a secret, or the provider's public key; may be repeated.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 - Typer reads the default, nobody changes it
    header: Annotated[
        list[str],
        typer.Option(
            metavar="'NAME: VALUE'", help="A header of the request; may be repeated.", show_default=False
        ),
    ] = [],  # noqa: B006 - as above
    headers: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="All headers: lines, `curl -v`, JSON, or what a framework prints of them; - is standard input.",
            show_default=False,
        ),
    ] = None,
    body: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="The exact bytes of the body; - is standard input.", show_default=False
        ),
    ] = None,
    url: Annotated[
        str, typer.Option(metavar="URL", help="The address as the sender has it: some sign it.")
    ] = "https://localhost/",
    method: Annotated[str, typer.Option(help="The request's method.")] = "POST",
    at: Annotated[
        str, typer.Option(metavar="TIME", help="When it came, such as 2026-03-01T12:00:00Z.")
    ] = "now",
    options: ProviderOptions = None,
    spec: SpecFile = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Get the certificate or the keys that the proof needs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether a request is proven to come from a provider, and why not; no server is needed.

    The exit code is 0 when it is, and 1 when it is not.
    """
    from kanca.cli.verification import Case
    from kanca.providers import SignedRequest

    if [headers, body, spec].count("-") > 1:
        raise InvalidInput("Only one of --headers, --body and --spec can be standard input.")
    pairs = read_headers(read_file(headers).decode("utf-8", "replace")) if headers else []
    request = SignedRequest(
        method.upper(),
        url,
        folded([*pairs, *map(read_header, header)]),
        read_file(body) if body else b"",
    )
    case = Case(find_spec(name, spec), read_options(options), request, secret, _instant(at))
    verdict = case.judge(_fetch if fetch else None)
    Output(as_json).show_data(verdict, _for_people)
    if not verdict["is_verified"]:
        raise typer.Exit(1)


@app.command()
def keypair(
    *, name: Name, options: ProviderOptions = None, spec: SpecFile = None, as_json: AsJson = False
) -> None:
    """Make keys to try a provider with that signs with a private one.

    The public key is for an endpoint (`kanca endpoint create --secret`), the private one for `kanca send --secret`.
    """
    from kanca.providers import issue

    described = find_spec(name, spec)
    issued = issue(described, read_options(options))
    if issued.is_shared:
        raise InvalidInput(
            f"{described.title} and its receivers share one secret: `kanca send` signs with the endpoint's own."
        )
    if issued.documents:
        raise InvalidInput(
            f"{described.title} signs with what it publishes itself: "
            f"use `kanca send {name} --endpoint`, a rehearsal that brings its own."
        )
    Output(as_json).show_data({"private": issued.signing, "public": issued.checking}, details)


def _instant(text: str) -> float:
    """Unix seconds. Raises InvalidInput."""
    if text == "now":
        return time.time()
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise InvalidInput(
            f"--at is `now` or a time with its offset, such as 2026-03-01T12:00:00Z, not {text!r}."
        )
    return instant.timestamp()


def _fetch(url: str) -> bytes:
    """The public document at a URL. Raises EgressError."""
    import asyncio

    from kanca.app.outgoing import Outgoing
    from kanca.settings import load_settings

    async def get() -> tuple[int, bytes]:
        outgoing = Outgoing(load_settings())
        try:
            return await outgoing.get(url)
        finally:
            await outgoing.close()

    status, document = asyncio.run(get())
    if status != 200:
        raise EgressError(f"{url} answered {status}.")
    return document


def _for_people(verdict: dict[str, Any]) -> RenderableType:
    rows = {
        "verified": verdict["is_verified"],
        "reason": f"{verdict['reason']} ({verdict['code']})" if verdict["code"] else verdict["reason"],
        "handshake": verdict["handshake"],
        "event type": verdict["event_type"],
        "delivery id": verdict["delivery_id"],
        "signed at": verdict["signed_at"],
        "signed": "\n".join(_part(part) for part in verdict["signed"]),
        "body": f"{verdict['body_bytes']} bytes",
        "notes": "\n".join(verdict["notes"]),
    }
    return details({name: value for name, value in rows.items() if value not in (None, "")})


def _part(part: dict[str, Any]) -> str:
    name, length = str(part["part"]).replace("\n", "\\n"), part["bytes"]
    if name.startswith("{secret"):
        return name
    return f"{name}: {'not there' if length is None else f'{length} bytes'}"
