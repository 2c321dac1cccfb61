from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog
from structlog.testing import capture_logs

from kanca.telemetry import lines as module
from kanca.telemetry.lines import JsonLines, Lines, at_level, lines, through_structlog
from kanca.telemetry.logs import configure_logs

FIELDS = {"status": "accepted", "id": UUID(int=7), "nothing": None, "text": "half a \ud800"}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    lines.configure("off", lambda *_: None)


async def test_lines_that_come_together_are_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_S", 0.0)
    writes: asyncio.Queue[bytes] = asyncio.Queue()
    write = JsonLines("gateway-1", writes.put_nowait)

    for _ in range(3):
        write("webhook", FIELDS, False)
    assert writes.empty()
    async with asyncio.timeout(30):
        first = await writes.get()
    write("webhook", FIELDS, True)
    async with asyncio.timeout(30):
        second = await writes.get()

    one = json.loads(first.splitlines()[0])
    assert len(first.splitlines()) == 3
    assert one.pop("timestamp").endswith("Z")
    assert one == {
        "level": "info",
        "event": "webhook",
        "process": "gateway-1",
        "status": "accepted",
        "id": str(UUID(int=7)),
        "text": "half a \ud800",
    }
    assert json.loads(second)["level"] == "warning"


async def test_many_lines_are_not_kept_for_long() -> None:
    writes: list[bytes] = []
    write = JsonLines("gateway-1", writes.append)

    while not writes:
        write("webhook", {"text": "x" * 1000}, False)

    assert len(writes[0]) < 2 * module.FLUSH_BYTES
    write.flush()
    assert len(writes) == 1


def test_where_nothing_runs_later_a_line_is_written_at_once() -> None:
    writes: list[bytes] = []

    JsonLines("gateway-1", writes.append)("webhook", FIELDS, False)

    assert len(writes) == 1


def test_what_is_not_wanted_is_not_put_together() -> None:
    for wanted, are_all, are_any in (("all", True, True), ("errors", False, True), ("off", False, False)):
        own = Lines()
        own.configure(wanted, lambda *_: None)
        assert (own.are_all, own.are_any) == (are_all, are_any)


@pytest.mark.parametrize(
    ("wanted", "level", "left"),
    [
        ("all", logging.DEBUG, "all"),
        ("all", logging.INFO, "all"),
        ("all", logging.WARNING, "errors"),
        ("errors", logging.WARNING, "errors"),
        ("errors", logging.ERROR, "off"),
        ("off", logging.DEBUG, "off"),
    ],
)
def test_the_level_of_the_log_goes_for_these_lines_too(wanted: str, level: int, left: str) -> None:
    assert at_level(wanted, level) == left


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_log_of_a_process_has_them(form: str) -> None:
    stream = io.StringIO()
    configure_logs("info", form, "worker-1", stream, requests="all")

    lines.write("attempt", {"work": "handler:shop", "code": None})
    lines.flush()

    assert "handler:shop" in stream.getvalue()
    assert "worker-1" in stream.getvalue()
    assert "code" not in stream.getvalue()


def test_in_somebody_s_own_app_they_go_where_its_log_goes() -> None:
    with capture_logs() as logs:
        lines.configure("all", through_structlog)
        lines.write("webhook", {"status": "accepted"})
        lines.write("webhook", {"status": "refused"}, is_wrong=True)

    assert [(line["event"], line["log_level"], line["status"]) for line in logs] == [
        ("webhook", "info", "accepted"),
        ("webhook", "warning", "refused"),
    ]
