"""What an endpoint may be, decided purely: whether it is active, with which secret, under which slug."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from kanca.api.secret_rotation import live, rotated_secrets
from kanca.domain.endpoint import (
    BUILT_IN_IDS,
    BUILT_IN_PATHS,
    RESERVED_SLUGS,
    RESUME_WEBHOOK_ID,
    Dedupe,
    Endpoint,
    EndpointConfig,
    InvalidConfig,
    Secret,
)
from kanca.domain.endpoint_config import read_config, show_config
from kanca.domain.ids import new_endpoint_token
from kanca.domain.workflow import Definition
from kanca.errors import (
    BuiltInEndpoint,
    InvalidEndpoint,
    InvalidExpression,
    InvalidProvider,
    InvalidSecret,
    SecretRequired,
    UnknownProvider,
)
from kanca.expressions.uses import compile_answer, compile_filter
from kanca.providers import (
    Catalogue,
    ProviderSpec,
    check_secret,
    compile_extractor,
    compile_handshakes,
    compile_verifier,
    configure,
    generate_secret,
)
from kanca.workflows.entry import contradiction

GENERIC = "generic"


def read_endpoint_config(
    values: Mapping[str, Any], retention_days: int, before: EndpointConfig | None = None
) -> EndpointConfig:
    """The config that the JSON object says; the rest as ``before``. See ``described`` for what it says of the provider.

    Raises InvalidEndpoint with every ``{"key", "message"}`` in ``problems``.
    """
    try:
        config = read_config((show_config(before) if before else {}) | dict(values))
    except InvalidConfig as error:
        problems = [{"key": f"config.{key[:64]}", "message": message} for key, message in error.problems]
        raise _refused(problems) from None
    if config.dedupe_window_days > retention_days:
        if "dedupe_window_days" in values:
            message = f"must be at most {retention_days}: older events are deleted (KANCA_RETENTION_DAYS)"
            raise _refused([{"key": "config.dedupe_window_days", "message": message}])
        config = replace(config, dedupe_window_days=retention_days)
    _check_expressions(config)
    return config


def provider_name(asked: str | None, config: EndpointConfig) -> str:
    """The provider of a new endpoint: the one that was asked for, else that of its own spec, else ``generic``.

    Raises InvalidProvider for an own spec without a name.
    """
    if asked is not None or config.provider_spec is None:
        return asked or GENERIC
    name = config.provider_spec.get("name")
    if not isinstance(name, str):
        raise InvalidProvider(
            "the provider spec is not valid: it needs a `name`, or the endpoint a `provider`"
        )
    return name


def spec_of(catalogue: Catalogue, provider: str, config: EndpointConfig) -> ProviderSpec:
    """The spec of an endpoint's provider. It is cheap, as every listed endpoint needs it.

    Raises UnknownProvider, and InvalidProvider for an own spec or options that cannot be.
    """
    spec = catalogue.spec_of(provider, config.provider_spec)
    configure(spec, config.provider_options)
    return spec


def described(catalogue: Catalogue, provider: str, config: EndpointConfig) -> ProviderSpec:
    """As ``spec_of``, for a config that is to be stored: ingest can work with the spec as the config has it.

    Raises InvalidEndpoint besides, for a config that the provider's webhooks do not allow.
    """
    spec = spec_of(catalogue, provider, config)
    verifier = compile_verifier(spec, config.provider_options)
    compile_extractor(spec, config.provider_options)
    compile_handshakes(spec, config.provider_options, verifier)
    if config.dedupe is not Dedupe.AUTO and configure(spec, config.provider_options).signs_checksum:
        message = f"must be `auto`: {spec.title} signs a checksum of the body, so each id may count once only"
        raise _refused([{"key": "config.dedupe", "message": message}])
    return spec


def check_kind_of_secret(
    before: Endpoint, known: ProviderSpec | None, after: ProviderSpec, config: EndpointConfig
) -> None:
    """Raise InvalidEndpoint where what is public (a key, a topic) would be taken for a secret from now on.

    ``known`` is the provider's spec before the change, ``after`` and ``config`` are those from now on.
    """
    if not before.secrets or known is None:
        return
    was_public = configure(known, before.config.provider_options).has_public_secret
    if was_public and not configure(after, config.provider_options).has_public_secret:
        message = "cannot make a secret of what others may know, such as a public key: make a new endpoint"
        raise _refused([{"key": "config.provider_spec", "message": message}])


def known_spec(catalogue: Catalogue, endpoint: Endpoint) -> ProviderSpec | None:
    """The spec of an endpoint's provider; None where the server does not know it any more, and so takes nothing."""
    try:
        return spec_of(catalogue, endpoint.provider, endpoint.config)
    except (UnknownProvider, InvalidProvider):
        return None


