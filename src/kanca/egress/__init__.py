"""Outgoing HTTP: every request of Kanca leaves through ``EgressClient``, which reaches only what its guard allows.

``addresses.py`` says which IP addresses are public, ``guard.py`` what may be reached besides, ``client.py`` sends,
over connections that ``connector.py`` makes, through ``proxy.py`` if there is one.
Failures are ``EgressRefused`` (the guard says no), ``EgressTimeout`` and ``EgressFailed`` (``failures.py``).
"""

from kanca.egress.addresses import is_forbidden
from kanca.egress.attempt import EgressResponse, EgressTiming
from kanca.egress.client import EgressClient
from kanca.egress.guard import EgressGuard
from kanca.egress.proxy import EgressProxy, read_proxy

__all__ = [
    "EgressClient",
    "EgressGuard",
    "EgressProxy",
    "EgressResponse",
    "EgressTiming",
    "is_forbidden",
    "read_proxy",
]
