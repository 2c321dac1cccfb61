from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Kanca, ScriptedServer

PATH = "/api/webhooks/wh_3f0c2a9d84b1e7c65a20d9f4"


def endpoint(url: str | None) -> dict[str, Any]:
    return {"webhook_id": "wh_3f0c2a9d84b1e7c65a20d9f4", "endpoint_path": PATH, "endpoint_url": url}


@pytest.mark.parametrize(
    "words", [("create",), ("show", "wh_1"), ("list",), ("rotate-secret", "wh_1"), ("pause", "wh_1")]
)
def test_without_a_public_address_the_whole_one_of_the_server_is_shown_and_what_it_is(
    kanca: Kanca, server: ScriptedServer, words: tuple[str, ...]
) -> None:
    answer = endpoint(None)
    server.will_answer((200, {"items": [answer, answer], "next_cursor": None} if "list" in words else answer))

    shown = kanca("endpoint", *words, "--url", server.url + "/").stdout

    assert f"{server.url}{PATH}" in shown
    assert "KANCA_PUBLIC_URL" in shown.splitlines()[-1]


@pytest.mark.parametrize("words", [("show", "wh_1"), ("list",)])
def test_a_public_address_is_shown_whole_and_alone(
    kanca: Kanca, server: ScriptedServer, words: tuple[str, ...]
) -> None:
    public = f"https://hooks.a-rather-long-name-of-a-host.example.com{PATH}"
    answer = endpoint(public)
    server.will_answer((200, {"items": [answer], "next_cursor": None} if "list" in words else answer))

    shown = kanca("endpoint", *words, "--url", server.url).stdout

    assert public in shown
    assert "KANCA_PUBLIC_URL" not in shown


def test_json_is_what_the_server_said(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, b'{"endpoint_path":"/a","endpoint_url":null}'))

    shown = kanca("endpoint", "show", "wh_1", "--url", server.url, "--json").stdout

    assert shown == '{"endpoint_path":"/a","endpoint_url":null}\n'


def test_no_endpoints_have_no_addresses(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"items": [], "next_cursor": None}))

    assert kanca("endpoint", "list", "--url", server.url).stdout == "none\n"
