"""What the doctor makes of the instances that run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kanca.cli import instance_findings
from kanca.cli.findings import Level
from kanca.storage.instances import Instance, InstanceKind, InstanceState
from kanca.storage.ports import ConnectionRoom

NOW = datetime(2026, 1, 31, tzinfo=UTC)
GATEWAY = Instance(
    kind=InstanceKind.GATEWAY,
    id=1,
    hostname="one",
    pid=7,
    address="http://one:8000",
    app=None,
    started_at=NOW,
    expires_at=NOW,
    concurrency=0,
    active=0,
    version="1.0.0",
    revision="0008",
    state=InstanceState.RUNNING,
    connections=15,
    clock_ahead_ms=0,
    is_alive=True,
)
WORKER = replace(GATEWAY, kind=InstanceKind.WORKER, hostname="two", address=None, app="shop:hooks")


def test_without_a_living_gateway_nobody_takes_webhooks() -> None:
    assert instance_findings.of_gateways([WORKER, replace(GATEWAY, is_alive=False)]).level is Level.WARNING
    found = instance_findings.of_gateways([GATEWAY, replace(GATEWAY, state=InstanceState.STOPPING), WORKER])
    assert (found.level, found.message) == (Level.OK, "2 alive, 1 of them stopping: http://one:8000")


def test_several_versions_are_a_warning_and_one_that_says_none_is_another_one() -> None:
    assert instance_findings.of_versions([GATEWAY, WORKER]).level is Level.OK
    dead = replace(WORKER, version="0.9.0", is_alive=False)
    assert instance_findings.of_versions([GATEWAY, dead]).level is Level.OK
    for version in ("1.1.0", None):
        found = instance_findings.of_versions([GATEWAY, replace(WORKER, version=version)])
        assert found.level is Level.WARNING
        assert "1.0.0" in found.message


@pytest.mark.parametrize(
    ("ahead_ms", "level"),
    [(0, Level.OK), (-1_900, Level.OK), (2_000, Level.WARNING), (-61_000, Level.ERROR)],
)
def test_a_machine_whose_clock_is_off_is_named(ahead_ms: int, level: Level) -> None:
    found = instance_findings.of_instance_clocks([GATEWAY, replace(WORKER, clock_ahead_ms=ahead_ms)])
    assert found.level is level
    assert ("two" in found.message) is (level is not Level.OK)


@pytest.mark.parametrize(
    ("most", "used", "level"),
    [(97, 40, Level.OK), (32, 20, Level.WARNING), (97, 96, Level.WARNING), (29, 10, Level.ERROR)],
)
def test_the_connections_of_all_that_live_are_added_up(most: int, used: int, level: Level) -> None:
    dead = replace(WORKER, is_alive=False)
    (found,) = instance_findings.of_connections(
        [GATEWAY, WORKER, dead], ConnectionRoom(most, used), is_pooled=False
    )
    assert found.level is level
    assert "2 instances open 30 at most" in found.message


def test_an_older_instance_counts_for_what_it_opens_unless_told() -> None:
    instances = [replace(WORKER, connections=None), replace(GATEWAY, connections=3)]
    (found,) = instance_findings.of_connections(instances, ConnectionRoom(97, 5), is_pooled=True)
    assert "open 18 at most" in found.message
    assert "pooler" in found.message


def test_a_file_takes_no_connections() -> None:
    assert instance_findings.of_connections([GATEWAY], None, is_pooled=False) == []
