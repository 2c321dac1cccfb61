"""What ``kanca doctor`` makes of what it measured: pure functions from a measurement to a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from kanca.storage.standing import Schema, Standing
from kanca.storage.workers import UnservedHandler, UnservedWorkflow, Worker

CLOSING_SHARE = 0.95
"""The share of the largest backlog from which ingest answers 503."""
WARNING_SHARE = 0.8
SKEW_TO_NOTICE = timedelta(seconds=2)
SKEW_TO_MEND = timedelta(seconds=60)
"""Signatures with a timestamp are refused when it is minutes off."""
SNAPSHOT_TO_NOTICE = timedelta(minutes=5)
SNAPSHOT_TO_MEND = timedelta(hours=1)


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    subject: str
    level: Level
    message: str
    advice: str = ""
    """What to do; empty when there is nothing to do."""


def ok(subject: str, message: str) -> Finding:
    """Nothing to do."""
    return Finding(subject, Level.OK, message)


def warning(subject: str, message: str, advice: str) -> Finding:
    """It works, and something should be done."""
    return Finding(subject, Level.WARNING, message, advice)


def error(subject: str, message: str, advice: str) -> Finding:
    """It does not work until something is done."""
    return Finding(subject, Level.ERROR, message, advice)


def of_access(host: str, *, is_loopback: bool, has_key: bool) -> Finding:
    """Who may use the management API."""
    if has_key:
        return ok("access", "management takes a key")
    if is_loopback:
        return ok("access", f"without a key, management is served to this machine only ({host})")
    return error(
        "access",
        f"listening on {host} without a key is refused",
        "Set KANCA_ADMIN_KEY, for example to `openssl rand -hex 32`.",
    )


def of_clock(skew: timedelta) -> Finding:
    """How far the database's clock is from this machine's."""
    seconds = abs(skew.total_seconds())
    message = f"the database's clock is {seconds:.1f} s off"
    advice = "Let both machines keep time by NTP: leases go by one clock, signatures by the other."
    if abs(skew) >= SKEW_TO_MEND:
        return error("clock", message, advice)
    return warning("clock", message, advice) if abs(skew) >= SKEW_TO_NOTICE else ok("clock", message)


def of_schema(schema: Schema) -> Finding:
    """Whether the database has the tables that this Kanca works with."""
    is_at = schema.expanded_to
    match schema.standing:
        case Standing.MISSING:
            return error("schema", "there is no schema", "Run `kanca migrate`.")
        case Standing.BEHIND:
            return error("schema", f"the schema is {is_at}, not {schema.newest}", "Run `kanca migrate`.")
        case Standing.TOO_NEW:
            message = "a newer Kanca has taken away what this one may need"
            return error("schema", message, "Run that version, or restore a backup.")
        case Standing.AHEAD:
            message = f"a newer Kanca has expanded it to {is_at}; this one works with it"
            return warning("schema", message, "Bring this instance up to date too.")
    if schema.pending_contracts:
        advice = "Once no older Kanca runs, run `kanca migrate --contract`."
        return warning("schema", f"current ({is_at}), with what only older versions need", advice)
    return ok("schema", f"current ({is_at})")


def of_secrets(current: int, older: int, unreadable: int) -> Finding:
    """Whether the key opens what is stored: how many secrets are under the first key, an older one, and none."""
    if unreadable:
        return error(
            "stored secrets",
            f"no key opens {unreadable} of {current + older + unreadable}",
            "Put the key that they are encrypted with behind the newer ones, in KANCA_SECRET_KEY or kanca.key.",
        )
    if older:
        return warning(
            "stored secrets",
            f"{older} of {current + older} are under an older key",
            "Run `kanca secret rotate`; then the older key can go.",
        )
    return ok("stored secrets", "the key opens them")


def of_missing_key(path: Path, sealed: int) -> Finding:
    """Whether there are secrets whose key was in a file that is not there."""
    if not sealed:
        return ok("stored secrets", "there are none yet")
    return error(
        "stored secrets",
        f"{path} is not there, and {sealed} need it",
        "Put it back, from a backup if need be.",
    )


def of_workers(workers: Sequence[Worker]) -> Finding:
    """Whether anybody does the work."""
    alive = [worker for worker in workers if worker.is_alive]
    if not alive:
        return warning(
            "workers",
            "no worker runs: events are accepted, and their work waits",
            "Start one with `kanca serve`.",
        )
    busy = sum(worker.active for worker in alive)
    room = sum(worker.concurrency for worker in alive)
    return ok("workers", f"{len(alive)} alive, {busy} of {room} places busy")


def of_handlers(unserved: Sequence[UnservedHandler]) -> list[Finding]:
    """Whether every handler has a worker that can run it; a finding for each app without."""
    if not unserved:
        return [ok("handlers", "each has a worker")]
    names_by_app: dict[str, list[str]] = {}
    for handler in unserved:
        names_by_app.setdefault(handler.app, []).append(handler.name)
    return [
        warning(
            "handlers",
            f"no worker has {', '.join(names)}",
            f"Start `kanca serve --app {app}`: their events wait.",
        )
        for app, names in names_by_app.items()
    ]


def of_workflows(unserved: Sequence[UnservedWorkflow]) -> list[Finding]:
    """Whether every published workflow has a worker that can run it; a finding for those that lack the same."""
    if not unserved:
        return [ok("workflows", "each has a worker")]
    ids_by_types: dict[tuple[str, ...], list[str]] = {}
    for workflow in unserved:
        ids_by_types.setdefault(workflow.node_types, []).append(workflow.id)
    return [
        warning(
            "workflows",
            f"no worker can run {', '.join(ids)}",
            f"Start `kanca serve --app …` with an app that has {', '.join(types)}: their runs wait.",
        )
        for types, ids in ids_by_types.items()
    ]


def of_backlog(backlog: int, highest: int) -> Finding:
    """How much work is due, and how much may be."""
    message = f"{backlog} due, of {highest} at most"
    if backlog >= CLOSING_SHARE * highest:
        return error(
            "backlog", message + ": ingest answers 503", "Start more workers, or find out what holds them up."
        )
    if backlog >= WARNING_SHARE * highest:
        advice = f"Start more workers: from {CLOSING_SHARE:.0%} on, ingest answers 503."
        return warning("backlog", message, advice)
    return ok("backlog", message)


def of_disk(free_bytes: int, lowest_bytes: int) -> Finding:
    """Whether what comes still has room."""
    message = f"{free_bytes / 1e9:.1f} GB free"
    if free_bytes < lowest_bytes:
        return error(
            "disk",
            message + ": ingest answers 503",
            "Make room, or keep events for fewer days (KANCA_RETENTION_DAYS).",
        )
    if free_bytes < 4 * lowest_bytes:
        advice = f"Make room: below {lowest_bytes / 1e9:.1f} GB (KANCA_MIN_FREE_DISK_MB), ingest answers 503."
        return warning("disk", message, advice)
    return ok("disk", message)


def of_alerts(number: int, wrong: str | None) -> Finding:
    """Whether people can be told of trouble, at so many addresses."""
    if wrong is not None:
        return error("alerts", wrong, "See KANCA_ALERT_URLS, and docs/guides/alerts.md.")
    return ok("alerts", f"people are told at {number} {'address' if number == 1 else 'addresses'}")


def of_snapshot(age: timedelta | None) -> Finding:
    """How long the oldest transaction has been open: what is deleted since then still has to be read past."""
    if age is None or age < SNAPSHOT_TO_NOTICE:
        return ok("transactions", "none is open for long")
    message = f"one is open for {age.total_seconds() / 60:.0f} minutes, and slows the queue down"
    advice = "Find it in pg_stat_activity and end it; set idle_in_transaction_session_timeout."
    return (error if age >= SNAPSHOT_TO_MEND else warning)("transactions", message, advice)
