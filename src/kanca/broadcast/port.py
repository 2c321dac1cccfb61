"""What a process may tell all others, and hear from them: a hurry, never a fact.

A message may be lost, come twice or late: Redis may be away, or not there at all. So nobody relies on hearing one. Who
keeps something in memory looks by itself every so often, and looks at once when it hears that there is a reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

CHANGES = "changes"
"""The topic of changes: a message is the subject of ``storage.versions`` that moved on."""

Hear = Callable[[bytes | None], None]
"""Is given a message; None when some may have been missed, so that looking is wise. Must be quick and never raise."""


class Broadcast(Protocol):
    """Tells every process of this installation, this one too."""

    def publish(self, topic: str, message: bytes = b"") -> None:
        """Tell all who listen to ``topic``: those in this process at once, others soon. Never blocks, never fails."""
        ...

    def listen(self, topic: str, hear: Hear) -> Callable[[], None]:
        """Have ``hear`` called with what is told from now on; gives what ends that."""
        ...

    async def close(self) -> None:
        """Tell and hear no more."""
        ...
