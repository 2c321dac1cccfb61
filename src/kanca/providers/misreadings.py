"""How a request may have been changed between its sender and us: the body rewritten, the URL another one.

Each change comes with the words for it, which hold nothing of what the caller sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from kanca.providers.verdict import SignedRequest

MOST_REWRITTEN_BYTES = 32 * 1024
"""Larger bodies are not parsed to be written in other ways."""

_BOM = b"\xef\xbb\xbf"
_REWRITTEN = "it looks re-serialised by a proxy or framework"
_LINE = ((",", ":"), "without blanks"), ((", ", ": "), "with blanks")
_INDENTS = (2, 4)


def bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """What may have been signed instead of this body, the likeliest first; never the body itself, and each once."""
    seen = {body}
    for what, other in _all_bodies(body):
        if other not in seen:
            seen.add(other)
            yield what, other


def urls(request: SignedRequest) -> Iterator[tuple[str, str]]:
    """What may have been signed instead of this URL."""
    try:
        url = urlsplit(request.url)
        own_port = url.port
    except ValueError:
        return
    for scheme_words, scheme in (("", url.scheme), *_other_schemes(url)):
        for host_words, host in (("", url.netloc), *_other_hosts(url, own_port, request)):
            for path_words, path, query in _paths(url):
                words = [word for word in (scheme_words, host_words, path_words) if word]
                if words:
                    made = SplitResult(scheme, host, path, query, "").geturl()
                    yield " ".join(words), made


def _all_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    yield "the signature fits it without the blanks at its end", body.rstrip()
    yield "the signature fits it with a line's end behind it", body + b"\n"
    yield "the signature fits it with a CRLF behind it", body + b"\r\n"
    yield "the signature fits it with LF for CRLF", body.replace(b"\r\n", b"\n")
    yield "the signature fits it with CRLF for LF", body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield "the signature fits it without its byte order mark", body.removeprefix(_BOM)
    yield "the signature fits it with a byte order mark before it", _BOM + body
    if len(body) <= MOST_REWRITTEN_BYTES:
        yield from _rewritten(body)
    yield "the sender signed an empty body", b""


def _rewritten(body: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        document = json.loads(body)
        for layout, text in _written(document):
            words = f"{_REWRITTEN} (the signature fits it as JSON {layout})"
            yield words, text.encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return


def _written(document: object) -> Iterator[tuple[str, str]]:
    for order, sorts in (("", False), (", its keys sorted", True)):
        for separators, words in _LINE:
            text = json.dumps(document, ensure_ascii=False, separators=separators, sort_keys=sorts)
            yield words + order, text
            # As PHP writes it.
            yield f"{words}{order}, with escaped slashes", text.replace("/", "\\/")
            if not text.isascii():
                text = json.dumps(document, separators=separators, sort_keys=sorts)
                yield f"{words}{order}, in ASCII", text
                yield f"{words}{order}, in ASCII, with escaped slashes", text.replace("/", "\\/")
    for indent in _INDENTS:
        yield f"indented by {indent}", json.dumps(document, ensure_ascii=False, indent=indent)


def _other_schemes(url: SplitResult) -> list[tuple[str, str]]:
    if url.scheme == "https":
        return [("with http for https", "http")]
    return [("with https for http", "https")]


def _other_hosts(url: SplitResult, port: int | None, request: SignedRequest) -> list[tuple[str, str]]:
    hosts = []
    name = url.netloc.rpartition(":")[0] if port is not None else url.netloc
    if port is not None:
        hosts.append(("without its port", name))
    forwarded = request.headers.get(b"x-forwarded-host", b"").split(b",")[0].strip()[:255].decode("latin-1")
    if forwarded and forwarded != url.netloc and not set(forwarded) & set("/?#@\\"):
        hosts.append(("with the host of X-Forwarded-Host", forwarded))
    return hosts


def _paths(url: SplitResult) -> list[tuple[str, str, str]]:
    path = url.path
    slashed = (
        ("without the slash at its end", path.rstrip("/"))
        if path.endswith("/")
        else ("with a slash at its end", path + "/")
    )
    paths = [("", path, url.query), (*slashed, url.query)]
    if url.query:
        paths.append(("without its query", path, ""))
    return paths
