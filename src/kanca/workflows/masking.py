"""Secrets in what others send back: replaced, so that they get into no step, attempt or log.

It is about servers that repeat what they were asked with, as it was or in the usual spellings. A server that wants to
give a secret away has other ways.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

from kanca.workflows.values import NotJson

HIDDEN = "***"
_BYTES_CHARSETS = ("utf-8", "utf-16-le", "utf-16-be")


class Mask:
    """Replaces some texts wherever they stand; without any it leaves everything as it is."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: of two that begin alike the whole one is replaced.
        forms = sorted({form for secret in secrets for form in _spellings(secret)}, key=len, reverse=True)
        encoded = [form.encode(charset) for form in forms for charset in _BYTES_CHARSETS]
        self._text = re.compile("|".join(map(re.escape, forms))) if forms else None
        self._bytes = re.compile(b"|".join(map(re.escape, encoded))) if forms else None

    def text(self, text: str) -> str:
        """The text without them."""
        return text if self._text is None else self._text.sub(HIDDEN, text)

    def content(self, content: bytes) -> bytes:
        """The bytes without them, in whichever of the usual charsets."""
        return content if self._bytes is None else self._bytes.sub(HIDDEN.encode(), content)

    def document(self, source: bytes, document: Any) -> Any:
        """A JSON document without them, keys and numbers included; ``source`` is its text. Raises NotJson."""
        if self._bytes is None or not (b"\\" in source or self._bytes.search(source)):
            return document  # nearly always, and for the price of one look
        try:
            return self._masked(document)
        except RecursionError:
            raise NotJson("the value is nested too deeply") from None

    def _masked(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case list():
                return [self._masked(entry) for entry in value]
            case dict():
                return {self.text(key): self._masked(entry) for key, entry in value.items()}
            case int() | float():
                written = str(value)
                return value if self.text(written) == written else HIDDEN
        return value


def _spellings(secret: str) -> set[str]:
    """The text as it is, in URLs, in JSON and in HTML."""
    found = {secret, html.escape(secret)}
    for encoded in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        found |= {encoded, re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), encoded)}
    for only_ascii in (True, False):
        written = json.dumps(secret, ensure_ascii=only_ascii)[1:-1]
        found |= {written, written.replace("/", "\\/")}
    return found
