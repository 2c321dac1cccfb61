"""What a request says about itself: its event type, and the id of its delivery.

Looked up only after the request was verified. Total: whatever the body is, nothing raises, and what cannot be a name
(too long, empty, with NUL or other unprintable characters) is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kanca.domain.event import MAX_SOURCE_ID_LENGTH, MAX_TYPE_LENGTH
from kanca.providers.locations import find, header_key, parse_path, text_of
from kanca.providers.options import configure
from kanca.providers.schemes.signed_content import SignedContent
from kanca.providers.spec import ProviderSpec, parse_value_template
from kanca.providers.template import Part

Headers = Mapping[bytes, bytes]
_Read = Callable[[Headers, object, bytes | None], str | None]


class Extracted(NamedTuple):
    """What was found."""

    event_type: str | None
    delivery_id: str | None
    """The sender's own id, the same over its retries."""


class Extractor:
    """Finds event type and delivery id in the requests of one endpoint."""

    def __init__(self, spec: ProviderSpec) -> None:
        schemes = [scheme for scheme in spec.signatures if isinstance(scheme, SignedContent)]
        id_headers = [name for scheme in schemes if (name := header_key(scheme.id_header))]
        self._event_type = [_reader(template, id_headers) for template in spec.event_type]
        self._delivery_id = [_reader(template, id_headers) for template in spec.delivery_id]

    def extract(self, headers: Headers, body: object, signed_id: bytes | None = None) -> Extracted:
        """Look in the headers (lower-case names) and the parsed body, None where it could not be parsed.

        ``signed_id`` is ``Verified.signed_id``: where there is one, no other header can pass for it.
        """
        event_type = _first(self._event_type, headers, body, signed_id)
        delivery_id = _first(self._delivery_id, headers, body, signed_id)
        return Extracted(_name(event_type, MAX_TYPE_LENGTH), _name(delivery_id, MAX_SOURCE_ID_LENGTH))


def compile_extractor(spec: ProviderSpec, options: Mapping[str, Any] | None = None) -> Extractor:
    """Make the extractor of an endpoint; ``options`` is what its config has under the provider's name.

    Raises InvalidProvider when the options cannot be used.
    """
    return Extractor(configure(spec, options))


def _first(readers: list[_Read], headers: Headers, body: object, signed_id: bytes | None) -> str | None:
    """What the first template gives of which every part is there."""
    for read in readers:
        value = read(headers, body, signed_id)
        if value is not None:
            return value
    return None


def _reader(template: str, id_headers: list[bytes]) -> _Read:
    reads = [_part_reader(part, id_headers) for part in parse_value_template(template)]
    if len(reads) == 1:
        return reads[0]

    def read(headers: Headers, body: object, signed_id: bytes | None) -> str | None:
        values = [part(headers, body, signed_id) for part in reads]
        return None if None in values else "".join(filter(None, values))

    return read


def _part_reader(part: Part, id_headers: list[bytes]) -> _Read:
    if isinstance(part, str):
        return lambda _headers, _body, _signed_id: part
    if part.name == "header":
        name = part.argument.encode("ascii", "replace")
        return lambda headers, _body, _signed_id: _decoded(headers.get(name))
    if part.name == "body":
        path = parse_path(part.argument)
        return lambda _headers, body, _signed_id: text_of(find(body, path)) or None

    def read_id(headers: Headers, _body: object, signed_id: bytes | None) -> str | None:
        if signed_id is not None:
            return _decoded(signed_id)
        return _decoded(next((headers[name] for name in id_headers if name in headers), None))

    return read_id


def _decoded(value: bytes | None) -> str | None:
    try:
        return value.decode() if value else None
    except UnicodeDecodeError:
        return None


def _name(value: str | None, longest: int) -> str | None:
    return value if value and len(value) <= longest and value.isprintable() else None
