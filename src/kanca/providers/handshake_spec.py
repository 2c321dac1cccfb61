"""What a provider asks of an address before it sends there, and how it wants to be answered: as data.

[[handshakes]]
name = "url_verification"
proof = "signature"
when = { "{body:type}" = "url_verification" }
reply = { content_type = "text/plain", text = "{body:challenge}" }
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from kanca.domain.answer import check_header
from kanca.providers.locations import HeaderName, parse_path
from kanca.providers.patterns import check_pattern, fits
from kanca.providers.template import parse_template, slots_of
from kanca.providers.values import SLOTS as VALUE_SLOTS
from kanca.providers.values import parse_value_template

Template = Annotated[str, Meta(min_length=1, max_length=500)]
Condition = Annotated[str, Meta(max_length=500)]
Method = Literal["GET", "HEAD", "OPTIONS", "POST"]

PRESENT = "*"
"""As a condition: something is there, whatever it is."""
_BODIES = ('{"a":"b"}', '[{"a":"b"}]', "a=b&c=d", "<a>b</a>", "text")
REPLY_SLOTS: Mapping[str, bool | None] = {**VALUE_SLOTS, "secret": None, "signed": True}
"""In replies and conditions also: a part of the secret, and ``{signed:body:x}``, the signature of a value."""


class Reply(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is answered. Without ``text`` and ``json`` the body is empty."""

    status: Annotated[int, Meta(ge=200, le=299)] = 200
    content_type: str = "text/plain; charset=utf-8"
    text: Template | None = None
    json: dict[str, Template | int] | None = None
    """An object, each value a template or a number; it is sent as JSON, with that content type."""
    headers: dict[HeaderName, Template] = {}

    def __post_init__(self) -> None:
        """Raise ValueError for headers that no answer can have."""
        for name, text in {"Content-Type": self.content_type, **self.headers}.items():
            check_header(name, text)

    def templates(self) -> tuple[str, ...]:
        """Everything in it that is a template."""
        fields = (value for value in (self.json or {}).values() if isinstance(value, str))
        return (*filter(None, [self.text]), *fields, *self.headers.values())


class Handshake(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One question, told from a webhook by its method and by what is in it."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,64}\Z")]
    about: str = ""
    """What it is for, in a sentence."""
    method: Method = "POST"
    proof: Literal["signature", "own_secret", "none"] = "signature"
    """``signature``: the request is signed like any webhook. ``own_secret``: it is signed with the very secret that it
    brings. ``none``: the provider proves nothing; what it asks for does no harm."""
    when: dict[Template, Condition] = {}
    """Values that must be so, by template; ``*`` is anything, an empty text is nothing at all, and ``{secret:part}`` is
    that part of a live secret."""
    patterns: dict[Template, Annotated[str, Meta(min_length=1, max_length=200)]] = {}
    """Regular expressions that values must fit whole."""
    reply: Reply = Reply()
    store_secret: Template | None = None
    """The secret that the provider brings for all that follows: stored while the endpoint has none."""
    visit: Template | None = None
    """An address of the provider's that must be called for the handshake to hold."""
    visit_hosts: tuple[str, ...] = ()
    """Regular expressions, of which one must fit the whole host of that address."""

    @property
    def signs(self) -> bool:
        """Whether its answer has a signature, made as the provider makes its own."""
        replies = (parse_template(template, REPLY_SLOTS) for template in self.reply.templates())
        return any(slot.name == "signed" for reply in replies for slot in slots_of(reply))

    def __post_init__(self) -> None:
        """Raise ValueError for what could never be answered, or would be answered to anybody."""
        for pattern in (*self.patterns.values(), *self.visit_hosts):
            check_pattern(pattern)
        for template in (*self.when, *self.patterns, *filter(None, [self.store_secret, self.visit])):
            parse_value_template(template)
        for template in (*self.reply.templates(), *self.when.values()):
            check_reply_template(template)
        if not self.when and not self.patterns and self.method == "POST":
            raise ValueError(
                f"the handshake `{self.name}` has no condition: every webhook would be taken for it"
            )
        if self.method != "POST" and self.proof == "signature":
            raise ValueError(f"the handshake `{self.name}` comes by {self.method}, and only a POST is signed")
        if self.proof == "own_secret" and not self.store_secret:
            raise ValueError(f"the handshake `{self.name}` brings no secret that could prove it")
        if bool(self.visit) != bool(self.visit_hosts):
            raise ValueError(f"the handshake `{self.name}` needs visit_hosts beside visit")
        if self.proof != "signature":
            self._check_signs_little()
        if self.visit and self.proof != "signature":
            raise ValueError(f"the handshake `{self.name}` would call an address that nothing vouches for")

    def secrets_told(self) -> set[str]:
        """Names of the parts of the secret that are in the reply; the whole of it has none."""
        slots = (
            slot for text in self.reply.templates() for slot in slots_of(parse_template(text, REPLY_SLOTS))
        )
        return {slot.argument for slot in slots if slot.name == "secret"}

    def _check_signs_little(self) -> None:
        """Raise ValueError where anybody could have a webhook's body signed."""
        for text in self.reply.templates():
            for slot in slots_of(parse_template(text, REPLY_SLOTS)):
                pattern = self.patterns.get(f"{{{slot.argument}}}")
                if slot.name == "signed" and (pattern is None or any(fits(pattern, it) for it in _BODIES)):
                    raise ValueError(
                        f"the handshake `{self.name}` would sign a body for anybody:"
                        f" `patterns` must say what little {{{slot.argument}}} can be"
                    )


def check_reply_template(template: str) -> None:
    """Raise ValueError for a template of a reply that cannot be read."""
    for slot in slots_of(parse_template(template, REPLY_SLOTS)):
        if slot.name == "body":
            parse_path(slot.argument.removesuffix("?"))
        if slot.name == "signed":
            parse_value_template(f"{{{slot.argument}}}")


def methods_of(handshakes: Sequence[Handshake]) -> frozenset[str]:
    """The methods that these come by."""
    return frozenset(handshake.method for handshake in handshakes)
