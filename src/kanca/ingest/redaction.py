"""Secrets in what is remembered of a refused request: found by the names that they go by, and left out.

Whoever sent it proved nothing, and may have sent what belongs to somebody else: a token meant for another address, a
password in a form. Works on text that may be cut anywhere, in any notation, in time linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Collection

REDACTED = "[redacted]"

_ANYWHERE = re.compile(
    r"passw|passphrase|secret|token|api_?key|access_?key|private_?key|signature|hmac|authori[sz]ation|credential"
    r"|session|cookie|card_?number|cvv|cvc|iban"
)
_AT_THE_END = re.compile(r"(?:^|[^a-z])(?:auth|pass|pin|pwd|sign|jwt|otp)$|(?:sig|hash)$|^key$")
_JSON = re.compile(r'"([^"\\]{1,100})"(\s*:\s*)("(?:[^"\\]|\\.)*"?|\[[^\]]*\]?|[^\s",\[\]{}]+)', re.DOTALL)
_FORM = re.compile(r"((?:^|[?&;\s])([^\s?&;=]{1,100})=)([^\s&;]+)")
_MULTIPART = re.compile(
    r'(name="([^"\r\n]{1,100})"[^\r\n]*(?:\r?\n[^\r\n]+)*\r?\n\r?\n)(.*?)(?=\r?\n--|\Z)', re.DOTALL
)
_XML = re.compile(r"(<([A-Za-z_][\w:.-]{0,100})(?:\s[^<>]{0,500})?>)([^<]+)")
_JWT = re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?")


def is_sensitive(name: str) -> bool:
    """Whether what goes by this name is likely to be a secret, or a proof of one."""
    plain = name.lower().replace("-", "_")
    return bool(_ANYWHERE.search(plain) or _AT_THE_END.search(plain))


def redact(text: str, names: Collection[str] = ()) -> str:
    """The text without the values of ``names`` and of sensitive names.

    It may be JSON, a form, multipart, XML, or a header's value.
    """

    def is_hidden(name: str) -> bool:
        return name in names or is_sensitive(name)

    def json_member(match: re.Match[str]) -> str:
        name, colon, _ = match.groups()
        return f'"{name}"{colon}"{REDACTED}"' if is_hidden(name) else match[0]

    def field(match: re.Match[str]) -> str:
        beginning, name, _ = match.groups()
        return beginning + REDACTED if is_hidden(name) else match[0]

    text = _JWT.sub(REDACTED, text)
    if '"' in text:
        text = _JSON.sub(json_member, text)
        text = _MULTIPART.sub(field, text)
    if "=" in text:
        text = _FORM.sub(field, text)
    if "<" in text:
        text = _XML.sub(field, text)
    return text
