"""Bodies under any content type and content coding."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable

from fuzz.target import Target
from kanca.bodies import Unreadable, codings_of, decode_content, read_body
from kanca.bodies.json import MAX_DEPTH
from kanca.ingest.refusal import RULES

SEPARATOR = b"\n"
LIMIT_BYTES = 256 * 1024
_FORM = b"a=1&a=2&b%5Bc%5D=%C3%BC&payload=%7B%22x%22%3A1%7D"
_MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\nContent-Type: a/b\r\n\r\n\x00\r\n--x--\r\n'
)
_XML = b'<?xml version="1.0" encoding="UTF-8"?><a x="1"><b>text</b><b/><![CDATA[<c>]]></a>'
_JSON = b'{"event_type":"a.b","data":{"n":[1,2.5e3,null,true,"\\u00fc\\ud800"]}}'


def check(data: bytes) -> None:
    """The first line is the content type, the second the coding; what follows is the body."""
    content_type, _, rest = data.partition(SEPARATOR)
    coding, _, body = rest.partition(SEPARATOR)
    codings = codings_of(coding)
    try:
        if codings:
            body = decode_content(body, codings, LIMIT_BYTES)
            if len(body) > LIMIT_BYTES:
                raise AssertionError(f"{len(body)} bytes came out")
        read = read_body(body, content_type or None)
    except Unreadable as error:
        if error.code not in RULES:
            raise AssertionError(f"the code {error.code} is of no refusal") from error
        return
    _check_document(read.document)


def _check_document(document: object) -> None:
    """Handlers read it by recursion, and it is stored as JSON."""
    json.dumps(document)
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    if level:
        raise AssertionError("the document is nested too deeply")


def seeds() -> Iterable[bytes]:
    """Every kind of body, plain and encoded."""
    kinds = {
        b"application/json": _JSON,
        b"application/json; charset=utf-16": _JSON.decode().encode("utf-16"),
        b"application/x-www-form-urlencoded": _FORM,
        b"application/x-www-form-urlencoded; charset=iso-8859-9": b"a=%FD",
        b"multipart/form-data; boundary=x": _MULTIPART,
        b"application/xml": _XML,
        b"text/xml; charset=windows-1254": _XML,
        b"application/x-ndjson": _JSON + b"\n" + _JSON,
        b"text/plain": "değer".encode(),
        b"application/octet-stream": b"\x00\xff",
    }
    for content_type, body in kinds.items():
        yield SEPARATOR.join((content_type, b"", body))
        yield SEPARATOR.join((content_type, b"gzip", gzip.compress(body, mtime=0)))
        yield SEPARATOR.join((content_type, b"deflate", zlib.compress(body)))
        yield SEPARATOR.join((content_type, b"br", b"\x0b\x02\x80hello\x03"))


TARGET = Target(
    check, seeds, (b"gzip", b"deflate", b"br", b"charset=", b"boundary=", b"<!DOCTYPE", b"<!ENTITY", b"&")
)
