"""A provider's spec: who sends, how it signs, where things are, what it is like. Data, never code.

A spec is written in TOML (the catalogue, ``kanca.toml``) or JSON (an endpoint's config), and reads like this:

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

    [[handshakes]]                              # what it asks before it sends; see ``handshake_spec``
    [answer]                                    # what it insists to be answered
    [variants.older]                            # another product or way of signing: the keys that differ

Reading is strict: an unknown key, a wrong type, a template that cannot be read or a signature that would prove nothing
is an error that names its place. What a provider needs and this form cannot say yet becomes a new optional field here,
or a new scheme.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from kanca.domain.answer import read_answer
from kanca.domain.event import DEFAULT_TYPE
from kanca.errors import InvalidProvider
from kanca.providers.handshake_spec import Handshake
from kanca.providers.locations import BodyPath, HeaderName
from kanca.providers.schemes import Scheme
from kanca.providers.schemes.content import content_slots
from kanca.providers.schemes.hash import HashSignature
from kanca.providers.schemes.hmac import HmacSignature
from kanca.providers.schemes.jwt import JwtProof
from kanca.providers.schemes.none import Unsigned
from kanca.providers.schemes.signed_content import SignedContent
from kanca.providers.schemes.token import SharedToken
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Slot, slots_of
from kanca.providers.values import parse_value_template

_SHARED_KEY = HmacSignature | HashSignature

Template = Annotated[str, Meta(min_length=1, max_length=500)]
Sentence = Annotated[str, Meta(max_length=2000)]


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
    headers: dict[HeaderName, str] = {}
    """Instead of, or beside, the provider's own: a content type, a name of the event."""
    query: str = ""
    """What the provider adds to the address."""


