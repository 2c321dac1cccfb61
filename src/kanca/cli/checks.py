"""What ``kanca doctor`` looks at. It changes nothing: no file is made, no schema migrated."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

from kanca.app.own_providers import catalogue_of
from kanca.cli import findings
from kanca.cli.findings import Finding, Level, error, ok, warning
from kanca.domain.loopback import is_loopback
from kanca.errors import DatabaseUnavailable, InvalidSetting, KancaError
from kanca.outbound.alerts import unreadable
from kanca.settings import Settings, load_settings, redacted
from kanca.storage import sealed_secrets, workers
from kanca.storage.dialects import file_of, key_file_of, open_database
from kanca.storage.migrating import schema_of
from kanca.storage.ports import Database
from kanca.storage.secret_box import load_secret_box
from kanca.workflows.nodes import BUILT_IN_NAMES

SECRETS_AT_ONCE = 500


async def examine() -> list[Finding]:
    """Everything that can be found out, the causes before what follows from them."""
    try:
        settings = load_settings()
        catalogue_of(settings)
    except InvalidSetting as wrong:
        return [error("settings", wrong.detail, "Mend it: docs/reference/settings.md says what can be.")]
    found = [
        ok("settings", "all of them can be read"),
        findings.of_access(
            settings.host, is_loopback=is_loopback(settings.host), has_key=settings.admin_key is not None
        ),
        _secret_key(settings),
    ]
    if settings.redis_url is not None:
        found.append(await _redis(settings.redis_url))
    if settings.alert_urls:
        found.append(findings.of_alerts(len(settings.alert_urls), unreadable(settings.alert_urls)))
    path = file_of(settings.database_url)
    if path is not None and not path.exists():
        return [*found, warning("database", f"{path} is not there yet", "`kanca serve` makes it.")]
    if path is not None:
        free_bytes = shutil.disk_usage(path.parent).free
        found.append(findings.of_disk(free_bytes, settings.min_free_disk_mb * 1_000_000))
    return [*found, *await _of_database(settings)]


def _secret_key(settings: Settings) -> Finding:
    path = key_file_of(settings.database_url)
    if settings.secret_key is None and path is not None:
        if not path.exists():
            return ok("secret key", f"{path} will be made by `kanca serve`")
        if path.stat().st_mode & 0o077:
            return warning("secret key", f"others may read {path}", f"Run `chmod 600 {path}`.")
    try:
        load_secret_box(settings)
    except InvalidSetting as wrong:
        return error(
            "secret key", wrong.detail, "Set KANCA_SECRET_KEY; keep the old keys behind the new one."
        )
    return ok("secret key", "there is one")


async def _redis(url: str) -> Finding:
    from kanca.ingest.shared_counters import SharedCounters

    try:
        counters = SharedCounters(url)
    except InvalidSetting as wrong:
        return error("redis", wrong.detail, "See KANCA_REDIS_URL.")
    failure = await counters.probe()
    await counters.close()
    if failure is None:
        return ok("redis", "it counts for the rate limits")
    return warning(
        "redis",
        "it cannot be counted in",
        "Start it, or see KANCA_REDIS_URL; KANCA_RATE_LIMIT_FALLBACK rules.",
    )


async def _of_database(settings: Settings) -> list[Finding]:
    place = redacted(settings)["database_url"]
    try:
        database = await open_database(settings.database_url, is_quiet=True)
    except KancaError as wrong:
        return [error("database", wrong.detail, "See KANCA_DATABASE_URL.")]
    try:
        return [ok("database", f"{place} answers"), *await _inside(database, settings)]
    except DatabaseUnavailable as wrong:
        return [error("database", f"{place}: {wrong.detail}", "Start it, or see KANCA_DATABASE_URL.")]
    finally:
        await database.close()


async def _inside(database: Database, settings: Settings) -> list[Finding]:
    schema = findings.of_schema(await database.read(schema_of))
    if schema.level is Level.ERROR:
        return [schema]
    found = [schema, await _clock(database)]
    found += [
        warning(
            "database settings",
            sentence,
            "Change it in the database's configuration, unless nothing that matters is stored there.",
        )
        for sentence in await database.warnings()
    ]
    found.append(findings.of_workers(await database.read(workers.running)))
    found += findings.of_handlers(await database.read(workers.unserved_handlers))
    found += findings.of_workflows(await database.read(workers.unserved_workflows, BUILT_IN_NAMES))
    backlog = await database.queue.backlog(settings.queue_max_tasks)
    found.append(findings.of_backlog(backlog, settings.queue_max_tasks))
    found.append(findings.of_snapshot(await database.oldest_snapshot_age()))
    found.append(await _stored_secrets(database, settings))
    return found


async def _clock(database: Database) -> Finding:
    before = datetime.now(UTC)
    theirs = await database.now()
    after = datetime.now(UTC)
    return findings.of_clock(theirs - (before + (after - before) / 2))


async def _stored_secrets(database: Database, settings: Settings) -> Finding:
    path = key_file_of(settings.database_url)
    if settings.secret_key is None and path is not None and not path.exists():
        # Loading the key would make it.
        values, remaining = await database.read(sealed_secrets.read, sealed_secrets.BEGINNING, 1)
        return findings.of_missing_key(path, len(values) + remaining)
    try:
        box = load_secret_box(settings)
    except InvalidSetting:  # said already
        return warning("stored secrets", "without a key, none can be looked at", "Set the key first.")
    current = older = unreadable = 0
    async for values in sealed_secrets.portions(database, SECRETS_AT_ONCE):
        found = sealed_secrets.by_key(box, values)
        current += len(found.current)
        older += len(found.older)
        unreadable += len(found.unreadable)
    return findings.of_secrets(current, older, unreadable)
