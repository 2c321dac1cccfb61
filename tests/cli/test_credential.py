from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Kanca, ScriptedServer

SHOP = {
    "name": "shop",
    "kind": "bearer",
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
}
TOKEN = "sk_live_0123456789"


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ((), {"kind": "bearer", "token": TOKEN}),
        (
            ("--kind", "basic", "--username", "me"),
            {"kind": "basic", "username": "me", "password": TOKEN},
        ),
        (
            ("--kind", "header", "--header-name", "X-Key"),
            {"kind": "header", "name": "X-Key", "value": TOKEN},
        ),
        (("--kind", "query", "--query-name", "key"), {"kind": "query", "name": "key", "value": TOKEN}),
        (
            ("--kind", "oauth2", "--token-url", "https://id.example", "--client-id", "me", "--scope", "a b"),
            {
                "kind": "oauth2",
                "token_url": "https://id.example",
                "client_id": "me",
                "scope": "a b",
                "client_secret": TOKEN,
            },
        ),
        (
            ("--kind", "oauth2", "--token-url", "https://id.example", "--client-id", "me"),
            {
                "kind": "oauth2",
                "token_url": "https://id.example",
                "client_id": "me",
                "client_secret": TOKEN,
            },
        ),
    ],
)
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_the_secret_is_read_from_standard_input(
    kanca: Kanca, server: ScriptedServer, options: tuple[str, ...], body: dict[str, str], ending: str
) -> None:
    server.will_answer((200, SHOP))

    called = kanca("credential", "set", "shop", "-", *options, "--url", server.url, input=TOKEN + ending)

    assert called.exit_code == 0, called.output
    (received,) = server.received
    assert (received.method, received.path) == ("PUT", "/api/credentials/shop")
    assert json.loads(received.body) == body
    assert TOKEN not in called.output


def test_without_a_file_the_secret_is_asked_for_and_not_shown(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, SHOP))

    called = kanca("credential", "set", "shop", "--url", server.url, input=f"{TOKEN}\n")

    assert json.loads(server.received[0].body) == {"kind": "bearer", "token": TOKEN}
    assert "Token:" in called.output
    assert TOKEN not in called.output


def test_the_secret_may_be_in_a_file(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, SHOP))
    Path("token.txt").write_text(f"{TOKEN}\n")

    kanca("credential", "set", "shop", "token.txt", "--url", server.url)

    assert json.loads(server.received[0].body)["token"] == TOKEN


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--kind", "basic"), "A basic credential needs --username"),
        (("--kind", "header", "--query-name", "key"), "A header credential needs --header-name"),
        (("--username", "me"), "--username is not for a bearer credential"),
        (("--kind", "oauth2", "--client-id", "me"), "An oauth2 credential needs --token-url"),
        (("--kind", "mtls"), "An mtls credential needs --certificate"),
        (("--kind", "mtls", "--certificate", "nowhere.pem"), "nowhere.pem cannot be read"),
    ],
)
def test_options_that_do_not_fit_the_kind_are_refused_before_anything_is_asked(
    kanca: Kanca, server: ScriptedServer, options: tuple[str, ...], words: str
) -> None:
    called = kanca("credential", "set", "shop", *options, "--url", server.url, input=TOKEN)

    assert called.exit_code == 2
    assert words in called.stderr
    assert "Token" not in called.output
    assert server.received == []


def test_a_secret_that_is_no_text_is_refused(kanca: Kanca, server: ScriptedServer) -> None:
    called = kanca("credential", "set", "shop", "-", "--url", server.url, input=b"\xff\xfe")

    assert (called.exit_code, server.received) == (2, [])
    assert "Standard input is not UTF-8" in called.stderr


def test_they_are_listed_shown_and_deleted(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer(
        (200, {"items": [SHOP], "next_cursor": None}),
        (200, SHOP),
        (200, {"message": "Credential shop was deleted"}),
    )

    listed = kanca("credential", "list", "--url", server.url)
    shown = kanca("credential", "show", "shop", "--url", server.url, "--json")
    deleted = kanca("credential", "delete", "shop", "--url", server.url)

    assert "2026-03-01 12:00:00Z" in listed.stdout
    assert json.loads(shown.stdout) == SHOP
    assert deleted.stdout == "Credential shop was deleted\n"
    assert [received.method for received in server.received] == ["GET", "GET", "DELETE"]


def test_certificate_and_key_are_read_from_their_files(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, SHOP))
    Path("shop.pem").write_text("the certificate\nin lines\n")
    Path("shop.key").write_text("the key\nin lines\n")

    called = kanca(
        *("credential", "set", "shop", "shop.key", "--kind", "mtls", "--certificate", "shop.pem"),
        *("--url", server.url),
    )

    assert called.exit_code == 0, called.output
    assert json.loads(server.received[0].body) == {
        "kind": "mtls",
        "certificate": "the certificate\nin lines",
        "private_key": "the key\nin lines",
    }
