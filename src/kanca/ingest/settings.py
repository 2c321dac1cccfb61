"""What of the settings concerns ingest."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from kanca.settings import Settings


class IngestSettings(Struct, frozen=True, kw_only=True):
    """The settings of the hot path."""

    public_url: str | None = None
    """What senders know this server as; without a slash at its end."""
    trusted_proxies: tuple[str, ...] = ()
    require_https: bool = False
    body_timeout: timedelta = timedelta(seconds=30)
    commit_timeout: timedelta = timedelta(seconds=10)
    """The longest that a request waits for the database."""
    commit_queue_max: int = 2_000
    redact_headers: frozenset[bytes] = frozenset()
    """Lower-case names of headers whose values are not stored."""
    parallel_commits: int = 1
    retention: timedelta = timedelta(days=3650)
    """How long events are kept: no longer than that is one the original of a duplicate."""


def ingest_settings(settings: Settings) -> IngestSettings:
    """Take them from the process's settings."""
    return IngestSettings(
        public_url=settings.public_url and settings.public_url.rstrip("/"),
        trusted_proxies=settings.trusted_proxies,
        require_https=settings.require_https,
        body_timeout=timedelta(seconds=settings.body_timeout_seconds),
        commit_timeout=timedelta(seconds=settings.commit_timeout_seconds),
        commit_queue_max=settings.commit_queue_max,
        retention=timedelta(days=settings.retention_days),
        redact_headers=frozenset(name.lower().encode() for name in settings.redact_headers),
    )
