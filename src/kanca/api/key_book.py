"""All API keys in memory, so that no request waits for the database to know who calls, and no wrong key costs a query.

Whoever changes a key, or ends a session, moves their version on in the same transaction. Every gateway looks at it once
a second: so soon a revoked key, or a session, ends everywhere. While the database is away nothing can be revoked, and
what is known is used on.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from kanca.domain.api_key import ApiKey, digest_of
from kanca.errors import DatabaseUnavailable
from kanca.storage import api_keys
from kanca.storage.api_keys import KnownKeys
from kanca.storage.ports import Database

REFRESH = timedelta(seconds=1)
USES_EVERY = timedelta(minutes=1)
"""How often one gateway writes down that a key is in use."""


class KeyBook:
    """The API keys that there are, and when they were used."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = KnownKeys(-1, {})
        self._by_id: dict[UUID, ApiKey] = {}
        self._noted: dict[UUID, datetime] = {}
        self._unwritten: dict[UUID, datetime] = {}

    async def run_once(self) -> timedelta:
        """Read the keys if any has changed, and write down which were used; gives when to do so again."""
        try:
            await self.refresh()
            await self._write_uses()
        except DatabaseUnavailable:
            pass  # not a failed duty, after which the pauses would grow
        return REFRESH

    async def refresh(self) -> None:
        """Read the keys if any has changed. Raises DatabaseUnavailable."""
        known = await self._database.read(api_keys.read_known, self._known.version)
        if known is not None and known.version > self._known.version:
            self._known = known
            self._by_id = {key.id: key for key in known.by_digest.values()}

    def find(self, text: str) -> ApiKey | None:
        """The key with that text, whether it is valid or not."""
        # It is found by its hash: how long that takes tells nothing of any key.
        return self._known.by_digest.get(digest_of(text))

    def by_id(self, key_id: UUID) -> ApiKey | None:
        """The key with that id, whether it is valid or not."""
        return self._by_id.get(key_id)

    def has_ended(self, session_id: UUID) -> bool:
        """Whether somebody ended that session."""
        return session_id in self._known.ended_sessions

    def note_use(self, key_id: UUID, now: datetime) -> None:
        """Remember that a key was used; it is written down later, and at most once a minute."""
        noted = self._noted.get(key_id)
        if noted is None or now - noted >= USES_EVERY:
            self._noted[key_id] = self._unwritten[key_id] = now

    async def _write_uses(self) -> None:
        if self._unwritten:
            uses, self._unwritten = self._unwritten, {}
            try:
                await self._database.write(api_keys.note_uses, list(uses.items()))
            except DatabaseUnavailable:
                self._unwritten = uses | self._unwritten
                raise
