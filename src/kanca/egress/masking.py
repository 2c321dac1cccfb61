"""Secrets in what others send back: replaced, so that they get into nothing that is stored or logged.

It is about servers that repeat what they were asked with, as it was or in the usual spellings. A server that wants to
give a secret away has other ways.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

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


def _spellings(secret: str) -> set[str]:
    """The text as it is, in URLs, in JSON and in HTML."""
    found = {secret, html.escape(secret)}
    for encoded in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        found |= {encoded, re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), encoded)}
    for only_ascii in (True, False):
        written = json.dumps(secret, ensure_ascii=only_ascii)[1:-1]
        found |= {written, written.replace("/", "\\/")}
    return found