def _check_expressions(config: EndpointConfig) -> None:
    """Raise InvalidEndpoint for expressions that cannot be compiled, with where in the source it is."""
    answer = config.answer.expression if config.answer else None
    problems = []
    for key, source, compiles in (
        ("config.answer", answer, compile_answer),
        ("config.filter", config.filter, compile_filter),
    ):
        try:
            if source is not None:
                compiles(source)
        except InvalidExpression as error:
            problems.append({"key": key, "message": error.detail})
    if problems:
        raise _refused(problems)


def check_slug(slug: str | None) -> None:
    """Raise InvalidEndpoint for a slug that names something else."""
    if slug in RESERVED_SLUGS:
        raise _refused([{"key": "slug", "message": f"`{slug}` is reserved"}])


def default_slug(provider: str) -> str | None:
    """The slug that an endpoint gets when none is asked for, if it is free."""
    return None if provider == GENERIC else provider


def first_secrets(spec: ProviderSpec, config: EndpointConfig, given: str | None) -> tuple[Secret, ...]:
    """The secrets of a new endpoint: the one that was given, else a new one, where it is ours to choose.

    Empty when only the provider can make one. Raises InvalidSecret when the given one cannot be right.
    """
    if given is None and spec.secret.is_issued:
        return ()
    return (Secret(_checked(spec, config, given)),)


def rotated(
    endpoint: Endpoint, spec: ProviderSpec, given: str | None, grace: timedelta, now: datetime
) -> Endpoint:
    """The endpoint with a new secret in front; those before it end after the grace.

    Those that have ended stay, so that a rejection can say that its sender still signs with one (see ``EndedSecrets``).
    An endpoint that could not be active for want of a secret is active from now on.
    Raises InvalidSecret, also when only the provider can make a secret and none is given.
    """
    if given is None and spec.secret.is_issued:
        raise InvalidSecret(
            f"Only {spec.title} makes such secrets: give the new one. It is found at: {spec.secret.where}."
        )
    newest = _checked(spec, endpoint.config, given)
    return replace(
        endpoint,
        secrets=rotated_secrets(endpoint.secrets, newest, grace, now),
        is_active=endpoint.is_active or not endpoint.secrets,
        updated_at=now,
    )


def live_secrets(endpoint: Endpoint, now: datetime) -> tuple[Secret, ...]:
    """The secrets that are valid at ``now``, the newest first."""
    return live(endpoint.secrets, now)


def may_be_active(spec: ProviderSpec, config: EndpointConfig, secrets: tuple[Secret, ...]) -> bool:
    """Whether an endpoint can be active: one that must verify needs something to verify with, or to wait for it."""
    return bool(secrets) or not config.authentication_required or waits_for_secret(spec, config, secrets)


def waits_for_secret(spec: ProviderSpec, config: EndpointConfig, secrets: tuple[Secret, ...]) -> bool:
    """Whether the endpoint's provider brings the secret itself, and has not done so: all else is refused until then."""
    if secrets or not config.authentication_required:
        return False
    return any(each.store_secret for each in configure(spec, config.provider_options).handshakes)


