"""What the API says of a provider, from its spec."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from kanca.api.provider_models import (
    HandshakeReply,
    ProofPlace,
    Provider,
    ProviderAnswer,
    ProviderDetails,
    ProviderHandshake,
    ProviderOption,
    ProviderSample,
    ProviderVariant,
    SecretForm,
    SenderBehaviour,
    Signature,
    SignedTime,
)
from kanca.providers import Catalogue, ProviderSpec, options_of
from kanca.providers.description import (
    as_written,
    changes_of,
    contents_of,
    other_parameters,
    scheme_of,
    signature_in_words,
    timestamp_of,
)
from kanca.providers.handshake_spec import Handshake
from kanca.providers.schemes import Scheme
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Slot
from kanca.providers.timestamps import Timestamp


def summary(catalogue: Catalogue, name: str) -> Provider:
    """A provider as lists have it. Raises UnknownProvider."""
    return Provider(**_summary(catalogue, name))


def details(catalogue: Catalogue, name: str) -> ProviderDetails:
    """All that is known of a provider. Raises UnknownProvider."""
    spec = catalogue.get(name)
    return ProviderDetails(
        **_summary(catalogue, name),
        source=spec.source,
        notes=list(spec.notes),
        setup=list(spec.setup),
        signatures=[_signature(each) for each in spec.signatures],
        secret=_secret(spec.secret),
        event_type=list(spec.event_type),
        default_event_type=spec.default_event_type,
        delivery_id=list(spec.delivery_id),
        delivery_id_is_signed=spec.delivery_id_signed,
        handshakes=[_handshake(each) for each in spec.handshakes],
        answer=None if spec.answer is None else ProviderAnswer(**msgspec.structs.asdict(spec.answer)),
        sender=SenderBehaviour(**msgspec.to_builtins(spec.sender)),
        variants_in_detail=[_variant(spec, *each) for each in spec.variants.items()],
        options=[ProviderOption(**option._asdict()) for option in options_of(spec)],
        samples=[ProviderSample(**msgspec.structs.asdict(sample)) for sample in spec.samples],
        spec=as_written(spec),
    )


def _summary(catalogue: Catalogue, name: str) -> dict[str, Any]:
    spec = catalogue.get(name)
    return {
        "name": spec.name,
        "title": spec.title,
        "summary": spec.summary,
        "origin": "own" if catalogue.is_own(name) else "kanca",
        "label": spec.label,
        "signs": spec.signs,
        "secret_is_issued": spec.secret.is_issued,
        "secret_where": spec.secret.where,
        "docs_url": spec.docs_url,
        "sample_event_types": [sample.event_type for sample in spec.samples],
        "variants": list(spec.variants),
    }


def _signature(signature: Scheme) -> Signature:
    timestamp, algorithm = timestamp_of(signature), getattr(signature, "algorithm", None)
    return Signature(
        scheme=scheme_of(signature),
        algorithm=algorithm if isinstance(algorithm, str) else None,
        in_words=signature_in_words(signature),
        place=_place(signature),
        form=getattr(signature, "form", None),
        encoding=getattr(signature, "encoding", None),
        signed_content=list(contents_of(signature)),
        body_is_signed=signature.covers(Slot("body", "")),
        timestamp=None if timestamp is None else _timestamp(timestamp),
        id_header=getattr(signature, "id_header", None),
        parameters=other_parameters(signature),
    )


def _place(signature: Scheme) -> ProofPlace | None:
    places: tuple[Literal["header", "body", "query"], ...] = ("header", "body", "query")
    return next(
        (
            ProofPlace(where=where, name=name)
            for where in places
            if isinstance(name := getattr(signature, where, None), str)
        ),
        None,
    )


def _timestamp(timestamp: Timestamp) -> SignedTime:
    return SignedTime(
        where="header" if timestamp.header else "body" if timestamp.body else "signature",
        name=timestamp.header or timestamp.body,
        unit=timestamp.unit,
        max_age_seconds=timestamp.max_age_seconds,
        max_ahead_seconds=timestamp.max_ahead_seconds,
    )


def _secret(secret: SecretFormat) -> SecretForm:
    described = msgspec.to_builtins(secret)
    return SecretForm(**{name: described[name] for name in SecretForm.model_fields})


def _handshake(handshake: Handshake) -> ProviderHandshake:
    reply = handshake.reply
    return ProviderHandshake(
        name=handshake.name,
        about=handshake.about,
        method=handshake.method,
        proof=handshake.proof,
        when={**handshake.when, **{key: f"/{pattern}/" for key, pattern in handshake.patterns.items()}},
        reply=HandshakeReply(
            status=reply.status,
            content_type="application/json" if reply.json else reply.content_type,
            text=reply.text,
            json_fields=dict(reply.json) if reply.json else None,
            headers=dict(reply.headers),
        ),
        stores_secret=handshake.store_secret,
        visits=handshake.visit,
    )


def _variant(spec: ProviderSpec, name: str, variant: ProviderSpec) -> ProviderVariant:
    return ProviderVariant(
        name=name,
        title=variant.title,
        summary=variant.summary,
        changes=changes_of(spec, variant),
        signatures=[_signature(each) for each in variant.signatures],
        secret=_secret(variant.secret),
    )
