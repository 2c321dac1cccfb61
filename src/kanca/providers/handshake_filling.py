"""Filling in what a handshake is answered with, and what it is compared with: templates over a request and secrets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from kanca.providers.handshake_spec import REPLY_SLOTS
from kanca.providers.schemes.encoding import encode
from kanca.providers.schemes.signed_content import SignedContent
from kanca.providers.secret_format import SecretFormat
from kanca.providers.spec import ProviderSpec
from kanca.providers.template import Part, parse_template
from kanca.providers.values import View, compile_value
from kanca.providers.verdict import SignedRequest


class Asked(Struct):
    """A request, and the secrets that are valid; the newest first."""

    view: View
    secrets: Sequence[str]


Fill = Callable[[Asked], str | None]


def asked_by(request: SignedRequest, secrets: Sequence[str]) -> Asked:
    """What there is to fill in."""
    view = View(request.headers, None, None, request.body, request.query())
    if request.body:
        view.document = request.document()
    return Asked(view, secrets)


def compile_fill(template: str, spec: ProviderSpec) -> Fill:
    """Make what fills in a template; it gives None where a value of the template is not there."""
    parts = [_part(part, spec) for part in parse_template(template, REPLY_SLOTS)]

    def fill(asked: Asked) -> str | None:
        values = [part(asked) for part in parts]
        return None if None in values else "".join(filter(None, values))

    return fill


def _part(part: Part, spec: ProviderSpec) -> Fill:
    if isinstance(part, str):
        return lambda _asked: part
    if part.name == "secret":
        return lambda asked: _first_secret(spec.secret, asked).get(part.argument)
    if part.name == "signed":
        return _signed(part.argument, spec)
    template = f"{{{part.name}:{part.argument}}}" if part.argument else f"{{{part.name}}}"
    read = compile_value(template)
    return lambda asked: read(asked.view)


def _signed(argument: str, spec: ProviderSpec) -> Fill:
    """The signature of a value, as the provider's scheme makes it with the newest secret."""
    read = compile_value(f"{{{argument}}}")
    scheme = spec.signatures[0]

    def fill(asked: Asked) -> str | None:
        value = read(asked.view)
        key = spec.secret.key(asked.secrets[0]) if asked.secrets else None
        if value is None or key is None or not isinstance(scheme, SignedContent):
            return None
        return encode(scheme.make(key, value.encode("utf-8", "surrogatepass")), "hex")

    return fill


def _first_secret(secret: SecretFormat, asked: Asked) -> dict[str, str]:
    return secret.split(asked.secrets[0]) if asked.secrets else {}
