"""How deliveries prove themselves to receivers: what a credential makes of a request.

Tokens (OAuth 2.0) are fetched when they are needed and kept until shortly before they end; one fetch for a credential
is under way at a time, whoever waits for it. TLS with a client certificate is made once for a credential. Both are
made anew when the credential has changed.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from kanca.domain.credential import (
    Credential,
    CredentialKind,
    Credentials,
    additions,
    secrets_of,
)
from kanca.egress import EgressClient
from kanca.egress.client_certificates import BadClientCertificate, show_client_certificate
from kanca.errors import AuthenticationFailed, CredentialNotFound, InvalidSetting
from kanca.outbound.tokens import NoToken, fetch_token

KEEP_FAILURE_SECONDS = 5.0
"""A server that gave no token is not asked again before: every delivery in flight would ask it."""


@dataclass(frozen=True, slots=True)
class Authorized:
    """What goes with a request."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    """Shows a client certificate; None: TLS as usual."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Texts that nobody may see, where the receiver sends back what it was asked with."""


@dataclass(frozen=True, slots=True)
class _Made:
    """What came of a credential."""

    outcome: Authorized | AuthenticationFailed
    ends_at: float = math.inf
    """When it is not good any more, while the credential stays."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is being made, or was made, of one credential."""

    credential: Credential
    making: asyncio.Task[_Made]
    """Whoever waits for it does not stop it by going away."""

    def made(self) -> _Made | None:
        """What was made, when nothing went wrong on the way."""
        if not self.making.done() or self.making.cancelled() or self.making.exception() is not None:
            return None
        return self.making.result()


class Authentication:
    """Makes credentials into what goes with requests. One for a process."""

    def __init__(
        self,
        credentials: Credentials,
        http: EgressClient,
        now: Callable[[], float] = time.monotonic,
        trusting: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        """``now`` gives seconds; ``trusting`` is TLS to which client certificates are added."""
        self._credentials = credentials
        self._http = http
        self._now = now
        self._trusting = trusting
        self._kept: dict[str, _Kept] = {}

    async def of(self, name: str | None) -> Authorized:
        """What goes with a request that proves itself with that credential; nothing without one.

        Raises AuthenticationFailed (facts ``credential`` and ``reason``: ``not_found``, ``unreadable``,
        ``bad_certificate``, or why there is no token: ``unreachable``, ``refused``, ``bad_answer``), and
        DatabaseUnavailable.
        """
        if name is None:
            return Authorized()
        credential = await self._read(name)
        match credential.kind:
            case CredentialKind.OAUTH2:
                return await self._once(credential, self._with_token)
            case CredentialKind.MTLS:
                return await self._once(credential, self._with_certificate)
            case _:
                added = additions(credential)
                return Authorized(added.headers, added.query, secrets=secrets_of(credential))

    def forget(self, name: str, refused: Authorized | None = None) -> None:
        """Fetch a token anew next time: a receiver answered 401.

        ``refused`` is what it answered to: when there is another token already, that one stays. Of many deliveries that
        are refused together, only the first makes a fetch.
        """
        kept = self._kept.get(name)
        made = None if kept is None or kept.credential.kind is CredentialKind.MTLS else kept.made()
        if made is None or isinstance(made.outcome, AuthenticationFailed):
            return
        if refused is None or made.outcome is refused:
            del self._kept[name]

    async def _read(self, name: str) -> Credential:
        try:
            return await self._credentials.get(name)
        except CredentialNotFound:
            self._kept.pop(name, None)
            raise _failed(name, "not_found", "there is none of that name") from None
        except InvalidSetting:
            raise _failed(name, "unreadable", "no key opens it") from None

    async def _once(
        self, credential: Credential, make: Callable[[Credential], Awaitable[_Made]]
    ) -> Authorized:
        kept = self._kept.get(credential.name)
        if kept is None or kept.credential != credential or self._is_over(kept):
            kept = _Kept(credential, asyncio.ensure_future(make(credential)))
            self._kept[credential.name] = kept
        outcome = (await asyncio.shield(kept.making)).outcome
        if isinstance(outcome, AuthenticationFailed):
            raise AuthenticationFailed(outcome.detail, **outcome.facts)  # one of its own for each
        return outcome

    def _is_over(self, kept: _Kept) -> bool:
        if not kept.making.done():
            return False
        made = kept.made()
        return made is None or self._now() >= made.ends_at

    async def _with_token(self, credential: Credential) -> _Made:
        began_at = self._now()
        try:
            token = await fetch_token(self._http, credential)
        except NoToken as error:
            return _Made(
                _failed(credential.name, error.reason, error.sentence), self._now() + KEEP_FAILURE_SECONDS
            )
        secrets = secrets_of(credential) | {token.text}
        headers = {"Authorization": f"Bearer {token.text}"}
        return _Made(Authorized(headers, secrets=secrets), began_at + token.kept_seconds)

    async def _with_certificate(self, credential: Credential) -> _Made:
        try:
            return _Made(Authorized(tls=await asyncio.to_thread(self._tls, credential)))
        except BadClientCertificate as error:
            return _Made(_failed(credential.name, "bad_certificate", f"{error.key} {error.problem}"))

    def _tls(self, credential: Credential) -> ssl.SSLContext:
        """Reads files, and for some milliseconds."""
        context = self._trusting()
        context.set_alpn_protocols(["http/1.1"])
        show_client_certificate(context, credential.values["certificate"], credential.values["private_key"])
        return context


def _failed(name: str, reason: str, sentence: str) -> AuthenticationFailed:
    return AuthenticationFailed(
        f"Credential {name!r} cannot be used: {sentence}", credential=name, reason=reason
    )
