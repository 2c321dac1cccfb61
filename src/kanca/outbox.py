"""The outbox in migrations and metadata of your own: see docs/guides/transactional-publishing.md."""

from __future__ import annotations

from kanca.outbound.outbox.install import add_outbox, create_outbox, drop_outbox

__all__ = ["add_outbox", "create_outbox", "drop_outbox"]
