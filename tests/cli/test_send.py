from __future__ import annotations

import json
from pathlib import Path

import pytest
import stripe

from kanca.errors import Unauthenticated
from kanca.providers import get_provider, issue, provider_names
from tests.cli.conftest import Kanca, ScriptedServer

ACCEPTED = (200, {"status": "accepted"})


def test_stripes_own_library_takes_what_is_sent(kanca: Kanca, server: ScriptedServer) -> None:
    called = kanca("send", "stripe", "--to", server.url, "--secret", "whsec_0123456789")

    assert called.exit_code == 0, called.output
    [received] = server.received
    event = stripe.Webhook.construct_event(
        received.body, received.headers["Stripe-Signature"], "whsec_0123456789"
    )
    assert event["type"] == "checkout.session.completed"


@pytest.mark.parametrize("provider", provider_names())
def test_every_provider_can_be_sent_as(kanca: Kanca, server: ScriptedServer, provider: str) -> None:
    secret = issue(get_provider(provider)).signing

    called = kanca("send", provider, "--to", server.url, "--secret", secret, "--json")

    assert called.exit_code == 0, called.output
    [delivery] = json.loads(called.stdout)["deliveries"]
    assert delivery["status_code"] == 200
    assert len(server.received) == 1


def test_type_and_body_can_be_ones_own(kanca: Kanca, server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b'\x00{"exact": 1}')

    called = kanca(
        "send",
        "github",
        "--to",
        server.url,
        "--secret",
        "secret",
        "--type",
        "issues.opened",
        "--data",
        "body",
    )

    assert called.exit_code == 0, called.output
    [received] = server.received
    assert received.body == b'\x00{"exact": 1}'
    assert received.headers["X-GitHub-Event"] == "issues"


def test_options_say_how_hmac_signs(kanca: Kanca, server: ScriptedServer) -> None:
    options = '{"header": "X-Mine", "prefix": "v0="}'

    called = kanca(
        "send",
        "hmac",
        "--to",
        server.url,
        "--secret",
        "secret",
        "--options",
        options,
        "--data",
        "-",
        input="{}",
    )

    assert called.exit_code == 0, called.output
    assert server.received[0].headers["X-Mine"].startswith("v0=")


def test_the_secret_may_come_from_the_environment(kanca: Kanca, server: ScriptedServer) -> None:
    assert kanca("send", "generic", "--to", server.url, KANCA_SEND_SECRET="token").exit_code == 0
    assert server.received[0].headers["Authorization"] == "Bearer token"


def test_each_of_many_has_an_id_of_its_own_and_the_answers_are_counted(
    kanca: Kanca, server: ScriptedServer
) -> None:
    server.will_answer(ACCEPTED, ACCEPTED, (200, {"status": "duplicate"}))

    called = kanca("send", "generic", "--to", server.url, "--secret", "token", "--count", "3")

    assert called.exit_code == 0, called.output
    assert called.stdout == "2 × 200 accepted\n1 × 200 duplicate\n"
    assert called.stderr == ""
    assert len({json.loads(received.body)["event_id"] for received in server.received}) == 3


def test_a_refusal_is_shown_and_is_the_exit_code(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer(ACCEPTED, (401, {"detail": "invalid token", "code": "invalid_token"}))

    called = kanca("send", "generic", "--to", server.url, "--secret", "wrong", "--count", "2")

    assert called.exit_code == Unauthenticated.exit_code
    assert called.stdout == "1 × 200 accepted\n1 × 401 invalid_token\n"
    assert called.stderr == "Error: invalid token (invalid_token)\n"


def test_without_a_secret_nothing_is_sent(kanca: Kanca, server: ScriptedServer) -> None:
    called = kanca("send", "stripe", "--to", server.url)

    assert called.exit_code == 2
    assert "--secret" in called.stderr
    assert server.received == []


def test_an_unknown_provider_is_named_with_the_nearest(kanca: Kanca) -> None:
    called = kanca("send", "stripes", "--to", "http://127.0.0.1:1", "--secret", "s")

    assert called.exit_code == 2
    assert "did you mean `stripe`" in called.stderr
