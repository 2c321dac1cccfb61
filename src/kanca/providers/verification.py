"""Verifying requests: everything is worked out once per endpoint, so that a request costs little more than its hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kanca.providers.options import configure
from kanca.providers.schemes import Checker
from kanca.providers.spec import ProviderSpec
from kanca.providers.verdict import Refusal, SignedRequest, Verdict


class Verifier:
    """Says whether a request comes from an endpoint's provider."""

    def __init__(self, checkers: Sequence[Checker]) -> None:
        """``checkers`` are alternatives, the preferred one first."""
        self._alternatives = tuple((checker.find, checker.check) for checker in checkers)
        places = " or ".join(checker.place_name for checker in checkers if checker.place_name)
        self._missing = Refusal(checkers[0].missing, f"no {places}")

    def verify(self, request: SignedRequest, secrets: Sequence[str], now: float) -> Verdict:
        """Judge a request at ``now`` (Unix seconds) by the endpoint's live ``secrets``; any of them may prove it.

        Only the first alternative whose proof is there counts: when it fails, no other is tried. Never raises for
        anything that a caller can send.
        """
        for find, check in self._alternatives:
            value = find(request)
            if value is not None:
                return check(request, value, secrets, now)
        return self._missing


def compile_verifier(spec: ProviderSpec, options: Mapping[str, Any] | None = None) -> Verifier:
    """Make the verifier of an endpoint; ``options`` are what its config sets about its provider.

    Raises InvalidProvider when the options cannot be used.
    """
    configured = configure(spec, options)
    return Verifier([signature.checker(configured.secret) for signature in configured.signatures])
