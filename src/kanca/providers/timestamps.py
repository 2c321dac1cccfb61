"""Signed times: where they are, in which unit, and how far from now they may be."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta, Struct

from kanca.providers.locations import BodyPath, HeaderName, find, parse_path, text_of
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest

Unit = Literal["s", "ms", "iso", "http-date"]

_FORMS = {
    "s": "a plain integer of Unix seconds",
    "ms": "a plain integer of Unix milliseconds",
    "iso": "an RFC 3339 time with its offset",
    "http-date": "an HTTP date",
}
_MOST_DIGITS = 16
_MOST_DATE_BYTES = 40
_KEPT_TIMES = 256
"""Written times whose reading is kept: a sender writes the same second many times, and each costs some 5 µs."""
_RFC3339 = re.compile(rb"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


class Timestamp(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A time that the signature covers. Without ``header`` and ``body`` it is in the signature's own header."""

    header: HeaderName | None = None
    body: BodyPath | None = None
    """Path in the body; where the signature covers the body whole, read only after it was found right."""
    unit: Unit = "s"
    """Unix seconds, Unix milliseconds (both as plain integers), RFC 3339, or an HTTP date (RFC 9110, 5.6.7)."""
    max_age_seconds: Annotated[int, Meta(ge=1, le=7 * 86_400)] = 300
    max_ahead_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 300

    def __post_init__(self) -> None:
        if self.header and self.body:
            raise ValueError("a timestamp is in a header or in the body, not in both")
        if self.body:
            parse_path(self.body)

    def read(self, value: bytes) -> float | None:
        """The time in Unix seconds, or None when ``value`` has another form: no sign, no fraction, no blanks."""
        if self.unit in ("iso", "http-date"):
            if len(value) > _MOST_DATE_BYTES:
                return None
            return _read_iso(value) if self.unit == "iso" else _read_http_date(value)
        if not value.isdigit() or len(value) > _MOST_DIGITS:
            return None
        return int(value) / 1000 if self.unit == "ms" else float(int(value))

    def write(self, now: float) -> str:
        """The time ``now`` (Unix seconds) as this provider writes it."""
        if self.unit == "iso":
            return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if self.unit == "http-date":
            return format_datetime(datetime.fromtimestamp(int(now), UTC), usegmt=True)
        return str(int(now * 1000) if self.unit == "ms" else int(now))

    def read_body(self, request: SignedRequest) -> float | Refusal:
        """The time that is in the body, in Unix seconds."""
        written = self.written_in_body(request)
        if written is None:
            return Refusal(RefusalCode.TIMESTAMP_MISSING, f"no timestamp at `{self.body}` in the body")
        instant = self.read(written)
        return self.malformed() if instant is None else instant

    def written_in_body(self, request: SignedRequest) -> bytes | None:
        """The time in the body, as it is written there."""
        value = find(request.document(), parse_path(self.body or ""))
        return None if value is None else (text_of(value) or "").encode("ascii", "replace")

    def malformed(self) -> Refusal:
        """The refusal of a timestamp that is not in this provider's form."""
        return Refusal(RefusalCode.TIMESTAMP_MALFORMED, f"the timestamp is not {_FORMS[self.unit]}")

    def judge(self, signed_at: float, now: float) -> Refusal | None:
        """A refusal when ``signed_at`` is out of tolerance at ``now``, both in Unix seconds."""
        age = now - signed_at
        if age > self.max_age_seconds:
            detail = f"timestamp is {math.ceil(age)} s old, tolerance {self.max_age_seconds} s"
            return Refusal(RefusalCode.TIMESTAMP_TOO_OLD, detail)
        if -age > self.max_ahead_seconds:
            detail = f"timestamp is {math.ceil(-age)} s in the future, tolerance {self.max_ahead_seconds} s"
            return Refusal(RefusalCode.TIMESTAMP_IN_FUTURE, detail)
        return None


@lru_cache(maxsize=_KEPT_TIMES)
def _read_iso(value: bytes) -> float | None:
    if not _RFC3339.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value.decode("ascii").upper()).timestamp()
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=_KEPT_TIMES)
def _read_http_date(value: bytes) -> float | None:
    try:
        moment = parsedate_to_datetime(value.decode("ascii"))
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
