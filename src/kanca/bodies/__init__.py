"""What is in a body: its bytes after content decoding, and the document that they say.

No I/O, and nothing of Kanca but words: bytes and what their headers say of them in, Python values as JSON knows them
out. What cannot be read raises ``Unreadable``, whose ``code`` is that of the refusal.
"""

from __future__ import annotations

from kanca.bodies.decoding import codings_of, decode_content
from kanca.bodies.document import Body, Kind, read_body, read_document
from kanca.bodies.event_data import (
    HOPS_HEADER,
    content_type_of,
    event_body,
    event_data,
    headers_in,
    hops_in,
    trace_of,
)
from kanca.bodies.json import MAX_DEPTH, read_json
from kanca.bodies.unreadable import Unreadable
from kanca.bodies.writing import NotJson, write_json

__all__ = [
    "HOPS_HEADER",
    "MAX_DEPTH",
    "Body",
    "Kind",
    "NotJson",
    "Unreadable",
    "codings_of",
    "content_type_of",
    "decode_content",
    "event_body",
    "event_data",
    "headers_in",
    "hops_in",
    "read_body",
    "read_document",
    "read_json",
    "trace_of",
    "write_json",
]
