"""Scheme ``contentful``: an HMAC over a canonical form of the request, with the headers that it lists.

@contentful/node-apps-toolkit 3.16.1, lib/requests: method, path, headers and body, with a line's end between. The query
is escaped as a whole, and then the path with it, as that package does.
"""

from __future__ import annotations

from urllib.parse import quote

from kanca.providers.schemes.content import Builder, Secret
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.hmac import HmacSignature
from kanca.providers.schemes.signed_content import Content
from kanca.providers.template import Slot
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest

LISTED = "x-contentful-signed-headers"
TIMESTAMP = "x-contentful-timestamp"
MOST_LISTED = 100

_COVERED = "{method}{url}{timestamp}{body}"
_KEPT_IN_QUERY = "!~*'()"
_KEPT_IN_PATH = ";,/?:@&=+$#" + _KEPT_IN_QUERY


class ContentfulSignature(HmacSignature, frozen=True, tag="contentful"):
    """The signature of Contentful."""

    signed_content: Content | tuple[Content, ...] = _COVERED
    """Not to be set: it only says what is covered."""

    def __post_init__(self) -> None:
        """Raise ValueError for a template, which would not be looked at, and for another timestamp."""
        super().__post_init__()
        if self.signed_content != _COVERED:
            raise ValueError("scheme `contentful` knows what is signed: leave out signed_content")
        if self.timestamp is None or (self.timestamp.header or "").lower() != TIMESTAMP:
            raise ValueError(f"scheme `contentful` has its timestamp in the header {TIMESTAMP}")

    def covers(self, slot: Slot) -> bool:
        """As ever, but for the address: of that only path and query are signed."""
        return slot.name != "url" and super().covers(slot)

    def builder(self) -> Builder:
        """What puts together the canonical request."""
        return _CanonicalRequest()

    def sign_with(self, key: bytes, parts: Secret, draft: Draft) -> Draft:
        """The draft with its proof, over all headers of Contentful's that it has."""
        own = {name.lower() for name in draft.headers if name.lower().startswith("x-contentful-")}
        listed = ",".join(sorted(own | {LISTED, TIMESTAMP}))
        return super().sign_with(key, parts, draft.with_headers({LISTED: listed}))


class _CanonicalRequest:
    uses_secret = False

    def build(self, request: SignedRequest, _timestamp: bytes, _secret: Secret) -> bytes | Refusal:
        names = sorted(set(request.headers.get(LISTED.encode(), b"").split(b",")))
        if len(names) > MOST_LISTED:
            detail = f"the header `{LISTED}` lists more than {MOST_LISTED} headers"
            return Refusal(RefusalCode.SIGNED_HEADER_MALFORMED, detail)
        if not {LISTED.encode(), TIMESTAMP.encode()} <= set(names):
            detail = f"the header `{LISTED}` lists neither itself nor the timestamp, which must be signed"
            return Refusal(RefusalCode.SIGNED_HEADER_MISSING, detail)
        found = [(name, request.headers[name]) for name in names if name in request.headers]
        headers = b";".join(name + b":" + value for name, value in found)
        method = request.method.encode(errors="replace")
        return b"\n".join((method, _escaped(request.url), headers, request.body))


def _escaped(url: str) -> bytes:
    path = "/" + url.partition("://")[2].partition("/")[2]
    path, *queries = path.split("?")
    query = quote(queries[0], safe=_KEPT_IN_QUERY, errors="replace") if queries else ""
    return quote(f"{path}?{query}" if query else path, safe=_KEPT_IN_PATH, errors="replace").encode()
