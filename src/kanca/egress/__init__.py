"""Outgoing HTTP: every request of Kanca leaves through ``EgressClient``, which reaches only what its guard allows.

``addresses.py`` says which IP addresses are public, ``guard.py`` what may be reached besides, ``client.py`` sends.
Failures are ``EgressRefused`` (the guard says no), ``EgressTimeout`` and ``EgressFailed`` (``failures.py``).
"""

from kanca.egress.addresses import is_forbidden
from kanca.egress.attempt import EgressResponse, EgressTiming
from kanca.egress.client import EgressClient
from kanca.egress.guard import EgressGuard

__all__ = ["EgressClient", "EgressGuard", "EgressResponse", "EgressTiming", "is_forbidden"]
