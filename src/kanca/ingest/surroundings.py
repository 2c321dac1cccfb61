"""What ingest has around it, beside its storage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from msgspec import Struct, field

from kanca.ingest.gates import Gate
from kanca.ingest.public_documents import Get, nowhere
from kanca.ingest.rate_limit import RateLimiter
from kanca.providers import Catalogue


class Surroundings(Struct, frozen=True, kw_only=True):
    """Each with what suffices for one process that knows nobody."""

    gates: Sequence[Gate] = ()
    """Asked before every commit whether the door is closed."""
    clock: Callable[[], float] = time.time
    """Gives Unix seconds."""
    limiter: RateLimiter | None = None
    """None: this process counts for itself."""
    get: Get = nowhere
    """Reaches providers for their certificates and keys."""
    resume_keys: Sequence[bytes] = ()
    """What resume addresses are signed with, the newest first; without any, there are none."""
    catalogue: Catalogue = field(default_factory=Catalogue)
    """The providers that endpoints may have."""
