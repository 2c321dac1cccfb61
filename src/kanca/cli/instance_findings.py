"""What ``kanca doctor`` makes of the instances that run: pure functions from what they say to findings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from kanca.cli.findings import Finding, error, ok, warning
from kanca.storage.instances import Instance, InstanceKind, InstanceState
from kanca.storage.ports import ConnectionRoom

AHEAD_TO_NOTICE = timedelta(seconds=2)
AHEAD_TO_MEND = timedelta(seconds=60)
"""Signatures with a timestamp are refused when it is minutes off."""
DEFAULT_CONNECTIONS = 15
"""What an instance counts for that is of a version which does not say."""
NEARLY_ALL = 0.9


def of_gateways(instances: Sequence[Instance]) -> Finding:
    """Whether anybody takes webhooks."""
    alive = [each for each in instances if each.kind is InstanceKind.GATEWAY and each.is_alive]
    if not alive:
        return warning("gateways", "no gateway runs: nobody takes webhooks", "Start one with `kanca serve`.")
    addresses = sorted({each.address for each in alive if each.address})
    stopping = sum(each.state is InstanceState.STOPPING for each in alive)
    said = f"{len(alive)} alive" + (f", {stopping} of them stopping" if stopping else "")
    return ok("gateways", f"{said}: {', '.join(addresses)}" if addresses else said)


def of_versions(instances: Sequence[Instance]) -> Finding:
    """Whether all that run are of one version."""
    alive = [each for each in instances if each.is_alive]
    versions = sorted({each.version or "one that does not say so" for each in alive})
    if not versions:
        return ok("versions", "nothing runs")
    if len(versions) == 1:
        return ok("versions", f"all instances are of {versions[0]}")
    return warning(
        "versions",
        f"instances of several versions run: {', '.join(versions)}",
        "Finish the upgrade: `kanca instance list` says which they are.",
    )


def of_instance_clocks(instances: Sequence[Instance]) -> Finding:
    """Whether the machines' clocks are with the database's, as each of them measured."""
    ahead = {
        each.hostname: timedelta(milliseconds=each.clock_ahead_ms)
        for each in instances
        if each.is_alive and each.clock_ahead_ms is not None
    }
    wrong = {host: by for host, by in sorted(ahead.items()) if abs(by) >= AHEAD_TO_NOTICE}
    if not wrong:
        return ok("instances' clocks", "all are with the database's")
    said = ", ".join(f"{host} {by.total_seconds():+.1f} s" for host, by in wrong.items())
    is_bad = any(abs(by) >= AHEAD_TO_MEND for by in wrong.values())
    advice = "Let all machines keep time by NTP: senders' signatures are judged by a gateway's own clock."
    return (error if is_bad else warning)("instances' clocks", f"off the database's: {said}", advice)


def of_connections(
    instances: Sequence[Instance], room: ConnectionRoom | None, *, is_pooled: bool
) -> list[Finding]:
    """Whether the server takes all connections that the instances may open; nothing for a file."""
    if room is None:
        return []
    alive = [each for each in instances if each.is_alive]
    wanted = sum(each.connections if each.connections is not None else DEFAULT_CONNECTIONS for each in alive)
    message = (
        f"{len(alive)} instances open {wanted} at most; the server takes {room.most}, {room.used} are open"
    )
    if is_pooled:
        message += " (the pooler's own come on top)"
    advice = (
        "Raise max_connections, lower KANCA_DATABASE_CONNECTIONS, or put PgBouncer between"
        " (docs/guides/scaling.md)."
    )
    if wanted > room.most:
        return [error("connections", message, advice)]
    if wanted > NEARLY_ALL * room.most or room.used > NEARLY_ALL * room.most:
        return [warning("connections", message, advice)]
    return [ok("connections", message)]
