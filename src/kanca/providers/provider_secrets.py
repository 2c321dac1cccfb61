"""The secrets of endpoints: checked when they are saved, made when none is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kanca.errors import InvalidSecret
from kanca.providers.options import configure
from kanca.providers.signing import issue
from kanca.providers.spec import ProviderSpec


def check_secret(spec: ProviderSpec, secret: str, options: Mapping[str, Any] | None = None) -> None:
    """Do nothing when ``secret`` can be one of this provider.

    Raises InvalidSecret with a sentence that says what is wrong and where the right one is found, and never quotes it.
    """
    configured = configure(spec, options)
    form = configured.secret
    problem = form.problem(secret) or _key_problem(configured, secret)
    if problem:
        where = f" It is found at: {form.where}." if form.where else ""
        raise InvalidSecret(f"This cannot be a secret of {spec.title}: it {problem}.{where}")


def generate_secret(spec: ProviderSpec, options: Mapping[str, Any] | None = None) -> str:
    """A new secret in the provider's form, of 256 bits where it has room; a public key, where that is what it is."""
    return issue(spec, options).checking or configure(spec, options).secret.generate()


def _key_problem(spec: ProviderSpec, secret: str) -> str | None:
    problems = (signature.key_problem(spec.secret, secret) for signature in spec.signatures)
    return next(filter(None, problems), None)
