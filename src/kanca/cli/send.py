"""``kanca send``: what a provider would send, signed as it would."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.http import Answer, call
from kanca.cli.options import read_file
from kanca.cli.output import Output, details, plain, progress
from kanca.cli.server import AsJson, Key, Server, Url, find_server
from kanca.cli.specs import ProviderOptions, SpecFile, find_spec, read_options
from kanca.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kanca.providers import ProviderSpec


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends deliveries of one kind to one address."""

    provider: ProviderSpec
    options: dict[str, Any] | None
    to: str
    secret: str
    event_type: str | None
    body: bytes | None
    """What to send instead of the provider's sample."""

    def send(self) -> dict[str, Any]:
        """Sign and send one delivery, with an id of its own; what was sent, and what was answered."""
        from kanca.providers import make_delivery, sign

        event_type, delivery_id, draft = make_delivery(
            self.provider,
            self.options,
            now=time.time(),
            url=self.to,
            event_type=self.event_type,
            body=self.body,
        )
        signed = sign(self.provider, self.options, self.secret, draft)
        answer = call(signed.method, signed.url, signed.headers, signed.body)
        try:
            said = json.loads(answer.body)
        except (ValueError, RecursionError):
            said = answer.body.decode("utf-8", "replace")
        return {
            "event_type": event_type,
            "delivery_id": delivery_id,
            "status_code": answer.status,
            "answer": said,
        }


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Has a server send deliveries to one of its endpoints, with proofs that hold for these alone."""

    server: Server
    webhook_id: str
    event_type: str | None

    def send(self) -> dict[str, Any]:
        """One delivery, and what was answered."""
        tested = self.server.post(
            "api", "webhooks", self.webhook_id, "test", body={"event_type": self.event_type}
        ).data
        return {"status_code": tested["response_status"], "answer": tested["response_body"]}


def send(
    *,
    provider: Annotated[str, typer.Argument(help="Who to be: see `kanca provider list`.")],
    to: Annotated[
        str | None, typer.Option(metavar="URL", help="The endpoint's address.", show_default=False)
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="WEBHOOK_ID",
            help="Instead: an endpoint of the server, which then sends to itself; no secret is needed.",
            show_default=False,
        ),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="KANCA_SEND_SECRET",
            help="What to sign with: the endpoint's secret; for a provider with a key pair, "
            "the private key of `kanca provider keypair`.",
            show_default=False,
        ),
    ] = None,
    event_type: Annotated[
        str | None,
        typer.Option(
            "--type", help="The event type. Default: the provider's first sample.", show_default=False
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A body of your own, sent as it is; - is standard input.", show_default=False
        ),
    ] = None,
    options: ProviderOptions = None,
    spec: SpecFile = None,
    count: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How many to send, one after another.")
    ] = 1,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Sign a realistic sample of a provider, and send it to an address or an endpoint.

    Nobody but the provider can sign for some endpoints: their secret is its public key, or less. To try such a one,
    give it the public key of `kanca provider keypair` and sign with the private one, or let `--endpoint` rehearse.
    """
    if (to is None) == (endpoint is None):
        raise InvalidInput("Say where to send: --to URL, or --endpoint WEBHOOK_ID.")
    if endpoint is not None:
        _check_unneeded(data=data, options=options, spec=spec)
        deliveries = _rehearse(find_server(url, key), provider, endpoint, event_type, count)
    else:
        sender = Sender(
            provider=find_spec(provider, spec),
            options=read_options(options),
            to=to or "",
            secret=secret or "",
            event_type=event_type,
            body=None if data is None else read_file(data),
        )
        _check_secret(sender, provider)
        deliveries = [sender.send() for _ in progress(range(count), "Sending")]
    described = {"provider": provider, "to": to or endpoint, "deliveries": deliveries}
    Output(as_json).show_data(described, _for_people)
    refused = next((each for each in deliveries if not 200 <= each["status_code"] < 300), None)
    if refused is not None:
        raise Answer(refused["status_code"], json.dumps(refused["answer"]).encode()).refusal()


def _rehearse(
    server: Server, provider: str, webhook_id: str, event_type: str | None, count: int
) -> list[dict[str, Any]]:
    """Raises InvalidInput when the endpoint is of another provider."""
    shown = server.get("api", "webhooks", "endpoints", webhook_id).data
    if shown["provider"] != provider:
        raise InvalidInput(f"The endpoint is of `{shown['provider']}`, not of `{provider}`.")
    rehearsal = Rehearsal(server, webhook_id, event_type)
    return [rehearsal.send() for _ in progress(range(count), "Sending")]


def _check_unneeded(**given: str | None) -> None:
    unneeded = [f"--{name}" for name, value in given.items() if value is not None]
    if unneeded:
        raise InvalidInput(f"{', '.join(unneeded)}: the endpoint has its own; leave it out, or say --to.")


def _check_secret(sender: Sender, name: str) -> None:
    """Raise InvalidInput when there is nothing to sign with, or nothing that could be of use."""
    from kanca.providers import configure, issue
    from kanca.providers.schemes.none import Unsigned

    if isinstance(configure(sender.provider, sender.options).signatures[0], Unsigned):
        return
    if sender.secret and not sender.provider.signs:
        return
    title, issued = sender.provider.title, issue(sender.provider, sender.options)
    if issued.documents:
        raise InvalidInput(f"{title} signs with what it publishes itself: say --endpoint instead of --to.")
    if not sender.secret and issued.is_shared:
        raise InvalidInput(f"{title} proves who it is: give --secret, or --endpoint instead of --to.")
    if not sender.secret:
        raise InvalidInput(
            f"Only {title} can sign for its own key: give the private key of `kanca provider keypair {name}` "
            "as --secret, or --endpoint instead of --to."
        )


def _for_people(described: dict[str, Any]) -> RenderableType:
    """One delivery in full; of many, how they were answered."""
    deliveries = described["deliveries"]
    if len(deliveries) == 1:
        return details(deliveries[0])
    counted = Counter(_said(delivery) for delivery in deliveries)
    return "\n".join(f"{number} × {plain(said)}" for said, number in counted.most_common())


def _said(delivery: dict[str, Any]) -> str:
    answer = delivery["answer"]
    word = (
        (answer.get("status") if delivery["status_code"] < 300 else answer.get("code"))
        if isinstance(answer, dict)
        else ""
    )
    return f"{delivery['status_code']} {word or ''}".rstrip()
