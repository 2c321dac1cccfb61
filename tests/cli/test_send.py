from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import stripe

from kanca.cli.header_dumps import folded
from kanca.errors import NotFound, Unauthenticated
from kanca.providers import (
    SignedRequest,
    Verified,
    compile_verifier,
    get_provider,
    issue,
    provider_names,
)
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
    spec = get_provider(provider)
    issued = issue(spec)

    called = kanca("send", provider, "--to", server.url + "/hooks", "--secret", issued.signing, "--json")

    if issued.documents:
        assert called.exit_code == 2
        assert "--endpoint" in called.stderr
        return
    assert called.exit_code == 0, called.output
    [delivery] = json.loads(called.stdout)["deliveries"]
    assert delivery["status_code"] == 200
    [received] = server.received
    headers = folded(received.headers.items())
    request = SignedRequest(received.method, server.url + received.path, headers, received.body)
    verdict = compile_verifier(spec).verify(request, [issued.checking], time.time())
    assert isinstance(verdict, Verified), verdict


@pytest.mark.parametrize("provider", provider_names())
def test_every_provider_can_be_rehearsed(kanca: Kanca, server: ScriptedServer, provider: str) -> None:
    tested = {"test_successful": True, "response_status": 200, "response_body": {"status": "accepted"}}
    server.will_answer((200, {"provider": provider}), (200, tested))

    called = kanca(
        "send", provider, "--endpoint", "wh_1", "--count", "2", "--type", "a.b", "--url", server.url
    )

    assert (called.exit_code, called.stdout) == (0, "2 × 200 accepted\n"), called.output
    assert [(each.method, each.path) for each in server.received] == [
        ("GET", "/api/webhooks/endpoints/wh_1"),
        ("POST", "/api/webhooks/wh_1/test"),
        ("POST", "/api/webhooks/wh_1/test"),
    ]
    assert json.loads(server.received[1].body) == {"event_type": "a.b"}


def test_a_rehearsal_is_refused_where_it_would_be_of_something_else(
    kanca: Kanca, server: ScriptedServer
) -> None:
    server.will_answer((200, {"provider": "stripe"}))

    other = kanca("send", "github", "--endpoint", "wh_1", "--url", server.url)
    unneeded = kanca("send", "stripe", "--endpoint", "wh_1", "--options", "{}", "--url", server.url)
    both = kanca("send", "stripe", "--endpoint", "wh_1", "--to", server.url)
    neither = kanca("send", "stripe")

    assert [called.exit_code for called in (other, unneeded, both, neither)] == [2, 2, 2, 2]
    assert "`stripe`, not of `github`" in other.stderr
    assert "--options" in unneeded.stderr
    assert "--to URL, or --endpoint" in both.stderr


def test_a_refused_rehearsal_is_the_exit_code(kanca: Kanca, server: ScriptedServer) -> None:
    said = {"code": "endpoint_not_found", "detail": "no endpoint"}
    tested = {"test_successful": False, "response_status": 404, "response_body": said}
    server.will_answer((200, {"provider": "stripe"}), (200, tested))

    called = kanca("send", "stripe", "--endpoint", "wh_1", "--url", server.url)

    assert called.exit_code == NotFound.exit_code
    assert called.stderr == "Error: no endpoint (endpoint_not_found)\n"


def test_who_has_only_a_public_key_is_told_what_to_do(kanca: Kanca, server: ScriptedServer) -> None:
    called = kanca("send", "discord", "--to", server.url)

    assert called.exit_code == 2
    assert "kanca provider keypair discord" in called.stderr
    assert "--endpoint" in called.stderr


def test_a_provider_of_ones_own_can_be_sent_as(kanca: Kanca, server: ScriptedServer, tmp_path: Path) -> None:
    spec = 'signatures = [{ scheme = "hmac", header = "X-Acme" }]\n'
    (tmp_path / "acme.toml").write_text(spec)
    words = ("send", "acme", "--to", server.url, "--secret", "secret")

    assert "no provider of that name" in kanca(*words).stderr
    assert kanca(*words, "--spec", "acme.toml").exit_code == 0
    (tmp_path / "kanca.toml").write_text(f"[providers.acme]\n{spec}")
    assert kanca(*words).exit_code == 0
    assert all("X-Acme" in received.headers for received in server.received)
    assert len(server.received) == 2


def test_a_variant_can_be_sent_as(kanca: Kanca, server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text(
        'signatures = [{ scheme = "hmac", header = "X-Acme" }]\n'
        '[variants.old]\nsignatures = [{ scheme = "token", header = "X-Old" }]\n'
    )

    called = kanca(
        *("send", "acme", "--spec", "acme.toml", "--to", server.url, "--secret", "secret"),
        *("--options", '{"variant": "old"}'),
    )

    assert called.exit_code == 0, called.output
    assert server.received[0].headers["X-Old"] == "secret"


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
