"""What went wrong with a request, in our own words: the one place that knows aiohttp's exceptions.

``EgressFailed`` has a fact ``cause``: ``dns``, ``connect``, ``tls``, ``proxy``, ``connection_closed`` or
``protocol``.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Mapping

import aiohttp

from kanca.errors import EgressFailed

_CERTIFICATE_PROBLEMS = {
    10: "has expired",
    9: "is not valid yet",
    18: "is signed by itself",
    19: "is signed by an authority that is not known",
    20: "is signed by an authority that is not known",
    62: "is for another host",
    64: "is for another address",
}
_CONNECT_PROBLEMS = {
    errno.ECONNREFUSED: "refused the connection",
    errno.EHOSTUNREACH: "cannot be reached",
    errno.ENETUNREACH: "cannot be reached",
    errno.ETIMEDOUT: "did not answer",
    errno.ECONNRESET: "closed the connection while it was opened",
}


class TunnelFailed(Exception):
    """A proxy made no tunnel; ``cause`` is ``proxy``, or ``connect`` when it says that nobody answers."""

    def __init__(self, cause: str, sentence: str) -> None:
        self.cause = cause
        self.sentence = sentence
        super().__init__(sentence)


def failure(error: Exception, facts: Mapping[str, object]) -> EgressFailed:
    """The error for what aiohttp, or the system under it or a proxy, raised while ``facts["host"]`` was asked."""
    cause, sentence = (error.cause, error.sentence) if isinstance(error, TunnelFailed) else _cause(error)
    return EgressFailed(f"{facts['host']} {sentence}", cause=cause, **facts)


def _cause(error: Exception) -> tuple[str, str]:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "tls", _certificate_problem(error.certificate_error)
        case ssl.SSLCertVerificationError():
            return "tls", _certificate_problem(error)
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return "tls", "could not agree on an encrypted connection"
        case aiohttp.ClientConnectorDNSError():
            return "dns", "has no address: the name could not be resolved"
        case aiohttp.ClientConnectorError():
            return "connect", _CONNECT_PROBLEMS.get(error.os_error.errno or 0, "could not be connected to")
        case aiohttp.ClientResponseError():
            return "protocol", "answered with something that is not HTTP"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError() | OSError():
            return "connection_closed", "closed the connection before its answer was complete"
        case _:
            return "protocol", "could not be talked to by HTTP"


def _certificate_problem(error: Exception) -> str:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    return f"has a certificate that {_CERTIFICATE_PROBLEMS.get(code, 'cannot be trusted')}"