def secret_problem(spec: ProviderSpec, endpoint: Endpoint, now: datetime) -> str | None:
    """Why none of the endpoint's live secrets can be one of its provider as its options are; None where one can.

    Options and secret are changed one after the other, so neither change can be refused for the other's sake.
    """
    if is_built_in(endpoint) or not endpoint.config.authentication_required:
        return None
    problems = []
    for secret in live_secrets(endpoint, now):
        try:
            check_secret(spec, secret.value, endpoint.config.provider_options)
        except InvalidSecret as error:
            problems.append(error.detail)
        else:
            return None
    return problems[0] if problems else None


def is_built_in(endpoint: Endpoint) -> bool:
    """Whether it came with Kanca."""
    return endpoint.webhook_id in BUILT_IN_IDS


def as_served(endpoint: Endpoint, webhook_secret: SecretStr | None) -> Endpoint:
    """The endpoint as ingest knows it: the secret of a built-in one is a setting, and without it it is not active."""
    if endpoint.webhook_id not in BUILT_IN_PATHS:
        return endpoint
    if webhook_secret is None:
        return replace(endpoint, is_active=False)
    return replace(endpoint, secrets=(Secret(webhook_secret.get_secret_value()),))


def check_own(webhook_id: str, what: str) -> None:
    """Raise BuiltInEndpoint for a built-in endpoint; ``what`` cannot be done to it."""
    if webhook_id == RESUME_WEBHOOK_ID:
        raise BuiltInEndpoint(f"The endpoint of resume addresses is built in, and cannot be {what}.")
    if webhook_id in BUILT_IN_PATHS:
        raise BuiltInEndpoint(
            f"The endpoint is built in, and cannot be {what}; KANCA_WEBHOOK_SECRET turns it on and off."
        )


def check_answer(endpoint: Endpoint) -> None:
    """Raise InvalidEndpoint for an answer that nobody would be given."""
    if endpoint.config.answer is not None and is_built_in(endpoint):
        message = "the built-in endpoints have answers of their own"
        raise _refused([{"key": "config.answer", "message": message}])


def check_behavior(endpoint: Endpoint, definition: Definition) -> None:
    """Raise InvalidEndpoint when events would do something else in the workflow than the config says."""
    why_not = contradiction(definition, endpoint.node_id, endpoint.config.node_behavior)
    if why_not is not None:
        raise _refused([{"key": "config.node_behavior", "message": f"is {why_not}"}])


def check_waiting(endpoint: Endpoint) -> None:
    """Raise InvalidEndpoint where senders would be held for a run that nothing starts."""
    if endpoint.config.response_wait and endpoint.workflow_id is None:
        message = "needs a workflow, whose `Respond` node answers: give the endpoint a `workflow_id`, or set it to 0"
        raise _refused([{"key": "config.response_wait", "message": message}])


def check_activity(endpoint: Endpoint, spec: ProviderSpec) -> None:
    """Raise SecretRequired for an active endpoint that may not be."""
    if endpoint.is_active and not may_be_active(spec, endpoint.config, endpoint.secrets):
        where = f" It is found at: {spec.secret.where}." if spec.secret.where else ""
        raise SecretRequired(
            f"The endpoint must verify what it receives, and has no secret: set one first.{where}"
        )


def _checked(spec: ProviderSpec, config: EndpointConfig, given: str | None) -> str:
    if given is not None:
        check_secret(spec, given, config.provider_options)
        return given
    return new_endpoint_token() if spec.name == GENERIC else generate_secret(spec, config.provider_options)


def _refused(problems: list[dict[str, str]]) -> InvalidEndpoint:
    sentence = "; ".join(f"{problem['key']} {problem['message']}" for problem in problems)
    return InvalidEndpoint(sentence, problems=problems)