class RequiredAnswer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the provider insists to be answered, instead of what Kanca says by itself."""

    status: Annotated[int, Meta(ge=200, le=299)] = 200
    content_type: str = "text/plain; charset=utf-8"
    body: Annotated[str, Meta(max_length=10_000)] = ""
    headers: dict[HeaderName, str] = {}
    refused_is_empty: bool = False
    """What is refused for want of proof is answered without a body, too."""

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be answered: it would be noticed only once an event is on disk."""
        headers = {"Content-Type": self.content_type, **self.headers}
        read_answer({"status": self.status, "headers": headers, "body": self.body})


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
    notes: tuple[Sentence, ...] = ()
    """What one should know: what the signature does not cover, what is easily got wrong."""
    docs_url: str | None = None
    setup: tuple[Sentence, ...] = ()
    """Where to click at the provider, step by step; ``{url}`` is the endpoint's address."""
    signatures: Annotated[tuple[Scheme, ...], Meta(min_length=1, max_length=5)]
    """Alternatives: the first whose header a request has is the one that must be right. Never the next one."""
    secret: SecretFormat = SecretFormat()
    event_type: Annotated[tuple[Template, ...], Meta(max_length=10)] = ()
    """Where the event type is: the first template of which every part is there. Slots: ``{header:…} {body:…}``."""
    default_event_type: str = DEFAULT_TYPE
    delivery_id: Annotated[tuple[Template, ...], Meta(max_length=10)] = ()
    """Where the id is that names a delivery over all its retries; ``{id}`` is the one that the signature covers."""
    volatile: Annotated[tuple[BodyPath, ...], Meta(max_length=10)] = ()
    """Fields of the body that are new with every retry: without them it is the same delivery."""
    headers: dict[HeaderName, str] = {}
    """What the sender sets beside the signature, with slots as in a sample."""
    delivery_id_prefix: str = ""
    """How the provider's delivery ids begin, for samples."""
    samples: tuple[Sample, ...] = ()
    sender: Sender = Sender()
    handshakes: Annotated[tuple[Handshake, ...], Meta(max_length=10)] = ()
    """What it asks before, or between, its webhooks."""
    answer: RequiredAnswer | None = None
    variants: dict[str, ProviderSpec] = {}
    """Its other products or ways of signing, by name: an endpoint has one of them, never several."""
    options: Literal["hmac"] | None = None
    """The form of what an endpoint may set beside ``variant`` and ``tolerance_seconds``; see ``options``."""

    def __post_init__(self) -> None:
        """Raise ValueError for templates that cannot be read, and for alternatives that differ in strength."""
        first, *others = (_without_names(signature) for signature in self.signatures)
        if any(other != first for other in others):
            raise ValueError(
                "signatures may differ in header names only: a sender could choose the weaker one"
            )
        for handshake in self.handshakes:
            if handshake.proof != "signature" and handshake.secrets_told() & {"", *self.secret.parts[:1]}:
                raise ValueError(f"the handshake `{handshake.name}` would tell the key to anybody")
        for key, templates in (("event_type", self.event_type), ("delivery_id", self.delivery_id)):
            for template in templates:
                try:
                    slots = slots_of(parse_value_template(template))
                except ValueError as error:
                    raise ValueError(f"{error} - at `{key}`") from None
                for slot in slots:
                    self._check_slot(slot)
        if any(handshake.signs for handshake in self.handshakes) and not isinstance(
            self.signatures[0], _SHARED_KEY
        ):
            raise ValueError(
                "a reply has {signed:…}, and the signature is of a kind that only the provider makes"
            )

    @property
    def signs(self) -> bool:
        """Whether something is signed with every request, not only its sender named by a token (or by nothing)."""
        return all(isinstance(signature, SignedContent | JwtProof) for signature in self.signatures)

    @property
    def has_public_secret(self) -> bool:
        """Whether what an endpoint is pinned to is no secret: a public key, a topic, an account."""
        return not all(
            isinstance(signature, HmacSignature | HashSignature | SharedToken | Unsigned)
            or (isinstance(signature, JwtProof) and signature.keys_url is None)
            for signature in self.signatures
        )

    @property
    def signs_checksum(self) -> bool:
        """Whether the signature covers no more of the body than a checksum, which other bodies can be made to have."""
        return any(
            isinstance(signature, SignedContent)
            and Slot("body_crc32", "") in content_slots(signature.templates())
            for signature in self.signatures
        )

    @property
    def signs_content(self) -> bool:
        """Whether what is signed has to do with what is sent: a signed token may only say who sends."""
        return self.signs and all(
            isinstance(signature, SignedContent) or signature.covers(Slot("body", ""))
            for signature in self.signatures
        )

    @property
    def signs_url(self) -> bool:
        """Whether a signature covers the address that is sent to, which has to be known as the sender has it."""
        return any(signature.covers(Slot("url", "")) for signature in self.signatures)

    @property
    def delivery_id_signed(self) -> bool:
        """Whether the signature covers the delivery id, so that a replay cannot come under a new one."""
        slots = [slot for template in self.delivery_id for slot in slots_of(parse_value_template(template))]
        return bool(slots) and all(signature.covers(slot) for signature in self.signatures for slot in slots)

    def _check_slot(self, slot: Slot) -> None:
        if slot.name == "id" and not all(signature.covers(slot) for signature in self.signatures):
            raise ValueError(
                "{id} is the delivery id that the signature covers, but not every one covers any"
            )


def _without_names(signature: Scheme) -> dict[str, Any]:
    """What a signature is apart from the headers that it is in."""
    described: dict[str, Any] = msgspec.to_builtins(signature)
    names = {"header", "body", "query", "id_header"}
    timestamp = {key: value for key, value in (described.get("timestamp") or {}).items() if key != "header"}
    return {**{key: value for key, value in described.items() if key not in names}, "timestamp": timestamp}


def parse_spec(values: Mapping[str, Any]) -> ProviderSpec:
    """The spec in ``values``, as TOML or JSON give them. A variant has the keys that differ, each replaced whole.

    Raises InvalidProvider naming what is wrong and where: an unknown key, a wrong type, a template that cannot be read.
    """
    base = {key: value for key, value in values.items() if key != "variants"}
    spec = _convert(base, "the provider spec")
    variants = values.get("variants", {})
    if not isinstance(variants, Mapping):
        raise InvalidProvider("the provider spec is not valid: `variants` must be an object")
    read = {}
    for name, changes in variants.items():
        if not isinstance(changes, Mapping) or {"name", "variants"} & changes.keys():
            raise InvalidProvider(f"the variant `{str(name)[:64]}` must be an object of keys that differ")
        read[str(name)] = _convert({**base, **changes}, f"the variant `{str(name)[:64]}`")
    return msgspec.structs.replace(spec, variants=read) if read else spec


def _convert(values: Mapping[str, Any], what: str) -> ProviderSpec:
    try:
        return msgspec.convert(values, ProviderSpec)
    except msgspec.ValidationError as error:
        raise InvalidProvider(f"{what} is not valid: {error}") from error
