"""``kanca listen``: forwarded as it came, one after the other, each until it is taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kanca.cli.forwarding import Forwarder, behind, forwarded_headers, is_worth_another_try
from kanca.cli.server import Server
from tests.cli.conftest import Kanca, ScriptedServer

EVENT: dict[str, Any] = {
    "id": "evt_1",
    "event_type": "order.created",
    "received_at": "2026-03-01T12:00:01Z",
    "request_method": "PUT",
    "request_headers": {
        "host": "hooks.example.com",
        "content-type": "application/json",
        "content-length": "9",
        "content-encoding": "gzip",
        "connection": "close, X-Hop",
        "x-hop": "1",
        "stripe-signature": "t=1,v1=abc",
    },
}
BODY = b'{"a": \xff}'


class Both:
    """A server and a local address in one: the scripted answers are given in turn."""

    def __init__(self, scripted: ScriptedServer, **options: Any) -> None:
        self.said: list[str] = []
        self.pauses: list[float] = []
        self.forwarder = Forwarder(
            Server(scripted.url, None),
            f"{scripted.url}/hook",
            self.said.append,
            pause=self.pauses.append,
            **({"skips_failed": False} | options),
        )


def test_the_exact_body_and_the_headers_are_forwarded(server: ScriptedServer) -> None:
    server.will_answer((200, BODY), (204, b""))
    forwarded = Both(server).forwarder.forward(EVENT)
    asked, sent = server.received
    assert (asked.method, asked.path) == ("GET", "/api/events/evt_1/body")
    assert (sent.method, sent.path, sent.body) == ("PUT", "/hook", BODY)
    names = {name.lower(): value for name, value in sent.headers.items()}
    assert names.pop("host") == server.url.removeprefix("http://")
    names.pop("accept-encoding")
    assert names == {
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "stripe-signature": "t=1,v1=abc",
        "x-kanca-event-id": "evt_1",
    }
    assert (forwarded.event_id, forwarded.status) == ("evt_1", 204)


def test_an_event_is_tried_until_it_is_taken(server: ScriptedServer) -> None:
    server.will_answer((200, BODY), (500, b""), (503, b""), (200, b""))
    both = Both(server)
    assert both.forwarder.forward(EVENT).status == 200
    assert both.pauses == [0.5, 1.0]
    assert both.said[0] == f"{server.url}/hook answered 500. Trying evt_1 again in 0.5 s."


def test_what_a_receiver_refuses_is_not_sent_again(server: ScriptedServer) -> None:
    server.will_answer((200, BODY), (400, b""))
    both = Both(server)
    assert (both.forwarder.forward(EVENT).status, both.pauses) == (400, [])
    assert [
        status for status in (200, 301, 400, 404, 408, 429, 500, 503) if is_worth_another_try(status)
    ] == [
        408,
        429,
        500,
        503,
    ]


def test_failed_ones_are_skipped_when_that_is_wanted(server: ScriptedServer) -> None:
    server.will_answer((200, BODY), (500, b""))
    both = Both(server, skips_failed=True)
    assert (both.forwarder.forward(EVENT).status, both.pauses) == (500, [])


@pytest.mark.parametrize("status", [404, 409])
def test_an_event_without_a_body_any_more_is_left_out(server: ScriptedServer, status: int) -> None:
    server.will_answer((503, {"detail": "Not now."}), (status, {"detail": "It is gone."}))
    both = Both(server)
    assert both.forwarder.forward(EVENT).status is None
    assert both.said == ["Not now. Trying again in 0.5 s.", "evt_1 is not kept any more, and is left out."]


def test_headers_of_one_connection_stay_there() -> None:
    headers = {"Connection": "x-a", "X-A": "1", "TE": "trailers", "Upgrade": "h2c", "X-B": "2"}
    assert forwarded_headers(headers) == {"X-B": "2"}


def test_how_far_behind_is_said_in_words() -> None:
    moment = 1_772_366_401.0
    ages = (3, 10, 119, 120, 7_199, 7_200, 172_799, 172_800)
    assert [behind("2026-03-01T12:00:01Z", moment + age) for age in ages] == [
        None,
        "10 s",
        "119 s",
        "2 min",
        "119 min",
        "2 h",
        "47 h",
        "2 days",
    ]


def message(number: int, event: dict[str, Any]) -> bytes:
    return b"id: %d\nevent: event\ndata: %b\n\n" % (number, json.dumps(event).encode())


def test_it_goes_on_where_it_stopped(kanca: Kanca, server: ScriptedServer, tmp_path: Path) -> None:
    command = ["listen", "--url", server.url, "--forward", f"{server.url}/hook", "--endpoint", "shop"]
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    refused = (404, {"detail": "No.", "code": "endpoint_not_found"})
    server.will_answer((200, b"id: 6\n\n" + message(7, EVENT)), (200, BODY), (200, b""), refused)
    done = kanca(*command, **environ)
    assert done.exit_code == 4
    assert "order.created  evt_1  → 200 in" in done.output
    assert "behind" in done.output
    first = server.received[0]
    assert first.path == "/api/tail?endpoint=shop&source=inbound&request=true"
    assert "Last-Event-ID" not in first.headers
    server.received.clear()
    server.will_answer((422, {"detail": "No such place.", "code": "place_unknown"}))
    done = kanca(*command, **environ)
    assert server.received[0].headers["Last-Event-ID"] == "7"
    assert done.exit_code == 2
    assert "--since begins elsewhere" in done.output
    server.received.clear()
    server.will_answer(refused)
    assert kanca(*command, "--since", "evt_0", "--json", **environ).exit_code == 4
    assert "Last-Event-ID" not in server.received[0].headers


@pytest.mark.parametrize("forward", ["localhost:3000", "ftp://localhost/"])
def test_an_address_that_is_none_is_refused(kanca: Kanca, forward: str) -> None:
    assert kanca("listen", "--url", "http://127.0.0.1:1", "--forward", forward).exit_code == 2
