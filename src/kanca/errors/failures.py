"""What failed while work was done. Callers see such failures in records, not as an answer."""

from __future__ import annotations

from kanca.errors.families import KancaError


class ExpressionFailed(KancaError):
    """The expression failed on this input."""

    code = "expression_failed"
    title = "Expression failed"


class TransformFailed(KancaError):
    """The subscription's transform makes no body of this event."""

    code = "transform_failed"
    title = "Transform failed"


class EgressError(KancaError):
    """An outgoing request did not work."""

    code = "egress_error"
    title = "Outgoing request failed"


class EgressRefused(EgressError):
    """The address may not be reached from here."""

    code = "egress_refused"


class EgressTimeout(EgressError):
    """The outgoing request took too long."""

    code = "egress_timeout"


class EgressFailed(EgressError):
    """The outgoing request failed."""

    code = "egress_failed"


class AuthenticationFailed(KancaError):
    """The credential of an outgoing request could not be had."""

    code = "authentication_failed"
    title = "Authentication failed"
