"""The ``Forwarded`` header (RFC 7239)."""

from __future__ import annotations

import re

_PAIR = re.compile(
    r"""
    [ \t]*
    (?: (?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+) =
        (?: "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<plain>[^\s",;]*) )
    )?
    [ \t]*
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def read_forwarded(text: str) -> list[dict[str, str]] | None:
    """What each proxy said, the nearest last: values by lower-case name. None when the header is malformed.

    Malformed is malformed as a whole: a quote that the client opens and a proxy's own quote would close must not
    turn what the client wrote into what the proxy says (RFC 7239, section 4). More lenient than the RFC in one thing:
    values without quotes may have colons and brackets, as many proxies write addresses.
    """
    elements: list[dict[str, str]] = [{}]
    position = 0
    while True:
        pair = _PAIR.match(text, position)
        assert pair is not None  # noqa: S101 - the pattern matches nothing at all, too
        if name := pair["name"]:
            quoted = pair["quoted"]
            value = pair["plain"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
            if elements[-1].setdefault(name.lower(), value) is not value:
                return None  # said twice
        position = pair.end()
        if position == len(text):
            return [element for element in elements if element]
        if text[position] == ",":
            elements.append({})
        elif text[position] != ";":
            return None
        position += 1
