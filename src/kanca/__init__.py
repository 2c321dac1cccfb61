"""Kanca: a self-hosted webhook platform.

This is all that user code needs: ``Kanca`` to register handlers and node types, ``Event`` for what handlers are called
with, ``Retry`` and ``Discard`` for what they may raise, and the common base of all errors.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kanca.app.hooks import Kanca
    from kanca.domain.decisions import Discard, Retry
    from kanca.errors import KancaError
    from kanca.handlers.event import Event

__version__ = "0.1.0"

__all__ = ["Discard", "Event", "Kanca", "KancaError", "Retry", "__version__"]

_HOMES = {
    "Discard": "kanca.domain.decisions",
    "Event": "kanca.handlers.event",
    "Kanca": "kanca.app.hooks",
    "KancaError": "kanca.errors",
    "Retry": "kanca.domain.decisions",
}


def __getattr__(name: str) -> object:
    # Loaded when first asked for: the command line imports this package too, and `kanca --help` should be quick.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
