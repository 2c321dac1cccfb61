"""``kanca send``: what a provider would send, signed as it would."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.http import Answer, call
from kanca.cli.options import read_file, read_json
from kanca.cli.output import Output, details, plain, progress
from kanca.cli.server import AsJson
from kanca.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kanca.providers import ProviderSpec


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was sent, and what was answered."""

    event_type: str
    delivery_id: str
    answer: Answer

    def described(self) -> dict[str, Any]:
        """The delivery as JSON."""
        try:
            said = json.loads(self.answer.body)
        except (ValueError, RecursionError):
            said = self.answer.body.decode("utf-8", "replace")
        return {
            "event_type": self.event_type,
            "delivery_id": self.delivery_id,
            "status_code": self.answer.status,
            "answer": said,
        }


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

    def send(self) -> Delivery:
        """Sign and send one delivery, with an id of its own."""
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
        return Delivery(event_type, delivery_id, call(signed.method, signed.url, signed.headers, signed.body))


def send(
    *,
    provider: Annotated[str, typer.Argument(help="Who to be: see `kanca provider list`.")],
    to: Annotated[str, typer.Option(metavar="URL", help="The endpoint's address.")],
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="KANCA_SEND_SECRET",
            help="What to sign with; for generic, the endpoint's token.",
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
    options: Annotated[
        str | None,
        typer.Option(
            metavar="JSON", help="How `hmac` signs, as the endpoint's config says it.", show_default=False
        ),
    ] = None,
    count: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How many to send, one after another.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Sign a realistic sample of a provider and send it to an address."""
    from kanca.providers import get_provider
    from kanca.providers.schemes.none import Unsigned

    spec = get_provider(provider)
    if not secret and not isinstance(spec.signatures[0], Unsigned):
        raise InvalidInput(f"{spec.title} proves who it is: give --secret.")
    sender = Sender(
        provider=spec,
        options=read_json(options, "--options") if options else None,
        to=to,
        secret=secret or "",
        event_type=event_type,
        body=None if data is None else read_file(data),
    )
    deliveries = [sender.send() for _ in progress(range(count), "Sending")]
    described = {
        "provider": provider,
        "to": to,
        "deliveries": [delivery.described() for delivery in deliveries],
    }
    Output(as_json).show_data(described, _for_people)
    refused = next((delivery.answer for delivery in deliveries if not delivery.answer.is_success), None)
    if refused is not None:
        raise refused.refusal()


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
