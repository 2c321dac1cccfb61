"""Where in a request its proof is: in a header, in a field of the body, or in a field of the query."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from msgspec.structs import replace

from kanca.errors import InvalidInput
from kanca.providers.locations import encoded, find, header_key, parse_path, text_of
from kanca.providers.schemes.draft import Draft
from kanca.providers.verdict import SignedRequest

ANY = "*"
"""At the end of a header's name: all headers that begin so."""


class Place:
    """One place, to find a proof in and to put one there."""

    def __init__(self, header: str | None, body: str | None, query: str | None, separator: str = "") -> None:
        """One of the three is given. ``separator`` joins the values of several headers.

        Raises ValueError when there is not exactly one place.
        """
        if [header, body, query].count(None) != 2:
            raise ValueError("the proof is in one place: a header, a field of the body, or one of the query")
        if header and header.endswith(ANY) and not separator:
            raise ValueError(
                f"`{header}` stands for several headers: a separator is needed to tell them apart"
            )
        self.header = header
        self._key = header_key(header) or b""
        self._separator = separator.encode()
        self._body = parse_path(body) if body else None
        self._query = query

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        if self.header:
            return f"header `{self.header}`"
        return (
            f"field `{'.'.join(self._body)}` in the body"
            if self._body
            else f"field `{self._query}` in the query"
        )

    def find(self, request: SignedRequest) -> bytes | None:
        """What is there; None for nothing."""
        if self._body:
            return encoded(text_of(find(request.document(), self._body)))
        if self._query:
            return encoded(request.query().get(self._query))
        if not self._key.endswith(b"*"):
            return request.headers.get(self._key)
        beginning = self._key[:-1]
        values = [value for name, value in request.headers.items() if name.startswith(beginning)]
        return self._separator.join(values) if values else None

    def put(self, draft: Draft, value: str) -> Draft:
        """The draft with a proof there. Raises InvalidInput for a body that has no such place."""
        if self._body:
            content_type = {name.lower(): text for name, text in draft.headers.items()}.get(
                "content-type", ""
            )
            return replace(draft, body=_put_in_body(draft.body, content_type, self._body, value))
        if self._query:
            joint = "&" if "?" in draft.url else "?"
            return replace(draft, url=f"{draft.url}{joint}{urlencode({self._query: value})}")
        return draft.with_headers({(self.header or "").replace("-*", "-1").replace(ANY, ""): value})


def _put_in_body(body: bytes, content_type: str, path: tuple[str, ...], value: str) -> bytes:
    *parents, last = path
    if "form-urlencoded" in content_type and not parents:
        fields = [
            (name, text) for name, text in parse_qsl(body.decode(), keep_blank_values=True) if name != last
        ]
        return urlencode([*fields, (last, value)]).encode()
    if content_type.startswith("multipart/"):
        # The JSON that the form carries: nothing in its head or behind it has braces.
        head, tail = body.find(b"{"), body.rfind(b"}") + 1
        return body[:head] + _put_in_body(body[head:tail], "", path, value) + body[tail:]
    try:
        document: Any = json.loads(body)
    except ValueError as error:
        raise InvalidInput("The body is not JSON, and the proof belongs into it.") from error
    parent = find(document, tuple(parents))
    if not isinstance(parent, dict):
        raise InvalidInput(f"The body has no place for the proof at `{'.'.join(path)}`.")
    parent[last] = value
    return json.dumps(document, separators=(",", ":")).encode()
