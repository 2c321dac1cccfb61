"""Resume tokens: what stands at the end of the address that resumes one wait, and proves that Kanca made it.

A token names the wait, says until when it counts, and which of two answers following it gives; HMAC-SHA256 over all of
it makes it impossible to make one or to change one. Host, proxy and path are no part of it.

    version 1 · run id 16 · iteration 4 · generation 4 · expiry 8 (µs since 1970) · decision 1 · node id · HMAC 32

as ``kanca.domain.signed_token`` writes it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from kanca.domain.ids import CHOSEN_ID
from kanca.domain.signed_token import ExpiredToken, InvalidToken, signed, signed_content
from kanca.domain.wait import WaitAddress

RESUME_PATH = "/webhooks/resume/"
"""Where tokens are taken: the address is this and the token, behind the server's public URL."""
KEY_LABEL = "resume tokens"
"""What the keys are derived for (see ``SecretBox.derived``)."""

_HEAD = struct.Struct(">B16sIIqB")
_VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Decision(StrEnum):
    """The answer that following the address gives, where a run waits for one."""

    APPROVE = "approve"
    REJECT = "reject"


_DECISIONS: tuple[str | None, ...] = (None, *Decision)


class ResumeToken(NamedTuple):
    """What a token says."""

    address: WaitAddress
    expires_at: datetime
    decision: str | None = None
    """``approve``, ``reject``, or None where the wait is not for a decision."""


def make_token(keys: Sequence[bytes], token: ResumeToken) -> str:
    """The text of a token, made with the first of ``keys``.

    Raises ValueError for a node id, a number, a moment without a zone or a decision that cannot be.
    """
    run_id, node_id, iteration, generation = token.address
    if (
        not CHOSEN_ID.fullmatch(node_id)
        or token.decision not in _DECISIONS
        or token.expires_at.tzinfo is None
    ):
        raise ValueError("no token can say this")
    expires_us = (token.expires_at - _EPOCH) // _MICROSECOND
    decision = _DECISIONS.index(token.decision)
    try:
        head = _HEAD.pack(_VERSION, run_id.bytes, iteration, generation, expires_us, decision)
    except struct.error:
        raise ValueError("no token can say this") from None
    return signed(keys, head + node_id.encode())


def read_token(keys: Sequence[bytes], text: str, now: datetime) -> ResumeToken:
    """What a token says that was made with any of ``keys``. Raises InvalidToken, and ExpiredToken for ``now``."""
    token = _read(signed_content(keys, text))
    if token.expires_at <= now:
        raise ExpiredToken
    return token


def _read(content: bytes) -> ResumeToken:
    """What was signed. Raises InvalidToken for what another version may have."""
    try:
        version, run_id, iteration, generation, expires_us, decision = _HEAD.unpack_from(content)
        if version != _VERSION:
            raise InvalidToken
        address = WaitAddress(UUID(bytes=run_id), content[_HEAD.size :].decode(), iteration, generation)
        return ResumeToken(address, _EPOCH + expires_us * _MICROSECOND, _DECISIONS[decision])
    except (struct.error, UnicodeDecodeError, IndexError, OverflowError):
        raise InvalidToken from None
