"""``kanca provider``: what is shown, and requests that are verified by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kanca.api.provider_views import details, summary
from kanca.app.outgoing import Outgoing
from kanca.providers import Catalogue, Issued, get_provider, issue, make_delivery, provider_names, sign
from tests.cli.conftest import Kanca, ScriptedServer

URL = "https://hooks.example.com/webhooks/it?a=b"
SECRET = "It's a Secret to Everybody"
DIGEST = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def serve(monkeypatch: pytest.MonkeyPatch, documents: Mapping[str, bytes]) -> None:
    """Let providers publish these documents."""

    async def get(_outgoing: Outgoing, url: str) -> tuple[int, bytes]:
        return (200, documents[url]) if url in documents else (404, b"")

    monkeypatch.setattr(Outgoing, "get", get)


def deliver(directory: Path, provider: str, issued: Issued) -> tuple[str, ...]:
    """Write a delivery to files; gives the words that verify it."""
    spec = get_provider(provider)
    draft = make_delivery(spec, None, now=time.time(), url=URL).draft
    signed = sign(spec, None, issued.signing, draft)
    (directory / "headers").write_text(json.dumps(signed.headers))
    (directory / "body").write_bytes(signed.body)
    return (
        *("provider", "verify", provider, "--secret", issued.checking, "--headers", "headers"),
        *("--body", "body", "--url", signed.url, "--json"),
    )


@pytest.mark.parametrize("provider", provider_names())
def test_a_delivery_of_every_provider_is_verified(
    kanca: Kanca, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    issued = issue(get_provider(provider))
    words = deliver(tmp_path, provider, issued)
    serve(monkeypatch, issued.documents)

    called = kanca(*words, *(["--fetch"] if issued.documents else []))

    assert called.exit_code == 0, called.output
    verdict = json.loads(called.stdout)
    assert (verdict["is_verified"], verdict["code"]) == (True, None)
    assert verdict["event_type"] == get_provider(provider).samples[0].event_type
    assert all(part["bytes"] is not None or part["part"].startswith("{secret") for part in verdict["signed"])
    assert issued.checking not in called.output


@pytest.mark.parametrize("provider", [name for name in provider_names() if get_provider(name).signs])
def test_a_delivery_of_none_fits_another_secret(
    kanca: Kanca, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    issued = issue(get_provider(provider))
    words = deliver(tmp_path, provider, issued)
    serve(monkeypatch, issued.documents)
    other = issue(get_provider(provider)).checking

    called = kanca(*_with(words, other), "--fetch")

    assert called.exit_code == 1, called.output
    verdict = json.loads(called.stdout)
    assert verdict["is_verified"] is False
    assert verdict["code"]
    assert verdict["event_type"] is None
    assert issued.checking not in called.output
    assert other not in called.output


def _with(words: tuple[str, ...], secret: str) -> list[str]:
    at = words.index("--secret") + 1
    return [*words[:at], secret, *words[at + 1 :]]


def test_people_are_told_why_and_what_was_signed(kanca: Kanca) -> None:
    header = f"X-Hub-Signature-256: {DIGEST}"
    words = ("provider", "verify", "github", "--body", "-", "--header", header, "--secret", SECRET)

    right = kanca(*words, input="Hello, World!")
    wrong = kanca(*words, input="Hello, World!\n")
    missing = kanca(*words[:5], "--secret", SECRET, "--header", "X-Slack-Signature: v0=1", input="Hello")

    assert right.exit_code == 0
    assert [line.split(None, 1) for line in right.stdout.splitlines()] == [
        ["verified", "yes"],
        ["reason", "the proof fits the secret"],
        ["event", "type  webhook.received"],
        ["signed", "{body}: 13 bytes"],
        ["body", "13 bytes"],
    ]
    assert wrong.exit_code == 1
    assert "blanks at its end" in wrong.stdout, "the diagnosis says what was changed"
    assert "(signature_mismatch)" in wrong.stdout
    assert "looks like slack" in missing.stdout
    assert SECRET not in right.output + wrong.output + missing.output


def test_an_old_request_is_judged_as_of_then(kanca: Kanca, tmp_path: Path) -> None:
    issued = issue(get_provider("slack"))
    words = deliver(tmp_path, "slack", issued)

    then = kanca(*words)
    late = kanca(*words, "--at", "2040-01-01T00:00:00Z")
    tolerant = kanca(*words, "--options", '{"tolerance_seconds": 10}', "--at", "now")
    wrong = [kanca(*words, "--at", text) for text in ("yesterday", "2026-01-01", "2026-01-01T00:00:00")]

    assert then.exit_code == tolerant.exit_code == 0
    assert (late.exit_code, json.loads(late.stdout)["code"]) == (1, "timestamp_too_old")
    assert {called.exit_code for called in wrong} == {2}


def test_without_fetch_what_would_be_needed_is_said(kanca: Kanca, tmp_path: Path) -> None:
    issued = issue(get_provider("paypal"))
    words = deliver(tmp_path, "paypal", issued)

    verdict = json.loads(kanca(*words).stdout)

    assert (verdict["is_verified"], verdict["code"]) == (False, "key_needed")
    assert next(iter(issued.documents)) in verdict["reason"]


def test_a_document_that_cannot_be_had_is_an_error(
    kanca: Kanca, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = deliver(tmp_path, "paypal", issue(get_provider("paypal")))
    serve(monkeypatch, {})

    called = kanca(*words, "--fetch")

    assert called.exit_code == 1
    assert "answered 404" in called.stderr


def test_a_handshake_is_known_for_what_it_is(kanca: Kanca) -> None:
    called = kanca(
        *("provider", "verify", "meta", "--secret", "app-secret:verify-me", "--method", "GET", "--json"),
        *("--url", "https://a.b/?hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=1158201444"),
    )

    assert json.loads(called.stdout)["handshake"] == "subscribe"


def test_a_spec_of_ones_own_can_be_tried_before_it_is_used(kanca: Kanca, tmp_path: Path) -> None:
    spec = {"signatures": [{"scheme": "token", "header": "X-Token"}], "event_type": ["{body:kind}"]}
    (tmp_path / "acme.json").write_text(json.dumps(spec))
    words = (
        "provider",
        "verify",
        "acme",
        "--spec",
        "acme.json",
        "--secret",
        "letmein",
        "--body",
        "-",
        "--json",
    )

    called = kanca(*words, "--header", "X-Token: letmein", input='{"kind": "paid"}')
    (tmp_path / "acme.json").write_text(json.dumps(spec | {"colour": "red"}))
    wrong = kanca(*words, input="{}")

    assert json.loads(called.stdout)["event_type"] == "paid"
    assert (wrong.exit_code, "colour" in wrong.stderr) == (2, True)


def test_a_secret_that_none_could_be_is_noted(kanca: Kanca) -> None:
    called = kanca("provider", "verify", "stripe", "--secret", "not-from-stripe", "--json")

    [note] = json.loads(called.stdout)["notes"]
    assert "`whsec_`" in note
    assert "not-from-stripe" not in called.output


def test_only_one_thing_can_be_standard_input(kanca: Kanca) -> None:
    called = kanca("provider", "verify", "github", "--headers", "-", "--body", "-", input="a: b")

    assert (called.exit_code, "standard input" in called.stderr) == (2, True)


def test_a_key_pair_signs_and_verifies(kanca: Kanca, server: ScriptedServer, tmp_path: Path) -> None:
    pair = json.loads(kanca("provider", "keypair", "discord", "--json").stdout)

    sent = kanca("send", "discord", "--to", server.url, "--secret", pair["private"])
    [received] = server.received
    (tmp_path / "headers").write_text(
        "\n".join(f"> {name}: {text}" for name, text in received.headers.items())
    )
    (tmp_path / "body").write_bytes(received.body)
    verified = kanca(
        *(
            "provider",
            "verify",
            "discord",
            "--secret",
            pair["public"],
            "--headers",
            "headers",
            "--body",
            "body",
        )
    )

    assert (sent.exit_code, verified.exit_code) == (0, 0), verified.output


@pytest.mark.parametrize(("provider", "hint"), [("stripe", "the endpoint's own"), ("paypal", "--endpoint")])
def test_there_are_no_key_pairs_where_none_would_help(kanca: Kanca, provider: str, hint: str) -> None:
    called = kanca("provider", "keypair", provider)

    assert (called.exit_code, hint in called.stderr) == (2, True)


@pytest.mark.parametrize("provider", provider_names())
def test_every_provider_can_be_shown(kanca: Kanca, server: ScriptedServer, provider: str) -> None:
    told = details(Catalogue(), provider).model_dump(mode="json")
    server.will_answer((200, told))

    called = kanca("provider", "show", provider, "--url", server.url)

    assert called.exit_code == 0, called.output
    shown = called.stdout
    assert told["signatures"][0]["in_words"] in shown
    assert all(handshake["name"] in shown for handshake in told["handshakes"])
    assert "{'" not in shown


def test_what_is_shown_of_a_provider_reads_well(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, details(Catalogue(), "zoom").model_dump(mode="json")))

    lines = kanca("provider", "show", "zoom", "--url", server.url).stdout.splitlines()

    shown = dict(line.split(None, 1) for line in lines if not line.startswith(" "))
    assert shown["title"] == "Zoom"
    assert shown["handshakes"] == "POST url_validation: Zoom checks that the address knows the secret token."
    assert shown["delivery"] == "id  {header:x-zm-trackingid}, else {body_sha256} (not signed)"


def test_of_ones_own_it_is_said_where_it_is_described(kanca: Kanca, server: ScriptedServer) -> None:
    catalogue = Catalogue({"acme": {"signatures": [{"scheme": "none"}]}})
    server.will_answer((200, details(catalogue, "acme").model_dump(mode="json")))

    shown = kanca("provider", "show", "acme", "--url", server.url).stdout

    assert "comes from  this server's settings" in shown
    assert "known from" not in shown


def test_the_list_shows_what_is_ones_own(kanca: Kanca, server: ScriptedServer) -> None:
    catalogue = Catalogue({"acme": {"signatures": [{"scheme": "none"}]}})
    items: list[Any] = [summary(catalogue, name).model_dump(mode="json") for name in ("acme", "stripe")]
    server.will_answer((200, {"items": items}))

    [head, _, acme, stripe] = kanca("provider", "list", "--url", server.url).stdout.splitlines()

    assert head.split()[:4] == ["name", "title", "origin", "label"]
    assert acme.split()[:3] == ["acme", "acme", "own"]
    assert stripe.split()[:4] == ["stripe", "Stripe", "kanca", "confirmed"]
