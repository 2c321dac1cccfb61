"""Reading a tail: what its messages are, and that it goes on where it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

import pytest

from kanca.cli.server import Server
from kanca.cli.tailing import Message, Tail, read_messages
from kanca.errors import InvalidInput, KancaError, NotFound, Unavailable
from tests.cli.conftest import ScriptedServer


def read(text: str) -> list[Message]:
    return list(read_messages(text.encode().splitlines(keepends=True)))


def stream(*numbers: int) -> bytes:
    return b"".join(
        b'id: %d\nevent: event\ndata: {"id": "evt_%d"}\n\n' % (number, number) for number in numbers
    )


def test_messages_are_read_as_the_standard_says() -> None:
    text = ": a comment\nid: 7\n\nid: 8\nevent: event\ndata: {\ndata:  }\n\nevent: gap\ndata: 1\n\nid: 9\ndata: cut"
    assert read(text) == [
        Message("place", None, "7"),
        Message("event", {}, "8"),
        Message("gap", 1, None),
    ]


def test_half_a_line_is_no_line() -> None:
    assert read('id: 8\nevent: event\ndata: {"a": 1}\n') == []
    assert read("id: 12") == []


@pytest.mark.parametrize(("text", "error"), [("<html>\n", InvalidInput), ("data: {\n\n", KancaError)])
def test_what_is_no_tail_is_not_taken_for_one(text: str, error: type[KancaError]) -> None:
    with pytest.raises(error):
        read(text)


def tail_of(
    server: ScriptedServer, said: list[str], pauses: list[float], **query: object
) -> Iterator[Message]:
    return Tail(Server(server.url, "key"), query, "3", said.append, pauses.append).messages()


def test_a_connection_that_ends_is_made_again_where_it_ended(server: ScriptedServer) -> None:
    server.will_answer((200, stream(4, 5)), (503, {"detail": "Not now."}), (200, stream(6)))
    said: list[str] = []
    pauses: list[float] = []
    messages = list(islice(tail_of(server, said, pauses, endpoint="shop", event_type=["a", "b"]), 3))
    assert [message.place for message in messages] == ["4", "5", "6"]
    assert [each.headers["Last-Event-ID"] for each in server.received] == ["3", "5", "5"]
    assert server.received[0].path == "/api/tail?endpoint=shop&event_type=a&event_type=b"
    assert server.received[0].headers["Authorization"] == "Bearer key"
    assert (said, pauses) == (["Not now. Trying again in 1 s."], [0.5, 1.0])


def test_a_server_that_was_never_there_is_not_waited_for(server: ScriptedServer) -> None:
    server.will_answer((503, {"detail": "Not now."}))
    with pytest.raises(Unavailable):
        next(tail_of(server, [], []))


def test_what_the_server_refuses_ends_it(server: ScriptedServer) -> None:
    server.will_answer(
        (200, stream(4)), (404, {"detail": "There is no such endpoint.", "code": "endpoint_not_found"})
    )
    with pytest.raises(NotFound):
        list(tail_of(server, [], []))


def test_a_tail_that_does_not_follow_ends(server: ScriptedServer) -> None:
    server.will_answer((200, stream(4)))
    assert [json.dumps(each.data) for each in tail_of(server, [], [], follow="false")] == ['{"id": "evt_4"}']
