"""Credentials of nodes. (A placeholder until they are merged.)"""

from __future__ import annotations

from typing import Any, Protocol


class Credentials(Protocol):
    """Gives credentials by name."""

    async def get(self, name: str) -> Any:
        """The credential with that name."""
        ...
