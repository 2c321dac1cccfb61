from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Kanca, ScriptedServer

URL = "https://partner.example/hooks"
PARTNER: dict[str, Any] = {
    "id": "partner",
    "name": "Partner",
    "url": URL,
    "events": ["order.*"],
    "status": "active",
    "hint": None,
    "secret": "…aH4d",
}
ADDRESS = "/webhooks/subscriptions/partner"


def sent(server: ScriptedServer) -> tuple[str, str, Any]:
    """Method, path and body of the only request."""
    (received,) = server.received
    return received.method, received.path, json.loads(received.body) if received.body else None


def test_a_subscription_is_created_from_a_url_and_event_types(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, PARTNER | {"secret": "whsec_in_full", "status": "created"}))
    called = kanca("subscription", "create", URL, "order.*", "invoice.paid", "--url", server.url)
    assert called.exit_code == 0, called.output
    body = {"url": URL, "events": ["order.*", "invoice.paid"]}
    assert sent(server) == ("POST", "/webhooks/subscriptions", body)
    assert "whsec_in_full" in called.stdout


def test_all_that_is_given_is_asked_for(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, PARTNER))
    options = [
        *("--id", "partner", "--name", "Partner", "--tenant", "north", "--secret", "sixteen-characters"),
        *("--signature", "hex", "--source", "orders", "--source", "operational", "--filter", "event.data.a"),
        *("--transform", "event.data", "--credential", "shop", "--challenge", "--fifo"),
        *("--set", "timeout=5", "--set", 'retry_config={"schedule": [1]}', "--set", "fifo_key=event.id"),
    ]
    called = kanca("subscription", "create", URL, "*", *options, "--url", server.url, "--json")
    assert json.loads(called.stdout) == PARTNER
    assert sent(server)[2] == {
        "url": URL,
        "events": ["*"],
        "id": "partner",
        "name": "Partner",
        "tenant": "north",
        "secret": "sixteen-characters",
        "signature": "hex",
        "sources": ["orders", "operational"],
        "filter": "event.data.a",
        "transform": "event.data",
        "credential": "shop",
        "challenge": True,
        "fifo": True,
        "timeout": 5,
        "retry_config": {"schedule": [1]},
        "fifo_key": "event.id",
    }


def test_they_are_listed_with_what_is_wrong(kanca: Kanca, server: ScriptedServer) -> None:
    ill = PARTNER | {"id": "ill", "status": "disabled", "hint": "Enable it when it is mended."}
    server.will_answer((200, {"items": [PARTNER, ill], "next_cursor": "abc"}))
    called = kanca("subscription", "list", "--tenant", "north", "--url", server.url)
    for shown in ("partner", "active", "disabled", "Enable it", "order.*", URL, "--cursor abc"):
        assert shown in called.stdout
    assert sent(server)[:2] == ("GET", "/webhooks/subscriptions?tenant=north&limit=50")


@pytest.mark.parametrize(
    ("words", "method", "path", "body"),
    [
        (("show",), "GET", "", None),
        (("enable",), "POST", "/enable", None),
        (("disable",), "PUT", "", {"active": False}),
        (("challenge",), "POST", "/challenge", None),
        (("reveal-secret",), "POST", "/reveal-secret", None),
        (("rotate-secret",), "POST", "/rotate-secret", {}),
        (("rotate-secret", "--grace-seconds", "0"), "POST", "/rotate-secret", {"grace_seconds": 0}),
        (
            ("update", "--event", "a.*", "--event", "b.*", "--filter", "", "--no-challenge"),
            "PUT",
            "",
            {"events": ["a.*", "b.*"], "filter": None, "challenge": False},
        ),
        (
            ("update", "--to", URL, "--set", "rate_limit_per_second=null", "--credential", "shop"),
            "PUT",
            "",
            {"url": URL, "rate_limit_per_second": None, "credential": "shop"},
        ),
    ],
)
def test_each_verb_asks_the_server_for_its_own(
    kanca: Kanca, server: ScriptedServer, words: tuple[str, ...], method: str, path: str, body: Any
) -> None:
    server.will_answer((200, PARTNER))
    verb, *options = words
    called = kanca("subscription", verb, "partner", *options, "--url", server.url)
    assert called.exit_code == 0, called.output
    assert sent(server) == (method, ADDRESS + path, body)
    assert "Partner" in called.stdout


def test_deleting_says_what_was_deleted(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"status": "deleted", "subscription_id": "partner"}))
    called = kanca("subscription", "delete", "partner", "--url", server.url)
    assert called.stdout == "Subscription partner was deleted\n"
    assert sent(server)[:2] == ("DELETE", ADDRESS)


@pytest.mark.parametrize(("status", "exit_code"), [("delivered", 0), ("failed", 1)])
def test_the_exit_code_tells_whether_the_test_was_delivered(
    kanca: Kanca, server: ScriptedServer, status: str, exit_code: int
) -> None:
    server.will_answer((200, {"status": status, "status_code": 200, "attempt": {"body": "thanks"}}))
    called = kanca("subscription", "test", "partner", "--url", server.url)
    assert called.exit_code == exit_code
    assert "thanks" in called.stdout


def test_a_challenge_that_is_not_answered_is_a_refusal(kanca: Kanca, server: ScriptedServer) -> None:
    refusal = {
        "type": "urn:kanca:problem:challenge_failed",
        "title": "Challenge failed",
        "status": 409,
        "detail": "The receiver has not echoed the token: the receiver answered 404.",
        "code": "challenge_failed",
    }
    server.will_answer((409, refusal))
    called = kanca("subscription", "challenge", "partner", "--url", server.url)
    assert called.exit_code == 5
    assert "has not echoed the token" in called.stderr
