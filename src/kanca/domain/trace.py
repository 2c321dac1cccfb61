"""Where an event stands in a distributed trace: W3C Trace Context (``traceparent``, ``tracestate``), read strictly."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from uuid import UUID

MOST_MEMBERS = 32
MOST_STATE_CHARS = 512
"""What the standard asks everybody to hand on. Of a longer one the last members are left out."""

_PARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_KEY = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_MEMBER = re.compile(rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace: what is called from there is below it."""

    trace_id: str
    """32 hex digits."""
    span_id: str
    """16 hex digits."""
    is_sampled: bool = True
    """Somebody records it."""
    state: str = ""
    """What tracing systems on the way hand on, as it stands in ``tracestate``."""

    @property
    def traceparent(self) -> str:
        """The header that says it."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.is_sampled else '00'}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say all of it."""
        ours = {"traceparent": self.traceparent}
        return ours | {"tracestate": self.state} if self.state else ours

    def child(self, *about: str) -> Trace:
        """A place below this one; ``about`` the same thing it is the same place."""
        text = "\0".join((self.trace_id, self.span_id, *about))
        return Trace(self.trace_id, _span_id(text), self.is_sampled, self.state)


def read_trace(traceparent: str | None, tracestate: str | None = None) -> Trace | None:
    """What the headers say; None where they say nothing, or anything that the standard does not allow.

    A ``tracestate`` that cannot be read is left out; several of either are joined with commas.
    """
    found = _PARENT.fullmatch((traceparent or "").strip(" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if more is not None and version == "00":
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & 1), _read_state(tracestate or ""))


def trace_of_id(identifier: UUID) -> Trace:
    """The trace of an event, or a run, that came without one: its id, so that it can be found by that."""
    return Trace(identifier.hex, _span_id(identifier.hex))


def _span_id(text: str) -> str:
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return digest if digest.strip("0") else "0" * 15 + "1"


def _read_state(text: str) -> str:
    members: dict[str, str] = {}
    chars = 0
    for member in text.split(","):
        written = member.strip(" \t")
        if not written:
            continue
        found = _MEMBER.fullmatch(written)
        if found is None or found[1] in members or len(members) == MOST_MEMBERS:
            return ""
        chars += len(written) + 1
        if chars - 1 <= MOST_STATE_CHARS:
            members[found[1]] = written
    return ",".join(members.values())
