"""From bytes to text, by the charset that the sender names.

Only charsets of a fixed list: Python has codecs that are no charsets, some of which take quadratic time (``idna``,
``punycode``), and remembers every unknown name for ever.
"""

from __future__ import annotations

import codecs
from encodings import normalize_encoding
from encodings.aliases import aliases

from kanca.bodies.unreadable import Unreadable

_CHARSETS = frozenset(
    {"utf_8", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le", "ascii"}
    | {
        "latin_1",
        "mac_roman",
        "koi8_r",
        "koi8_u",
        "tis_620",
        "cp437",
        "cp850",
        "cp852",
        "cp857",
        "cp866",
        "cp874",
    }
    | {f"iso8859_{part}" for part in range(1, 17) if part != 12}  # there is no part 12
    | {f"cp{page}" for page in range(1250, 1259)}
    | {"big5", "big5hkscs", "gb2312", "gbk", "gb18030", "euc_jp", "shift_jis", "cp932", "iso2022_jp"}
    | {"euc_kr", "cp949", "johab"}
)
_SPELLINGS = {"windows_31j": "cp932", "utf8mb4": "utf_8", "iso_8859_8_i": "iso8859_8", "x_sjis": "shift_jis"}

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as that of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_FIRST_BYTES = frozenset(mark[0] for mark, _ in _MARKS)


def marked_charset(text: bytes) -> str | None:
    """The charset that a byte order mark tells; None without one."""
    if text[:1] and text[0] in _FIRST_BYTES:
        for mark, charset in _MARKS:
            if text.startswith(mark):
                return charset
    return None


def find_charset(name: str) -> str:
    """Python's name of a charset, by any of its names. Raises Unreadable (``unsupported_charset``) for one not read."""
    spelling = normalize_encoding(name.strip().lower()) if len(name) <= 40 and name.isascii() else ""
    codec = _SPELLINGS.get(spelling) or aliases.get(spelling, spelling)
    if codec.startswith("windows_"):
        codec = codec.replace("windows_", "cp")
    if codec not in _CHARSETS:
        raise Unreadable("unsupported_charset", f"The charset {name[:40]!a} is not one that is read.")
    return codec.replace("_", "-")


def decode_text(text: bytes, charset: str | None) -> str:
    """The text. A byte order mark says more than ``charset``; where neither says anything, it is UTF-8 or Windows-1252.

    Raises Unreadable: ``unsupported_charset``, or ``invalid_text`` for bytes that the charset does not have.
    """
    declared = marked_charset(text) or (charset and find_charset(charset))
    if not declared:
        return decode_undeclared(text)
    try:
        return text.decode(declared).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise Unreadable(
            "invalid_text", f"The body is not {declared.upper()}, as it says (byte {error.start})."
        ) from None


def decode_undeclared(text: bytes) -> str:
    """The text, as UTF-8 if it is that, else as Windows-1252, and where that has a gap as ISO-8859-1: always some.

    Older senders of text and forms (PayPal's IPN is one) mean these without a word.
    """
    for charset in ("utf-8", "cp1252"):
        try:
            return text.decode(charset)
        except UnicodeDecodeError:
            pass
    return text.decode("latin-1")
