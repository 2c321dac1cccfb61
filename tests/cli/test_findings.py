from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kanca.cli import findings
from kanca.cli.findings import Level
from kanca.storage.standing import Schema
from kanca.storage.workers import UnservedHandler, UnservedWorkflow, Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _worker(*, is_alive: bool = True) -> Worker:
    return Worker(1, "here", 1, "shop:hooks", NOW, NOW, concurrency=10, active=3, is_alive=is_alive)


@pytest.mark.parametrize(
    ("is_loopback", "has_key", "level"),
    [(True, False, Level.OK), (True, True, Level.OK), (False, True, Level.OK), (False, False, Level.ERROR)],
)
def test_an_open_address_needs_a_key(is_loopback: bool, has_key: bool, level: Level) -> None:
    assert findings.of_access("host", is_loopback=is_loopback, has_key=has_key).level is level


@pytest.mark.parametrize(
    ("counts", "level", "words"),
    [
        ((0, 0, 0), Level.OK, "opens"),
        ((3, 0, 0), Level.OK, "opens"),
        ((1, 2, 0), Level.WARNING, "2 of 3"),
        ((1, 1, 1), Level.ERROR, "1 of 3"),
    ],
)
def test_secrets_under_an_older_key_are_a_warning_and_those_under_none_an_error(
    counts: tuple[int, int, int], level: Level, words: str
) -> None:
    found = findings.of_secrets(*counts)
    assert found.level is level
    assert words in found.message


@pytest.mark.parametrize(
    ("skew_s", "level"),
    [
        (0, Level.OK),
        (1.9, Level.OK),
        (-2, Level.WARNING),
        (59, Level.WARNING),
        (-60, Level.ERROR),
        (9999, Level.ERROR),
    ],
)
def test_a_clock_may_be_a_little_off_either_way(skew_s: float, level: Level) -> None:
    assert findings.of_clock(timedelta(seconds=skew_s)).level is level


@pytest.mark.parametrize(
    ("backlog", "level"),
    [(0, Level.OK), (79, Level.OK), (80, Level.WARNING), (94, Level.WARNING), (95, Level.ERROR)],
)
def test_a_backlog_is_an_error_from_where_ingest_refuses(backlog: int, level: Level) -> None:
    assert findings.of_backlog(backlog, 100).level is level


@pytest.mark.parametrize(
    ("free", "level"), [(400, Level.OK), (399, Level.WARNING), (100, Level.WARNING), (99, Level.ERROR)]
)
def test_a_full_disk_is_noticed_before_ingest_refuses(free: int, level: Level) -> None:
    assert findings.of_disk(free, 100).level is level


@pytest.mark.parametrize(
    ("age", "level"),
    [
        (None, Level.OK),
        (timedelta(minutes=4), Level.OK),
        (timedelta(minutes=5), Level.WARNING),
        (timedelta(hours=1), Level.ERROR),
    ],
)
def test_a_transaction_may_not_stay_open_for_long(age: timedelta | None, level: Level) -> None:
    assert findings.of_snapshot(age).level is level


@pytest.mark.parametrize(
    ("expanded_to", "contracted_to", "level"),
    [
        ("0002", "c1", Level.OK),
        ("0002", None, Level.WARNING),
        ("0003", "c1", Level.WARNING),
        ("0003", "c2", Level.ERROR),
        ("0001", None, Level.ERROR),
        (None, None, Level.ERROR),
    ],
)
def test_the_schema_must_be_one_to_work_with(
    expanded_to: str | None, contracted_to: str | None, level: Level
) -> None:
    schema = Schema(expanded_to, contracted_to, expands=["0001", "0002"], contracts=["c1"])
    assert findings.of_schema(schema).level is level


def test_only_living_workers_count() -> None:
    assert findings.of_workers([]).level is Level.WARNING
    assert findings.of_workers([_worker(is_alive=False)]).level is Level.WARNING
    assert findings.of_workers([_worker(), _worker(is_alive=False)]).message == "1 alive, 3 of 10 places busy"


def test_handlers_without_a_worker_are_named_with_what_to_start() -> None:
    assert [finding.level for finding in findings.of_handlers([])] == [Level.OK]

    [shop, blog] = findings.of_handlers(
        [
            UnservedHandler("ship", "shop:hooks"),
            UnservedHandler("post", "blog:hooks"),
            UnservedHandler("bill", "shop:hooks"),
        ]
    )

    assert (shop.level, shop.message) == (Level.WARNING, "no worker has ship, bill")
    assert "kanca serve --app shop:hooks" in shop.advice
    assert "kanca serve --app blog:hooks" in blog.advice


def test_workflows_without_a_worker_are_named_with_what_they_need() -> None:
    assert [finding.level for finding in findings.of_workflows([])] == [Level.OK]

    [bill, post] = findings.of_workflows(
        [
            UnservedWorkflow("bills", ("SendInvoice",)),
            UnservedWorkflow("posts", ("Post", "SendInvoice")),
            UnservedWorkflow("reminders", ("SendInvoice",)),
        ]
    )

    assert (bill.level, bill.message) == (Level.WARNING, "no worker can run bills, reminders")
    assert "an app that has SendInvoice:" in bill.advice
    assert "an app that has Post, SendInvoice:" in post.advice


def test_whatever_is_not_ok_says_what_to_do() -> None:
    found = [
        findings.of_access("host", is_loopback=False, has_key=False),
        findings.of_clock(timedelta(hours=1)),
        *(
            findings.of_schema(Schema(at, None, ["0001", "0002"], ["c1"]))
            for at in (None, "0001", "0002", "9")
        ),
        findings.of_schema(Schema("0002", "c9", ["0001", "0002"], ["c1"])),
        findings.of_workers([]),
        findings.of_backlog(100, 100),
        findings.of_disk(0, 1),
        findings.of_snapshot(timedelta(days=1)),
    ]

    assert all(finding.advice for finding in found)
