"""A provider's spec: who sends, how it signs, where things are, what it is like. Data, never code.

A spec is written in TOML (the catalogue) or JSON (an endpoint's config), and reads like this:

    name = "stripe"
    title = "Stripe"
    summary = "Payments, customers and subscriptions from a Stripe account."
    label = "confirmed"
    source = "stripe 16.1 (Python), stripe/_webhook.py"
    event_type = ["{body:type}"]                # the first template of which every part is there
    delivery_id = ["{body:id}"]

    [[signatures]]                              # several: the first whose header is there is the one that counts
    scheme = "hmac"
    header = "Stripe-Signature"
    form = "t={timestamp},v1={signature}"
    separator = ","
    signed_content = "{timestamp}.{body}"
    timestamp = { unit = "s", max_age_seconds = 300 }

    [secret]
    prefix = "whsec_"

Reading is strict: an unknown key, a wrong type, a template that cannot be read or a signature that would prove nothing
is an error that names its place. What a provider needs and this form cannot say yet becomes a new optional field here,
or a new scheme.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from kanca.domain.event import DEFAULT_TYPE
from kanca.errors import InvalidProvider
from kanca.providers.locations import HeaderName, parse_path
from kanca.providers.schemes import Scheme
from kanca.providers.schemes.signed_content import SignedContent
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Part, Slot, parse_template, slots_of

Template = Annotated[str, Meta(min_length=1, max_length=500)]
Sentence = Annotated[str, Meta(max_length=2000)]

_VALUE_SLOTS = {"header": True, "body": True, "id": False}


class Sender(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the sender does with our answer. For people; no code depends on it, since vendors change it often."""

    success: Sentence = "any 2xx"
    timeout_seconds: Annotated[float, Meta(gt=0)] | None = None
    retries: Sentence = ""
    recalled: tuple[Literal["success", "timeout_seconds", "retries"], ...] = ()
    """Which of these are from memory, not from a source."""


class Sample(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A realistic delivery. The slots in its body are filled in when it is sent; see ``samples.fill``."""

    event_type: str
    body: Annotated[str, Meta(max_length=100_000)]


class ProviderSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that Kanca knows of a provider."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]
    title: Annotated[str, Meta(min_length=1, max_length=100)]
    summary: Sentence
    """What comes from there, in a sentence."""
    label: Literal["confirmed", "secondary", "recalled"]
    """How well the formula is known: from the provider's own docs or code, from third parties, from memory."""
    source: Sentence
    """Where the formula was read."""
    docs_url: str | None = None
    signatures: Annotated[tuple[Scheme, ...], Meta(min_length=1, max_length=5)]
    """Alternatives: the first whose header a request has is the one that must be right. Never the next one."""
    secret: SecretFormat = SecretFormat()
    event_type: Annotated[tuple[Template, ...], Meta(max_length=10)] = ()
    """Where the event type is: the first template of which every part is there. Slots: ``{header:…} {body:…}``."""
    default_event_type: str = DEFAULT_TYPE
    delivery_id: Annotated[tuple[Template, ...], Meta(max_length=10)] = ()
    """Where the id is that names a delivery over all its retries; ``{id}`` is the one that the signature covers."""
    headers: dict[HeaderName, str] = {}
    """What the sender sets beside the signature, with slots as in a sample."""
    delivery_id_prefix: str = ""
    """How the provider's delivery ids begin, for samples."""
    samples: tuple[Sample, ...] = ()
    sender: Sender = Sender()
    options: Literal["hmac"] | None = None
    """The form of what an endpoint may set in its config under the provider's name; see ``options``."""

    def __post_init__(self) -> None:
        """Raise ValueError for templates that cannot be read, and for alternatives that differ in strength."""
        first, *others = (_without_names(signature) for signature in self.signatures)
        if any(other != first for other in others):
            raise ValueError(
                "signatures may differ in header names only: a sender could choose the weaker one"
            )
        for template in (*self.event_type, *self.delivery_id):
            for slot in slots_of(parse_value_template(template)):
                self._check_slot(slot)

    @property
    def signs(self) -> bool:
        """Whether what is sent is signed, not only its sender named by a token (or by nothing)."""
        return all(isinstance(signature, SignedContent) for signature in self.signatures)

    @property
    def delivery_id_signed(self) -> bool:
        """Whether the signature covers the delivery id, so that a replay cannot come under a new one."""
        slots = [slot for template in self.delivery_id for slot in slots_of(parse_value_template(template))]
        return bool(slots) and all(signature.covers(slot) for signature in self.signatures for slot in slots)

    def _check_slot(self, slot: Slot) -> None:
        if slot.name == "body":
            parse_path(slot.argument)
        if slot.name == "id" and not all(signature.covers(slot) for signature in self.signatures):
            raise ValueError(
                "{id} is the delivery id that the signature covers, but not every one covers any"
            )


def _without_names(signature: Scheme) -> dict[str, Any]:
    """What a signature is apart from the headers that it is in."""
    described: dict[str, Any] = msgspec.to_builtins(signature)
    names = {"header", "id_header"}
    timestamp = {key: value for key, value in (described.get("timestamp") or {}).items() if key != "header"}
    return {**{key: value for key, value in described.items() if key not in names}, "timestamp": timestamp}


def parse_value_template(template: str) -> tuple[Part, ...]:
    """The parts of an event type's or delivery id's template. Raises ValueError when it is none."""
    return parse_template(template, _VALUE_SLOTS)


def parse_spec(values: Mapping[str, Any]) -> ProviderSpec:
    """The spec in ``values``, as TOML or JSON give them.

    Raises InvalidProvider naming what is wrong and where: an unknown key, a wrong type, a template that cannot be read.
    """
    try:
        return msgspec.convert(values, ProviderSpec)
    except msgspec.ValidationError as error:
        raise InvalidProvider(f"the provider spec is not valid: {error}") from error
