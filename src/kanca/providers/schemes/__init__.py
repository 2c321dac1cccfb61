"""How a sender proves itself: one file a scheme.

A scheme is a struct, its description in a spec, that says what it covers, makes the checker for an endpoint and signs
as the sender would. A new scheme is a new file and a name in ``Scheme``; one that signs a template of the request's
parts derives from ``SignedContent`` and adds three short methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kanca.providers.schemes.hmac import HmacSignature
from kanca.providers.schemes.none import Unsigned
from kanca.providers.schemes.token import SharedToken
from kanca.providers.verdict import RefusalCode, SignedRequest, Verdict

Scheme = HmacSignature | SharedToken | Unsigned
"""Told apart by ``scheme`` in a spec."""


class Checker(Protocol):
    """Checks one scheme for one endpoint."""

    @property
    def header(self) -> str | None:
        """The header that carries the proof; None when there is none to look for."""

    @property
    def missing(self) -> RefusalCode:
        """What it is called when that header is not there."""

    def check(self, request: SignedRequest, value: bytes, secrets: Sequence[str], now: float, /) -> Verdict:
        """Judge the request by the value of that header (empty when there is none to look for)."""
