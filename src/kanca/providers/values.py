"""Values that a request holds: what a template of event types, delivery ids, conditions or replies gives.

Looked up only after the request was verified, but for handshakes that nothing proves. Total: whatever the request is,
nothing raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from kanca.providers.locations import OPTIONAL, find, parse_path, text_of
from kanca.providers.template import Part, Slot, parse_template, slots_of

SLOTS: Mapping[str, bool | None] = {
    "header": True,
    "body": True,
    "query": True,
    "id": False,
    "body_sha256": False,
    "empty": True,
    "key_beside": True,
}


class View(Struct):
    """A request, as far as its values go."""

    headers: Mapping[bytes, bytes]
    """By lower-case name."""
    document: object = None
    """What the body says."""
    signed_id: bytes | None = None
    """The delivery id that the signature covers."""
    body: bytes = b""
    query: Mapping[str, str] = {}


Read = Callable[[View], str | None]


def parse_value_template(template: str) -> tuple[Part, ...]:
    """The parts of a value's template. Raises ValueError when it is none."""
    parts = parse_template(template, SLOTS)
    for slot in slots_of(parts):
        if slot.name in ("body", "empty"):
            parse_path(slot.argument.removesuffix(OPTIONAL))
    return parts


def compile_value(template: str, id_headers: Sequence[bytes] = ()) -> Read:
    """What reads the template's value: None when a part is not there.

    ``id_headers`` are where the delivery id is that a signature covers, for ``{id}``.
    """
    reads = [_part_reader(part, id_headers) for part in parse_value_template(template)]
    if len(reads) == 1:
        return reads[0]

    def read(view: View) -> str | None:
        values = [part(view) for part in reads]
        return None if None in values else "".join(filter(None, values))

    return read


def _part_reader(part: Part, id_headers: Sequence[bytes]) -> Read:
    if isinstance(part, str):
        return lambda _view: part
    if part.name == "id":
        return _id_reader(id_headers)
    return _READERS[part.name](part)


def _header_reader(slot: Slot) -> Read:
    name = slot.argument.encode("ascii", "replace")
    return lambda view: _decoded(view.headers.get(name))


def _body_reader(slot: Slot) -> Read:
    path, default = parse_path(slot.argument.removesuffix(OPTIONAL)), _default(slot)
    return lambda view: text_of(find(view.document, path)) or default


def _query_reader(slot: Slot) -> Read:
    name, default = slot.argument.removesuffix(OPTIONAL), _default(slot)
    return lambda view: view.query.get(name) or default


def _default(slot: Slot) -> str | None:
    return "" if slot.argument.endswith(OPTIONAL) else None


def _hash_reader(_slot: Slot) -> Read:
    return lambda view: hashlib.sha256(view.body).hexdigest()


def _emptiness_reader(slot: Slot) -> Read:
    """``true`` for a list, object or text that is there and has nothing in it."""
    path = parse_path(slot.argument)
    return lambda view: "true" if find(view.document, path) in ([], {}, "") else None


def _key_reader(slot: Slot) -> Read:
    """The first key of an object that is another one than this: ``{"update_id": 1, "message": {…}}`` is a message."""

    def read(view: View) -> str | None:
        keys = view.document if isinstance(view.document, dict) else {}
        return next((key for key in keys if isinstance(key, str) and key != slot.argument), None)

    return read


def _id_reader(id_headers: Sequence[bytes]) -> Read:
    def read(view: View) -> str | None:
        if view.signed_id is not None:
            return _decoded(view.signed_id)
        return _decoded(next((view.headers[name] for name in id_headers if name in view.headers), None))

    return read


def _decoded(value: bytes | None) -> str | None:
    try:
        return value.decode() if value else None
    except UnicodeDecodeError:
        return None


_READERS: dict[str, Callable[[Slot], Read]] = {
    "header": _header_reader,
    "body": _body_reader,
    "query": _query_reader,
    "body_sha256": _hash_reader,
    "empty": _emptiness_reader,
    "key_beside": _key_reader,
}
