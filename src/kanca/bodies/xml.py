"""XML as a document of dictionaries, lists and text.

No document type and no entities but the five of XML itself, so that nothing expands and nothing is fetched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers import expat

from kanca.bodies.charset import find_charset, marked_charset
from kanca.bodies.unreadable import Unreadable, too_many

MOST_NODES = 50_000
"""Elements and attributes together."""
MAX_XML_DEPTH = 100
"""Elements within elements: as a document at most twice as deep, which stays below what JSON may have."""

_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")


def read_xml(body: bytes, charset: str | None) -> dict[str, Any]:
    """The root element by its name. Names keep their prefixes (``soap:Body``).

    An element with text alone is that text. Any other is a dictionary: attributes as ``@name``, elements by name (a
    list where a name comes several times), text as ``#text``, without the white space around it where it stands beside
    elements.

    Raises Unreadable: ``invalid_xml``, ``unsupported_charset``, ``nested_too_deeply`` or ``too_many_parts``.
    """
    text = _decode(body, charset)
    tree = _Tree()
    parser = expat.ParserCreate("utf-8")  # whatever the declaration says: the text has been decoded
    parser.buffer_text = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.take_text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise Unreadable(
            "invalid_xml", f"The body is not valid XML: {reason} (line {error.lineno})."
        ) from None
    return tree.root.children


@dataclass(slots=True)
class _Element:
    children: dict[str, Any] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    has_elements: bool = False

    def add(self, name: str, value: Any) -> None:
        self.has_elements = True
        if name not in self.children:
            self.children[name] = value
        elif isinstance(self.children[name], list):
            self.children[name].append(value)
        else:
            self.children[name] = [self.children[name], value]

    def value(self) -> Any:
        text = "".join(self.texts)
        if not self.children:
            return text
        text = text.strip() if self.has_elements else text
        return {**self.children, "#text": text} if text else self.children


class _Tree:
    """The elements that are open, the root's parent first."""

    def __init__(self) -> None:
        self.root = _Element()
        self._open = [self.root]
        self._nodes = 0

    def start(self, _name: str, attributes: dict[str, str]) -> None:
        self._nodes += 1 + len(attributes)
        if self._nodes > MOST_NODES:
            raise too_many("elements and attributes", MOST_NODES)
        if len(self._open) > MAX_XML_DEPTH:
            raise Unreadable("nested_too_deeply", f"The XML is nested more than {MAX_XML_DEPTH} levels deep.")
        self._open.append(_Element({f"@{name}": value for name, value in attributes.items()}))

    def end(self, name: str) -> None:
        element = self._open.pop()
        self._open[-1].add(name, element.value())

    def take_text(self, text: str) -> None:
        self._open[-1].texts.append(text)


def _refuse_doctype(*_: object) -> NoReturn:
    raise Unreadable("invalid_xml", "The body is XML with a document type, which is not read.")


def _decode(body: bytes, charset: str | None) -> str:
    """The text, by RFC 7303 (section 3): byte order mark, content type, declaration, UTF-8."""
    codec = marked_charset(body) or (charset and find_charset(charset)) or _declared(body)
    try:
        return body.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise Unreadable("invalid_xml", f"The XML is not {codec.upper()} (byte {error.start}).") from None


def _declared(body: bytes) -> str:
    found = _DECLARED.match(body)
    codec = find_charset(found[1].decode()) if found else "utf-8"
    # A declaration that can be read as bytes is in no UTF-16: .NET writes so, and sends UTF-8.
    return "utf-8" if codec.startswith(("utf-16", "utf-32")) else codec
