"""An endpoint with everything worked out that does not depend on the request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from msgspec import Struct

from kanca.domain.answer import AnswerSpec
from kanca.domain.endpoint import RESUME_ENDPOINT, Dedupe, Endpoint, effective_rate_limit
from kanca.errors import InvalidExpression
from kanca.ingest.client import Network, parse_networks
from kanca.ingest.custom_answer import CustomAnswer, custom_answer
from kanca.ingest.fields import Fields, fields_of
from kanca.ingest.redacting import Redaction, redaction_of
from kanca.ingest.refusal import INVALID_SIGNATURE, INVALID_TOKEN
from kanca.providers import (
    Catalogue,
    Extractor,
    Handshakes,
    ProviderSpec,
    RequiredAnswer,
    Verifier,
    compile_extractor,
    compile_handshakes,
    compile_verifier,
    configure,
)
from kanca.providers.schemes.token import SharedToken

log = structlog.get_logger(__name__)

RESUME_METHODS = ("GET", "HEAD", "POST")
"""By which resume addresses are used; only the last one resumes."""
ALWAYS_REDACTED = frozenset({b"authorization", b"proxy-authorization", b"cookie"})


class Prepared(Struct, frozen=True):
    """What the hot path needs of an endpoint."""

    number: int
    webhook_id: str
    tenant: str
    verifier: Verifier
    extractor: Extractor
    default_type: str
    is_verified: bool
    """False: anybody may send, and nothing proves who did."""
    lasting_secrets: tuple[str, ...]
    """Those without an end."""
    ending_secrets: tuple[tuple[str, float], ...]
    """Those that are valid until a moment (Unix seconds)."""
    unproven: str
    """What a refusal for want of proof is called, whatever is wrong with it."""
    challenge: bytes
    """What a refusal for want of proof asks for (``WWW-Authenticate``)."""
    limit_bytes: int
    rate_limit: int
    """Requests a minute of one client; 0 is any number."""
    allowed_networks: tuple[Network, ...]
    allowed_types: tuple[str, ...]
    allowed_methods: tuple[str, ...]
    has_cors: bool
    cors_origins: frozenset[bytes] | None
    """Origins whose pages may send; None is all of them."""
    dedupe: Dedupe
    dedupe_window: timedelta
    dedupe_fields: Fields | None
    """With ``Dedupe.CONTENT``: what of the document counts; None is the whole body."""
    response_wait_s: float
    """How long a sender is held until the run of its event has answered."""
    response_timeout_status: int
    answer: CustomAnswer | None
    """What is answered in place of Kanca's own words."""
    signs_content: bool
    """The provider signs what it sends, but no content type."""
    signs_body_only: bool
    """The provider signs the body, but not the delivery id beside it (see ``kanca.ingest.dedupe``)."""
    names_deliveries: bool
    """The provider signs what it sends, and its deliveries have ids as a rule."""
    volatile: Fields | None
    """What of a signed body counts, where some of it is new with every retry."""
    redaction: Redaction | None
    """What of the body is not stored."""
    token_headers: frozenset[bytes]
    """Headers whose values are not stored: with them anybody could send any body, or the settings name them."""
    proof_headers: frozenset[bytes]
    """Headers that carry a secret or a signature: they are not shown with a rejection."""
    proof_fields: frozenset[str]
    """Fields of bodies that do."""
    handshakes: Handshakes | None
    """What the provider asks before it sends."""
    has_secret: bool
    changed_at: float
    """Unix seconds."""
    refused_is_empty: bool
    """The provider wants no body in the answer to what is not proven."""
    spec: ProviderSpec
    options: Mapping[str, Any] | None
    """What an endpoint's owner says of its provider."""

    def secrets(self, now: float) -> tuple[str, ...]:
        """The secrets that are valid at ``now`` (Unix seconds)."""
        if not self.ending_secrets:
            return self.lasting_secrets
        return self.lasting_secrets + tuple(secret for secret, end in self.ending_secrets if end > now)

    def asks_by(self, method: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request of this method can be a handshake; a browser's question before its own request is none."""
        if self.handshakes is None or method not in self.handshakes.methods:
            return False
        return method != "OPTIONS" or b"access-control-request-method" not in headers

    def expired_secrets(self, now: float) -> tuple[tuple[str, float], ...]:
        """The secrets that were valid before ``now`` (Unix seconds), as far as they are still known."""
        return tuple((secret, end) for secret, end in self.ending_secrets if end <= now)


def prepare(
    endpoint: Endpoint,
    catalogue: Catalogue,
    redacted_headers: frozenset[bytes] = frozenset(),
    retention: timedelta = timedelta.max,
) -> Prepared:
    """Work out what can be; ``redacted_headers`` are those whose values nobody may store.

    No window of duplicates is longer than ``retention``: a duplicate of what is gone would be told nothing true.

    Raises UnknownProvider or InvalidProvider for what could not have been saved.
    """
    config = endpoint.config
    options = config.provider_options
    described = catalogue.spec_of(endpoint.provider, config.provider_spec)
    verifier = compile_verifier(described, options)
    spec = configure(described, options)
    signs = spec.signs
    proof_headers = _proof_headers(spec)
    always_redacted = ALWAYS_REDACTED | redacted_headers
    return Prepared(
        number=endpoint.number,
        webhook_id=endpoint.webhook_id,
        tenant=endpoint.tenant,
        verifier=verifier,
        extractor=compile_extractor(described, options),
        default_type=spec.default_event_type,
        is_verified=config.authentication_required,
        lasting_secrets=tuple(secret.value for secret in endpoint.secrets if secret.expires_at is None),
        ending_secrets=tuple(
            (secret.value, secret.expires_at.timestamp())
            for secret in endpoint.secrets
            if secret.expires_at is not None
        ),
        unproven=INVALID_TOKEN if _shows_tokens(spec) else INVALID_SIGNATURE,
        challenge=b'Signature realm="kanca"' if signs else b'Bearer realm="kanca"',
        limit_bytes=config.max_payload_size * 1024,
        rate_limit=effective_rate_limit(config, provider_signs=signs),
        allowed_networks=parse_networks(config.allowed_ips),
        allowed_types=config.allowed_event_types,
        allowed_methods=RESUME_METHODS if endpoint.number == RESUME_ENDPOINT else config.allowed_methods,
        has_cors=config.enable_cors,
        cors_origins=_origins(config.cors_origins),
        dedupe=config.dedupe,
        dedupe_window=min(timedelta(days=config.dedupe_window_days), retention),
        dedupe_fields=fields_of(config.dedupe_include, config.dedupe_exclude),
        response_wait_s=config.response_wait if endpoint.workflow_id else 0,
        response_timeout_status=config.response_timeout_status,
        answer=_answer(endpoint.webhook_id, config.answer or _required(spec.answer)),
        signs_content=spec.signs_content,
        signs_body_only=spec.signs_content and bool(spec.delivery_id) and not spec.delivery_id_signed,
        names_deliveries=spec.signs_content and bool(spec.delivery_id),
        volatile=fields_of((), spec.volatile),
        redaction=redaction_of(config.redact_fields),
        token_headers=always_redacted if spec.signs_content else always_redacted | proof_headers,
        proof_headers=always_redacted | proof_headers,
        proof_fields=_proof_fields(spec),
        handshakes=compile_handshakes(described, options, verifier),
        has_secret=bool(endpoint.secrets),
        changed_at=endpoint.updated_at.timestamp(),
        refused_is_empty=spec.answer is not None and spec.answer.refused_is_empty,
        spec=described,
        options=options,
    )


def _origins(origins: tuple[str, ...]) -> frozenset[bytes] | None:
    return None if "*" in origins else frozenset(origin.encode() for origin in origins)


def _answer(webhook_id: str, spec: AnswerSpec | None) -> CustomAnswer | None:
    if spec is None:
        return None
    try:
        return custom_answer(spec)
    except InvalidExpression as error:
        # It was valid when it was saved, by another version. Senders are not to be turned away for it.
        log.warning("custom_answer_unusable", webhook_id=webhook_id, error=error.detail)
        return None


def _required(answer: RequiredAnswer | None) -> AnswerSpec | None:
    if answer is None:
        return None
    content_type = {"Content-Type": answer.content_type} if answer.body else {}
    return AnswerSpec(answer.status, tuple({**content_type, **answer.headers}.items()), answer.body or None)


def _shows_tokens(spec: ProviderSpec) -> bool:
    return all(isinstance(scheme, SharedToken) for scheme in spec.signatures)


def _proof_headers(spec: ProviderSpec) -> frozenset[bytes]:
    names = (getattr(scheme, "header", None) for scheme in spec.signatures)
    return frozenset(name.lower().encode() for name in names if name)


def _proof_fields(spec: ProviderSpec) -> frozenset[str]:
    paths = (getattr(scheme, "body", None) for scheme in spec.signatures)
    return frozenset(path.rpartition(".")[2] for path in paths if path)
