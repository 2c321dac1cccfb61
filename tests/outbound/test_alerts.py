"""Telling people: Apprise itself, and a receiver on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kanca.errors import InvalidSetting
from kanca.handlers.threads import SyncThreads
from kanca.outbound.alerts import Addresses, unreadable
from kanca.outbound.notices import Message

MESSAGE = Message("Kanca: 1 subscription disabled", "- *shop* <b>(tenant acme)</b>")


@dataclass
class Chat:
    """What people see."""

    port: int = 0
    status: int = 200
    messages: list[dict[str, Any]] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"json://user:hidden-password@127.0.0.1:{self.port}/hidden-path"


@pytest.fixture
def chat() -> Iterator[Chat]:
    seen = Chat()
    seen.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.may_answer.wait(30)
            seen.messages.append(json.loads(body))
            self.send_response(seen.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        seen.port = listener.server_port
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        yield seen
        seen.may_answer.set()
        listener.shutdown()
        thread.join()


@pytest.fixture
def threads() -> Iterator[SyncThreads]:
    threads = SyncThreads()
    yield threads
    threads.close()


async def test_people_get_the_message_as_it_is(chat: Chat, threads: SyncThreads) -> None:
    assert await Addresses([chat.url], threads.run).tell(MESSAGE) == {0}

    [message] = chat.messages
    assert (message["title"], message["message"], message["type"]) == (*MESSAGE, "warning")


async def test_an_address_that_fails_keeps_no_other_from_the_message(
    chat: Chat, threads: SyncThreads, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    nobody = "json://user:hidden-password@127.0.0.1:1/hidden-path"
    addresses = Addresses([nobody, chat.url], threads.run)

    assert await addresses.tell(MESSAGE) == {1}
    chat.status = 500
    assert await addresses.tell(MESSAGE) == set()

    said = capfd.readouterr()
    assert "hidden" not in caplog.text + said.out + said.err


async def test_those_who_have_it_are_left_out(chat: Chat, threads: SyncThreads) -> None:
    addresses = Addresses([chat.url, chat.url], threads.run)

    assert await addresses.tell(MESSAGE, {0}) == {1}
    assert await addresses.tell(MESSAGE, {0, 1}) == set()
    assert len(chat.messages) == 1


async def test_an_address_that_does_not_answer_is_waited_for_so_long(
    chat: Chat, threads: SyncThreads
) -> None:
    chat.may_answer.clear()

    assert await Addresses([chat.url], threads.run, timedelta(milliseconds=50)).tell(MESSAGE) == set()


@pytest.mark.parametrize("url", ["nonsense://secret", "secret", "", "json://"])
def test_an_address_that_apprise_cannot_read_is_refused_without_being_quoted(
    url: str, threads: SyncThreads, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InvalidSetting, match="KANCA_ALERT_URLS: number 2") as refused:
        Addresses(["json://127.0.0.1", url], threads.run)

    said = capfd.readouterr()
    assert "secret" not in refused.value.detail + said.out + said.err
    assert unreadable(["json://127.0.0.1", url]) == refused.value.detail
    assert unreadable(["json://127.0.0.1"]) is None


def test_without_the_extra_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, threads: SyncThreads
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    with pytest.raises(InvalidSetting, match=r"kanca\[alerts\]"):
        Addresses(["json://127.0.0.1"], threads.run)
